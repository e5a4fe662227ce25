import json
import re
import subprocess
import sys
from pathlib import Path

import mteb
import numpy as np
import pytest
from datasets import Dataset, Image
from make import SUBJECTS, picture, write_benchmark
from mteb.models.models_protocols import SearchProtocol

from visir.errors import BenchmarkError
from visir.mvrb.baselines import load_retriever
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark
from visir.mvrb.evaluate import evaluate, prepare
from visir.mvrb.measures import MEASURES
from visir.mvrb.mteb import MtebModel, measure_with_mteb, mteb_task, tasks_named

pytestmark = pytest.mark.filterwarnings("ignore")


class Tied:
    """Scores with many ties, that notes what it was told."""

    name = "tied"
    revision = "1"
    computed = 0

    def __init__(self):
        self.told = []

    def score(self, task, progress):
        self.told.append(task)
        return np.random.default_rng(5).integers(0, 3, (len(task.queries), len(task.candidates))).astype(np.float32)


@pytest.fixture(scope="module")
def tasks(folder):
    benchmark = Benchmark(folder)
    return prepare(benchmark, benchmark.names)


@pytest.mark.parametrize("name", ["text", "ocr-bm25", "grey", "tied", "unise-mini", "unise-mini:regions"])
def test_mteb_gives_the_numbers_of_our_own_evaluator(tasks, cache_file, name):
    cache = Cache(cache_file)
    retriever = Tied() if name == "tied" else load_retriever(name, cache)
    ours = evaluate(tasks, retriever)
    computed = retriever.computed
    theirs = measure_with_mteb([mteb_task(task) for task in tasks], retriever)
    for task, scores in zip(tasks, theirs.values(), strict=True):
        for measure in MEASURES:
            assert scores[measure] == pytest.approx(ours.tasks[task.name].scores[measure], abs=1e-6), (task.name, measure)
        assert scores["main_score"] == scores["recall_at_1"]
    assert retriever.computed == computed, "what our evaluator computed was computed again"
    cache.close()


def test_instructions_pictures_and_texts_arrive(tasks):
    retriever = Tied()
    measure_with_mteb([mteb_task(task) for task in tasks], retriever)
    for told, task in zip(retriever.told, tasks, strict=True):
        assert told.instruction == task.instruction
        assert [row.text for row in (*told.queries, *told.candidates)] == [row.text for row in (*task.queries, *task.candidates)]
        for one, other in zip((*told.queries, *told.candidates), (*task.queries, *task.candidates), strict=True):
            assert one.digest == other.digest
            assert one.kind == other.kind


def test_the_program_of_the_docs_runs(folder, tmp_path):
    page = (Path(__file__).parent.parent.parent / "docs" / "mvrb.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    program = program.replace("data/dev", str(folder)).replace("SR/help", "Screenshot_Retrieval/document")
    told = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\{'MVRB\w+': [01]\.\d+\}", told.stdout.strip().splitlines()[-1])


def test_a_system_of_ours_is_a_model_of_mteb():
    assert isinstance(MtebModel(Tied()), SearchProtocol)


def test_every_meta_task_has_its_category(tasks):
    made = {task.meta: mteb_task(task).metadata for task in tasks}
    assert {meta: metadata.category for meta, metadata in made.items()} == {"SR": "t2i", "CSR": "it2i", "SQA": "it2t", "OVC": "i2t"}
    assert all(metadata.prompt["query"] for metadata in made.values())


@pytest.fixture
def vidore_on_disk(tmp_path):
    """What the hub holds for a ViDoRe task, in its own layout."""
    names = list(SUBJECTS)
    tables = {
        "queries": {"query-id": list(range(len(names))), "query": [f"what of the {name}" for name in names]},
        "corpus": {"corpus-id": list(range(len(names))), "image": [{"bytes": picture(SUBJECTS[name]), "path": None} for name in names]},
        "qrels": {"query-id": list(range(len(names))), "corpus-id": list(range(len(names))), "score": [1] * len(names)},
    }
    configs = []
    for name, table in tables.items():
        data = Dataset.from_dict(table)
        if "image" in table:
            data = data.cast_column("image", Image())
        data.to_parquet(tmp_path / f"{name}.parquet")
        configs.append(f"- config_name: {name}\n  data_files:\n  - split: test\n    path: {name}.parquet\n")
    (tmp_path / "README.md").write_text("---\nconfigs:\n" + "".join(configs) + "---\n")
    return tmp_path


def test_a_task_of_mteb_runs_with_our_model(vidore_on_disk, cache_file):
    [task] = tasks_named(["VidoreArxivQARetrieval"])
    task.metadata = task.metadata.model_copy(update={"dataset": {"path": str(vidore_on_disk), "revision": "main"}})
    cache = Cache(cache_file)
    [scores] = measure_with_mteb([task], load_retriever("text", cache)).values()
    cache.close()
    assert scores["main_score"] == scores["ndcg_at_5"] > 0.8


def test_names_of_benchmarks_stand_for_their_tasks():
    assert len(list(tasks_named(["ViDoRe(v1)", "VisRAGRetChartQA"]))) == len(mteb.get_benchmark("ViDoRe(v1)").tasks) + 1
    with pytest.raises(BenchmarkError, match="no task or benchmark named 'Nonsense'"):
        list(tasks_named(["Nonsense"]))


def test_without_a_hub_one_clear_line_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    [task] = tasks_named(["VisRAGRetChartQA"])
    task.metadata = task.metadata.model_copy(update={"dataset": {"path": str(tmp_path / "nothing"), "revision": "main"}})
    with pytest.raises(BenchmarkError, match="the data of VisRAGRetChartQA cannot be had from the hub") as told:
        measure_with_mteb([task], Tied())
    assert "\n" not in str(told.value)


def test_queries_with_and_without_a_picture_stand_in_one_task(tmp_path):
    folder = write_benchmark(tmp_path)
    file = folder / "Composed_Screenshot_Retrieval/knowledge/query.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1]["q_image"] = ""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = prepare(Benchmark(folder), ["Composed_Screenshot_Retrieval/knowledge"])
    retriever = Tied()
    measure_with_mteb([mteb_task(task) for task in tasks], retriever)
    assert [row.kind for row in retriever.told[0].queries] == ["image+text", "text", *["image+text"] * 4]
