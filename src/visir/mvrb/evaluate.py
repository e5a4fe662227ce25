"""Measure retrievers on a benchmark: per task, per meta-task, overall, with intervals and paired tests."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG
from numpy.typing import NDArray

from visir.mvrb.data import Benchmark, TaskData
from visir.mvrb.retriever import Retriever
from visir.version import code_version

MEASURES = {"recall_at_1": R @ 1, "recall_at_5": R @ 5, "recall_at_10": R @ 10, "ndcg_at_10": nDCG @ 10, "mrr": RR @ 10}
"""What is measured, by ir-measures; ``recall_at_1`` is the paper's."""

_DEPTH = 10
_RESAMPLES = 1000
_SEED = 2502


@dataclass
class TaskResult:
    """One retriever on one task.

    Args:
        task: name of the task.
        meta: its meta-task.
        scores: mean of each measure over the queries.
        interval: 95 % bootstrap interval of recall_at_1.
        per_query: recall_at_1 of each query, in their order.
        top: for each query the row numbers of its ten best candidates.
        queries: number of queries.
        candidates: number of candidates.
        seconds: time taken.
    """

    task: str
    meta: str
    scores: dict[str, float]
    interval: tuple[float, float]
    per_query: list[float] = field(repr=False)
    top: list[list[int]] = field(repr=False)
    queries: int
    candidates: int
    seconds: float


