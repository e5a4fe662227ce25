import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import typer
from click.testing import CliRunner
from make import write_benchmark
from PIL import Image

from visir.cli.main import app
from visir.errors import BenchmarkError, MissingToolError, ModelError
from visir.mvrb.baselines import check_names, load_retriever
from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.baselines.regions import RegionRetriever
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Benchmark
from visir.mvrb.evaluate import evaluate, load, paired_test, prepare
from visir.mvrb.report import save, table, write


@pytest.fixture(scope="module")
def evaluations(folder, cache_file):
    benchmark = Benchmark(folder)
    cache = Cache(cache_file)
    tasks = prepare(benchmark, benchmark.names)
    found = {name: evaluate(tasks, load_retriever(name, cache)) for name in ("text", "ocr-bm25", "random", "grey")}
    cache.close()
    return found


def test_tesseract_reads_the_languages_that_are_named(folder, tmp_path):
    cache, benchmark = Cache(tmp_path / "cache.sqlite"), Benchmark(folder)
    tasks = prepare(benchmark, benchmark.chosen(["document"]))
    english, other = (evaluate(tasks, load_retriever("ocr-bm25", cache, ocr_language=codes)) for codes in ("eng", "osd+eng"))
    assert english.overall["recall_at_1"] == other.overall["recall_at_1"] == 1
    assert english.computed == other.computed > 0  # what one language gave is not taken for the other's
    with pytest.raises(MissingToolError, match="tesseract-ocr-xyz"):
        evaluate(tasks, load_retriever("ocr-bm25", cache, ocr_language="eng+xyz"))
    cache.close()


def test_a_model_that_gives_regions_is_measured_as_search_uses_it(tmp_path):
    cache = Cache(tmp_path / "cache.sqlite")
    found = {name: load_retriever(name, cache, "cuda") for name in ("unise-mini", "unise-mini:regions", "unise-mini:vector", "text")}
    assert [type(retriever) for retriever in found.values()] == [RegionRetriever, RegionRetriever, EmbeddingRetriever, EmbeddingRetriever]
    assert [retriever.name for retriever in found.values()] == [
        "unise-mini",
        "unise-mini:regions",
        "unise-mini:vector",
        "ocr-all-MiniLM-L6-v2",
    ]
    with pytest.raises(ModelError, match="no regions"):
        load_retriever("text:regions", cache)
    cache.close()


def test_a_picture_with_nothing_on_it_may_ask(tmp_path):
    folder = write_benchmark(tmp_path / "benchmark", zipped=False)
    Image.new("RGB", (640, 480), "white").save(folder / "Images/asked/violin.png")
    cache = Cache(tmp_path / "cache.sqlite")
    tasks = prepare(Benchmark(folder), ["Composed_Screenshot_Retrieval/knowledge"])
    assert evaluate(tasks, load_retriever("unise-mini", cache)).overall["recall_at_1"] > 0.6
    cache.close()


def test_a_picture_alone_is_named_by_what_it_means_and_not_by_words_on_it(tmp_path):
    folder = write_benchmark(tmp_path / "benchmark", zipped=False)
    cache = Cache(tmp_path / "cache.sqlite")
    [task] = prepare(Benchmark(folder), ["Open_Vocab_Classification/topics"])
    assert not any(row.text for row in task.queries)
    joined, cosines = (load_retriever(name, cache).score(task, lambda *_: None) for name in ("unise-mini", "unise-mini:vector"))
    np.testing.assert_allclose(joined, np.maximum(cosines, 0), atol=1e-6)
    cache.close()


def test_systems_that_read_beat_the_controls(evaluations):
    overall = {name: evaluation.overall["recall_at_1"] for name, evaluation in evaluations.items()}
    assert min(overall["text"], overall["ocr-bm25"]) > 0.6
    assert max(overall["random"], overall["grey"]) < 0.6
    assert evaluations["text"].meta.keys() == {"SR", "CSR", "SQA", "OVC"}


