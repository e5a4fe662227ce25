"""Mine hard negatives: pages whose text or whose look is near what is right, guarded against those that are right too."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, groupby, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from visir.vira.config import Config
from visir.vira.dataset import KINDS, Row, read_facts, write_rows
from visir.vira.leaks import SAME_PICTURE
from visir.vira.likeness import distances, share_within
from visir.vira.mining import Likeness, Table

SAME_TEXT = 0.6
"""Pages that share so much of their runs of words are the same page."""

# Each batch reads its domain's vectors from disk once or twice: 256 rows at a time took most of the time for reading.
_BATCH = 2048

Near = list[tuple[str, float]]
"""Ids of pages with their cosines, nearest first."""


def mine(folder: Path, config: Config, say: Callable[[str], None], workers: int = 1) -> Counter[str]:
    """Write hard negatives into the rows of a set; shards that have theirs are left alone.

    Args:
        folder: of the set; its pictures and rows are there.
        config: how many, among which ranks, by which margin, with which embedders.
        say: told how far it is.
        workers: processes.

    Returns:
        How many negatives were kept, and how many candidates each guard turned away before there were enough.
    """
    counts: Counter[str] = Counter()
    table = Table(folder, config.embedder, config.look)
    table.fill(say)
    shards = sorted(path for kind in KINDS for path in (folder / "rows").glob(f"{kind}-*.parquet"))
    asked = _asked(shards)
    with ExitStack() as exit:
        found: Iterable[dict[str, int]]
        if workers == 1:
            found = (_mined(path, table, config, asked) for path in shards)
        else:
            pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (folder, config, asked))
            exit.callback(pool.shutdown, cancel_futures=True)
            found = pool.map(_mined_there, shards)
        for number, negatives in enumerate(found, 1):
            counts.update({f"negatives: {reason}": count for reason, count in negatives.items()})
            say(f"negatives of {number:,} of {len(shards):,} shards of rows")
    return counts


_tools: dict[str, Any] = {}


def _start(folder: Path, config: Config, asked: dict[str, set[str]]) -> None:
    _tools.update(table=Table(folder, config.embedder, config.look), config=config, asked=asked)


def _mined_there(path: Path) -> dict[str, int]:
    return _mined(path, **_tools)


def _mined(path: Path, table: Table, config: Config, asked: dict[str, set[str]]) -> dict[str, int]:
    """Write hard negatives into a shard of rows, unless it has them, and return what was kept and what turned away."""
    facts = read_facts(path)
    if "negatives" not in facts:
        rows = [Row(**row) for row in pq.read_table(path).to_pylist()]
        miner = _Answers(table, rows, config) if rows[0].answer else _Pages(table, config, asked)
        domains = [list(some) for _, some in groupby(rows, lambda row: row.domain)]
        batches = [some[start : start + _BATCH] for some in domains for start in range(0, len(some), _BATCH)]
        mined = [row for batch in batches for row in miner.mine(batch)]
        facts["negatives"] = dict(miner.counts)
        write_rows(path, mined, facts)
    negatives: dict[str, int] = facts["negatives"]
    return negatives


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
        """Return rows of one domain with their negatives."""
        config, domain = self._config, rows[0].domain
        pages = self._table.pages([row.target for row in rows], vectors=True)
        right, looks = (np.array([pages[row.target][name] for row in rows], np.float32) for name in ("text_vector", "picture_vector"))
        # A composed text ("the same in French") says little by itself: pages near the right one are the hard ones.
        composed = np.array([bool(row.image) for row in rows])
        vectors = np.where(composed[:, None], right, self._table.encode([row.text for row in rows]))
        limits = np.where(composed, np.inf, (vectors * right).sum(1) * (1 - config.margin))
        by_text = self._table.nearest(vectors, "text_vector", config.last, domain)
        # Several rows are about one page, whose neighbours are sought once.
        _, first, same = np.unique([row.target for row in rows], return_index=True, return_inverse=True)
        by_look = self._table.nearest(looks[first], "picture_vector", config.last, domain)
        likenesses = self._table.likenesses([*pages, *(image for near in (*by_text, *by_look) for image, _ in near)])
        mined = []
        for row, limit, texts, page in zip(rows, limits, by_text, same, strict=True):
            guard = _Guard(row.target, likenesses, self._asked.get(f"{row.image}|{row.text}", set()), self.counts)
            negatives = self._of(row, guard, float(limit), texts[config.first - 1 :], by_look[page][config.first - 1 :])
            mined.append(replace(row, negatives=tuple(negatives)))
        return mined

    def _of(self, row: Row, guard: "_Guard", limit: float, by_text: Near, by_look: Near) -> list[str]:
        texts = (image for image, similarity in by_text if guard.lets(image, similarity, limit))
        looks = (image for image, similarity in by_look if guard.lets(image, similarity, float("inf")))
        kept = dict.fromkeys([row.image] if row.image else [])
        # Half of them by text, the others by look; where there are too few, again by text.
        nearest = chain(islice(texts, max(1, (self._config.negatives + 1) // 2)), looks, texts)
        while len(kept) < self._config.negatives and (image := next(nearest, None)):
            kept[image] = None
        self.counts["mined"] += len(kept)
        self.counts["rows with fewer than wanted"] += len(kept) < self._config.negatives
        return list(kept)


class _Guard:
    """Turns away what may be right."""

    def __init__(self, page: str, likenesses: dict[str, Likeness], right: set[str], counts: Counter[str]) -> None:
        self._page, self._likenesses = likenesses[page], likenesses
        self._right, self._counts = right | {page}, counts
        self._told: dict[str, str] = {}

    def lets(self, other: str, similarity: float, limit: float) -> bool:
        if other in self._right:
            return False
        if similarity > limit:
            self._counts["turned away: within the margin"] += 1
            return False
        if other not in self._told:
            self._told[other] = self._reason(self._likenesses[other])
            if self._told[other]:
                self._counts[f"turned away: {self._told[other]}"] += 1
        return not self._told[other]

    def _reason(self, other: Likeness) -> str:
        share = share_within(other.runs, self._page.runs)
        if share >= SAME_TEXT:
            return "same text"
        apart = int(distances(other.look, self._page.look)[0, 0])
        return "same picture" if apart <= SAME_PICTURE and (other.words < 25 or share > 0.2) else ""


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
        """Return rows of one domain with their negatives."""
        pages = self._table.pages([row.image for row in rows], vectors=True)
        _, first, same = np.unique([row.image for row in rows], return_index=True, return_inverse=True)
        vectors = np.array([pages[rows[number].image]["text_vector"] for number in first], np.float32)
        near = self._table.nearest(vectors, "text_vector", 4 * self._config.last, rows[0].domain)
        found = [[image for image, _ in some] for some in near]
        return [replace(row, negatives=tuple(self._of(row, found[page]))) for row, page in zip(rows, same, strict=True)]

    def _of(self, row: Row, near: list[str]) -> list[str]:
        config = self._config
        chosen: dict[str, str] = {}
        for other in near:
            found = self._by_page.get((other, row.text))
            if found and _plain(found.answer) != _plain(row.answer):
                chosen.setdefault(_plain(found.answer), found.id)
        same = self._classes[row.domain, row.text]
        if len(same) == 1:
            # Nobody else is asked this: what the page and its neighbours answer to other questions is wrong here.
            for found in (found for other in near for found in self._of_page[other]):
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
