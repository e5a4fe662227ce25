"""Recipes of the reading stage: TOML files, every value of which can be set from the command line."""

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from visir.errors import ModelError
from visir.unise.mini import MiniConfig

_TYPES: dict[Any, str] = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
# What would train nothing, or nothing that can be told; no setting is negative.
_LEAST = {"batch": 1, "mini_batch": 1, "height": 32, "width": 32, "every": 1, "log": 1, "echo": 1}


@dataclass(frozen=True)
class Stage:
    """One part of the curriculum.

    Args:
        until: the share of all steps at which it ends.
        height, width: pixels of a page.
        batch: pages a step.
        level: see `PageSpec`.
        deep: factor on the losses of regions and pages. Before letters are known these teach nothing and drown what does; 0 spares their
            cost too.
    """

    until: float
    height: int
    width: int
    batch: int
    level: float
    deep: float = 1.0


@dataclass(frozen=True)
class Data:
    """Where pages come from.

    Args:
        pack: the practice pack's path. teacher: folder of the text teacher, or empty for the encoder that ships.
        seed: the stream of pages. workers: processes that render; 0 renders in the training process.
        echo: updates made of each rendered batch, each with other colours and noise (data echoing, Choi et al. 2019); feeds a fast chip.
        words, letters, spelt, blocks: how many words, letters, words spelt letter by letter, and blocks are learnt from a page at most.
        strangers, misreadings: words that stand on no page of a batch and are wrong answers all the same: so many of the word lists, and so
            many misspellings of each word that does stand there.
        jitter: how far the edges of words learnt are moved, in widths and heights of the word (standard deviation): boxes that are found
            are never exact.
        spoil: see `PageSpec`.
    """

    pack: str = "data/practice.zip"
    teacher: str = ""
    seed: int = 1
    workers: int = 1
    echo: int = 1
    words: int = 160
    letters: int = 500
    spelt: int = 32
    blocks: int = 4
    strangers: int = 2000
    misreadings: int = 4
    jitter: float = 0.05
    spoil: float = 1.0


@dataclass(frozen=True)
class Optim:
    """How weights move: AdamW, warm-up, a plateau, then a straight fall to nothing over the last share ``cooldown`` of the steps.

    For the first ``settle`` steps of a new optimiser letters have no say in the map that they are read from: where a run goes on from
    weights without letters.
    """

    steps: int = 1000
    lr: float = 1e-3
    decay: float = 0.02
    warmup: int = 100
    settle: int = 0
    cooldown: float = 0.2
    clip: float = 10.0
    queue: int = 4096
    precision: str = "bf16"
    compile: bool = False


@dataclass(frozen=True)
class Weights:
    """How much each loss counts."""

    letters: float = 1.0
    words: float = 1.0
    spelling: float = 1.0
    spots: float = 0.3
    regions: float = 1.0
    page: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """A whole recipe; a new run begins with the weights of the run in the folder ``start``, or without one at random."""

    model: MiniConfig = field(default_factory=MiniConfig)
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)
    weights: Weights = field(default_factory=Weights)
    stage: tuple[Stage, ...] = (Stage(1.0, 320, 320, 8, 1.0),)
    start: str = ""

    def at(self, step: int) -> Stage:
        """Return the part of the curriculum that a step belongs to."""
        share = step / self.optim.steps
        return next((stage for stage in self.stage if share < stage.until), self.stage[-1])


def read_recipe(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read a recipe; ``changes`` are of the form ``optim.lr=0.001`` with values as in TOML, or plain text."""
    made: Recipe = build(Recipe, read_values(path, changes), str(path))
    return made


def read_values(path: Path, changes: list[str] | None = None) -> dict[str, Any]:
    """Read a TOML file and make changes: ``optim.lr=0.001``, or ``stage.0.lr=0.001`` for the first of several tables."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a recipe ({error})") from None
    for change in changes or []:
        key, _, text = change.partition("=")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *way, name = key.split(".")
        place: Any = values
        try:
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
            place[name] = value
        except (IndexError, ValueError, TypeError, AttributeError):
            raise ModelError(f"{path}: {key} cannot be set: there is no such place") from None
    return values


def build(kind: Any, values: Any, path: str) -> Any:
    """Make a dataclass of nested plain values, tables and lists of tables as its fields' types say.

    Raises:
        ModelError: a setting is unknown, missing or makes no sense.
    """
    if not isinstance(values, dict):
        raise ModelError(f"{path}: {kind.__name__} is a table of settings, not {values!r}")
    known = get_type_hints(kind)
    names = {entry.name for entry in fields(kind)}
    unknown = set(values) - names
    if unknown:
        raise ModelError(f"{path}: {sorted(unknown)[0]!r} is no setting of {kind.__name__}; it has {', '.join(sorted(names))}")
    made: dict[str, Any] = {}
    for name, value in values.items():
        inner = next((part for part in get_args(known[name]) if is_dataclass(part)), None)
        if inner is not None:
            if not isinstance(value, list):
                raise ModelError(f"{path}: {name} is several tables of settings, as in [[{name}]], not {value!r}")
            made[name] = tuple(build(inner, entry, path) for entry in value)
        elif is_dataclass(known[name]):
            made[name] = build(known[name], value, path)
        else:
            _check(name, value, known[name], path)
            made[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**made)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from None


def _check(name: str, value: Any, wanted: Any, path: str) -> None:
    """Raise a `ModelError` if a value is not of the type that a setting wants, or is a number that none takes."""
    inner = get_args(wanted)
    if get_origin(wanted) is Literal:
        fits, needed = value in inner, f"one of {', '.join(map(str, inner))}"
    elif get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise ModelError(f"{path}: {name} is a list, as in ['a', 'b'], not {value!r}")
        for entry in value:
            _check(name, entry, inner[0], path)
        return
    else:
        # True is no number here, though Python takes it for one; 1 is as good as 1.0.
        kinds = (int, float) if wanted is float else wanted
        fits, needed = isinstance(value, kinds) and (wanted is bool or not isinstance(value, bool)), _TYPES.get(wanted, str(wanted))
    if not fits:
        raise ModelError(f"{path}: {name} is {needed}, not {value!r}")
    if isinstance(value, int | float) and value < (least := _LEAST.get(name, 0)):
        raise ModelError(f"{path}: {name} is {least} at least, not {value!r}")
