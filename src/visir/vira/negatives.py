"""Mine hard negatives: pages whose text or whose look is near what is right, guarded against those that are right too."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from visir.vira.config import Config
from visir.vira.dataset import KINDS, Row, read_facts, write_rows
from visir.vira.leaks import SAME_PICTURE
from visir.vira.likeness import distances, share_within, shingles
from visir.vira.mining import Table, Vectors

SAME_TEXT = 0.6
"""Pages that share so much of their runs of words are the same page."""

_BATCH = 256


def mine(folder: Path, config: Config, say: Callable[[str], None]) -> Counter[str]:
    """Write hard negatives into the rows of a set; shards that have theirs are left alone.

    Args:
        folder: of the set; its pictures and rows are there.
        config: how many, among which ranks, by which margin, with which embedders.
        say: told how far it is.

    Returns:
        How many negatives were kept, and how many candidates each guard turned away.
    """
    counts: Counter[str] = Counter()
    table = Table(folder, config.embedder, config.look)
    table.fill(say)
    shards = sorted(path for kind in KINDS for path in (folder / "rows").glob(f"{kind}-*.parquet"))
    asked = _asked(shards)
    for number, path in enumerate(shards, 1):
        facts = read_facts(path)
        if "negatives" not in facts:
            rows = [Row(**row) for row in pq.read_table(path).to_pylist()]
            miner = _Answers(table, rows, config) if rows[0].answer else _Pages(table, config, asked)
            mined = [row for start in range(0, len(rows), _BATCH) for row in miner.mine(rows[start : start + _BATCH])]
            facts["negatives"] = dict(miner.counts)
            write_rows(path, mined, facts)
        counts.update({f"negatives: {reason}": count for reason, count in facts["negatives"].items()})
        say(f"negatives of {number:,} of {len(shards):,} shards of rows")
    return counts


def _asked(shards: list[Path]) -> dict[str, set[str]]:
    """Pages that are right for a text, by the text."""
    asked: dict[str, set[str]] = defaultdict(set)
    for path in shards:
        table = pq.read_table(path, columns=["text", "image", "target"])
        for text, image, target in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
            if target:
                asked[f"{image}|{text}"].add(target)
    return {key: targets for key, targets in asked.items() if len(targets) > 1}


class _Pages:
    """Negatives of rows whose right answer is a page."""

    def __init__(self, table: Table, config: Config, asked: dict[str, set[str]]) -> None:
        self._table, self._config, self._asked = table, config, asked
        self.counts: Counter[str] = Counter()

    def mine(self, rows: list[Row]) -> list[Row]:
        pages = self._table.pages([row.target for row in rows], vectors=True)
        vectors = self._table.encode([row.text for row in rows])
        return [replace(row, negatives=tuple(self._of(row, pages[row.target], vector))) for row, vector in zip(rows, vectors, strict=True)]

    def _of(self, row: Row, page: dict[str, Any], vector: Vectors) -> list[str]:
        config = self._config
        right = np.asarray(page["text_vector"], np.float32)
        # A composed text ("the same in French") says little by itself: pages near the right one are the hard ones.
        vector = right if row.image else vector
        limit = float("inf") if row.image else float(vector @ right) * (1 - config.margin)
        by_text = self._table.near(vector, "text_vector", config.last, row.domain)[config.first - 1 :]
        by_look = self._table.near(page["picture_vector"], "picture_vector", config.last, row.domain)[config.first - 1 :]
        guard = _Guard(page, self._asked.get(f"{row.image}|{row.text}", set()), self.counts)
        chosen = [row.image] if row.image else []
        texts = [other["id"] for other in by_text if guard.lets(other, limit)]
        looks = [other["id"] for other in by_look if guard.lets(other, None)]
        share = max(1, (config.negatives + 1) // 2)
        chosen += [image for image in [*texts[:share], *looks, *texts[share:]] if image != row.image]
        kept = list(dict.fromkeys(chosen))[: config.negatives]
        self.counts["mined"] += len(kept)
        self.counts["rows with fewer than wanted"] += len(kept) < config.negatives
        return kept


class _Guard:
    """Turns away what may be right."""

    def __init__(self, page: dict[str, Any], right: set[str], counts: Counter[str]) -> None:
        self._page, self._right, self._counts = page, right | {page["id"]}, counts
        self._runs = shingles(page["text"])
        self._hash = np.frombuffer(page["phash"], np.uint8).reshape(1, 32)
        self._told: dict[str, str] = {}

    def lets(self, other: dict[str, Any], limit: float | None) -> bool:
        if other["id"] in self._right:
            return False
        if limit is not None and other["similarity"] > limit:
            self._counts["turned away: within the margin"] += 1
            return False
        if other["id"] not in self._told:
            self._told[other["id"]] = self._reason(other)
            if self._told[other["id"]]:
                self._counts[f"turned away: {self._told[other['id']]}"] += 1
        return not self._told[other["id"]]

    def _reason(self, other: dict[str, Any]) -> str:
        share = share_within(shingles(other["text"]), self._runs)
        if share >= SAME_TEXT:
            return "same text"
        apart = int(distances(np.frombuffer(other["phash"], np.uint8).reshape(1, 32), self._hash)[0, 0])
        few = len(other["text"].split()) < 25
        return "same picture" if apart <= SAME_PICTURE and (few or share > 0.2) else ""


class _Answers:
    """Negatives of rows whose right answer is a text: other answers to the same question, or of the same page, of pages that are near."""

    def __init__(self, table: Table, rows: list[Row], config: Config) -> None:
        self._table, self._config = table, config
        self.counts: Counter[str] = Counter()
        self._by_page: dict[tuple[str, str], Row] = {(row.image, row.text): row for row in rows}
        self._classes: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self._of_page: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._of_page[row.image].append(row)
            self._classes[row.domain, row.text].setdefault(_plain(row.answer), row.id)

    def mine(self, rows: list[Row]) -> list[Row]:
        pages = self._table.pages([row.image for row in rows], vectors=True)
        return [replace(row, negatives=tuple(self._of(row, pages[row.image]))) for row in rows]

    def _of(self, row: Row, page: dict[str, Any]) -> list[str]:
        config = self._config
        vector = np.asarray(page["text_vector"], np.float32)
        chosen: dict[str, str] = {}
        near = self._table.near(vector, "text_vector", 4 * config.last, row.domain)
        for other in near:
            found = self._by_page.get((other["id"], row.text))
            if found and _plain(found.answer) != _plain(row.answer):
                chosen.setdefault(_plain(found.answer), found.id)
        same = self._classes[row.domain, row.text]
        if len(same) == 1:
            # Nobody else is asked this: what the page and its neighbours answer to other questions is wrong here.
            for found in (found for other in near for found in self._of_page[other["id"]]):
                if _plain(found.answer) not in same and len(chosen) < 2 * config.negatives:
                    chosen.setdefault(_plain(found.answer), found.id)
        for answer, name in same.items():
            if len(chosen) >= config.negatives:
                break
            if answer != _plain(row.answer):
                chosen.setdefault(answer, name)
        kept = [name for answer, name in chosen.items() if not _contains(answer, _plain(row.answer))][: config.negatives]
        self.counts["mined"] += len(kept)
        self.counts["rows with fewer than wanted"] += len(kept) < config.negatives
        return kept


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def _contains(answer: str, other: str) -> bool:
    """Whether one answer is part of the other: then both may be right."""
    return f" {answer} " in f" {other} " or f" {other} " in f" {answer} "
