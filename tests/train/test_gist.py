"""What pages look like as a whole is learnt from pairs, and ships beside the reader."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from vira_sets import write_set

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot, Word
from visir.train.gist import learn_gist
from visir.train.sources import open_source
from visir.unise.embedder import WEIGHTS, load_embedder
from visir.unise.mini_onnx import MiniEmbedder

KINDS = ["bars", "waves", "table"]


def draw(kind, number):
    """A picture of a kind, with a word on it that says nothing of the kind."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (320, 256), "white")
    paper = ImageDraw.Draw(image)
    paper.text((120, 4), f"figure {number}", fill="black", font=ImageFont.load_default(14))
    if kind == "bars":
        for x in range(20, 300, 40):
            paper.rectangle((x, int(rng.integers(60, 200)), x + 24, 240), fill="#3366aa")
    elif kind == "waves":
        for x in range(0, 300, 4):
            y = 140 + 60 * np.sin(x / 30 + rng.random())
            paper.line((x, y, x + 5, y + 5), fill="#aa3333", width=3)
    else:
        for y in range(40, 250, 22):
            paper.line((10, y, 310, y), fill="black")
        for x in range(10, 320, 60):
            paper.line((x, 40, x, 246), fill="black")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    pages = [draw(KINDS[number % 3], number) for number in range(150)]
    return write_set(tmp_path_factory.mktemp("vira") / "drawn", pages, (320, 256), [KINDS[n % 3] for n in range(150)], ("label",))


@pytest.fixture
def shipped(tmp_path):
    """The weights that ship, without gists."""
    folder = tmp_path / "unise-mini"
    shutil.copytree(WEIGHTS / "unise-mini", folder)
    (folder / "gist.npz").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config.pop("gist", None)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_looks_of_pages_find_the_names_of_their_kinds(data, shipped):
    before = load_embedder(str(shipped))
    [(kind, (without, with_it))] = learn_gist(str(data), shipped).items()
    assert kind == "label"
    assert with_it > without
    after = load_embedder(str(shipped))
    assert after.revision != before.revision
    pages = [Screenshot(draw(KINDS[number % 3], 1000 + number)) for number in range(60)]
    said = after.encode_document(KINDS)
    for model, right in ((before, range(40)), (after, range(54, 61))):
        found = (model.encode_query([Query("", page) for page in pages]) @ said.T).argmax(1)
        assert int((found == np.arange(60) % 3).sum()) in right
    # A page whose source tells its words is looked at too; a text that stands for a page has no looks.
    told = [Screenshot(page.encoded, words=(Word("figure", (0.4, 0.0, 0.5, 0.1)),), text="figure") for page in pages]
    assert ((after.encode_document(told) @ said.T).argmax(1) == np.arange(60) % 3).sum() >= 40
    np.testing.assert_array_equal(after.encode_document(["figure"]), before.encode_document(["figure"]))


def test_of_a_large_set_so_many_pairs_are_looked_at(data, shipped, monkeypatch):
    looked, parts_of = [], MiniEmbedder.parts_of
    monkeypatch.setattr(MiniEmbedder, "parts_of", lambda self, page: looked.append(page) or parts_of(self, page))
    assert list(learn_gist(str(data), shipped, most=40)) == ["label"]
    held = len(open_source(str(data), "held")[0].pairs)
    assert len(looked) == 40 + min(held, 8)
    assert json.loads((shipped / "config.json").read_text())["gist_made_by"]["most"] == 40


def test_a_glance_and_a_look_see_the_same_gist(shipped):
    reader = load_embedder(str(shipped))._reader
    for size in ((320, 256), (1280, 1800), (64, 640)):
        image = Screenshot(draw("bars", 1)).image.resize(size)
        np.testing.assert_array_equal(reader.glance(image), reader.look(image).gist)


def test_gists_that_help_nothing_are_not_kept(shipped, tmp_path):
    pages = [draw("bars", number) for number in range(60)]
    place = write_set(tmp_path / "alike", pages, (320, 256), ["the same"] * 60, ("label",))
    with pytest.raises(ModelError, match="no better with them"):
        learn_gist(str(place), shipped)
    assert not (shipped / "gist.npz").exists()


def test_the_command_says_what_is_wrong_in_a_line(data, tmp_path):
    command = [sys.executable, "-m", "visir.train.gist", str(data), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{tmp_path}: holds no unise-mini, whose pages have gists: there is no tower.onnx"
