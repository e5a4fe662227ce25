import json
import shutil

import numpy as np
import pytest
from make import SUBJECTS, write_benchmark
from tiny_late import tiny_colqwen

from visir.errors import ModelError
from visir.mvrb.baselines import load_retriever
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark
from visir.mvrb.evaluate import evaluate, prepare

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_colqwen(tmp_path_factory.mktemp("late") / "tiny-colqwen")


@pytest.fixture
def cache(tmp_path):
    opened = Cache(tmp_path / "vectors.sqlite")
    yield opened
    opened.close()


def ignore(what, done, of):
    """Take no notice of progress."""


def test_scores_are_mean_maxsim_of_the_models_own_vectors(model, folder, cache):
    from sentence_transformers import MultiVectorEncoder

    [task] = prepare(Benchmark(folder), ["Screenshot_Retrieval/document"])
    scores = load_retriever(str(model), cache).score(task, ignore)
    plain = MultiVectorEncoder(str(model), device="cpu")
    queries = plain.encode_query([row.text for row in task.queries], convert_to_numpy=True)
    pages = plain.encode_document([row.screenshot().image for row in task.candidates], convert_to_numpy=True)
    expected = [[np.max(query @ page.T, axis=1).mean() for page in pages] for query in queries]
    assert np.allclose(scores, expected, atol=2e-3)


def test_all_four_meta_tasks_are_measured_and_kept(model, folder, cache):
    benchmark = Benchmark(folder)
    tasks = prepare(benchmark, benchmark.names)
    first = evaluate(tasks, load_retriever(str(model), cache))
    again = evaluate(tasks, load_retriever(str(model), cache))
    assert (first.computed > 0, again.computed) == (True, 0)
    assert again.tasks.keys() == first.tasks.keys()
    assert all(again.tasks[name].per_query == result.per_query for name, result in first.tasks.items())


def test_a_query_of_both_is_the_mean_of_its_parts(model, tmp_path, cache):
    folder = write_benchmark(tmp_path / "set")
    file = folder / "Composed_Screenshot_Retrieval/knowledge/query.jsonl"
    whole = [json.loads(line) for line in file.read_text().splitlines()]
    retriever = load_retriever(str(model), cache)
    scores = {}
    for kind, kept in (("both", {}), ("text", {"q_image": ""}), ("image", {"q_text": ""})):
        file.write_text("".join(json.dumps({**row, **kept}) + "\n" for row in whole))
        scores[kind] = retriever.score(Benchmark(folder).task("Composed_Screenshot_Retrieval/knowledge"), ignore)
    assert scores["both"].shape == (len(SUBJECTS), len(SUBJECTS))
    assert np.allclose(scores["both"], (scores["text"] + scores["image"]) / 2, atol=1e-5)


def test_a_damaged_checkpoint_is_told_in_one_line(model, tmp_path, cache):
    place = shutil.copytree(model, tmp_path / "model")
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded") as told:
        load_retriever(str(place), cache)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["vidore/colqwen2-v1.0-hf", "Qwen/Qwen3-VL-Embedding-2B", "BAAI/BGE-VL-Screenshot"])
def test_a_name_on_a_hub_that_cannot_be_reached_is_told_in_one_line(name, cache, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=f"{name} cannot be loaded") as told:
        load_retriever(name, cache)
    assert "\n" not in str(told.value)
