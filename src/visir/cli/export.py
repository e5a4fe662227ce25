"""`visir export`."""

from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import JsonOption, print_json, say
from visir.errors import ModelError


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A UniSE-CLIP: a folder that visir train wrote, or a CLIP or SigLIP.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the exported model; an earlier one there is replaced.")
    ],
    precision: Annotated[str, typer.Option("--precision", metavar="BITS", help="int8 (a quarter of the size, faster) or fp32.")] = "int8",
    data: Annotated[str, typer.Option("--data", metavar="SOURCE", help="Pairs that the gate asks: a VIRA folder, or shapes.")] = "shapes",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=10, help="Pairs of each kind that the gate asks at most.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """Turn a model into ONNX files that run without torch, in onnxruntime or OpenVINO.

    A gate embeds the same queries and pages with the model and with the copy, in each run time that is installed. Where the mean cosine
    is below 0.995 or recall@1 differs by more than half a point, the verb fails and writes nothing.
    """
    try:
        from visir.train.export_gate import export_model
    except ImportError as error:
        raise ModelError(f"exporting runs in torch: pip install 'visir[train]' ({error})") from error
    gates = export_model(model, output, precision, data, limit)
    for runtime, gate in gates.items():
        say(f"{runtime}: {gate}")
    if as_json:
        print_json({"model": str(output), "gate": {runtime: vars(gate) for runtime, gate in gates.items()}})
    else:
        print(output)
