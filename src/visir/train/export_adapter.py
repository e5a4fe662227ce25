"""Give unise-mini the text encoder that a run of stages 1 and 2 trained: ``python -m visir.train.export_adapter --help``.

    python -m visir.train.export_adapter runs/pairs src/visir/unise/weights/unise-mini

Written is ``adapter.npz``: the low-rank adapters that the run trained, in 8 bits with a scale each, by the names that the shared text
encoder knows them by; and in ``config.json`` how the new cosines are read, and what made them. The run must have been one with ``lora``,
finished. Before anything is written, the 8-bit encoder with the adapters and the trained model in 32 bits embed the same pairs,
and must agree.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from visir.errors import ModelError
from visir.train.checkpoint import load_split
from visir.train.command import run_on_folders
from visir.train.export_gate import gate_items
from visir.train.export_mini import write_config
from visir.train.sources import open_source
from visir.unise.export_clip import Gate, compare
from visir.unise.mini_student import ReadingEncoder
from visir.unise.onnx import open_text_embedder
from visir.unise.sentence import SentenceEmbedder

_LAYER = re.compile(r"encoder\.(layer\..+)\.lora_([AB])\.")
# An adapter counts twice its rank by its rank; see `visir.train.students.add_adapters`.
_SCALE = 2.0
# Pairs of each kind and split that the gate asks: enough that single ones do not decide.
_ASKED = 1000


def export_adapter(run: Path, folder: Path) -> Gate:
    """Write the adapters of a run into a model folder.

    Returns:
        how near the exported encoder is to the trained one.

    Raises:
        ModelError: the run is missing or damaged, not finished, or trained no adapters; or what was exported strays too far.
    """
    made = run / "model" / "visir.json"
    if not made.is_file():
        raise ModelError(f"{run}: holds no finished model; `visir train` goes on with it")
    tensors = {name: value for name, value in load_split(run, "state")[0].items() if name.startswith("model.")}
    facts = json.loads(made.read_text(encoding="utf-8"))
    adapters = adapters_of(tensors, facts["made"]["recipe"]["model"].get("share", 1.0))
    if not adapters:
        raise ModelError(f"{run}: trained no adapters of a text encoder; its recipe needs model.encoder and model.lora")
    if facts["made"].get("fusion", {}).get("kept") == "learned":
        raise ModelError(f"{run}: joins pictures and texts by a learned fusion, which unise-mini has no place for; train with fusion = sum")
    arrays: dict[str, Any] = {}
    for name, value in adapters.items():
        scale = max(float(value.abs().max()), 1e-9) / 127
        arrays[name], arrays[f"scale.{name}"] = np.round(value.numpy() / scale).astype(np.int8), np.float32(scale)
    fresh = folder / "adapter.new.npz"
    np.savez_compressed(fresh, **arrays)
    try:
        gate = _compare(run, facts["made"]["recipe"]["data"], folder, fresh)
        if not gate.passed:
            raise ModelError(f"{run}: its adapters were not exported, for the 8-bit encoder strays too far from the trained one: {gate}")
        os.replace(fresh, folder / "adapter.npz")
    finally:
        fresh.unlink(missing_ok=True)
    write_config(folder, adapter="adapter.npz", calibration=facts["calibration"], text_made_by=facts["made"])
    return gate


def _compare(run: Path, data: dict[str, Any], folder: Path, adapter: Path) -> Gate:
    """Ask both encoders for the run's pages by texts, each page being what is read on it."""
    trained = SentenceEmbedder.load(str(run / "model"), "cpu", "float32")
    reader: ReadingEncoder = trained.model[0]  # type: ignore[assignment]
    reader.remember(run / "readings.sqlite")
    texts = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text"]
    exported = open_text_embedder(folder.parent / texts, adapter)
    left = data.get("leave_out", ())
    sets = [pairs for source in data["sources"] for split in ("held", "train") for pairs in open_source(source, split, left)]
    items, pages = gate_items([pairs for pairs in sets if pairs.kind != "sq2s"], _ASKED)
    return compare(trained, exported, items, [reader.read(page.image) for page in pages])


def adapters_of(tensors: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return ``down.LAYER`` (in, r) and ``up.LAYER`` (r, out), as `visir.unise.export` names them, of the tensors of a run's state.

    Args:
        tensors: by name.
        share: see `visir.train.pair_recipe.ModelChoice`.
    """
    found = {}
    for name, value in tensors.items():
        if match := _LAYER.search(name):
            layer, side = match.groups()
            found[f"down.{layer}" if side == "A" else f"up.{layer}"] = value.T if side == "A" else share * _SCALE * value.T
    return found


if __name__ == "__main__":
    folders = [("run", "folder of the run"), ("folder", "folder of unise-mini")]
    run_on_folders(lambda run, folder: print(export_adapter(run, folder)), __doc__, folders)