@pytest.mark.parametrize(("wanted", "device"), [("", "auto"), ("openvino", "auto"), ("", "openvino")])
def test_rapidocr_reads_pages_once_for_bm25_and_for_an_encoder(wanted, device, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("VISIR_DEVICE", wanted)
    cache = Cache(tmp_path / "cache.sqlite")
    tasks = prepare(Benchmark(folder, cache), ["Screenshot_Retrieval/document"])
    found = evaluate(tasks, load_retriever("rapidocr-bm25", cache, device))
    assert (found.model, found.computed, found.overall["recall_at_1"]) == ("rapidocr-bm25", 6, 1.0)
    encoded = evaluate(tasks, load_retriever("rapidocr-text", cache, device))
    assert (encoded.model, encoded.computed, encoded.overall["recall_at_1"]) == ("rapidocr-all-MiniLM-L6-v2", 12, 1.0)
    assert "rapidocr-" in encoded.revision
    assert ("openvino" in encoded.revision) == ("openvino" in (wanted, device))
    cache.close()


def test_overall_is_the_mean_over_tasks_with_an_interval_around_it(evaluations):
    for evaluation in evaluations.values():
        values = [result.scores["recall_at_1"] for result in evaluation.tasks.values()]
        assert evaluation.overall["recall_at_1"] == pytest.approx(np.mean(values))
        low, high = evaluation.interval()
        assert low <= np.mean(values) <= high


def test_the_paired_test_tells_different_systems_from_equal_ones(evaluations):
    assert paired_test(evaluations["text"], evaluations["random"]) < 0.05
    assert paired_test(evaluations["text"], evaluations["text"]) == 1.0


def test_a_second_run_computes_nothing(folder, cache_file, evaluations, monkeypatch):
    benchmark = Benchmark(folder)
    cache = Cache(cache_file)
    retriever = load_retriever("text", cache)
    monkeypatch.setattr(retriever._embedder, "_session", None)
    monkeypatch.setenv("PATH", "")
    again = evaluate(prepare(benchmark, benchmark.names), retriever)
    cache.close()
    assert (again.overall, again.data) == (evaluations["text"].overall, evaluations["text"].data)
    assert (again.computed, evaluations["text"].computed > 0) == (0, True)
    cache = Cache(cache_file)
    small = evaluate(prepare(benchmark, benchmark.names), load_retriever("grey", cache))
    cache.close()
    assert (small.computed, small.overall) == (0, evaluations["grey"].overall)


def test_what_is_written_is_read_again(evaluations, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(evaluations["text"].as_json(details=True)))
    assert load(path) == evaluations["text"]


def test_the_report_shows_tables_bars_and_pictures(evaluations, folder, tmp_path):
    for evaluation in evaluations.values():
        save(evaluation, folder, tmp_path)
    files = sorted(tmp_path.glob("*.json"))
    page, text = write(files, tmp_path / "report")
    shown = page.read_text()
    assert shown.count("<figure>") >= 2 * 24
    assert shown.count("<tr class=published>") == 7
    board = shown[: shown.index("</table>")]
    assert board.rindex("<tr><td>") < board.index("<tr class=published>"), "measured on other data: below ours, whatever they have"
    assert shown.count("<div class=bar>") == 4 * 4
    [other, _] = write(files, tmp_path / "other", "grey")
    assert "Lost by grey" in other.read_text()
    with pytest.raises(BenchmarkError, match="no measurement of 'nobody' is there"):
        write(files, tmp_path / "other", "nobody")
    assert "data:image/jpeg;base64," in shown
    assert "http" not in shown
    assert "60.61" in text.read_text()


def test_a_benchmark_that_changed_since_is_not_shown(tmp_path):
    folder = write_benchmark(tmp_path / "benchmark")
    benchmark = Benchmark(folder)
    result = save(evaluate(prepare(benchmark, benchmark.names), load_retriever("random", Cache(tmp_path / "c"))), folder, tmp_path / "out")
    write([result], tmp_path / "report")
    queries = folder / "Screenshot_QA/wiki-qa/query.jsonl"
    queries.write_text("".join(queries.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(BenchmarkError, match="benchmark has changed since it was measured: measure again"):
        write([result], tmp_path / "report")
    shutil.rmtree(queries.parent)
    with pytest.raises(BenchmarkError, match="has no task Screenshot_QA/wiki-qa"):
        write([result], tmp_path / "report")


def test_tables_hold_intervals_of_meta_tasks(evaluations):
    low, high = evaluations["text"].interval("SR")
    [line] = [line for line in table([evaluations["text"]]).splitlines() if line.startswith("| **SR**")]
    assert f"({100 * low:.1f} to {100 * high:.1f})" in line


def test_reports_of_different_data_are_refused(evaluations, folder, tmp_path):
    other = evaluations["random"].as_json(details=True)
    other["data"] = "else"
    (tmp_path / "a.json").write_text(json.dumps({**evaluations["text"].as_json(details=True), "benchmark": str(folder)}))
    (tmp_path / "b.json").write_text(json.dumps({**other, "benchmark": str(folder)}))
    with pytest.raises(BenchmarkError, match="other data"):
        write([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "report")


def test_eval_prints_the_promised_object(tmp_path):
    folder = write_benchmark(tmp_path / "benchmark")
    command = [
        sys.executable,
        "-m",
        "visir.cli.main",
        "eval",
        str(folder),
        "--model",
        "grey",
        "--json",
        "--cache",
        str(tmp_path / "c"),
        "-o",
        str(tmp_path / "out"),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = json.loads(told.stdout)
    assert printed["overall"]["recall_at_1"] >= 0
    assert printed["meta"].keys() == {"SR", "CSR", "SQA", "OVC"}
    assert printed["tasks"]["Screenshot_QA/wiki-qa"].keys() >= {"recall_at_1", "recall_at_5", "recall_at_10", "ndcg_at_10", "mrr"}
    assert (tmp_path / "out" / "grey.json").exists()
    words = ["report", str(tmp_path / "out"), "-o", str(tmp_path / "r"), "--cache", str(tmp_path / "c")]
    subprocess.run([*command[:3], *words], check=True)
    assert (tmp_path / "r" / "report.html").exists()


@pytest.mark.parametrize("verb", [("eval", "DIR"), ("experiment", "chart"), ("report", "OUT")])
def test_a_file_where_results_should_go_is_told_before_anything_is_computed(verb, tmp_path):
    place = tmp_path / "taken"
    place.write_text("words")
    told = CliRunner().invoke(typer.main.get_command(app), [*verb, "-o", str(place)])
    assert told.exit_code == 2
    assert "is a file" in told.output


@pytest.mark.parametrize("name", ["ocr-bm26", "unise-mini:vektor", "rapidocr-nothing", "./nowhere"])
def test_a_name_that_is_no_model_is_told_before_any_other_is_measured(name, tmp_path):
    with pytest.raises(ModelError, match=r"there is no model .* choose one of random, grey, ocr-bm25, rapidocr-bm25, text, unise-mini"):
        check_names(["random", name])
    check_names(["random", "unise-mini:vector", "text", "rapidocr-text", "bm25", "owner/model", str(tmp_path)])
    told = CliRunner().invoke(
        typer.main.get_command(app), ["eval", str(write_benchmark(tmp_path / "set")), "--model", "random", "--model", name]
    )
    assert isinstance(told.exception, ModelError)
    assert "random:" not in told.output


@pytest.mark.parametrize("words", [["eval", "DIR"], ["report", "."], ["experiment", "chart", "DIR"]])
def test_without_the_extra_it_is_named(words, tmp_path):
    code = "import sys\nsys.modules['ir_measures'] = None\nfrom visir.cli.main import main\nmain()"
    told = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 2
    assert "visir[eval]" in told.stderr
    assert "Traceback" not in told.stderr


def test_results_that_are_not_there_are_told(tmp_path):
    told = CliRunner().invoke(typer.main.get_command(app), ["report", str(tmp_path / "nowhere")])
    assert isinstance(told.exception, BenchmarkError)
    assert "there is no" in str(told.exception)


def test_the_cache_keeps_what_was_computed_before_a_failure(tmp_path):
    cache = Cache(tmp_path / "c.sqlite")
    keys = [key_of(str(number)) for number in (0, 1, 2, 0, 3)]

    def failing(positions):
        if 2 in positions:
            raise KeyboardInterrupt
        return [b"value %d" % position for position in positions]

    with pytest.raises(KeyboardInterrupt):
        cache.through(keys, failing, batch=2)
    asked = []

    def honest(positions):
        asked.extend(positions)
        return [b"value %d" % position for position in positions]

    assert cache.through(keys, honest, batch=2) == [b"value 0", b"value 1", b"value 2", b"value 0", b"value 4"]
    assert asked == [2, 4]
