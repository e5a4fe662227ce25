"""The reading stage: a page tower learns letters, words, where they stand, and what blocks and pages say, on pages rendered for it.

Full:  python -m visir.train.reading recipes/unise-mini-cpu.toml -o runs/mini
Tiny:  python -m visir.train.reading recipes/unise-mini-cpu.toml -o runs/tiny --set optim.steps=20

A run goes on where its folder's last state ends. ``state.*`` holds everything that the next step needs, in 32 bits: the same numbers
come out as if the run had never stopped. ``weights.*`` holds the weights in 16 bits, in pieces that can be sent; a folder with these
alone is gone on from with a fresh optimiser. ``metrics.jsonl`` gets one line of numbers every few steps.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visir.errors import ModelError, VisirError
from visir.train.batches import Batch, load_batches, recolor
from visir.train.checkpoint import flatten_optimizer, load_split, restore_optimizer, save_split
from visir.train.losses import VectorQueue, pool_regions, spelling_loss, spot_loss, teach_loss, word_loss
from visir.train.recipe import Recipe, read_recipe
from visir.train.teacher import TextTeacher, find_teacher
from visir.unise.mini import MiniTower, WordEncoder, pool_boxes, to_input


class ReadingModel(nn.Module):
    """What is trained: the tower, the word encoder, and what only training needs (temperatures, queues)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        config = recipe.model
        self.recipe = recipe
        self.tower = MiniTower(config)
        self.encoder = WordEncoder(config.buckets, config.word_dim)
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.tensor(math.log(14.0))) for name in ("words", "regions", "page")})
        self.queues = nn.ModuleDict({name: VectorQueue(recipe.optim.queue, config.dim) for name in ("regions", "page")})

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The tower up to its fine map; the part that is worth compiling."""
        fine, middle = self.tower.trunk.read(images)
        return fine, middle

    def forward(self, batch: Batch, images: Tensor, targets: dict[str, Tensor], settling: bool = False) -> dict[str, Tensor]:
        """Return each loss and, under ``*_right``, shares of right answers.

        Args:
            batch: as in `visir.train.batches`.
            images: its pages as the tower takes them.
            targets: the teacher's vectors of its ``block``, ``page`` and ``query`` texts; where there are none, the tower's last stage
                rests, and only letters, words and their places are learnt.
            settling: whether letters are learnt from the fine map as it is, without a say in it.
        """
        fine, middle = self.read(images)
        # Letters that are new would unsettle a map that reads already.
        shown = fine.detach() if settling else fine
        named = self.tower.letters.at(shown, batch["letter_at"], batch["letter_owner"])
        vectors = F.normalize(self.encoder.table(batch["bag_rows"], batch["bag_starts"]).float(), dim=1)
        pooled = pool_boxes(self.tower.words(fine), batch["word_boxes"], batch["word_owner"])
        said: dict[str, Tensor] = {"letters": F.cross_entropy(named, batch["letters"], reduction="sum") / max(1, len(named))}
        said["letters_right"] = (named.argmax(1) == batch["letters"]).float().sum() / max(1, len(named))
        said["words"], said["words_right"] = word_loss(pooled, vectors, batch["word_which"], self._scale("words"))
        columns, counts = self.tower.letters.columns(shown, batch["spell_boxes"], batch["spell_owner"])
        said["spelling"] = spelling_loss(columns, counts, batch["spell_letters"], batch["spell_sizes"])
        said["spots"] = spot_loss(self.tower.spots(fine), batch["spot_boxes"], batch["spot_owner"])
        return said | self._deep(middle, batch, targets) if targets else said

    def _deep(self, middle: Tensor, batch: Batch, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        pages, regions = self.tower.tell(self.tower.trunk.understand(middle))
        page = pages.float()
        said = {"page": self._teach("page", page, targets["query"]) + (1 - (page * targets["page"]).sum(1)).mean()}
        blocks = pool_regions(regions, batch["block_boxes"], batch["block_owner"])
        said["regions"] = self._teach("regions", blocks, targets["block"])
        said["query_right"] = ((page @ targets["query"].T).argmax(0) == torch.arange(len(page), device=page.device)).float().mean()
        return said

    def _scale(self, name: str) -> Tensor:
        scale: Tensor = self.scales[name]
        return scale.exp().clamp(max=50.0)

    def _teach(self, name: str, vectors: Tensor, targets: Tensor) -> Tensor:
        queue = self.queues[name]
        assert isinstance(queue, VectorQueue)
        if not len(targets):
            return vectors.sum() * 0.0
        loss = teach_loss(vectors, targets, queue, self._scale(name))
        queue.push(targets)
        return loss


def make_optimizer(model: ReadingModel) -> torch.optim.AdamW:
    """AdamW; vectors (norms, biases, temperatures) and the n-gram table do not decay."""
    plain = [value for name, value in model.named_parameters() if value.dim() < 2 or "table" in name]
    heavy = [value for name, value in model.named_parameters() if not (value.dim() < 2 or "table" in name)]
    optim = model.recipe.optim
    groups: list[dict[str, Any]] = [{"params": heavy, "weight_decay": optim.decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=optim.lr, betas=(0.9, 0.98), fused=heavy[0].is_cuda)


def learning_rate(recipe: Recipe, step: int, begun: int = 0) -> float:
    """Return the rate of a step; ``begun`` is the step at which the optimiser was new."""
    optim = recipe.optim
    left = (optim.steps - step) / max(1.0, optim.cooldown * optim.steps)
    return optim.lr * min(1.0, (step - begun + 1) / max(1, optim.warmup), max(0.0, left))


class ReadingRun:
    """A run in a folder: made, gone on with, saved.

    Args:
        recipe: what to do.
        folder: where states, weights and metrics are kept.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, recipe: Recipe, folder: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.data.seed)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
        self.recipe, self.folder, self.device = recipe, folder, torch.device(device)
        self.model = ReadingModel(recipe).to(self.device)
        self.model.tower.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher_path = find_teacher(recipe.data.teacher)
        self.teacher = TextTeacher(self.teacher_path).to(self.device) if any(stage.deep for stage in recipe.stage) else None
        self.optimizer = make_optimizer(self.model)
        self.step, self.begun, self.pages = 0, 0, 0
        folder.mkdir(parents=True, exist_ok=True)
        self._restore()
        if recipe.optim.compile:
            self.model.read = torch.compile(self.model.read)  # type: ignore[method-assign, unused-ignore]

    def _restore(self) -> None:
        folder = self.folder
        name = next((name for name in ("state", "weights") if (folder / f"{name}.json").is_file()), "")
        if not name:
            if not self.recipe.start:
                return
            folder, name = Path(self.recipe.start), "weights"
        tensors, meta = load_split(folder, name)
        if meta["model"] != json.loads(json.dumps(self.recipe.model.to_dict())):
            raise ModelError(f"{folder}: holds a run of another architecture; choose another folder or its recipe")
        self.model.load_state_dict({key[6:]: value for key, value in tensors.items() if key.startswith("model.")}, strict=name == "state")
        self.pages = meta["pages"]
        if folder == self.folder:
            self.step, self.begun = meta["step"], meta["begun"] if name == "state" else meta["step"]
        if name == "state":
            restore_optimizer(self.optimizer, {key[6:]: value for key, value in tensors.items() if key.startswith("optim.")})

    def save(self) -> None:
        """Write the whole state and the weights that can be sent."""
        weights = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        meta = {"step": self.step, "begun": self.begun, "pages": self.pages, "model": self.recipe.model.to_dict()}
        save_split(self.folder, "weights", {key: value for key, value in weights.items() if ".queues." not in key}, meta, half=True)
        state = {f"optim.{key}": value for key, value in flatten_optimizer(self.optimizer).items()}
        save_split(self.folder, "state", weights | state, meta, piece=1 << 30)

    def update(self, batch: Batch, echo: int = 0) -> dict[str, Tensor | float]:
        """Make one step; returns its numbers."""
        optim, device = self.recipe.optim, self.device.type
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
        images = to_input(batch["images"])
        if self.recipe.data.echo > 1:
            images = recolor(images, self.recipe.data.seed * 7919 + self.step)
        rate = learning_rate(self.recipe, self.step, self.begun)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        deep = self.recipe.at(self.step).deep
        self.model.train()
        with torch.autocast(device, torch.bfloat16, enabled=optim.precision == "bf16"):
            said = self.model(batch, images, self._targets(batch) if deep else {}, self.step < self.begun + optim.settle)
        weights = dict(vars(self.recipe.weights))
        weights |= {name: weights[name] * deep for name in ("regions", "page")}
        loss = torch.stack([said[name] * weight for name, weight in weights.items() if name in said]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), optim.clip)
        self.optimizer.step()
        self.step += 1
        self.pages += len(images) if echo == 0 else 0
        numbers: dict[str, Tensor | float] = {"loss": loss.detach(), "norm": norm, "lr": rate}
        return numbers | {name: value.detach() for name, value in said.items()}

    def _targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the teacher's vectors of the batch's blocks, pages and queries."""
        assert self.teacher is not None
        targets = {"block": torch.zeros(0, self.recipe.model.dim, device=self.device)}
        for name in ("block", "page", "query"):
            if len(batch[f"{name}_ids"]):
                targets[name] = self.teacher(batch[f"{name}_ids"], batch[f"{name}_mask"])
        return targets

    def updates(self) -> Iterator[dict[str, Tensor | float]]:
        """Make the recipe's remaining steps, one an iteration."""
        echo = self.recipe.data.echo
        start = self.step
        for batch in load_batches(self.recipe, self.teacher_path, start // echo, self.device.type == "cuda"):
            for turn in range(start % echo if self.step == start else 0, echo):
                if self.step >= self.recipe.optim.steps:
                    return
                yield self.update(batch, turn)

    def train(self, minutes: float = 0.0, save_minutes: float = 5.0, log_steps: int = 20) -> None:
        """Make steps until the recipe is done or the time is up; save every few minutes and at the end."""
        begun = saved = logged = time.monotonic()
        pages = self.pages
        with (self.folder / "metrics.jsonl").open("a") as log:
            for said in self.updates():
                now = time.monotonic()
                if self.step % log_steps == 0:
                    rate = round((self.pages - pages) / (now - logged), 2)
                    row: dict[str, Any] = {"step": self.step, "pages": self.pages, "pages_per_s": rate}
                    row |= {key: float(f"{float(value):.5g}") for key, value in said.items()}
                    print(json.dumps(row), file=log, flush=True)
                    print(json.dumps(row), file=sys.stderr, flush=True)
                    logged, pages = now, self.pages
                if now - saved > 60 * save_minutes:
                    self.save()
                    saved = now
                if minutes and now - begun > 60 * minutes:
                    break
        self.save()


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="a recipe's path, or the name of one beside this file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many minutes; 0 for no limit")
    parser.add_argument("--save-minutes", type=float, default=5.0, help="minutes between two saves")
    parser.add_argument("--log-steps", type=int, default=20, help="steps between two lines of numbers")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a value, such as optim.lr=0.0005")
    options = parser.parse_args()
    try:
        path = options.recipe if options.recipe.is_file() else Path(__file__).parent / "recipes" / options.recipe.name
        run = ReadingRun(read_recipe(path, options.set), options.output, options.device)
        run.train(options.minutes, options.save_minutes, options.log_steps)
    except VisirError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
