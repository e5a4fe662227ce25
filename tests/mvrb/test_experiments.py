import json
import os
import subprocess
import sys

import numpy as np
import pytest
from make import picture, write_benchmark

from visir.cli.experiment import _NAMES, experiment
from visir.errors import BenchmarkError, VisirError
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark
from visir.mvrb.experiments import EXPERIMENTS, Setting
from visir.mvrb.experiments.growth import _Distractors, _grow, _Maker, _Side
from visir.unise.clip import unise_clip
from visir.unise.tiny import tiny_clip

pytestmark = pytest.mark.filterwarnings("ignore")
CSR, DOCUMENTS = "Composed_Screenshot_Retrieval/knowledge", "Screenshot_Retrieval/document"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    unise_clip(str(tiny_clip(place / "clip"))).save_pretrained(str(place / "unise-tiny"))
    return str(place / "unise-tiny")


@pytest.fixture
def setting(folder, cache_file):
    cache = Cache(cache_file)
    yield lambda models, **more: Setting(Benchmark(more.pop("where", folder), cache), models, cache, **more)
    cache.close()


def column(finding, name):
    return [row[list(finding.columns).index(name)] for row in finding.rows]


def test_models_are_held_against_the_first(setting):
    finding = EXPERIMENTS["negatives"](setting(["random", "ocr-bm25", "random"]))
    assert column(finding, "model") == ["random", "ocr-bm25", "random"]
    chances = column(finding, "p")
    assert (chances[0], chances[2], chances[1] < 0.05) == (1, 1, True)
    assert column(finding, "Recall@1")[1] > column(finding, "Recall@1")[0]


def test_chart_looks_at_charts_alone_unless_told(setting):
    with pytest.raises(BenchmarkError, match="no task is named 'chart'"):
        EXPERIMENTS["chart"](setting(["random", "grey"]))
    assert len(EXPERIMENTS["chart"](setting(["random", "grey"], patterns=["document"])).rows) == 2


def test_comparing_needs_two_models(setting):
    with pytest.raises(BenchmarkError, match="name 2 models"):
        EXPERIMENTS["negatives"](setting(["random"]))


def test_a_query_of_both_finds_what_neither_part_finds(setting):
    finding = EXPERIMENTS["composed"](setting(["ocr-bm25"]))
    assert column(finding, "asked with") == ["both", "text only", "picture only"]
    assert column(finding, "Recall@1")[0] >= max(column(finding, "Recall@1")[1:])
    assert column(finding, "p")[0] == 1


def test_a_set_without_composed_queries_is_told(setting):
    with pytest.raises(BenchmarkError, match="no query of these tasks has both"):
        EXPERIMENTS["composed"](setting(["random"], patterns=["document"]))


def test_held_out_parts_the_tasks(setting):
    finding = EXPERIMENTS["held-out"](setting(["random", "ocr-bm25"], held=["wiki", "topics"]))
    assert "Screenshot_QA/wiki-qa" in finding.text
    assert "Open_Vocab_Classification/topics" in finding.text
    assert column(finding, "seen domains")[1] > column(finding, "seen domains")[0]
    for held, said in (([], "--held"), (["nothing"], "no task is named 'nothing'"), (["e"], "--held")):
        with pytest.raises(BenchmarkError, match=said):
            EXPERIMENTS["held-out"](setting(["random"], held=held))


def test_small_pictures_cannot_be_read(setting):
    finding = EXPERIMENTS["resolution"](setting(["ocr-bm25"], patterns=["document"], sizes=[640, 60]))
    assert column(finding, "longer side, pixels") == [640, 60]
    large, small = column(finding, "Recall@1")
    assert (large, small < 50) == (100, True)


def test_languages_stand_apart(setting, tmp_path):
    folder = write_benchmark(tmp_path / "set")
    file = folder / DOCUMENTS / "query.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines() * 3]
    texts = ("Was ist das und wie wird es mit der Sache nicht besser", "What is it that was not in the house")
    for number, row in enumerate(rows):
        row["q_text"] = f"{texts[number % 2]} {row['q_text']}"
        if number < 6:
            row["language"] = "xx"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    finding = EXPERIMENTS["languages"](setting(["random"], where=folder, patterns=["document"]))
    assert dict(zip(column(finding, "language"), column(finding, "queries"), strict=True)) == {"xx": 6, "de": 6, "en": 6}
    assert "12 queries' languages were guessed" in finding.text


