"""Runs any recipe: of the reading stage of unise-mini, or of stages 1 and 2."""

import contextlib
import hashlib
import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch.distributed as dist
from transformers.utils.logging import disable_progress_bar

from visir.errors import ModelError
from visir.train.curves import draw_curves, read_rows
from visir.train.pair_recipe import PairRecipe, is_pair_recipe, read_pair_recipe
from visir.train.recipe import Recipe, read_recipe
from visir.train.tiny_pack import TINY, write_tiny_pack
from visir.version import code_version

_MINUTES = 5.0
"""Between two pictures of the curves of a reading stage, which is also how often it saves."""
_RECIPES = Path(__file__).parent / "recipes"


def find_recipe(name: str) -> Path:
    """Return a recipe's file, named by its path or, where it ships, by its name.

    Raises:
        ModelError: there is none.
    """
    for path in (Path(name), _RECIPES / name, _RECIPES / f"{name}.toml"):
        if path.is_file():
            return path
    shipped = ", ".join(sorted(path.stem for path in _RECIPES.glob("*.toml")))
    raise ModelError(f"there is no recipe {name!r}: name a file, or one of {shipped}")


def run_recipe(name: str, folder: Path, changes: list[str], smoke: bool = False, minutes: float = 0.0, device: str = "") -> Path | None:
    """Train by a recipe, or go on with it.

    Args:
        name: see `find_recipe`.
        folder: folder of the run.
        changes: see `read_values`.
        smoke: make only a few small steps.
        minutes: stop after so long; 0 for no limit.
        device: ``cpu``, ``cuda`` …; empty for a GPU where there is one.

    Returns:
        the folder of the finished model, or ``None`` where time was up before.
    """
    path = find_recipe(name)
    _check_device(device)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for each file that is read would hide the run's own lines
    if is_pair_recipe(path, changes):
        recipe = read_pair_recipe(path, changes)
        recipe = shrink_pairs(recipe) if smoke else recipe
        _claim(folder, recipe, recipe.steps, smoke)
        return _run_pairs(recipe, folder, minutes, device)
    reading = read_recipe(path, changes)
    reading = shrink_reading(reading) if smoke else reading
    _claim(folder, reading, reading.optim.steps, smoke)
    return _run_reading(reading, folder, minutes, device, 1 if smoke else 20)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(0, device=device or "cpu")
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"there is no device {device!r} here ({str(error).splitlines()[0][:100]}): leave --device out, or name cpu"
        ) from error


