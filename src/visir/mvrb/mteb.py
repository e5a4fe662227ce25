"""A bridge to mteb, both ways: MVRB's tasks for mteb's models, and our systems for mteb's tasks.

mteb hands prompts only to models that know a task's name. `MtebModel` reads the prompt from the task's metadata instead, so every
task's instruction arrives. mteb breaks ties by the candidates' ids, descending, and rounds to five places; the tasks made here name
their candidates so that the first of the corpus wins, and report what is not rounded under the names of our own measures.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import mteb
import numpy as np
from datasets import Dataset, Features, Image, Value
from datasets.arrow_writer import ArrowWriter
from mteb.abstasks import AbsTask
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.model_meta import ModelMeta
from mteb.types import PromptType

from visir.errors import BenchmarkError
from visir.mvrb.data import Benchmark, Row, TaskData
from visir.mvrb.evaluate import prepare
from visir.mvrb.hub import find_benchmark
from visir.mvrb.measures import best
from visir.mvrb.retriever import Progress, Retriever
from visir.unise.instructions import SEARCH

PAPER = "https://arxiv.org/abs/2502.11431"
_CITATION = """@misc{mvrb2025,
  title = {Any Information Is Just Worth One Single Screenshot: Unifying Search With Visualized Information Retrieval},
  year = {2025},
  eprint = {2502.11431},
  archivePrefix = {arXiv},
}"""
_CATEGORIES = {
    ("text", "image"): "t2i",
    ("image+text", "image"): "it2i",
    ("image+text", "text"): "it2t",
    ("image", "text"): "i2t",
    ("image", "image"): "i2i",
    ("text", "text"): "t2t",
}


class MvrbTask(AbsTaskRetrieval):
    """One task in MVRB's layout as a retrieval task of mteb; made by `mteb_task`."""

    source: TaskData

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Write queries and candidates as mteb wants them to a temporary folder that lives as long as the task."""
        if self.data_loaded:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="visir-mteb-")
        folder = Path(self._folder.name)
        # mteb puts the higher id first among equals: the first candidate gets the highest.
        last = len(self.source.candidates) - 1
        names = [f"{last - row:09d}" for row in range(last + 1)]
        queries = [f"q{row:09d}" for row in range(len(self.source.queries))]
        right = {query: {names[row]: 1 for row in rows} for query, rows in zip(queries, self.source.targets, strict=True)}
        data: RetrievalSplitData = {
            "corpus": _dataset(folder / "corpus.arrow", names, self.source.candidates),
            "queries": _dataset(folder / "queries.arrow", queries, self.source.queries),
            "relevant_docs": right,
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": data}}
        self.data_loaded = True

    def task_specific_scores(
        self,
        scores: Mapping[str, Mapping[str, float]],
        qrels: Mapping[str, Mapping[str, int]],
        results: Mapping[str, Mapping[str, float]],
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        """Return our own measures, not rounded; ``mrr`` counts what stands among the thousand candidates that mteb looks at."""
        cuts = {"recall_at_1": "recall_1", "recall_at_5": "recall_5", "recall_at_10": "recall_10", "ndcg_at_10": "ndcg_cut_10"}
        means = {name: float(np.mean([values[cut] for values in scores.values()])) for name, cut in cuts.items()}
        return {**means, "mrr": float(np.mean([_reciprocal_rank(results[query], right) for query, right in qrels.items()]))}


def _reciprocal_rank(found: Mapping[str, float], right: Mapping[str, int]) -> float:
    order = sorted(found, key=lambda name: (found[name], name), reverse=True)
    return next((1.0 / rank for rank, name in enumerate(order, 1) if right.get(name)), 0.0)


def mteb_tasks(place: str, patterns: Sequence[str] = (), revision: str = "main") -> list[AbsTaskRetrieval]:
    """Return the tasks of a benchmark as tasks of mteb, in the order of their names.

    Args:
        place: a folder in MVRB's layout, or owner/name on a hub, such as ``marsh123/MVRB``.
        patterns: only tasks whose names hold one of these.
        revision: of the data, for mteb's records.

    Raises:
        BenchmarkError: there is no such benchmark, or it is damaged.
    """
    benchmark = Benchmark(find_benchmark(place))
    return [mteb_task(task, revision) for task in prepare(benchmark, benchmark.chosen(patterns))]


def mteb_task(task: TaskData, revision: str = "main") -> AbsTaskRetrieval:
    """Return a task as one of mteb's.

    Args:
        task: its data.
        revision: of the data, for mteb's records.
    """
    name = "MVRB" + "".join(letter for part in task.name.split("/") for letter in part.title() if letter.isalnum())
    kinds = {kind for side in (task.query_kind, task.candidate_kind) for kind in side.split("+")}
    metadata = TaskMetadata.model_validate(
        {
            "name": name,
            "description": f"{task.meta} of MVRB: {task.name}. {task.instruction}",
            "reference": PAPER,
            "dataset": {"path": "marsh123/MVRB", "revision": revision},
            "type": "Any2AnyRetrieval",
            "category": _CATEGORIES[task.query_kind, task.candidate_kind],
            "modalities": sorted(kinds),
            "eval_splits": ["test"],
            "eval_langs": ["eng-Latn"],
            "main_score": "recall_at_1",
            "prompt": {"query": task.instruction},
            "license": "not specified",
            "bibtex_citation": _CITATION,
        }
    )
    made: AbsTaskRetrieval = type(name, (MvrbTask,), {"metadata": metadata, "source": task})()
    return made


def _dataset(file: Path, names: Sequence[str], rows: Sequence[Row]) -> Dataset:
    """Write rows to an Arrow file, one picture at a time, and open it mapped into memory."""
    features = {"id": Value("string"), "modality": Value("string")}
    if any(row.text for row in rows):
        features["text"] = Value("string")
    if any(row.picture for row in rows):
        features["image"] = Image()
    with ArrowWriter(path=str(file), features=Features(features)) as writer:
        for name, row in zip(names, rows, strict=True):
            whole = {
                "id": name,
                "modality": ",".join(row.kind.split("+")),
                "text": row.text,
                "image": {"bytes": row.screenshot().encoded, "path": None} if row.picture else None,
            }
            writer.write({key: whole[key] for key in features})
        writer.finalize()
    return Dataset.from_file(str(file))


class _Column:
    """Pictures in a column of a data set, as a `PictureSource`; a path is a row's number."""

    def __init__(self, data: Dataset) -> None:
        self._there = "image" in data.column_names
        self._data = data.select_columns(["image"]).cast_column("image", Image(decode=False)) if self._there else data

    def read(self, path: str, where: str) -> bytes:
        image = self._data[int(path)]["image"]
        if image["bytes"] is not None:
            return bytes(image["bytes"])
        return Path(image["path"]).read_bytes()

    def check(self, wanted: Sequence[tuple[str, str]], note: Callable[[int], None] = lambda done: None) -> None:
        for path, where in wanted:
            self.read(path, where)

    def has(self, number: int) -> bool:
        return self._there and self._data[number]["image"] is not None

    def digest(self, path: str, where: str) -> bytes:
        return blake2b(self.read(path, where), digest_size=16).digest()


