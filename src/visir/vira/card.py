"""Write a set's data card: what is in it, where it comes from, what is real and what was composed, what was left out."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from visir.vira.collection import ABOUT, LICENCE
from visir.vira.config import COLLECTION, Config
from visir.vira.dataset import KINDS, Dataset
from visir.vira.domains import DOMAINS

_HEAD = """---
configs:
- config_name: images
  data_files: images/*.parquet
{kinds}---
# A set made by visir's VIRA pipeline

Screenshots of documents with captions, questions and hard negatives, in the manner of the paper's VIRA (arXiv 2502.11431).
`python -c "from visir.vira.dataset import Dataset; ..."` reads it; so does Hugging Face `datasets`.
"""


def write_card(folder: Path, config: Config, counts: dict[str, int]) -> None:
    """Write ``README.md`` into a set's folder."""
    there = [kind for kind in KINDS if any((folder / "rows").glob(f"{kind}-*.parquet"))]
    kinds = "".join(f"- config_name: {kind}\n  data_files: rows/{kind}-*.parquet\n" for kind in there)
    scans = sum(count for name, count in counts.items() if name.endswith(": scanned"))
    shown = f"{scans:,} of them are shown as scans.\n"
    parts = [_HEAD.format(kinds=kinds), "## Pages\n", _pages(folder, config), shown, "## Pairs\n", _pairs(folder)]
    dropped = [(name, count) for name, count in counts.items() if not name.endswith((": kept", ": scanned")) and name not in KINDS]
    parts += ["## What was left out, and why\n", _table(("what", "count"), [(name, f"{count:,}") for name, count in dropped])]
    parts += ["## Recipe\n", f"```json\n{json.dumps(asdict(config), default=str, indent=1)}\n```\n"]
    (folder / "README.md").write_text("\n".join(parts), "utf-8")


def _pages(folder: Path, config: Config) -> str:
    rows = []
    for name in config.names:
        composed: Counter[bool] = Counter()
        documents: set[str] = set()
        for path in sorted((folder / "images").glob(f"{name}-*.parquet")):
            table = pq.read_table(path, columns=["composed", "document"])
            composed.update(table["composed"].to_pylist())
            documents.update(table["document"].to_pylist())
        about, licence = (ABOUT, LICENCE) if name == COLLECTION else (DOMAINS[name].about, DOMAINS[name].licence)
        rows.append((name, f"{composed[False]:,}", f"{composed[True]:,}", f"{len(documents):,}", about, licence))
    return _table(("domain", "real pages", "composed pages", "documents", "source", "licence"), rows)


def _pairs(folder: Path) -> str:
    data = Dataset(folder)
    rows = []
    for kind in KINDS:
        domains: Counter[str] = Counter()
        sources: Counter[str] = Counter()
        negatives = 0
        for row in data.rows(kind):
            domains[row.domain] += 1
            sources[row.source] += 1
            negatives += len(row.negatives)
        total = sum(domains.values())
        rows.append(
            (
                kind,
                f"{total:,}",
                f"{negatives / max(1, total):.2f}",
                _listed(domains),
                _listed(sources),
            )
        )
    return _table(("kind", "pairs", "hard negatives each", "by domain", "said by"), rows)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---" for _ in head], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
