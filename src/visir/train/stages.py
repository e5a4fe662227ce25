"""Stages 1 and 2 of the paper: pairs of queries and screenshots become a UniSE model.

Stage 1 contrasts captions and screenshots both ways; stage 2 goes on with questions, composed queries and hard negatives at a low learning
rate. A run goes on where its folder's last state ends, with the same numbers as if it had never stopped. Under ``torchrun`` every process
takes its share of each batch and contrasts it with all of it.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from visir.errors import ModelError
from visir.screenshot import Screenshot
from visir.train.checkpoint import flatten_optimizer, load_split, restore_optimizer, save_split
from visir.train.curves import draw_curves, read_rows
from visir.train.examine import Found, Probe, calibrate, find
from visir.train.pair_loss import PairLoss
from visir.train.pair_recipe import PairRecipe, PairStage
from visir.train.pairs import Features, Kind, PairBatch, PairBatches, load_pairs
from visir.train.sources import open_source
from visir.train.students import add_adapters, compile_layers, merge_adapters, open_student, save_activations, seen_height
from visir.train.watch import Watch, check_type
from visir.unise.mllm import get_pixels
from visir.unise.sentence import SentenceEmbedder, follows_instructions
from visir.version import code_version

_PIECE = 1 << 30


def join_processes() -> str:
    """Join the other processes that ``torchrun`` started, if it did; returns this one's device."""
    cuda = torch.cuda.is_available()
    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if cuda else "cpu"
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if cuda:
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if cuda else "gloo")
    return device