def test_a_growing_corpus_never_raises_recall(setting, clip, tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(picture(f"page {number} of another book", f"#{number:02d}ff{99 - number}"))
    finding = EXPERIMENTS["growth"](setting([clip], sizes=[10, 100, 1000], distractors=tmp_path))
    assert column(finding, "distractors") == [0, 10, 100, 1000]
    real = column(finding, "of them real")
    assert (real[1], real[2] == real[3], 30 <= real[3] <= 36 + 6) == (10, True, True)
    recalls = column(finding, "Recall@1")
    assert recalls == sorted(recalls, reverse=True)
    assert "as many made from the other half" in finding.notes[0]


def test_growth_needs_single_vectors_and_other_pictures(setting, clip):
    for model in ("ocr-bm25", "unise-mini"):
        with pytest.raises(BenchmarkError, match="not measured by single vectors"):
            EXPERIMENTS["growth"](setting([model]))
    with pytest.raises(BenchmarkError, match="too few other pictures"):
        EXPERIMENTS["growth"](setting([clip]))


def unit(values):
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def test_ranks_under_distractors_are_those_of_the_whole_corpus():
    rng = np.random.default_rng(3)
    queries, candidates, real = (unit(rng.normal(size=(n, 8))) for n in (20, 30, 50))
    scores = queries @ candidates.T
    right = scores[:, 0].copy()
    ranks = 1 + np.count_nonzero(scores > right[:, None], axis=1)
    names = [b"%d" % number for number in range(50)]
    side = _Side(frozenset(names[:5]), queries, candidates, right, ranks)
    [(size, known, recall, _)] = _grow([side], _Distractors(real, names), [45])
    whole = np.concatenate([candidates, real[5:]])
    expected = np.mean(np.argmax(queries @ whole.T, axis=1) == 0)
    assert (size, known, recall) == (45, 45, pytest.approx(100 * expected, abs=0.051))


def test_nothing_is_made_from_a_task_s_own_pictures():
    rng = np.random.default_rng(5)
    own = unit(np.array([[1, 0, 0, 0]] * 6) + rng.normal(size=(6, 4)) / 50)
    foreign = unit(np.array([[-1, 0, 0, 0]] * 40) + rng.normal(size=(40, 4)) / 5)
    names = [b"%d" % number for number in range(46)]
    ranks = np.ones(6, np.int64)
    side = _Side(frozenset(names[:6]), own, own, np.sum(own * own, axis=1) - 0.5, ranks)
    [(_, known, recall, _)] = _grow([side], _Distractors(np.concatenate([own, foreign]), names), [2000])
    assert (known, recall) == (40, 100.0)


def test_made_distractors_lie_between_real_neighbours():
    real = unit(np.random.default_rng(4).normal(size=(60, 16)))
    made = _Maker(real)(200)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert np.min(np.max(made @ real.T, axis=1)) > np.median(np.sort(real @ real.T, axis=1)[:, -2])


def test_made_distractors_are_as_near_to_a_query_as_real_ones():
    # Page vectors share a large part, as those of a model do. Plain means of two lie nearer to it than both: 0.376 here, not 0.331.
    real = unit(np.random.default_rng(6).normal(size=(400, 32)) + 4 * np.eye(32)[0])
    made = _Maker(real)(2000)
    query = real.mean(axis=0)
    assert np.mean(made @ query) == pytest.approx(np.mean(real @ query), abs=0.03)
    assert np.quantile(made @ query, 0.99) <= np.max(real @ query) + 0.01


def run(*words):
    command = [sys.executable, "-m", "visir.cli.main", "experiment", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"})


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_files(folder, tmp_path):
    words = ("composed", str(folder), "--model", "random", "--cache", str(tmp_path / "c"), "-o", str(tmp_path / "out"))
    done = run(*words)
    assert "| random | text only |" in done.stdout, done.stderr
    assert (tmp_path / "out/composed.md").read_text() == done.stdout
    written = json.loads((tmp_path / "out/composed.json").read_text())
    assert written == json.loads(run(*words, "--json").stdout)
    assert [row["asked with"] for row in written["rows"]] == ["both", "text only", "picture only"]


def test_growth_takes_the_default_models_vector_unless_told(folder, tmp_path, capsys):
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(picture(f"page {number} of another book", f"#{number:02d}ff{99 - number}"))
    experiment("growth", str(folder), size=[10], distractors=tmp_path, cache=tmp_path / "c")
    assert "| unise-mini:vector | 10 | 10 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"name": "nonsense"}, "there is no experiment 'nonsense': choose one of chart, composed"),
        ({"name": "composed"}, "name a benchmark"),
        ({"name": "cost", "model": ["shape:nonsense"]}, "there is no shape 'nonsense': choose one of clip-b32"),
        ({"name": "mteb"}, "name tasks or benchmarks of mteb"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(choices, line, tmp_path):
    with pytest.raises(VisirError, match=line) as told:
        experiment(**choices, cache=tmp_path / "c")
    assert "\n" not in str(told.value)


def test_every_experiment_is_named_by_the_command():
    assert set(_NAMES.split(", ")) == {*EXPERIMENTS, "mteb"}


@pytest.mark.slow
def test_what_models_cost_is_measured_in_processes_of_their_own(clip, tmp_path):
    done = run("cost", "--model", "shape:clip-b32", "--model", clip, "--cache", str(tmp_path / "c"), "--json")
    shape, model = json.loads(done.stdout)["rows"]
    assert shape["parameters, M"] == pytest.approx(151.3, abs=0.1)
    assert shape["memory, MB"] > 4 * 151
    assert 0 < model["parameters, M"] < 1
    assert min(shape["page, s"], shape["query, ms"], model["query, ms"]) > 0


@pytest.mark.slow
def test_shapes_are_as_large_as_the_papers_models():
    import torch

    from visir.mvrb.experiments.shapes import make_shape

    large = make_shape("clip-l14", "cpu", torch.bfloat16)
    assert sum(weights.numel() for weights in large.model.parameters()) == pytest.approx(428e6, rel=0.01)
    assert torch.isfinite(large.page(0)).all()
    whole = make_shape("qwen2-vl-2b", "meta", torch.bfloat16)
    assert sum(weights.numel() for weights in whole.model.parameters()) == pytest.approx(2.21e9, rel=0.01)
