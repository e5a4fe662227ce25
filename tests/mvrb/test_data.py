import io
import json
import random
import shutil
import zipfile

import pytest
from make import SUBJECTS, picture, write_benchmark
from PIL import Image

from visir.errors import BenchmarkError
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark
from visir.mvrb.evaluate import prepare
from visir.mvrb.tasks import TASKS, meta_task_of

DOCUMENTS, ANSWERS = "Screenshot_Retrieval/document", "Screenshot_QA/wiki-qa"
CSR, TOPICS = "Composed_Screenshot_Retrieval/knowledge", "Open_Vocab_Classification/topics"


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def rewrite(path, change):
    rows = rows_of(path)
    for number, row in enumerate(rows):
        change(number, row)
    write_rows(path, rows)


def test_the_table_has_the_papers_counts():
    assert [sum(task.meta == meta for task in TASKS) for meta in ("SR", "CSR", "SQA", "OVC")] == [7, 4, 5, 4]
    assert len({(task.meta, task.name) for task in TASKS}) == 20


@pytest.mark.parametrize("zipped", [True, False])
def test_tasks_kinds_and_targets_are_found_from_the_data(tmp_path, zipped):
    benchmark = Benchmark(write_benchmark(tmp_path, zipped))
    found = {task.name: task for task in prepare(benchmark, benchmark.names)}
    assert {task.meta: (task.query_kind, task.candidate_kind) for task in found.values()} == {
        "SR": ("text", "image"),
        "CSR": ("image+text", "image"),
        "SQA": ("image+text", "text"),
        "OVC": ("image", "text"),
    }
    for task in found.values():
        assert task.targets == [frozenset({number}) for number in range(len(SUBJECTS))]
    assert found[DOCUMENTS].candidates[0].document().image.size == (640, 480)


FORMS = ("row", "written row", "content", "id", "several")
OF_PICTURES = ("picture", "short picture", "long picture")


@pytest.mark.parametrize(
    ("place", "form"),
    [(place, form) for place in (DOCUMENTS, CSR) for form in FORMS + OF_PICTURES]
    + [(place, form) for place in (ANSWERS, TOPICS) for form in FORMS],
)
def test_every_form_of_target_means_the_same_in_every_meta_task(tmp_path, place, form):
    folder = write_benchmark(tmp_path)
    corpus = rows_of(folder / place / "corpus.jsonl")
    order = random.Random(7).sample(range(len(corpus)), len(corpus))
    shuffled = [{**corpus[old], "content": corpus[old]["content"] or corpus[old]["text"]} for old in order]
    for new, row in enumerate(shuffled):
        if form == "id":
            row["id"] = f"doc-{new:03}"
    write_rows(folder / place / "corpus.jsonl", shuffled)
    right = [order.index(number) for number in range(len(corpus))]
    picture_of = [row["image"] for row in corpus]
    forms = {
        "row": right,
        "written row": [str(number) for number in right],
        "content": [shuffled[number]["content"] for number in right],
        "picture": picture_of,
        "short picture": [str(name).split("/")[-1] for name in picture_of],
        "long picture": [f"data/Images/{name}" for name in picture_of],
        "id": [f"doc-{number:03}" for number in right],
        "several": [[number, (number + 1) % len(right)] for number in right],
    }
    rewrite(folder / place / "query.jsonl", lambda number, row: row.update(target=forms[form][number]))
    expected = [frozenset({number, (number + 1) % len(right)} if form == "several" else {number}) for number in right]
    assert Benchmark(folder).task(place).targets == expected


def test_answers_that_are_numbers_are_not_taken_for_row_numbers(tmp_path):
    folder = write_benchmark(tmp_path)
    write_rows(folder / ANSWERS / "corpus.jsonl", [{"text": str(number)} for number in (3, 0, 5, 1, 4, 2)])
    rewrite(folder / ANSWERS / "query.jsonl", lambda number, row: row.update(target=str(number)))
    assert Benchmark(folder).task(ANSWERS).targets == [frozenset({row}) for row in (1, 3, 5, 0, 4, 2)]


