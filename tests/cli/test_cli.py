import json
import os
import re
import subprocess
import sys
import time

import pytest
from documents import write_pdf
from PIL import Image


@pytest.fixture
def visir(tmp_path):
    """Run the command in a process of its own."""

    def run(*words, **choices):
        environment = {**os.environ, "VISIR_INDEX": str(tmp_path / "index")}
        return subprocess.run(
            [sys.executable, "-m", "visir.cli.main", *map(str, words)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            **choices,
        )

    return run


def test_help_comes_within_a_second_and_names_every_verb():
    started = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "visir.cli.main", "--help"], capture_output=True, text=True, check=True
    )
    assert time.monotonic() - started < 5  # the bound that counts is in benchmarks/; this only catches a heavy import
    for verb in ("ask", "capture", "index", "rebuild", "remove", "search", "status", "watch"):
        assert f"\n  {verb} " in told.stdout
    for heavy in ("lancedb", "onnxruntime", "torch", "playwright"):
        assert f" {heavy}\n" not in told.stderr


def test_index_search_status_remove(visir, library):
    indexed = visir("index", library)
    assert indexed.returncode == 0
    assert indexed.stdout == ""
    assert indexed.stderr.splitlines()[-1].startswith("indexed 3 · unchanged 0 · removed 0 · failed 0 · 5 pages in ")
    found = visir("search", "annual", "rainfall", "-k", 1)
    assert found.stdout.splitlines()[0].endswith(f"{library}/rainfall.pdf  page 1")
    [hit] = json.loads(visir("search", "annual rainfall", "-k", 1, "--json").stdout)
    assert (hit["page"], hit["snippet"][:15]) == (1, "Annual rainfall")
    status = json.loads(visir("status", "--json").stdout)
    assert (status["documents"], status["pages"], status["by_type"]) == (3, 5, {"pdf": 3})
    removed = visir("remove", library / "bread.pdf").stderr.splitlines()
    assert removed[0] == "removed 1"
    assert removed[1].startswith(f"{library}/bread.pdf lies in {library}, which is kept up to date")
    assert "holds      3 pages of 2 documents (2 pdf)" in visir("status").stdout


def test_the_default_verb_indexes_what_changed_then_answers_from_that_path_alone(visir, library, tmp_path):
    write_pdf(tmp_path / "other" / "rain.pdf", ["Annual rainfall elsewhere"])
    visir("index", tmp_path / "other")
    found = visir(library, "annual rainfall", "--json")
    assert found.returncode == 0
    assert "indexed 3" in found.stderr
    assert {hit["uri"].rpartition("/")[0] for hit in json.loads(found.stdout)} == {str(library)}


def test_pictures_of_hits_are_saved_with_their_words_marked(visir, library, tmp_path):
    visir("index", library)
    visir("search", "sourdough", "-k", 1, "-o", tmp_path / "hits")
    [picture] = (tmp_path / "hits").iterdir()
    with Image.open(picture) as page:
        colours = {colour for _, colour in page.convert("RGB").getcolors(1 << 24)}
    assert picture.name == "01-bread-1.png"
    assert any(red > 240 and green > 200 and blue < 120 for red, green, blue in colours)


def test_a_picture_queries_too(visir, library, tmp_path):
    visir("index", library)
    query = write_pdf(tmp_path / "q.pdf", ["The Sicilian defence\nBlack answers"])
    [hit] = json.loads(visir("search", "--image", query, "-k", 1, "--json").stdout)
    assert hit["uri"].endswith("chess.pdf")


def test_failures_are_one_line_each_and_the_exit_code_is_1(visir, library):
    (library / "broken.pdf").write_bytes(b"%PDF- nothing")
    told = visir("index", library)
    assert told.returncode == 1
    assert [line for line in told.stderr.splitlines() if line.startswith("failed:")] == [
        f"failed: {library}/broken.pdf: is damaged or has no pages: download it again, or open it in a PDF reader and save it anew"
    ]
    assert f"failed     {library}/broken.pdf: is damaged" in visir("status").stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["search", "x"], "there is no index in"),
        (["index", "/no/such/place"], "does not exist"),
        (["index", "--model", "nonsense", "."], "there is no model 'nonsense'"),
        (["search", "-k", "0", "x"], "-k"),
        (["nonsense"], "nonsense"),
        (["serch", "rain"], "Did you mean 'search'"),
        (["no-such-folder", "rain"], "no-such-folder does not exist"),
        (["watch", "/no/such/place"], "does not exist"),
        (["serve", "/no/such/place", "--port", "0"], "does not exist"),
        (["."], "nothing to look for"),
        (["ask", "."], "nothing to look for"),
        (["status", "--index", "/dev/null/x"], "there is no index in"),
        (["index", ".", "--index", "/dev/null/x"], "no index can be kept in"),
        (["capture", "/etc/passwd", "-o", "/dev/null/x"], "visir: /dev/null/x: Not a directory"),
        (["train", "unise-mini-tiny", "-o", "/dev/null/x"], "no run can be kept in /dev/null/x"),
        (["train", "/bin/sh", "-o", "run"], "not a recipe"),
    ],
)
def test_misuse_is_told_in_a_line_and_exits_with_2(visir, tmp_path, words, reason):
    told = visir(*words)
    assert told.returncode == 2
    assert reason in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
    assert not (tmp_path / "index").exists()


