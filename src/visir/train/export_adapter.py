"""Give unise-mini the text encoder that a run of stages 1 and 2 trained: ``python -m visir.train.export_adapter --help``.

    python -m visir.train.export_adapter runs/pairs src/visir/unise/weights/unise-mini

Written is ``adapter.npz``: the low-rank adapters that the run trained, in 8 bits with a scale each, by the names that the shared text
encoder knows them by; and in ``config.json`` how the new cosines are read, and what made them. The run must have been one with ``lora``,
finished.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from visir.errors import ModelError
from visir.train.checkpoint import load_split
from visir.train.command import run_on_folders
from visir.train.export_mini import write_config

_LAYER = re.compile(r"encoder\.(layer\..+)\.lora_([AB])\.")
# An adapter counts twice its rank by its rank; see `visir.train.students.add_adapters`.
_SCALE = 2.0


def export_adapter(run: Path, folder: Path) -> None:
    """Write the adapters of a run into a model folder.

    Raises:
        ModelError: the run is missing or damaged, not finished, or trained no adapters.
    """
    made = run / "model" / "visir.json"
    if not made.is_file():
        raise ModelError(f"{run}: holds no finished model; `visir train` goes on with it")
    tensors = {name: value for name, value in load_split(run, "state")[0].items() if name.startswith("model.")}
    adapters = adapters_of(tensors)
    if not adapters:
        raise ModelError(f"{run}: trained no adapters of a text encoder; its recipe needs model.encoder and model.lora")
    arrays: dict[str, Any] = {}
    for name, value in adapters.items():
        scale = max(float(value.abs().max()), 1e-9) / 127
        arrays[name], arrays[f"scale.{name}"] = np.round(value.numpy() / scale).astype(np.int8), np.float32(scale)
    np.savez_compressed(folder / "adapter.npz", **arrays)
    facts = json.loads(made.read_text(encoding="utf-8"))
    write_config(folder, adapter="adapter.npz", calibration=facts["calibration"], text_made_by=facts["made"])


def adapters_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return ``down.LAYER`` (in, r) and ``up.LAYER`` (r, out), as `visir.unise.export` names them, of the tensors of a run's state."""
    found = {}
    for name, value in tensors.items():
        if match := _LAYER.search(name):
            layer, side = match.groups()
            found[f"down.{layer}" if side == "A" else f"up.{layer}"] = value.T if side == "A" else _SCALE * value.T
    return found


if __name__ == "__main__":
    run_on_folders(export_adapter, __doc__, [("run", "folder of the run"), ("folder", "folder of unise-mini")])