def _claim(folder: Path, recipe: PairRecipe | Recipe, steps: int, smoke: bool) -> None:
    """Note by what recipe a folder is trained in.

    Raises:
        ModelError: the folder cannot be written, holds something else, another kind of run, or a finished one with other settings.
    """
    if int(os.environ.get("RANK", 0)):
        return  # torchrun's first process sees to it
    path, state = folder / "recipe.json", folder / "state.json"
    wanted = {"of": type(recipe).__name__, "smoke": smoke, "settings": json.loads(json.dumps(asdict(recipe)))}
    if path.is_file() and state.is_file():
        there = json.loads(path.read_text(encoding="utf-8"))
        if (there["of"], there["smoke"]) != (wanted["of"], wanted["smoke"]):
            held = (
                "a run of another kind of recipe"
                if there["of"] != wanted["of"]
                else f"a run {'with' if there['smoke'] else 'without'} --smoke"
            )
            raise ModelError(f"{folder} holds {held}: name another folder with -o, or delete it")
        before, now = _flat(there["settings"]), _flat(wanted["settings"])
        changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        changed = [name for name in changed if not name.startswith("watch.") and name != "data.workers"]
        done = json.loads(state.read_text(encoding="utf-8"))["meta"]["step"] >= steps and (folder / "model").is_dir()
        if changed and done:
            raise ModelError(
                f"{folder} holds a finished run with another {', '.join(changed[:5])}: name another folder with -o, or delete it"
            )
        if changed:
            print(f"going on with another {', '.join(changed[:5])} than before", file=sys.stderr)
    elif not path.is_file() and not state.is_file() and any((folder / name).exists() for name in ("model", "metrics.jsonl")):
        raise ModelError(f"{folder} holds files, and no run to go on with: name another folder with -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(f"no run can be kept in {folder}: {error.strerror or error}; name another folder with -o") from error


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their names, as ``--set`` takes them."""
    if not isinstance(settings, dict | list) or (isinstance(settings, list) and not any(isinstance(one, dict) for one in settings)):
        return {prefix: settings}
    parts = settings.items() if isinstance(settings, dict) else enumerate(settings)
    return {name: value for key, part in parts for name, value in _flat(part, f"{prefix}.{key}" if prefix else str(key)).items()}


def shrink_pairs(recipe: PairRecipe) -> PairRecipe:
    """Return a recipe with the same parts and only a few small steps."""
    stages = tuple(replace(stage, steps=min(stage.steps, 3), batch=min(stage.batch, 8), warmup=1) for stage in recipe.stage)
    return replace(recipe, stage=stages, watch=replace(recipe.watch, held=16, log=1), data=replace(recipe.data, workers=0))


def shrink_reading(recipe: Recipe) -> Recipe:
    """Return a recipe of the reading stage with the same parts and only a few small steps."""
    stages = tuple(replace(stage, height=min(stage.height, 128), width=min(stage.width, 160), batch=2) for stage in recipe.stage)
    return replace(
        recipe, stage=stages, optim=replace(recipe.optim, steps=4, queue=64, compile=False), data=replace(recipe.data, workers=0), start=""
    )


def _run_pairs(recipe: PairRecipe, folder: Path, minutes: float, device: str) -> Path | None:
    from visir.train.stages import PairRun, join_processes

    own = join_processes()
    run = PairRun(recipe, folder, device or own)
    done = run.train(minutes)
    model = run.finish() if done and run.part[0] == 0 else None
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
    return model or (folder / "model" if done else None)


def _run_reading(recipe: Recipe, folder: Path, minutes: float, device: str, log_steps: int) -> Path | None:
    import torch

    from visir.train.export_mini import export_run
    from visir.train.reading import ReadingRun

    if recipe.data.pack == TINY:
        recipe = replace(recipe, data=replace(recipe.data, pack=str(write_tiny_pack(folder / "practice.zip"))))
    run = ReadingRun(recipe, folder, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    metrics, begun, first = folder / "metrics.jsonl", time.monotonic(), run.step
    # What a killed run wrote after its last state is made again.
    kept = [row for row in read_rows(metrics) if row["step"] <= run.step and run.step] if metrics.is_file() else []
    metrics.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    while run.step < recipe.optim.steps:
        spent = (time.monotonic() - begun) / 60
        run.train(min(max(minutes - spent, 1e-9), _MINUTES) if minutes else _MINUTES, log_steps=log_steps)
        draw_curves(read_rows(metrics), folder / "curves.png")
        spent = (time.monotonic() - begun) / 60
        left = (recipe.optim.steps - run.step) * spent / max(1, run.step - first)
        print(f"{run.step:,} of {recipe.optim.steps:,} · {left:.0f} min left", file=sys.stderr, flush=True)
        if minutes and spent >= minutes and left:
            return None
    model, pack = folder / "model", Path(recipe.data.pack)
    with contextlib.redirect_stdout(sys.stderr):  # what the exporters tell is no result
        export_run(folder, model, pack)
    data = {pack.name: hashlib.blake2b(pack.read_bytes(), digest_size=8).hexdigest()}
    made: dict[str, Any] = {"recipe": asdict(recipe), "steps": run.step, "data": data, "commit": code_version()}
    (model / "visir.json").write_text(json.dumps({"made": made}, indent=1) + "\n", encoding="utf-8")
    return model
