import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import write_pdf
from vira.conftest import NAMES, SAMPLES

from visir.index import Index
from visir.screenshot import Screenshot, Word
from visir.vira.build import build
from visir.vira.collection import asked_and_answered, headings
from visir.vira.config import Config, read_config
from visir.vira.dataset import Dataset


@pytest.fixture(scope="module")
def made(index, tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    return folder, build(folder, Config(from_index=index, corpora=folder / "corpora"), lambda _: None)


def test_the_pages_of_an_index_become_a_set_and_nothing_is_fetched(made, index):
    folder, counts = made
    data, status = Dataset(folder), Index.open(index, create=False).status()
    assert counts["collection: kept"] == len(data.images) == status.pages == 8
    stored = {path.read_bytes() for path in index.glob("pictures/*/*/*.jpg")}
    assert {data.picture(image) for image in data.images} == stored
    for kind in ("caption", "q2s", "sq2s"):
        for row in data.rows(kind):
            assert row.target in data
            assert row.negatives
            assert all(image in data for image in row.negatives)
            assert row.document == str(SAMPLES / Path(row.document).name)
    assert not (folder / "corpora").exists()


def test_titles_headings_captions_and_sentences_are_what_is_asked(made):
    data = Dataset(made[0])
    asked = {row.text: data.screenshot(row.target) for row in data.rows("q2s")}
    captions = {row.text: data.screenshot(row.target) for row in data.rows("caption")}
    assert asked["Where the water goes (Ostermere Water Works: Annual Report 2023)"].uri == f"{SAMPLES / NAMES[0]}#3"
    assert asked["Auberge du Lac : menu de la Saint-Martin"].title == "Auberge du Lac : menu de la Saint-Martin"
    assert "Broods in all boxes by year; the shaded part faced north or east." in captions
    for text, shot in captions.items():
        assert text in " ".join(shot.text.replace("-\n", "").split())
        assert len(shot.words) == len(shot.text.split())
    page = data.screenshot(next(row for row in data.rows("sq2s") if row.document.endswith(NAMES[0])).target)
    assert "#" in page.uri


def test_the_card_says_that_private_documents_have_no_licence(made):
    card = (made[0] / "README.md").read_text()
    assert "| collection | 8 | 0 | 5 | the pages of an index, as they are | none known: private documents;" in card
    assert "rows/caption-*" in card
    assert "rows/label-*" not in card


def test_training_reads_the_set(made):
    pytest.importorskip("torch")
    from visir.train.sources import KINDS, is_held, open_source

    pairs = [(pair, source) for source in open_source(str(made[0]), "train") for pair in source.pairs]
    data = Dataset(made[0])
    # Which documents are held out follows from their paths, and so from where this repository lies.
    assert len(pairs) == sum(not is_held(row.document) for kind in KINDS for row in data.rows(kind)) > 0
    for pair, source in pairs:
        assert source.images[pair.document][:2] == b"\xff\xd8"
        assert all(source.images[image] for image in pair.negatives)


def test_a_set_follows_its_index(tmp_path):
    config = Config(from_index=tmp_path / "index", batch=2, negatives=3)
    told = "The {0} of the town\nEvery spring the {0} comes back to the bridge, and the children of the town count how many there are."
    files = [write_pdf(tmp_path / f"{animal}.pdf", [told.format(animal)] * 2, animal) for animal in ("heron", "otter", "crane", "newt")]
    for page in range(4):
        write_pdf(files[page], [told.format(files[page].stem) + f"\nPage {number} says {number * 17 + page}." for number in (1, 2)])
    with Index.open(tmp_path / "index", "text") as index:
        index.add(*files[:3])
        build(tmp_path / "set", config, lambda _: None)
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set" / "images").glob("*")}
        index.add(files[3])
        build(tmp_path / "set", config, lambda _: None)
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "set" / "images").glob("*")}
        assert before.items() < after.items()
        index.remove(files[0])
        build(tmp_path / "set", config, lambda _: None)
    data = Dataset(tmp_path / "set")
    rows = [row for kind in ("caption", "q2s", "sq2s") for row in data.rows(kind)]
    assert {Path(row.document).stem for row in rows} == {"otter", "crane", "newt"}
    assert all(image in data for row in rows for image in (row.target, *row.negatives))


def run(*words, **environment):
    command = [sys.executable, "-m", "visir.cli.main", "vira", "build", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


def test_the_command_takes_the_index_that_the_other_verbs_take(index, made, tmp_path):
    told = run("--from-index", "-o", tmp_path / "set", VISIR_INDEX=str(index))
    assert told.returncode == 0, told.stderr
    assert list(Dataset(tmp_path / "set").rows("q2s")) == list(Dataset(made[0]).rows("q2s"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(("--from-index", "--index", "/nowhere", "-o", "set"), 2, "there is no index in /nowhere"), (("-o", "set"), 2, "--from-index")],
)
def test_a_missing_index_or_recipe_is_one_line(words, code, said):
    told = run(*words)
    assert told.returncode == code
    assert said in told.stderr.splitlines()[-1]


def test_a_recipe_may_name_an_index_instead_of_domains(tmp_path):
    (tmp_path / "mine.toml").write_text('from_index = "~/documents"\nquestions = 2\n')
    config = read_config(tmp_path / "mine.toml")
    assert (config.from_index, config.questions, config.names) == (Path.home() / "documents", 2, ["collection"])
    (tmp_path / "both.toml").write_text("[domains]\ncharts = 5\n")
    assert read_config(tmp_path / "both.toml", tmp_path).names == ["charts", "collection"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "How do I reset the meter?\nHold the red button for ten seconds. Then let it go.",
            [("How do I reset the meter?", "Hold the red button for ten seconds.")],
        ),
        ("Wozu dient der Knopf an der\nUnterseite des Geräts?\nfoo", [("Wozu dient der Knopf an der Unterseite des Geräts?", "")]),
        ("It leaks. Who will pay for the repair? We do not know yet.", [("Who will pay for the repair?", "")]),
        ("Really? Why?", []),
        ("Then look whether the argument is not ? or whether it is \\?", []),
        (
            "How can I turn it off?\nHow can I turn it on again before the week is over ? There are two ways.",
            [("How can I turn it off?", "")],
        ),
        ("¿Cómo se abre la puerta trasera?", [("¿Cómo se abre la puerta trasera?", "")]),
    ],
)
def test_questions_in_a_text_are_found_with_their_answers(text, found):
    assert asked_and_answered(text) == found


def test_headings_are_lines_in_larger_type_and_may_go_on():
    lines = [
        ("North or South? A Choice of", 0.03),
        ("Nest Boxes", 0.03),
        ("We hung boxes under the eaves of the old", 0.015),
        ("town hall", 0.015),
    ]
    words = [Word(word, (0.1, 0.1 * top, 0.2, 0.1 * top + height)) for top, (line, height) in enumerate(lines) for word in line.split()]
    shot = Screenshot(b"", text="\n".join(line for line, _ in lines), words=tuple(words))
    assert headings(shot) == ["North or South? A Choice of Nest Boxes"]