class MtebModel:
    """One of our systems as a model of mteb (its SearchProtocol), for all of mteb's retrieval tasks of text and pictures.

    Args:
        retriever: the system.
        progress: called with what is being done, how many are done, and how many there are.
    """

    def __init__(self, retriever: Retriever, progress: Progress = lambda what, done, of: None) -> None:
        self._retriever = retriever
        self._progress = progress
        self._corpus: Dataset | None = None

    @cached_property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb notes about the model."""
        return ModelMeta.create_empty(
            overwrites={
                "name": f"visir/{self._retriever.name.replace('/', '__')}",
                "revision": self._retriever.revision,
                "modalities": ["text", "image"],
                "use_instructions": True,
            }
        )

    def index(self, corpus: Dataset, **rest: Any) -> None:
        """Keep the corpus; it is embedded with the first search, from the cache where it can."""
        self._corpus = corpus

    def search(
        self,
        queries: Dataset,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **rest: Any,
    ) -> dict[str, dict[str, float]]:
        """Score every candidate for every query; see mteb's SearchProtocol.

        Raises:
            BenchmarkError: the task is of a kind that has no corpus to search (reranking).
        """
        if self._corpus is None or top_ranked is not None:
            raise BenchmarkError(f"{task_metadata.name}: only tasks that search a whole corpus can be measured")
        task = TaskData(
            name=f"mteb/{task_metadata.name}/{hf_subset}/{hf_split}",
            meta="other",
            instruction=_prompt(task_metadata),
            queries=_rows(queries, task_metadata.get_modalities(PromptType.query)),
            candidates=_rows(self._corpus, task_metadata.get_modalities(PromptType.document)),
            targets=[],
            files=b"",
        )
        scores = self._retriever.score(task, self._progress)
        names = self._corpus["id"][:]
        found: dict[str, dict[str, float]] = {}
        for query, row, values in zip(queries["id"], best(scores, top_k), scores, strict=True):
            found[query] = {names[number]: float(values[number]) for number in row}
        return found


def _prompt(metadata: TaskMetadata) -> str:
    prompt: Any = metadata.prompt
    return str((prompt if isinstance(prompt, str) else (prompt or {}).get("query")) or SEARCH)


def _rows(data: Dataset, modalities: Sequence[str]) -> list[Row]:
    """Make rows of a data set's, each with a picture, a text, or both, as the task's category says."""
    pictures = _Column(data)
    sees = "image" in modalities
    plain = data.select_columns([name for name in ("title", "text", "instruction") if name in data.column_names])
    reads = "text" in modalities and "text" in plain.column_names
    rows = []
    for number, row in enumerate(plain if len(plain.column_names) else ({} for _ in range(len(data)))):
        parts = (row.get("title"), row.get("text"), row.get("instruction")) if reads else ()
        text = " ".join(part.strip() for part in parts if part)
        rows.append(Row(text, str(number) if sees and pictures.has(number) else "", f"row {number}", pictures))
    return rows


def tasks_named(names: Sequence[str]) -> Iterator[AbsTask]:
    """Return mteb's tasks, and those of its benchmarks, by name: ``VisRAGRetChartQA``, ``ViDoRe(v1)`` ….

    Raises:
        BenchmarkError: mteb has none of that name.
    """
    for name in names:
        try:
            yield from mteb.get_benchmark(name).tasks
        except (KeyError, ValueError):
            try:
                yield mteb.get_task(name)
            except (KeyError, ValueError) as error:
                raise BenchmarkError(f"mteb has no task or benchmark named {name!r}") from error


def measure_with_mteb(
    tasks: Iterable[AbsTask], retriever: Retriever, tell: Callable[[str], None] = lambda line: None
) -> dict[str, dict[str, Any]]:
    """Let mteb measure one of our systems.

    Args:
        tasks: mteb's tasks; their data come from the hub unless they lie in its cache.
        retriever: the system.
        tell: called with a line of progress now and then.

    Returns:
        mteb's scores by task, ``main_score`` among them.

    Raises:
        BenchmarkError: a task's data cannot be had.
    """
    found: dict[str, dict[str, Any]] = {}
    model = MtebModel(retriever)
    for task in tasks:
        tell(f"{retriever.name}: {task.metadata.name} by mteb")
        try:
            task.load_data()
        except (OSError, ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BenchmarkError(f"the data of {task.metadata.name} cannot be had from the hub: {reason}") from error
        result = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
        [outcome] = result.task_results
        [scores] = [entry for entries in outcome.scores.values() for entry in entries][:1]
        found[task.metadata.name] = {name: value for name, value in scores.items() if isinstance(value, float | int)}
    return found
