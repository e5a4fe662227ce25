"""Make a run of the reading stage out of the files that `visir.train.export_mini` wrote, so that their training can go on.

    python -m visir.train.restore_mini src/visir/unise/weights/unise-mini runs/mini

The weights are the exported ones, in 8 bits. Batch norms, which the export folded into the convolutions, are unfolded again on practice
pages. What was not exported begins anew.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from visir.errors import ModelError
from visir.train.checkpoint import save_split
from visir.train.command import run_on_folders
from visir.train.reading import ReadingModel
from visir.train.recipe import Recipe
from visir.unise.mini import MiniConfig, to_input
from visir.vira.practice import Pack, PageSpec, render_page

_PAGES = 24
_SEED = 96
# The reciprocal of the words' temperature, which is not exported: about where training brings it.
_SCALE = 40.0


def read_quantised(path: Path) -> dict[str, Tensor]:
    """Return the quantised weights and biases of an ONNX file as floating numbers, by the names that the model gave them."""
    import onnx
    from onnx.numpy_helper import to_array

    values = {entry.name: to_array(entry) for entry in onnx.load(path).graph.initializer}
    found: dict[str, Tensor] = {}
    for name, value in values.items():
        plain = name.removesuffix("_quantized")
        if plain == name:
            continue
        scale = values.get(f"{plain}_scale", values.get(f"{name}_scale"))
        if scale is None:
            raise ModelError(f"{path}: {name} has no scale; export it with `python -m visir.train.export_mini`")
        found[plain] = torch.from_numpy(value.astype(np.float32) * scale.reshape(-1, *[1] * (value.ndim - 1)))
    return found


def _unfold(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...], bias: Tensor) -> None:
    """Make a norm pass its input on, plus ``bias``, as long as this input's mean and variance are those of the batch at hand."""
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
    norm.running_mean, norm.running_var = mean, variance
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + bias)


@torch.no_grad()
def restore(folder: Path, run: Path, pack_path: Path) -> None:
    """Write ``run`` as it stood when ``folder`` was exported, as far as the export tells.

    Raises:
        ModelError: the folder holds no export, or the pack is missing.
    """
    if not (folder / "tower.onnx").is_file():
        raise ModelError(f"{folder}: holds no tower.onnx; name a folder that `python -m visir.train.export_mini` wrote")
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    pack = Pack.open(pack_path)
    made = config["made_by"]
    model = ReadingModel(Recipe(model=MiniConfig.from_dict(made.get("model", {})))).eval()
    values = read_quantised(folder / "tower.onnx")
    with np.load(folder / "ngrams.npz") as file:
        model.encoder.table.weight.copy_(torch.from_numpy(file["rows"] * file["scales"][:, None]))
    if (folder / "letters.npz").is_file():
        with np.load(folder / "letters.npz") as file:
            model.tower.letters.name.weight.copy_(torch.from_numpy(file["rows"] * file["scales"][:, None]))
            model.tower.letters.name.bias.copy_(torch.from_numpy(file["bias"]))
    model.scales["words"].fill_(np.log(_SCALE))
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and f"{name}.weight" in values:
            module.weight.copy_(values[f"{name}.weight"])
            if module.bias is not None:
                module.bias.copy_(values[f"{name}.bias"])
        previous = f"{name.rpartition('.')[0]}.0"
        if isinstance(module, nn.BatchNorm2d) and f"{previous}.weight" in values:
            hooks.append(module.register_forward_pre_hook(partial(_unfold, bias=values[f"{previous}.bias"])))
    pages = [render_page(pack, PageSpec(384, 384, 1.0), _SEED, number).image for number in range(_PAGES)]
    fine, _ = model.read(to_input(torch.from_numpy(np.stack(pages))))
    model.tower.words(fine)
    model.tower.spots(fine)
    for hook in hooks:
        hook.remove()
    meta = {"step": made["steps"], "begun": made["steps"], "pages": made["pages"], "model": model.recipe.model.to_dict()}
    weights = {
        f"model.{key}": value for key, value in model.state_dict().items() if ".queues." not in key and not key.startswith("queues.")
    }
    save_split(run, "weights", weights, meta, half=True)


if __name__ == "__main__":
    run_on_folders(restore, __doc__, [("folder", "an exported model"), ("run", "folder of the run that is made")], pack=True)
