"""Recipes of stages 1 and 2: TOML files, every value of which can be set from the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from visir.errors import ModelError
from visir.train.pairs import Kind
from visir.train.recipe import build, read_values
from visir.unise.clip import Fusion


@dataclass(frozen=True)
class ModelChoice:
    """What is trained.

    Args:
        base: a model folder, a name on a hub, or ``tiny:KIND`` for a random checkpoint of ``clip``, ``siglip``, ``siglip2``, ``qwen2_vl``,
            ``qwen2_5_vl`` or ``qwen3_vl``.
        encoder: for unise-mini, whose reader stays as it is, the text encoder that learns; see `visir.train.encoders`.
        fusion: how a CLIP, or unise-mini, joins a picture and a text; see `visir.unise.clip`.
        pixels: pixel budget of models that take pictures of any shape; 0 keeps the model's.
        lora: rank of low-rank adapters (Hu et al. 2022), which alone are trained then, and merged at the end; 0 trains everything.
        share: how much of what the adapters learnt is kept in the end, 0 to 1: a model between the one that came and the one that was
            trained forgets less (WiSE-FT, Wortsman et al. 2022).
        lora_targets: which layers get them, a regular expression, or ``all-linear``.
        checkpointing: compute activations again instead of keeping them: less memory, a third more time.
        compile: compile the layers first (torch.compile), which takes a GPU some 15 seconds and then a quarter of each step's time away.
        precision: ``bf16`` computes in bfloat16 with weights kept in 32 bits; ``fp32``.
    """

    base: str
    encoder: str = ""
    fusion: Fusion = "sum"
    pixels: int = 0
    lora: int = 0
    share: float = 1.0
    lora_targets: str = "all-linear"
    checkpointing: bool = False
    compile: bool = False
    precision: str = "bf16"


@dataclass(frozen=True)
class PairStage:
    """One stage; stages follow one another.

    Args:
        kinds: kinds of pairs that it learns from.
        steps: updates.
        batch: pairs an update, over all processes.
        lr: highest learning rate. warmup: steps of rising to it; then it falls to nothing along a half cosine.
        negatives: negatives for each query. mined: take those that were mined; else random ones.
        both_ways: also find queries from screenshots.
        scale: reciprocal of the temperature; 0 goes on with the last stage's. learn_scale: let it move.
        weights: how often each kind is drawn, as a factor on its number of pairs; one for each of ``kinds``.
        decay: weight decay. clip: largest norm of a gradient. dims: see `PairLoss`.
    """

    kinds: tuple[str, ...]
    steps: int
    batch: int
    lr: float
    warmup: int = 0
    negatives: int = 0
    mined: bool = True
    both_ways: bool = False
    scale: float = 0.0
    learn_scale: bool = True
    weights: tuple[float, ...] = ()
    decay: float = 0.01
    clip: float = 1.0
    dims: tuple[int, ...] = ()


@dataclass(frozen=True)
class PairData:
    """Where pairs come from.

    Args:
        sources: VIRA folders, or ``shapes``, drawn pages that need no data.
        leave_out: domains of these folders that are not learnt from, as for their licence.
        seed: order of the pairs. workers: processes that read and resize pictures; 0 does it in the training process.
        mini_batch: inputs embedded at once: bounds memory, changes no number.
    """

    sources: tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    seed: int = 1
    workers: int = 2
    mini_batch: int = 32


@dataclass(frozen=True)
class Watching:
    """What is looked at on the way; see `visir.train.watch`.

    Args:
        every: steps between two examinations on held-out pairs and probes. log: steps between two lines of numbers.
        held: held-out pairs of each kind at most.
        probe: source of pairs that show whether general features are forgotten; empty for none.
        save: minutes between two saves.
    """

    every: int = 200
    log: int = 10
    held: int = 500
    probe: str = "shapes"
    save: float = 15.0


@dataclass(frozen=True)
class PairRecipe:
    """A whole recipe."""

    model: ModelChoice
    data: PairData
    stage: tuple[PairStage, ...]
    watch: Watching = field(default_factory=Watching)

    @property
    def steps(self) -> int:
        """Updates of all stages."""
        return sum(stage.steps for stage in self.stage)

    def at(self, step: int) -> tuple[int, int]:
        """Return the number of the stage that a step belongs to, and the step within it."""
        for number, stage in enumerate(self.stage):
            if step < stage.steps:
                return number, step
            step -= stage.steps
        return len(self.stage) - 1, self.stage[-1].steps


def is_pair_recipe(path: Path, changes: list[str] | None = None) -> bool:
    """Say whether a recipe is of stages 1 and 2: its ``[model]`` names a base; the reading stage's describes a tower."""
    return "base" in read_values(path, changes).get("model", {})


def read_pair_recipe(path: Path, changes: list[str] | None = None) -> PairRecipe:
    """Read a recipe; ``changes`` are of the form ``data.seed=2``, or ``stage.0.lr=1e-6`` for the first stage.

    Raises:
        ModelError: it cannot be read, or a setting is unknown or makes no sense.
    """
    recipe: PairRecipe = build(PairRecipe, read_values(path, changes), str(path))
    if not recipe.data.sources:
        raise ModelError(f"{path}: data.sources is empty: name shapes, or a folder that `visir vira build` wrote")
    for number, stage in enumerate(recipe.stage):
        if unknown := sorted(set(stage.kinds) - set(get_args(Kind))):
            raise ModelError(
                f"{path}: stage {number} learns from {unknown[0]!r}, which is no kind of pairs: {', '.join(get_args(Kind))} are"
            )
        if stage.weights and len(stage.weights) != len(stage.kinds):
            raise ModelError(f"{path}: stage {number} has {len(stage.weights)} weights for {len(stage.kinds)} kinds; give one for each")
        if number == 0 and stage.scale <= 0:
            raise ModelError(f"{path}: the first stage needs a scale, such as 20")
    if not 0 <= recipe.model.share <= 1 or (recipe.model.share < 1 and not recipe.model.lora):
        raise ModelError(f"{path}: model.share is the part of the adapters that is kept, 0 to 1, and needs model.lora")
    if not recipe.stage:
        raise ModelError(f"{path}: there is no [[stage]]")
    return recipe
