"""Recall and latency as the corpus grows to a million distractors: the paper's open question."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visir.errors import BenchmarkError
from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.data import Row, TaskData
from visir.mvrb.experiments.setting import Cell, Finding, Setting, percent
from visir.mvrb.measures import best, first_ranks
from visir.mvrb.pictures import Pictures
from visir.unise.embedder import Vectors

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_CHUNK = 20_000
_SEED = 11431
_NEIGHBOURS = 10
_ASKED = 20


def growth(setting: Setting) -> Finding:
    """Add 1,000 to 1,000,000 distractors to each task's pictures, and measure Recall@1 and the time of an exact search.

    Real distractors come first: for each task the pictures of the other tasks that are not its own, and those in the folder given with
    ``--distractors``. What lacks is made: a vector somewhere between a real distractor and one of its ten nearest. How far made vectors
    can be trusted is measured as well: as many made from one half of the real ones as the other half holds, against that half.
    """
    tasks = [task for task in setting.tasks() if task.candidate_kind == "image"]
    if not tasks:
        raise BenchmarkError("no task searches pictures")
    sizes = sorted(setting.sizes or _SIZES)
    rows: list[list[Cell]] = []
    notes: list[str] = []
    for retriever in setting.embedding_retrievers():
        sides = [_Side.of(task, retriever) for task in tasks]
        real = _real(setting, tasks, retriever)
        rows.append([retriever.name, 0, 0, _recall(sides), _latency(sides[0].queries, sides[0].candidates)])
        grown = _grow(sides, real, sizes)
        for size, known, recall, latency in grown:
            rows.append([retriever.name, size, known, recall, latency])
        notes.append(_trust(retriever.name, sides, real))
    text = (
        f"Recall@1, %, the mean over {len(tasks)} tasks; latency of one exact search for ten candidates, median of {_ASKED}, one query at "
        "a time, numpy, the threads as set. Distractors beyond the real ones (the mean over tasks) are made between neighbours of them."
    )
    return Finding("growth", text, ["model", "distractors", "of them real", "Recall@1", "latency, ms"], rows, notes)


@dataclass
class _Side:
    """A task as vectors.

    Args:
        digests: of the task's own pictures, which are no distractors in it.
        queries: shape (queries, dim).
        candidates: shape (candidates, dim).
        scores: of each query's best right candidate, shape (queries,).
        ranks: its rank so far.
    """

    digests: frozenset[bytes]
    queries: Vectors
    candidates: Vectors
    scores: NDArray[np.float32]
    ranks: NDArray[np.int64]

    @classmethod
    def of(cls, task: TaskData, retriever: EmbeddingRetriever) -> "_Side":
        candidates = retriever.documents(task.candidates)
        queries = retriever.queries(task.queries, task.instruction)
        scores = np.asarray(queries @ candidates.T, np.float32)
        best_right = [max(row[number] for number in target) for row, target in zip(scores, task.targets, strict=True)]
        digests = frozenset(row.digest for row in (*task.candidates, *task.queries))
        return cls(digests, queries, candidates, np.array(best_right, np.float32), first_ranks(scores, task.targets))

    def after(self, distractors: Vectors) -> NDArray[np.int64]:
        """Return the ranks once distractors have been added; they stand behind what scores as they do."""
        ahead = np.zeros(len(self.queries), np.int64)
        for start in range(0, len(distractors), _CHUNK):
            ahead += np.count_nonzero(self.queries @ distractors[start : start + _CHUNK].T > self.scores[:, None], axis=1)
        return self.ranks + ahead


@dataclass
class _Distractors:
    """Real distractors: vectors, and the digests of their pictures."""

    vectors: Vectors
    digests: list[bytes]

    def __len__(self) -> int:
        return len(self.digests)

    def foreign_to(self, side: _Side) -> Vectors:
        """Return those that are none of a task's own pictures: what is made between a right page and its neighbour would be as right."""
        foreign: Vectors = self.vectors[np.array([digest not in side.digests for digest in self.digests], bool)]
        return foreign


def _real(setting: Setting, tasks: list[TaskData], retriever: EmbeddingRetriever) -> _Distractors:
    """Embed every other picture of the benchmark and of the folder of distractors, each once, in random order."""
    assert setting.benchmark is not None
    others = [setting.benchmark.task(name) for name in setting.benchmark.names]
    rows = [row for task in others for row in (*task.candidates, *task.queries) if row.picture]
    if setting.distractors is not None:
        rows += _pictures_in(setting.distractors, setting)
    unique = {row.digest: replace(row, text="") for row in rows}
    # What every task has as a candidate distracts none of them.
    common = frozenset.intersection(*(frozenset(row.digest for row in task.candidates) for task in tasks))
    kept = [row for digest, row in sorted(unique.items()) if digest not in common]
    foreign = min(len(unique.keys() - {row.digest for row in (*task.candidates, *task.queries)}) for task in tasks)
    if foreign < 2 * _NEIGHBOURS:
        raise BenchmarkError("there are too few other pictures to distract with: name a folder of pictures with --distractors")
    kept = [kept[number] for number in np.random.default_rng(_SEED).permutation(len(kept))]
    setting.tell(f"{retriever.name}: {len(kept):,} real distractors")
    return _Distractors(retriever.documents(kept), [row.digest for row in kept])


