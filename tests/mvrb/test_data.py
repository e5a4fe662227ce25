import json

import pytest
from make import SUBJECTS, write_benchmark

from visir.errors import BenchmarkError
from visir.mvrb.data import Benchmark
from visir.mvrb.tasks import TASKS, meta_task_of


def test_the_table_has_the_papers_counts():
    assert [sum(task.meta == meta for task in TASKS) for meta in ("SR", "CSR", "SQA", "OVC")] == [7, 4, 5, 4]
    assert len({(task.meta, task.name) for task in TASKS}) == 20


@pytest.mark.parametrize("zipped", [True, False])
def test_tasks_kinds_and_targets_are_found_from_the_data(tmp_path, zipped):
    benchmark = Benchmark(write_benchmark(tmp_path, zipped))
    found = {name: benchmark.task(name) for name in benchmark.names}
    assert {task.meta: (task.query_kind, task.candidate_kind) for task in found.values()} == {
        "SR": ("text", "image"),
        "CSR": ("image+text", "image"),
        "SQA": ("image+text", "text"),
        "OVC": ("image", "text"),
    }
    for task in found.values():
        assert task.targets == [frozenset({number}) for number in range(len(SUBJECTS))]
    assert found["Screenshot_Retrieval/document"].candidates[0].document().image.size == (640, 480)


def test_unknown_folders_are_known_by_their_shape():
    assert meta_task_of("Whatever", "image", "text") == "OVC"
    assert meta_task_of("screenshot-retrieval", "text", "image") == "SR"
    assert meta_task_of("Whatever", "text", "text") == "other"


def test_patterns_choose_tasks_and_a_wrong_one_is_told(folder):
    benchmark = Benchmark(folder)
    assert benchmark.chosen(["wiki"]) == ["Screenshot_QA/wiki-qa"]
    with pytest.raises(BenchmarkError, match="no task is named 'nonsense'"):
        benchmark.chosen(["nonsense"])


@pytest.mark.parametrize(
    ("file", "line", "reason"),
    [
        ("query.jsonl", '{"q_text": "x", "target": 0', r"query\.jsonl:2: not a line of JSON"),
        ("query.jsonl", '["x"]', r"query\.jsonl:2: not a JSON object"),
        ("query.jsonl", '{"q_text": "", "q_image": "", "target": 0}', r"query\.jsonl:2: neither a text nor a picture"),
        ("query.jsonl", '{"q_text": "x", "target": 99}', r"query\.jsonl:2: target 99 is no row number, picture or content"),
        ("query.jsonl", '{"q_text": "x", "target": []}', r"query\.jsonl:2: target"),
        ("corpus.jsonl", '{"text": ""}', r"corpus\.jsonl:2: neither a text nor a picture"),
    ],
)
def test_a_broken_line_is_named(tmp_path, file, line, reason):
    place = write_benchmark(tmp_path) / "Screenshot_Retrieval/document"
    rows = (place / file).read_text().splitlines()
    rows[1] = line
    (place / file).write_text("\n".join(rows))
    with pytest.raises(BenchmarkError, match=reason):
        Benchmark(tmp_path).task("Screenshot_Retrieval/document")


def test_a_missing_picture_is_named_with_its_line(tmp_path):
    place = write_benchmark(tmp_path) / "Screenshot_Retrieval/document"
    rows = [json.loads(line) for line in (place / "corpus.jsonl").read_text().splitlines()]
    rows[2]["image"] = "../../../etc/passwd"
    (place / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = Benchmark(tmp_path).task("Screenshot_Retrieval/document")
    with pytest.raises(BenchmarkError, match=r"corpus\.jsonl:3: there is no picture"):
        task.candidates[2].screenshot()


def test_a_folder_without_tasks_and_a_damaged_zip_are_told(tmp_path):
    with pytest.raises(BenchmarkError, match="holds no tasks"):
        Benchmark(tmp_path)
    write_benchmark(tmp_path)
    (tmp_path / "Images.zip").write_bytes(b"nonsense")
    with pytest.raises(BenchmarkError, match="is damaged"):
        Benchmark(tmp_path).task("Screenshot_Retrieval/document").candidates[0].screenshot()