def test_the_version_is_told(visir):
    assert re.fullmatch(r"visir \d+\.\d+\S* \(\S+\)\n", visir("--version").stdout)


def test_an_empty_query_and_a_bad_filter_exit_with_2(visir, library):
    visir("index", library)
    assert "the query is empty" in visir("search", "").stderr
    told = visir("search", "x", "--where", "colour = 3")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)


def test_a_query_comes_from_standard_input_and_nothing_found_is_said(visir, library):
    visir("index", library)
    assert "chess.pdf" in visir("search", "-", "-k", 1, input="sicilian defence").stdout
    told = visir("search", "zzgrmbl", "--min-score", 50)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "nothing found\n")


def test_a_closed_pipe_is_no_traceback(library, tmp_path, visir):
    visir("index", library)
    command = f"{sys.executable} -m visir.cli.main search rain --json --index {tmp_path}/index | head -c 1"
    told = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert told.stderr == ""


def test_capture_writes_pictures_with_their_words(visir, library, tmp_path):
    told = visir("capture", library / "bread.pdf", library / "missing.pdf", "-o", tmp_path / "shots")
    assert told.returncode == 1
    assert told.stdout.splitlines() == [f"{tmp_path}/shots/bread-0001.jpg", f"{tmp_path}/shots/bread-0002.jpg"]
    facts = json.loads((tmp_path / "shots" / "bread-0002.json").read_text())
    assert facts["text"].startswith("Baking")
    assert facts["words"][0]["text"] == "Baking"
    assert "captured 2 pages of 1 source · failed 1" in told.stderr


def test_watch_follows_changes_until_it_is_stopped(library, tmp_path):
    command = [sys.executable, "-m", "visir.cli.main", "watch", str(library), "--index", str(tmp_path / "index")]
    watching = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = iter(watching.stderr.readline, "")
    assert any("indexed 3" in line for line in lines)
    assert any(f"watching {library}; " in line for line in lines)
    write_pdf(library / "new.pdf", ["freshly written"])
    assert any("indexed 1 · unchanged 3" in line for line in lines)
    # Away for a moment, then back.
    library.rename(library.with_name("away"))
    assert any("is not there" in line for line in lines)
    library.with_name("away").rename(library)
    write_pdf(library / "newer.pdf", ["written after that"])
    assert any("indexed 1 · unchanged 4" in line for line in lines)
    watching.terminate()
    rest = "".join(lines)
    assert "interrupted" in rest
    assert "KeyboardInterrupt" not in rest
    assert watching.wait(30) == 130
    watching.stderr.close()


def test_watch_does_not_wake_itself_where_the_index_lies_in_the_folder(library):
    command = [sys.executable, "-m", "visir.cli.main", "watch", str(library), "--index", str(library / "index")]
    watching = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = iter(watching.stderr.readline, "")
    assert any("watching" in line for line in lines)
    write_pdf(library / "new.pdf", ["freshly written"])
    assert any("indexed 1 · unchanged 3" in line for line in lines)
    time.sleep(4)
    watching.terminate()
    assert "indexed" not in "".join(lines)
    watching.wait(30)
    watching.stderr.close()


def test_a_file_with_any_name_is_indexed_and_printed_on_one_line(visir, library):
    odd = os.fsdecode(b"od\xff d\n'name.pdf")
    (library / "chess.pdf").rename(library / odd)
    assert visir("index", library).returncode == 0
    told = visir("search", "sicilian defence", "-k", 1)
    assert "od%FF%20d%0A%27name.pdf" in told.stdout.splitlines()[0]
    (library / odd).unlink()
    assert "removed 1" in visir("index", library).stderr