def _pictures_in(folder: Path, setting: Setting) -> list[Row]:
    pictures = Pictures(folder, setting.cache)
    rows = [Row("", path, f"{folder / path}:1", pictures) for path in pictures.all_paths()]
    pictures.check([(row.picture, row.where) for row in rows])
    return rows


def _grow(sides: list[_Side], real: _Distractors, sizes: list[int]) -> Iterator[tuple[int, int, float, float]]:
    """Add distractors up to each size; yields the size, how many are real, Recall@1 in percent, and the latency in milliseconds."""
    whole = np.empty((sizes[-1], real.vectors.shape[1]), np.float32)
    recalls = np.empty((len(sides), len(sizes)))
    known = []
    for row, side in enumerate(sides):
        foreign = real.foreign_to(side)
        known.append(len(foreign))
        first = min(len(foreign), len(whole))
        whole[:first] = foreign[:first]
        make = _Maker(foreign)
        for start in range(first, len(whole), _CHUNK):
            whole[start : start + _CHUNK] = make(min(_CHUNK, len(whole) - start))
        ranks, before = side.ranks, 0
        for column, size in enumerate(sizes):
            ranks = ranks + side.after(whole[before:size]) - side.ranks
            before = size
            recalls[row, column] = np.mean(ranks == 1)
    for column, size in enumerate(sizes):
        there = round(float(np.mean(np.minimum(known, size))))
        yield size, there, percent(float(np.mean(recalls[:, column]))), _latency(sides[0].queries, whole[:size])


class _Maker:
    """Makes vectors between real ones and their nearest.

    A mean of two vectors lies nearer to the centre of all than either, and so nearer to every query: what is made is therefore moved
    out again to the distance from the centre that lies between those of the two.

    Args:
        real: shape (n, dim).
    """

    def __init__(self, real: Vectors) -> None:
        self._centre = real.mean(axis=0)
        self._apart = real - self._centre
        self._far = np.linalg.norm(self._apart, axis=1, keepdims=True)
        self._random = np.random.default_rng(_SEED)
        near = min(_NEIGHBOURS, len(real) - 1)
        self._near = np.concatenate([best(real[start : start + 1000] @ real.T, near + 1)[:, 1:] for start in range(0, len(real), 1000)])

    def __call__(self, count: int) -> Vectors:
        one = self._random.integers(0, len(self._apart), count)
        other = self._near[one, self._random.integers(0, self._near.shape[1], count)]
        share = self._random.random((count, 1), np.float32)
        apart = self._apart[one] * (1 - share) + self._apart[other] * share
        far = self._far[one] * (1 - share) + self._far[other] * share
        made = self._centre + apart * (far / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9))
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def _trust(name: str, sides: list[_Side], real: _Distractors) -> str:
    """Hold made distractors against real ones: as many, made from the other half of the real ones."""
    found: dict[str, list[float]] = {"real": [], "made": []}
    halves = []
    for side in sides:
        foreign = real.foreign_to(side)
        half = len(foreign) // 2
        halves.append(half)
        found["real"].append(float(np.mean(side.after(foreign[half : 2 * half]) == 1)))
        found["made"].append(float(np.mean(side.after(_Maker(foreign[:half])(half)) == 1)))
    one, other = (percent(float(np.mean(found[kind]))) for kind in ("real", "made"))
    half = round(float(np.mean(halves)))
    return f"{name}: with {half:,} real distractors {one}, with as many made from the other half of the real ones {other}"


def _recall(sides: list[_Side]) -> float:
    return percent(float(np.mean([np.mean(side.ranks == 1) for side in sides])))


def _latency(queries: Vectors, documents: Vectors) -> float:
    """Return the median time of an exact search for ten candidates, in milliseconds."""
    seconds = []
    for query in queries[:_ASKED]:
        started = time.perf_counter()
        scores = documents @ query
        near = np.argpartition(-scores, min(10, len(scores)) - 1)[:10]
        near[np.argsort(-scores[near], kind="stable")]
        seconds.append(time.perf_counter() - started)
    return round(1000 * float(np.median(seconds)), 3)