def test_a_written_row_number_beyond_all_bounds_is_told(tmp_path):
    folder = write_benchmark(tmp_path)
    rewrite(folder / DOCUMENTS / "query.jsonl", lambda number, row: row.update(target="9" * 5000 if number == 1 else str(number)))
    with pytest.raises(BenchmarkError, match=r"query\.jsonl:2: target"):
        Benchmark(folder).task(DOCUMENTS)


def test_answers_that_stand_twice_are_one_candidate(tmp_path):
    folder = write_benchmark(tmp_path)
    write_rows(folder / ANSWERS / "corpus.jsonl", [{"text": text} for text in ("no", "yes", "no", "maybe", "yes", "never")])
    rewrite(folder / ANSWERS / "query.jsonl", lambda number, row: row.update(target=number))
    task = Benchmark(folder).task(ANSWERS)
    assert [row.text for row in task.candidates] == ["no", "yes", "maybe", "never"]
    assert task.targets == [frozenset({row}) for row in (0, 1, 0, 2, 1, 3)]


def test_unknown_folders_are_known_by_their_shape():
    assert meta_task_of("Whatever", "image", "text") == "OVC"
    assert meta_task_of("screenshot-retrieval", "text", "image") == "SR"
    assert meta_task_of("Whatever", "text", "text") == "other"


def test_one_meta_task_or_one_task_alone_is_a_benchmark(folder):
    [name] = Benchmark(folder / "Screenshot_QA").names
    assert (name, Benchmark(folder / "Screenshot_QA").task(name).meta) == (ANSWERS, "SQA")
    [name] = Benchmark(folder / ANSWERS).names
    assert name.endswith("wiki-qa")


def test_patterns_choose_tasks_and_a_wrong_one_is_told(folder):
    benchmark = Benchmark(folder)
    assert benchmark.chosen(["wiki"]) == [ANSWERS]
    with pytest.raises(BenchmarkError, match="no task is named 'nonsense'"):
        benchmark.chosen(["nonsense"])


def test_a_whole_name_chooses_one_task(folder, tmp_path):
    for name in ("SR/help", "CSR/help-language"):
        shutil.copytree(folder / ANSWERS, tmp_path / name)
    benchmark = Benchmark(tmp_path)
    assert benchmark.chosen(["SR/help"]) == ["SR/help"]
    assert benchmark.chosen(["sr/help"]) == ["CSR/help-language", "SR/help"]


