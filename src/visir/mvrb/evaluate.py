"""Measure retrievers on a benchmark: per task, per meta-task, overall, with intervals and paired tests."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from visir.errors import BenchmarkError, ModelError
from visir.mvrb.data import Benchmark, TaskData
from visir.mvrb.measures import MEASURES, interval_of, measure, paired_p, resampled
from visir.mvrb.retriever import Progress, Retriever
from visir.version import code_version

Tell = Callable[[str], None]
"""Called with a line of progress now and then."""


def silent(line: str) -> None:
    """Tell nobody."""


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
        data: digest of the benchmark's rows and pictures.
        commit: version of the code.
        tasks: results by task.
        seconds: time taken.
        computed: vectors and texts that were computed for it; the others came from the cache.
        peak_memory: most memory that the process held meanwhile, in bytes.
    """

    model: str
    revision: str
    data: str
    commit: str
    tasks: dict[str, TaskResult]
    seconds: float
    computed: int
    peak_memory: int

    @property
    def meta(self) -> dict[str, dict[str, float]]:
        """Mean of each measure over the tasks of each meta-task."""
        names = sorted({result.meta for result in self.tasks.values()}, key=_meta_order)
        return {name: _mean([result.scores for result in self.tasks.values() if result.meta == name]) for name in names}

    @property
    def overall(self) -> dict[str, float]:
        """Mean of each measure over the tasks, as in the paper."""
        return _mean([result.scores for result in self.tasks.values()])

    def interval(self, meta: str | None = None) -> tuple[float, float]:
        """Return the 95 % bootstrap interval of recall_at_1, overall or of a meta-task: queries are drawn anew within each task."""
        results = [result for result in self.tasks.values() if meta in (None, result.meta)]
        return interval_of(np.mean([resampled(result.per_query, result.task) for result in results], axis=0))

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
            "overall": {**self.overall, "interval": self.interval()},
            "meta": {meta: {**scores, "interval": self.interval(meta)} for meta, scores in self.meta.items()},
            "tasks": tasks,
            "data": self.data,
            "commit": self.commit,
            "seconds": self.seconds,
            "computed": self.computed,
            "peak_memory": self.peak_memory,
        }


def prepare(benchmark: Benchmark, names: Sequence[str], tell: Tell = silent) -> list[TaskData]:
    """Read tasks and make sure that all their pictures are whole, before anything is computed.

    Raises:
        BenchmarkError: a file is broken; its name and line are given.
    """
    tasks = [benchmark.task(name) for name in names]
    for task in tasks:
        ticker = _Ticker(task.name, tell)
        pictures = sum(bool(row.picture) for row in (*task.queries, *task.candidates))
        task.check(lambda done, ticker=ticker, pictures=pictures: ticker("looking at pictures", done, pictures))  # type: ignore[misc]
        for line in _doubts(task):
            tell(f"{task.name}: {line}")
    return tasks


def _doubts(task: TaskData) -> Iterator[str]:
    """Tell what makes a task harder to win than it looks; nothing of it is an error."""
    place = {row.digest: number for number, row in enumerate(task.candidates) if row.picture}
    pictures = sum(bool(row.picture) for row in task.candidates)
    if same := pictures - len(place):
        yield f"{same:,} candidates show the same picture as another, byte by byte; at most one of each can be first"
    asked = zip(task.queries, task.targets, strict=True)
    if own := sum(bool(row.picture) and place.get(row.digest, -1) not in {-1, *right} for row, right in asked):
        told = f"the pictures of {own:,} of {len(task.queries):,} queries are candidates themselves, and wrong"
        yield f"{told}: each finds itself first, unless a model leaves it out"


