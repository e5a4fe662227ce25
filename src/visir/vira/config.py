"""What a set is made of: a TOML file."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from visir.errors import DatasetError
from visir.vira.domains import DOMAINS, HELD_OUT
from visir.vira.writer import Writer, read_writer

COLLECTION = "collection"
"""Name of the domain that an index's pages make."""


@dataclass(frozen=True)
class Config:
    """A set's recipe.

    Args:
        domains: pages wanted of each domain.
        corpora: where sources are kept.
        avoid: folder of a benchmark; pages that are near one of its pages are dropped.
        scans: share of the pages of printed kinds (documents, papers, news, charts, encyclopedia) that are shown as scans, see
            `visir.vira.scans`.
        batch: documents of a shard; 0 for what suits each domain, some 150 to 300 pages; of an index, pages.
        captions: captions taken of a page at most; ``questions`` and ``relations`` likewise.
        neighbours: a text is kept if words find its page among the best so many of its domain; 0 keeps all.
        answered_by: a text that fits more pages than this is dropped.
        negatives: hard negatives of a row.
        first, last: ranks among which negatives are drawn.
        margin: what is as near to the question as the right page, less this share, counts as right and is never a negative.
        embedder: text embedder that mines negatives, see `visir.unise.embedder.load_embedder`; ``look`` likewise the picture embedder,
            or ``thumbnail``, which compares colours and needs no model.
        from_index: folder of an index whose pages are taken, all of them.
        writer: language model that writes captions and questions, beside those that sources make.
    """

    domains: dict[str, int] = field(default_factory=dict)
    corpora: Path = Path("data/corpora")
    avoid: Path | None = None
    scans: float = 0.0
    batch: int = 0
    captions: int = 3
    questions: int = 3
    relations: int = 2
    neighbours: int = 50
    answered_by: int = 3
    negatives: int = 4
    first: int = 1
    last: int = 40
    margin: float = 0.05
    embedder: str = "text"
    look: str = "thumbnail"
    from_index: Path | None = None
    writer: Writer | None = None

    @property
    def names(self) -> list[str]:
        """Names of all domains, that of an index's pages included, sorted."""
        return sorted([*self.domains, *([COLLECTION] if self.from_index else [])])


def read_config(path: Path, from_index: Path | None = None) -> Config:
    """Read a recipe.

    Args:
        path: of the file, or the name of one that visir ships: ``full`` or ``small``.
        from_index: index whose pages are taken, whatever the recipe says; with it a recipe needs no domains.

    Raises:
        DatasetError: it is no TOML, names what there is not, or asks for a domain that is held out of training.
    """
    shipped = Path(__file__).parent / "recipes" / f"{path}.toml"
    path = path if path.is_file() or not shipped.is_file() else shipped
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a recipe: {error}") from error
    known = {entry.name for entry in fields(Config)}
    if unknown := sorted(set(values) - known):
        raise DatasetError(f"{path}: {', '.join(unknown)}: no such setting; there are {', '.join(sorted(known))}")
    wanted = values.setdefault("domains", {})
    if not isinstance(wanted, dict) or not (wanted or from_index or values.get("from_index")):
        raise DatasetError(f"{path}: [domains] is missing: name domains and how many pages of each, out of {', '.join(sorted(DOMAINS))}")
    if unknown := sorted(set(wanted) - set(DOMAINS)):
        raise DatasetError(f"{path}: {', '.join(unknown)}: no such domain; there are {', '.join(sorted(DOMAINS))}")
    if held := sorted(set(wanted) & HELD_OUT):
        raise DatasetError(f"{path}: {', '.join(held)} is held out of training: the benchmark tests on it what training never saw")
    for name in ("corpora", "avoid", "from_index"):
        if name in values:
            values[name] = Path(values[name]).expanduser()
    if "writer" in values:
        values["writer"] = read_writer(path, values["writer"])
    if from_index is not None:
        values["from_index"] = from_index
    return Config(**values)
