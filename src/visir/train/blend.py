"""Make one run of the reading stage out of several that went on from the same weights: the mean of their weights.

    python -m visir.train.blend runs/blended runs/mini runs/figures

A model that was trained further on other pages reads these better and what it read before a little worse; the mean of the two reads both
as well as the better of them, at the cost of one (Wortsman et al. 2022, model soups and robust fine-tuning).
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from visir.errors import ModelError
from visir.train.checkpoint import load_split, save_split
from visir.train.command import run_on_folders


def blend(target: Path, runs: Sequence[Path]) -> None:
    """Write ``weights.*`` of a run that lies in the middle of others; its steps and pages are those of the last.

    Raises:
        ModelError: a run is missing or damaged, or they are of different architectures.
    """
    loaded = [load_split(run, "weights") for run in runs]
    tensors, meta = loaded[-1]
    for run, (_, other) in zip(runs, loaded, strict=True):
        if other["model"] != meta["model"]:
            raise ModelError(f"{run}: of another architecture than {runs[-1]}; only runs that went on from the same weights can be blended")
    means = {
        name: torch.stack([others[name] for others, _ in loaded]).mean(0) if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    save_split(target, "weights", means, meta, half=True)


if __name__ == "__main__":
    run_on_folders(blend, __doc__, [("target", "folder of the run that is made"), ("run", "folder of a run")], several=True)