@dataclass
class Evaluation:
    """One retriever on a benchmark.

    Args:
        model: its name.
        revision: its version.
        data: digest of the benchmark's files.
        commit: version of the code.
        tasks: results by task.
        seconds: time taken.
        peak_memory: most memory that the process held, in bytes.
    """

    model: str
    revision: str
    data: str
    commit: str
    tasks: dict[str, TaskResult]
    seconds: float
    peak_memory: int

    @property
    def meta(self) -> dict[str, dict[str, float]]:
        """Mean of each measure over the tasks of each meta-task."""
        names = sorted({result.meta for result in self.tasks.values()})
        return {name: _mean([result.scores for result in self.tasks.values() if result.meta == name]) for name in names}

    @property
    def overall(self) -> dict[str, float]:
        """Mean of each measure over the tasks, as in the paper."""
        return _mean([result.scores for result in self.tasks.values()])

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the overall recall_at_1: queries are drawn anew within each task."""
        draws = np.mean([_resampled(np.array(result.per_query)) for result in self.tasks.values()], axis=0)
        return _percentiles(draws)

    def as_json(self, details: bool = False) -> dict[str, Any]:
        """Return it as one object; with details, single queries too."""
        tasks: dict[str, Any] = {}
        for name, result in self.tasks.items():
            facts = asdict(result)
            tasks[name] = {
                **facts.pop("scores"),
                **{key: value for key, value in facts.items() if details or key not in ("per_query", "top")},
            }
        return {
            "model": self.model,
            "revision": self.revision,
            "overall": {**self.overall, "interval": self.interval},
            "meta": self.meta,
            "tasks": tasks,
            "data": self.data,
            "commit": self.commit,
            "seconds": self.seconds,
            "peak_memory": self.peak_memory,
        }


def evaluate(
    benchmark: Benchmark, retriever: Retriever, tasks: Sequence[str], tell: Callable[[str], None] = lambda line: None
) -> Evaluation:
    """Measure a retriever on tasks of a benchmark.

    Args:
        benchmark: the data.
        retriever: the system under test.
        tasks: names of tasks.
        tell: called with a line of progress now and then.
    """
    started = time.monotonic()
    results: dict[str, TaskResult] = {}
    digests = []
    for number, name in enumerate(tasks, 1):
        data = benchmark.task(name)
        digests.append(data.digest)
        head = f"{retriever.name}: task {number} of {len(tasks)}, {name}"
        results[name] = _task(data, retriever, _Ticker(head, tell))
        tell(f"{head}: recall@1 {100 * results[name].scores['recall_at_1']:.1f}")
    digest = "-".join(digests) if len(digests) == 1 else f"{len(digests)}-{_digest(digests)}"
    return Evaluation(
        retriever.name, retriever.revision, digest, code_version(), results, round(time.monotonic() - started, 2), _peak_memory()
    )


class _Ticker:
    """Passes progress on, a line every two seconds, with the time left."""

    def __init__(self, head: str, tell: Callable[[str], None]) -> None:
        self._head = head
        self._tell = tell
        self._said = time.monotonic()

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._said >= 2:
            self._said = now
            self._tell(f"{self._head}: {what} {done:,} of {of:,}")


def _task(data: TaskData, retriever: Retriever, progress: Callable[[str, int, int], None]) -> TaskResult:
    started = time.monotonic()
    top = best(retriever.score(data, progress), _DEPTH)
    per_query = measure(top, data.targets)
    scores = {name: float(np.mean(values)) for name, values in per_query.items()}
    first = np.array(per_query["recall_at_1"])
    return TaskResult(
        task=data.name,
        meta=data.meta,
        scores=scores,
        interval=_percentiles(_resampled(first)),
        per_query=first.tolist(),
        top=top.tolist(),
        queries=len(data.queries),
        candidates=len(data.candidates),
        seconds=round(time.monotonic() - started, 3),
    )


def best(scores: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Return the row numbers of the best candidates, best first; among equals the one that comes first in the corpus.

    Args:
        scores: shape (queries, candidates).
        depth: how many.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]


def measure(top: NDArray[np.int64], targets: Sequence[frozenset[int]]) -> dict[str, list[float]]:
    """Return each measure of each query.

    Args:
        top: row numbers of the best candidates, best first, shape (queries, depth).
        targets: row numbers of the right ones.
    """
    qrels = [ir_measures.Qrel(str(query), str(row), 1) for query, rows in enumerate(targets) for row in rows]
    # Ranks stand for scores, so that ties stay as they were broken here.
    run = [ir_measures.ScoredDoc(str(query), str(row), -float(rank)) for query, rows in enumerate(top) for rank, row in enumerate(rows)]
    values = {measure: [0.0] * len(targets) for measure in MEASURES.values()}
    for metric in ir_measures.iter_calc(list(MEASURES.values()), qrels, run):
        values[metric.measure][int(metric.query_id)] = metric.value
    return {name: values[measure] for name, measure in MEASURES.items()}


def paired_test(one: Evaluation, other: Evaluation, rounds: int = 10_000) -> float:
    """Return the p-value of a paired randomisation test: how often would chance part their overall recall_at_1 as far?

    Both must have been measured on the same tasks. Signs of the queries' differences are drawn at random, within each task.
    """
    rng = np.random.default_rng(_SEED)
    seen = np.zeros(rounds)
    truth = 0.0
    for name, result in one.tasks.items():
        difference = np.array(result.per_query) - np.array(other.tasks[name].per_query)
        truth += difference.mean()
        differing = difference[difference != 0]
        if len(differing):
            signs = rng.choice((-1.0, 1.0), size=(rounds, len(differing)))
            seen += signs @ differing / len(difference)
    return float((1 + np.sum(np.abs(seen) >= abs(truth) - 1e-12)) / (rounds + 1))


def load(path: Path) -> Evaluation:
    """Read an evaluation that was written with details."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    tasks = {}
    for name, facts in raw["tasks"].items():
        scores = {measure: facts.pop(measure) for measure in MEASURES}
        tasks[name] = TaskResult(scores=scores, **{**facts, "interval": tuple(facts["interval"])})
    return Evaluation(raw["model"], raw["revision"], raw["data"], raw["commit"], tasks, raw["seconds"], raw["peak_memory"])


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([score[name] for score in scores])) for name in MEASURES}


def _resampled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rng = np.random.default_rng(_SEED)
    drawn: NDArray[np.float64] = rng.choice(values, size=(_RESAMPLES, len(values))).mean(axis=1)
    return drawn


def _percentiles(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.blake2b("".join(parts).encode(), digest_size=8).hexdigest()


def _peak_memory() -> int:
    """Return the most memory that the process has held, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