def evaluate(tasks: Sequence[TaskData], retriever: Retriever, tell: Tell = silent) -> Evaluation:
    """Measure a retriever.

    Args:
        tasks: tasks as `prepare` returns them.
        retriever: the system under test.
        tell: called with a line of progress now and then.
    """
    started, before = time.monotonic(), retriever.computed
    _forget_peak_memory()
    results: dict[str, TaskResult] = {}
    for number, task in enumerate(tasks, 1):
        head = f"{retriever.name}: task {number} of {len(tasks)}, {task.name}"
        results[task.name] = _task(task, retriever, _Ticker(head, tell))
        tell(f"{head}: recall@1 {100 * results[task.name].scores['recall_at_1']:.1f}")
    return Evaluation(
        model=retriever.name,
        revision=retriever.revision,
        data=digest_of(tasks),
        commit=code_version(),
        tasks=results,
        seconds=round(time.monotonic() - started, 2),
        computed=retriever.computed - before,
        peak_memory=peak_memory(),
    )


class _Ticker:
    """Passes progress on, a line every two seconds, with rate and time left."""

    def __init__(self, head: str, tell: Tell) -> None:
        self._head = head
        self._tell = tell
        self._said = time.monotonic()
        self._what = ""
        self._began = (0.0, 0)

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began = what, (now, done)
        if now - self._said < 2 or done >= of:
            return
        self._said = now
        rate = (done - self._began[1]) / max(now - self._began[0], 1e-3)
        left = f", {rate:.1f} a second, {(of - done) / rate:,.0f} s left" if rate else ""
        self._tell(f"{self._head}: {what} {done:,} of {of:,}{left}")


def digest_of(tasks: Sequence[TaskData]) -> str:
    """Return the digest of the rows and pictures of tasks."""
    digests = [task.digest for task in tasks]
    return digests[0] if len(digests) == 1 else hashlib.blake2b("".join(digests).encode(), digest_size=8).hexdigest()


def _task(task: TaskData, retriever: Retriever, progress: Progress) -> TaskResult:
    started = time.monotonic()
    scores = retriever.score(task, progress)
    if not np.isfinite(scores).all():
        raise ModelError(f"{retriever.name} gives scores that are no numbers (NaN or infinite) on {task.name}")
    top, per_query = measure(scores, task.targets)
    return TaskResult(
        task=task.name,
        meta=task.meta,
        scores={name: float(np.mean(values)) for name, values in per_query.items()},
        interval=interval_of(resampled(per_query["recall_at_1"], task.name)),
        per_query=per_query["recall_at_1"],
        top=top.tolist(),
        queries=len(task.queries),
        candidates=len(task.candidates),
        seconds=round(time.monotonic() - started, 3),
    )


def paired_test(one: Evaluation, other: Evaluation) -> float:
    """Return the p-value of a paired randomisation test: how often would chance part their overall recall_at_1 as far?

    Raises:
        BenchmarkError: they were measured on different data.
    """
    if one.data != other.data or one.tasks.keys() != other.tasks.keys():
        raise BenchmarkError(f"{one.model} and {other.model} were measured on different data")
    return paired_by_query(one, other)


def paired_by_query(one: Evaluation, other: Evaluation) -> float:
    """Return the p-value of the test where the data were changed on purpose: the same queries, in the same order, asked otherwise."""
    return paired_p([np.array(result.per_query) - np.array(other.tasks[name].per_query) for name, result in one.tasks.items()])


def load(path: Path) -> Evaluation:
    """Read an evaluation that was written with details.

    Raises:
        BenchmarkError: it is no such file.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        tasks = {}
        for name, facts in raw["tasks"].items():
            scores = {measure: facts.pop(measure) for measure in MEASURES}
            tasks[name] = TaskResult(scores=scores, **{**facts, "interval": tuple(facts["interval"])})
        rest = {key: raw[key] for key in ("model", "revision", "data", "commit", "seconds", "computed", "peak_memory")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{path} is nothing that `visir eval -o` of this version wrote") from error
    return Evaluation(tasks=tasks, **rest)


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([score[name] for score in scores])) for name in MEASURES}


def _meta_order(meta: str) -> tuple[int, str]:
    order = ("SR", "CSR", "SQA", "OVC")
    return (order.index(meta) if meta in order else len(order), meta)


_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _forget_peak_memory() -> None:
    """Begin the peak anew where the system can (Linux); elsewhere it is that of the whole process."""
    try:
        _RESET.write_text("5")
    except OSError:
        return


def peak_memory() -> int:
    """Return the most memory that the process has held, in bytes; 0 where the system does not tell."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