class PairRun:
    """A run in a folder: made, gone on with, saved.

    Args:
        recipe: what to do.
        folder: where the state, ``metrics.jsonl``, ``curves.png`` and at last ``model/`` are kept.
        device: ``cpu``, ``cuda``, ``cuda:1`` …
    """

    def __init__(self, recipe: PairRecipe, folder: Path, device: str = "cpu") -> None:
        if recipe.model.precision not in ("bf16", "fp32"):
            raise ModelError(f"unknown precision {recipe.model.precision!r}: choose bf16 or fp32")
        torch.manual_seed(recipe.data.seed)
        torch.set_float32_matmul_precision("high")
        self.recipe, self.folder, self.device = recipe, folder, torch.device(device)
        self.part = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        folder.mkdir(parents=True, exist_ok=True)
        data = recipe.data
        self.sets, self.held = (
            [pairs for source in data.sources for pairs in open_source(source, split, data.leave_out)] for split in ("train", "held")
        )
        if self.part[0]:
            dist.barrier()  # the first process makes or fetches the model, the others find it there
        self.model = open_student(recipe.model, folder).to(self.device)
        if dist.is_initialized() and not self.part[0]:
            dist.barrier()
        self.tuner = add_adapters(self.model, recipe.model) if recipe.model.lora else None
        if recipe.model.checkpointing:
            save_activations(self.model)
        if recipe.model.compile:
            compile_layers(self.model)
        self.probe: Probe | None = None
        self._best = 0.0
        self.watch = Watch()
        self.step, self.number = 0, -1
        self._enter(0)
        self._restore()
        _begin_alike([value for value in self.model.parameters() if value.requires_grad])

    def _enter(self, number: int) -> None:
        """Begin a stage: its loss, with the temperature of the one before unless it names one, and a fresh optimiser."""
        stage, before = self.recipe.stage[number], getattr(self, "loss", None)
        scale = stage.scale or (float(before.scale.detach()) if before is not None else 20.0)
        self.loss = PairLoss(self._embed, scale, stage.learn_scale, stage.both_ways, self.recipe.data.mini_batch, stage.dims)
        self.loss.to(self.device)
        self.optimizer = make_optimizer(self.model, self.loss, stage)
        self.number = number
        self.watch.stage()

    def _embed(self, features: Features) -> Features:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.model.precision == "bf16"):
            said: Features = self.model({**features})
        return said

    def _preprocess(self, inputs: list[Any], instruction: str) -> Features:
        prompt = instruction if instruction and follows_instructions(self.model) else None
        return dict(self.model.preprocess(inputs, prompt=prompt, task="query" if instruction else "document"))

    def batches(self, number: int) -> PairBatches:
        """Return the batches of a stage."""
        stage, data = self.recipe.stage[number], self.recipe.data
        chosen = [pairs for pairs in self.sets if pairs.kind in stage.kinds]
        if not chosen:
            raise ModelError(f"{', '.join(data.sources)}: no pairs of the kinds {', '.join(stage.kinds)}; stage {number} cannot begin")
        weight = dict(zip(stage.kinds, stage.weights or (1.0,) * len(stage.kinds), strict=True))
        weights = [weight[pairs.kind] for pairs in chosen]
        if stage.batch % self.part[1]:
            raise ModelError(f"a batch of {stage.batch} cannot be shared by {self.part[1]} processes")
        return PairBatches(
            chosen, weights, stage.steps, stage.batch, stage.negatives, data.seed + 7919 * number, self._preprocess, self.part, stage.mined
        )

    def update(self, batch: PairBatch) -> dict[str, float]:
        """Make one step; returns its numbers."""
        number, within = self.recipe.at(self.step)
        stage = self.recipe.stage[number]
        torch.manual_seed(self.recipe.data.seed * 1_000_003 + self.step * 64 + self.part[0])
        rate = learning_rate(stage, within)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss.backward(
            batch_to_device(batch.queries, self.device), batch_to_device(batch.documents, self.device), batch.keys.to(self.device)
        )
        moved = [value for group in self.optimizer.param_groups for value in group["params"]]
        said = torch.stack([loss, self.loss.said["right"], self.loss.said["rivals"]])
        _average([value.grad for value in moved if value.grad is not None], said)
        norm = nn.utils.clip_grad_norm_(moved, stage.clip)
        self.optimizer.step()
        self.step += 1
        numbers = dict(zip(("loss", "right", "rivals"), said.tolist(), strict=True))
        return {"step": self.step, "stage": number, **numbers, "norm": float(norm), "lr": rate, "scale": float(self.loss.scale.detach())}

    def updates(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Make the recipe's remaining steps, one an iteration; gives the name of the set that a step learnt from, and its numbers."""
        while self.step < self.recipe.steps:
            number, within = self.recipe.at(self.step)
            if number != self.number:
                self._enter(number)
            for batch in load_pairs(self.batches(number), within, self.recipe.data.workers):
                yield batch.name, self.update(batch)

    def embedder(self) -> SentenceEmbedder:
        """Return the model as it is now, as users will meet it."""
        self.model.eval()
        return SentenceEmbedder(self.model, "student", str(self.step))

    def examine(self) -> dict[str, float]:
        """Return recall on held-out pairs by kind, and what the probe says."""
        embedder, limit = self.embedder(), self.recipe.watch.held
        found = {pairs.name: find(embedder, pairs, limit) for pairs in self.held}
        numbers = {f"recall_{name}": round(one.recall, 4) for name, one in found.items()}
        return numbers | ({key: round(value, 4) for key, value in self.probe.ask(embedder).items()} if self.probe else {})

    def train(self, minutes: float = 0.0) -> bool:
        """Make steps until the recipe is done or the time is up; returns whether it is done. Saves now and then and at the end."""
        journal = Journal(self) if self.part[0] == 0 else None
        begun = saved = time.monotonic()
        if self.recipe.watch.probe and journal:
            # The probe is asked of the model as it came, also where a run goes on.
            self.probe = self._probe()
        if journal and self.step == 0:
            journal.begin()
        done = self.step >= self.recipe.steps
        for name, numbers in self.updates():
            if journal:
                journal.step(name, numbers)
            now = time.monotonic()
            done = self.step >= self.recipe.steps
            late = bool(minutes) and now - begun > 60 * minutes
            if _any(late, self.device):
                break
            if not done and now - saved > 60 * self.recipe.watch.save and self.part[0] == 0:
                self.save()
                saved = now
        if self.part[0] == 0:
            self.save()
        if journal:
            journal.draw()
        return done

    def _probe(self) -> Probe:
        held = open_source(self.recipe.watch.probe, "held")
        if self.step == 0:
            return Probe(held, self.embedder())
        fresh = open_student(self.recipe.model, self.folder).to(self.device).eval()
        return Probe(held, SentenceEmbedder(fresh, "start", "0"), best=self._best)

    def check_pages(self) -> str | None:
        """Return a warning if the model cannot read the type on the pages; see `visir.train.watch`."""
        shown = [pairs for pairs in self.sets if not pairs.finds_text]
        few = max(2, 36 // max(1, len(shown)))
        # From all over a set: it is in the order of its domains.
        pages = [Screenshot(pairs.images[key]).image for pairs in shown for key in _spread(pairs.documents(), few)]
        return check_type(pages, lambda page: seen_height(self.model, page), fixed=get_pixels(self.model) is None)

    def save(self) -> None:
        """Write all that the next step needs: what is trained, in 32 bits, the optimiser, the temperature."""
        tensors = {f"model.{name}": value for name, value in trained_state(self.model).items()}
        tensors |= {f"optim.{name}": value for name, value in flatten_optimizer(self.optimizer).items()}
        tensors["scale"] = self.loss.log_scale.detach()
        model, best = self.recipe.model, self.probe.best if self.probe else self._best
        meta = {"step": self.step, "stage": self.number, "base": model.base, "lora": model.lora, "probe_best": best}
        save_split(self.folder, "state", tensors, meta, piece=_PIECE)

    def _restore(self) -> None:
        if not (self.folder / "state.json").is_file():
            return
        tensors, meta = load_split(self.folder, "state")
        if (meta["base"], meta["lora"]) != (self.recipe.model.base, self.recipe.model.lora):
            raise ModelError(
                f"{self.folder}: holds a run of {meta['base']} with lora = {meta['lora']}; choose another folder or its recipe"
            )
        if meta["step"]:
            self._enter(meta["stage"])
        own = {name: value.to(self.device) for name, value in self.model.state_dict().items()}
        try:
            self.model.load_state_dict(own | {name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
        except RuntimeError as error:
            raise ModelError(f"{self.folder}: its state is of another model ({' '.join(str(error).split())[:200]})") from None
        self.loss.log_scale.data.copy_(tensors["scale"])
        restore_optimizer(self.optimizer, {name[6:]: value for name, value in tensors.items() if name.startswith("optim.")})
        self.step, self._best = meta["step"], meta.get("probe_best", 0.0)

    def finish(self) -> Path:
        """Merge adapters, keep the learned fusion only if it finds no less than the sum, and write ``model/``; returns its path."""
        if self.tuner is not None:
            merge_adapters(self.model, self.tuner, self.recipe.model.share)
            self.tuner = None
        facts: dict[str, Any] = {"fusion": self._settle_fusion()} if getattr(self.model[0], "mixer", None) is not None else {}
        embedder, limit = self.embedder(), self.recipe.watch.held
        found: dict[Kind, Found] = {pairs.kind: find(embedder, pairs, limit) for pairs in self.held}
        place = self.folder / "model"
        self.model.save_pretrained(str(place), create_model_card=False)
        before = {name: tuple(curve) for name, curve in asdict(embedder.calibration).items()}
        made = {
            "recipe": json.loads(json.dumps(asdict(self.recipe))),
            "steps": self.step,
            "data": {pairs.name: pairs.digest for pairs in self.sets},
            "commit": code_version(),
            "held": {kind: {"recall_at_1": round(one.recall, 4)} for kind, one in found.items()},
            **facts,
        }
        text = json.dumps({"made": made, "calibration": calibrate(found, before)}, indent=1)
        (place / "visir.json").write_text(text + "\n", encoding="utf-8")
        return place

    def _settle_fusion(self) -> dict[str, Any]:
        """Compare the learned fusion with the plain sum on held-out composed pairs, and drop it if it finds less.

        One half of the screenshots chooses and the other confirms: what the choice was made by says too much of what was chosen.
        """
        tower: Any = self.model[0]
        mixer, limit = tower.mixer, self.recipe.watch.held
        halves = [half for pairs in self.held if pairs.kind == "sq2s" for half in pairs.halves()]
        found: dict[str, dict[str, float]] = {}
        for name, one in (("learned", mixer), ("sum", None)):
            tower.mixer = one
            recalls = [find(self.embedder(), half, limit).recall for half in halves]
            chosen, confirmed = (round(sum(half) / max(1, len(half)), 4) for half in (recalls[::2], recalls[1::2]))
            found[name] = {"chosen_by": chosen, "confirmed_by": confirmed}
        kept = bool(halves) and all(found["learned"][part] >= recall for part, recall in found["sum"].items())
        tower.mixer, tower.fusion = (mixer, "learned") if kept else (None, "sum")
        return {**found, "kept": "learned" if kept else "sum"}


class Journal:
    """Writes what happens: a line of JSON for programs, a line of text on stderr for people, at the end a picture."""

    def __init__(self, run: PairRun) -> None:
        self._run = run
        self._path = run.folder / "metrics.jsonl"
        self._since, self._pairs = time.monotonic(), 0
        # What a killed run wrote after its last state is made again.
        kept = [row for row in read_rows(self._path) if row["step"] <= run.step and run.step] if self._path.is_file() else []
        self._path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def begin(self) -> None:
        """Examine the model as it came."""
        warning = self._run.check_pages()
        self._warn([warning] if warning else [])
        self._write({"step": 0, **self._run.examine()})

    def step(self, name: str, numbers: dict[str, float]) -> None:
        """Take in a step."""
        run = self._run
        step, stage = run.step, run.recipe.stage[int(numbers["stage"])]
        self._pairs += stage.batch
        self._warn(run.watch.step(name, numbers))
        ends = step == run.recipe.steps or run.recipe.at(step)[1] == 0
        if step % run.recipe.watch.log == 0 or ends:
            now = time.monotonic()
            rate = self._pairs / max(now - self._since, 1e-9)
            left = (run.recipe.steps - step) * stage.batch / rate / 60
            shown = {key: value if isinstance(value, int) else float(f"{value:.6g}") for key, value in numbers.items()}
            self._write({**shown, "set": name, "pairs_per_s": round(rate, 1)}, f" · {left:.0f} min left")
            self._since, self._pairs = now, 0
        if step % run.recipe.watch.every == 0 or ends:
            examined = run.examine()
            self._write({"step": step, **examined})
            self._warn(run.watch.examined(examined))
            self.draw()
            self._since = time.monotonic()

    def draw(self) -> None:
        """Draw the curves so far."""
        if self._path.is_file():
            draw_curves(read_rows(self._path), self._run.folder / "curves.png")

    def _warn(self, warnings: list[str]) -> None:
        for warning in warnings:
            self._write({"step": self._run.step, "warning": warning})

    def _write(self, row: dict[str, Any], tail: str = "") -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        shown = " · ".join(f"{key} {value}" for key, value in row.items() if key not in ("step", "stage"))
        print(f"{int(row['step']):,} of {self._run.recipe.steps:,} · {shown}{tail}", file=sys.stderr, flush=True)


def make_optimizer(model: SentenceTransformer, loss: PairLoss, stage: PairStage) -> torch.optim.AdamW:
    """AdamW; vectors (norms, biases) do not decay; the temperature moves ten times as fast: it is one number on a logarithmic scale."""
    moved = [value for value in model.parameters() if value.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [value for value in moved if value.dim() > 1], "weight_decay": stage.decay, "factor": 1.0},
        {"params": [value for value in moved if value.dim() < 2], "weight_decay": 0.0, "factor": 1.0},
        {"params": [value for value in loss.parameters(recurse=False) if value.requires_grad], "weight_decay": 0.0, "factor": 10.0},
    ]
    return torch.optim.AdamW(groups, lr=stage.lr, betas=(0.9, 0.98), fused=moved[0].is_cuda)


def learning_rate(stage: PairStage, step: int) -> float:
    """Return the rate of a step of a stage: a straight rise, then half a cosine down to nothing."""
    if step < stage.warmup:
        return stage.lr * (step + 1) / stage.warmup
    return stage.lr * 0.5 * (1 + math.cos(math.pi * (step - stage.warmup) / max(1, stage.steps - stage.warmup)))


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Return what training changes: parameters that are not frozen, and buffers."""
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    return {name: value.detach() for name, value in model.state_dict().items() if name not in frozen}


def _begin_alike(values: list[nn.Parameter]) -> None:
    """Give every process the first one's values: adapters and a learned fusion begin at random, and each process drew its own."""
    if not dist.is_initialized():
        return
    for value in values:
        dist.broadcast(value.data, 0)


def _spread(keys: list[str], count: int) -> list[str]:
    """Return ``count`` of the keys, or all where there are fewer, evenly spaced."""
    count = min(count, len(keys))
    return [keys[place * len(keys) // count] for place in range(count)]


def _average(grads: list[Tensor], said: Tensor) -> None:
    """Replace gradients and numbers by their means over all processes."""
    if not dist.is_initialized():
        return
    works = [dist.all_reduce(value, async_op=True) for value in (*grads, said)]
    for work in works:
        work.wait()
    for value in (*grads, said):
        value /= dist.get_world_size()


def _any(here: bool, device: torch.device) -> bool:
    """Say whether any process says so; all must agree on when to stop."""
    if not dist.is_initialized():
        return here
    flag = torch.tensor(float(here), device=device)
    dist.all_reduce(flag)
    return bool(flag)
