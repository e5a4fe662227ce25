"""What an experiment is given, and what it finds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from visir.errors import BenchmarkError
from visir.mvrb.baselines import load_retriever
from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark, Row, TaskData
from visir.mvrb.evaluate import Tell, prepare
from visir.mvrb.retriever import Retriever


@dataclass(frozen=True)
class Setting:
    """What an experiment is run on.

    Args:
        benchmark: the data; ``None`` for the experiment that needs none.
        models: names or folders, the one that others are held against first.
        cache: keeps vectors and texts.
        patterns: only tasks whose names hold one of these; an experiment has its own where there are none.
        held: tasks whose names hold one of these are of the held-out domain.
        sizes: sizes that an experiment goes through; it has its own where there are none.
        distractors: a folder of further pictures.
        device: where models run that need torch.
        ocr_language: language codes of tesseract, joined by ``+``.
        tell: called with a line of progress now and then.
    """

    benchmark: Benchmark | None
    models: Sequence[str]
    cache: Cache
    patterns: Sequence[str] = ()
    held: Sequence[str] = ()
    sizes: Sequence[int] = ()
    distractors: Path | None = None
    device: str = "auto"
    ocr_language: str = "eng"
    tell: Tell = field(default=lambda line: None)

    def tasks(self, meta: str | None = None, pattern: str = "") -> list[TaskData]:
        """Return the tasks to run on, read and checked.

        Args:
            meta: only those of this meta-task.
            pattern: what names must hold where the user named none.

        Raises:
            BenchmarkError: there are none.
        """
        if self.benchmark is None:
            raise BenchmarkError("name a benchmark: a folder, or owner/name on a hub")
        names = self.benchmark.chosen(self.patterns or ([pattern] if pattern else []))
        tasks = [task for task in prepare(self.benchmark, names, self.tell) if meta in (None, task.meta)]
        if not tasks:
            raise BenchmarkError(f"{self.benchmark.folder} has no tasks of {meta}")
        return tasks

    def retrievers(self, least: int = 1) -> Iterator[Retriever]:
        """Load one model after the other.

        Args:
            least: how many there must be.

        Raises:
            BenchmarkError: there are fewer.
        """
        if len(self.models) < least:
            raise BenchmarkError(f"name {least} models, each with --model: the one that the others are held against first")
        for name in self.models:
            yield load_retriever(name, self.cache, self.device, self.ocr_language)

    def embedding_retrievers(self) -> Iterator[EmbeddingRetriever]:
        """Load one model after the other; each must be one with a single vector an input.

        Raises:
            BenchmarkError: one is not.
        """
        for retriever in self.retrievers():
            if not isinstance(retriever, EmbeddingRetriever):
                raise BenchmarkError(
                    f"{retriever.name} is not measured by single vectors, on which this experiment works; "
                    "of a model that gives regions too, name its vector: MODEL:vector"
                )
            yield retriever


Cell = str | float | int


@dataclass(frozen=True)
class Finding:
    """What an experiment found.

    Args:
        experiment: its name.
        text: what was done, and what limits it.
        columns: names of the columns; Recall@1 is in percent.
        rows: their values.
        notes: lines below the table.
    """

    experiment: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Return it as a Markdown table with its text."""
        lines = [f"## {self.experiment}", "", self.text, "", f"| {' | '.join(self.columns)} |", "|---|" + "--:|" * (len(self.columns) - 1)]
        lines += [f"| {' | '.join(_shown(cell) for cell in row)} |" for row in self.rows]
        return "\n".join([*lines, *([""] if self.notes else []), *(f"* {note}" for note in self.notes)])

    def as_json(self) -> dict[str, Any]:
        """Return it as one object, a row an object by the names of the columns."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {**asdict(self), "columns": list(self.columns), "rows": rows, "notes": list(self.notes)}


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.1f}" if abs(cell) >= 1 or cell == 0 else f"{cell:.3f}"


def with_rows(task: TaskData, change: Callable[[Row], Row], candidates: bool = True) -> TaskData:
    """Return a task whose rows are changed.

    Args:
        task: the task.
        change: makes a new row of each.
        candidates: candidates are changed too, not queries alone.
    """
    changed = [change(row) for row in task.candidates] if candidates else task.candidates
    return replace(task, queries=[change(row) for row in task.queries], candidates=changed)


def with_queries(task: TaskData, numbers: Sequence[int], name: str) -> TaskData:
    """Return a task of some of its queries, under a name of its own."""
    picked = [task.queries[number] for number in numbers]
    return replace(task, name=name, queries=picked, targets=[task.targets[number] for number in numbers])


def percent(value: float) -> float:
    """Return a share in percent, to a tenth."""
    return round(100 * value, 1)


def span(low: float, high: float) -> str:
    """Return an interval of shares in percent."""
    return f"{100 * low:.1f} to {100 * high:.1f}"