@pytest.mark.parametrize(
    ("file", "line", "reason"),
    [
        ("query.jsonl", b'{"q_text": "x", "target": 0', r"query\.jsonl:2: not a line of JSON"),
        ("query.jsonl", b'["x"]', r"query\.jsonl:2: not a JSON object"),
        ("query.jsonl", b'{"q_text": "\xff", "target": 0}', r"query\.jsonl:2: not UTF-8"),
        ("query.jsonl", b"[" * 100_000, r"query\.jsonl:2: not a line of JSON"),
        ("query.jsonl", b'{"q_text": "x", "target": ' + b"9" * 5000 + b"}", r"query\.jsonl:2: not a line of JSON"),
        ("query.jsonl", b'{"q_text": "x \\uD800", "target": 0}', r"query\.jsonl:2: holds half a character"),
        ("query.jsonl", b'{"q_text": "", "q_image": "", "target": 0}', r"query\.jsonl:2: neither a text nor a picture"),
        ("query.jsonl", b'{"q_text": "x", "target": 99}', r"query\.jsonl:2: target 99 is no row number \(0 to 5\)"),
        ("query.jsonl", b'{"q_text": "x", "target": -1}', r"query\.jsonl:2: target -1"),
        ("query.jsonl", b'{"q_text": "x", "target": true}', r"query\.jsonl:2: target true"),
        ("query.jsonl", b'{"q_text": "x"}', r"query\.jsonl:2: target null"),
        ("query.jsonl", b'{"q_text": "x", "target": []}', r"query\.jsonl:2: target"),
        ("query.jsonl", b'{"q_text": "x", "q_image": "no.png", "target": 1}', r"query\.jsonl:2: there is no picture 'no.png'"),
        ("corpus.jsonl", b'{"text": ""}', r"corpus\.jsonl:2: neither a text nor a picture"),
        ("corpus.jsonl", b'{"image": "pages/nothing.png"}', r"corpus\.jsonl:2: there is no picture"),
        ("corpus.jsonl", b'{"image": "charts/violin.png"}', r"corpus\.jsonl:2: there is no picture"),
        (
            "corpus.jsonl",
            b'{"image": "glacier.png"}',
            r"corpus\.jsonl:2: the picture 'glacier.png' may be Images/asked/.* or Images/pages/",
        ),
        ("corpus.jsonl", b'{"image": "../../../etc/passwd"}', r"corpus\.jsonl:2: .* leads out of the benchmark"),
        (
            "corpus.jsonl",
            b'{"image": "pages/violin.png"}',
            r"corpus\.jsonl:4: the picture 'pages/violin.png' stands in .*corpus\.jsonl:2 too",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path, file, line, reason):
    path = write_benchmark(tmp_path) / DOCUMENTS / file
    rows = path.read_bytes().splitlines()
    rows[1] = line
    path.write_bytes(b"\n".join(rows))
    with pytest.raises(BenchmarkError, match=reason):
        prepare(Benchmark(tmp_path), [DOCUMENTS])


@pytest.mark.parametrize("file", ["query.jsonl", "corpus.jsonl"])
def test_an_id_that_stands_twice_is_named(tmp_path, file):
    path = write_benchmark(tmp_path) / DOCUMENTS / file
    rewrite(path, lambda number, row: row.update(id="same" if number in (1, 4) else f"{number}"))
    with pytest.raises(BenchmarkError, match=rf"{file}:5: the id 'same' stands in .*{file}:2 too"):
        Benchmark(tmp_path).task(DOCUMENTS)


@pytest.mark.parametrize("file", ["query.jsonl", "corpus.jsonl"])
def test_an_empty_or_missing_file_is_named(tmp_path, file):
    path = write_benchmark(tmp_path) / DOCUMENTS / file
    path.write_text("\n")
    with pytest.raises(BenchmarkError, match=rf"{file} is empty"):
        Benchmark(tmp_path).task(DOCUMENTS)
    path.unlink()
    with pytest.raises(BenchmarkError, match=rf"has no {file} beside it"):
        Benchmark(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = write_benchmark(tmp_path) / DOCUMENTS / "corpus.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(BenchmarkError, match=r"corpus\.jsonl cannot be read"):
        Benchmark(tmp_path).task(DOCUMENTS)


def test_a_folder_without_tasks_and_no_folder_are_told(tmp_path):
    with pytest.raises(BenchmarkError, match="holds no tasks"):
        Benchmark(tmp_path)
    with pytest.raises(BenchmarkError, match="there is no folder"):
        Benchmark(tmp_path / "nowhere")


def test_a_zip_file_that_is_no_zip_file_is_told(tmp_path):
    write_benchmark(tmp_path)
    (tmp_path / "Images.zip").write_bytes(b"nonsense")
    with pytest.raises(BenchmarkError, match=r"Images\.zip is damaged"):
        prepare(Benchmark(tmp_path), [DOCUMENTS])


def test_a_corrupt_member_is_told_before_anything_is_computed(tmp_path):
    archive = write_benchmark(tmp_path) / "Images.zip"
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo("Images/pages/violin.png")
    raw = bytearray(archive.read_bytes())
    middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    raw[middle : middle + 20] = bytes(20)
    archive.write_bytes(raw)
    with pytest.raises(BenchmarkError, match=r"corpus\.jsonl:4: the picture Images/pages/violin.png of .*Images.zip cannot be read"):
        prepare(Benchmark(tmp_path), [DOCUMENTS])


@pytest.mark.parametrize("name", ["../outside.png", "Images/../../outside.png", "/etc/outside.png"])
def test_an_entry_that_leads_out_of_its_zip_file_is_told(tmp_path, name):
    with zipfile.ZipFile(write_benchmark(tmp_path) / "Images.zip", "a") as opened:
        opened.writestr(name, picture("harm"))
    with pytest.raises(BenchmarkError, match=r"Images\.zip: its entry .* leads out of the archive"):
        prepare(Benchmark(tmp_path), [DOCUMENTS])


@pytest.mark.parametrize("content", [b"words", b""])
def test_a_file_that_is_no_picture_is_told(tmp_path, content):
    (write_benchmark(tmp_path, zipped=False) / "Images/pages/violin.png").write_bytes(content)
    with pytest.raises(BenchmarkError, match=r"corpus\.jsonl:4: pages/violin.png is no picture that can be read: its format is unknown$"):
        prepare(Benchmark(tmp_path), [DOCUMENTS])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_half_a_picture_is_told_before_anything_is_computed(tmp_path, form):
    whole = io.BytesIO()
    Image.open(io.BytesIO(picture("half of this"))).save(whole, form)
    (write_benchmark(tmp_path, zipped=False) / "Images/pages/violin.png").write_bytes(whole.getvalue()[: len(whole.getvalue()) * 2 // 3])
    with pytest.raises(BenchmarkError, match=r"corpus\.jsonl:4: pages/violin.png is no picture that can be read"):
        prepare(Benchmark(tmp_path), [DOCUMENTS])


def test_pictures_beside_their_own_rows_come_first(tmp_path):
    folder = write_benchmark(tmp_path, zipped=False)
    for place, ground in ((DOCUMENTS, "red"), (CSR, "blue")):
        rewrite(folder / place / "corpus.jsonl", lambda number, row: row.update(image=f"{number}.png"))
        rewrite(folder / place / "query.jsonl", lambda number, row: row.update(target=number))
        for number in range(len(SUBJECTS)):
            (folder / place / f"{number}.png").write_bytes(picture(str(number), ground))
    tasks = prepare(Benchmark(folder), [DOCUMENTS, CSR])
    assert [task.candidates[0].screenshot().image.getpixel((0, 0)) for task in tasks] == [(255, 0, 0), (0, 0, 255)]


def test_a_later_run_reads_no_picture_again_unless_it_changed(tmp_path, cache_file):
    folder = write_benchmark(tmp_path, zipped=False)
    cache = Cache(cache_file)
    [task] = prepare(Benchmark(folder, cache), [DOCUMENTS])
    seen = cache.computed
    [again] = prepare(Benchmark(folder, cache), [DOCUMENTS])
    assert (cache.computed, again.digest) == (seen, task.digest)
    (folder / "Images/pages/violin.png").write_bytes(picture("another picture altogether"))
    [changed] = prepare(Benchmark(folder, cache), [DOCUMENTS])
    assert (cache.computed, changed.digest != task.digest) == (seen + 1, True)
    cache.close()


def test_doubtful_candidates_are_told(tmp_path):
    folder = write_benchmark(tmp_path, zipped=False)
    told = []
    prepare(Benchmark(folder), [CSR], told.append)
    assert told == []
    pages = folder / "Images/pages"
    (pages / "violin.png").write_bytes((pages / "orchard.png").read_bytes())
    rewrite(folder / CSR / "query.jsonl", lambda number, row: row.update(q_image="pages/glacier.png"))
    prepare(Benchmark(folder), [CSR], told.append)
    same, own = told
    assert "1 candidates show the same picture as another" in same
    assert "the pictures of 5 of 6 queries are candidates themselves, and wrong" in own
