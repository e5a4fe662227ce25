import gzip
import zipfile

import msgpack
import numpy as np
import pytest

from visir.errors import ModelError
from visir.unise.letters import ALPHABET, SPACE
from visir.unise.words import fold_word
from visir.vira.practice import Pack, PageSpec, is_held_word, render_page
from visir.vira.practice.build_pack import collect_frequencies, write_pack
from visir.vira.practice.layouts import LAYOUTS

CLEAN = PageSpec(320, 320, 1.0, spoil=0.0)


@pytest.fixture(scope="module")
def pack(pack_path):
    return Pack.open(pack_path)


def test_a_page_depends_on_its_numbers_alone(pack):
    spec = PageSpec(192, 256)
    first = render_page(pack, spec, 3, 7)
    render_page(pack, spec, 3, 8)
    again = render_page(pack, spec, 3, 7)
    assert np.array_equal(first.image, again.image)
    assert first.words == again.words
    assert np.array_equal(first.boxes, again.boxes)
    other = render_page(pack, spec, 3, 9)
    assert other.words != first.words or not np.array_equal(other.image, first.image)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_box_holds_ink_and_every_letter_belongs_to_a_word(pack, layout):
    for number in range(4):
        page = render_page(pack, PageSpec(320, 352, 1.0, spoil=0.0, layout=layout), 5, number)
        assert page.image.shape == (320, 352, 3)
        assert len(page.words) == len(page.boxes)
        assert page.boxes.min(initial=0) >= 0
        assert page.boxes.max(initial=0) <= 1
        assert all(word == word.strip() and " " not in word for word in page.words)
        grey = page.image.astype(int).sum(2)
        for word, box in zip(page.words, page.boxes, strict=True):
            left, top, right, bottom = (box * [352, 320, 352, 320]).round().astype(int)
            patch = grey[max(0, top - 1) : bottom + 2, max(0, left - 1) : right + 2]
            assert np.ptp(patch) > 40, (word, box)
        assert (page.letters != SPACE).sum() == sum(letter in ALPHABET for word in page.words for letter in word)


def test_letters_lie_inside_their_words(pack):
    page = render_page(pack, CLEAN, 1, 1)
    at = 0
    for word, box in zip(page.words, page.boxes, strict=True):
        count = sum(letter in ALPHABET for letter in word)
        assert [ALPHABET[i - 1] for i in page.letters[at : at + count]] == [letter for letter in word if letter in ALPHABET]
        x, y = page.letter_at[at : at + count].T
        assert ((x >= box[0] - 1e-3) & (x <= box[2] + 1e-3) & (y >= box[1] - 1e-3) & (y <= box[3] + 1e-3)).all()
        at += count


def test_gaps_lie_between_two_words_of_a_line(pack):
    page = render_page(pack, PageSpec(320, 320, 1.0, spoil=0.0, layout="article"), 1, 1)
    gaps = page.letter_at[page.letters == SPACE]
    assert len(gaps) > 20
    for x, y in gaps:
        on_line = page.boxes[np.abs((page.boxes[:, 1] + page.boxes[:, 3]) / 2 - y) < 1e-3]
        assert not ((on_line[:, 0] < x) & (on_line[:, 2] > x)).any()
        assert (on_line[:, 2] <= x).any()
        assert (on_line[:, 0] >= x).any()


def test_words_kept_for_the_examination_are_never_shown_in_training(pack_path):
    pack = Pack.open(pack_path, "train")
    shown = {fold_word(word) for number in range(40) for word in render_page(pack, CLEAN, 2, number).words}
    assert len(shown) > 50
    # What a table or a chart makes up (labels joined with numbers) is no word of any list.
    assert not {word for word in shown if is_held_word(word) and word.isalpha()}


def test_splits_share_neither_fonts_nor_paragraphs(pack_path):
    train, held = Pack.open(pack_path, "train"), Pack.open(pack_path, "held")
    assert not {font.family for font in train.fonts} & {font.family for font in held.fonts}
    assert held.fonts
    assert not set(train.texts["en"]) & set(held.texts["en"])
    assert len(train.texts["en"]) + len(held.texts["en"]) == 300


def test_the_curriculum_begins_with_large_type(pack):
    def height(level):
        pages = [render_page(pack, PageSpec(320, 320, level, layout="article"), 4, i) for i in range(30)]
        return np.median(np.concatenate([page.boxes[:, 3] - page.boxes[:, 1] for page in pages]))

    assert height(0.0) > 1.4 * height(1.0)


def test_a_missing_pack_says_how_to_build_one(tmp_path):
    with pytest.raises(ModelError, match="build_pack"):
        Pack.open(tmp_path / "none.zip")


def test_a_damaged_pack_is_told_in_one_line(pack_path, tmp_path):
    cut = tmp_path / "cut.zip"
    cut.write_bytes(pack_path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged"):
        Pack.open(cut)


def test_a_pack_of_an_earlier_visir_is_told_in_one_line(pack_path, tmp_path):
    earlier = tmp_path / "earlier.zip"
    with zipfile.ZipFile(pack_path) as whole, zipfile.ZipFile(earlier, "w") as archive:
        for name in whole.namelist():
            if not name.startswith("shares/"):
                archive.writestr(name, whole.read(name))
    with pytest.raises(ModelError, match="build it anew"):
        Pack.open(earlier)


def test_how_often_words_are_written_is_packed(tmp_path):
    def write(name, *lists):
        (tmp_path / name).write_bytes(gzip.compress(msgpack.packb([{"format": "cB", "version": 1}, *lists])))

    write("large_en.msgpack.gz", [], *[[]] * 199, ["thank", "3d", "日本"], *[[]] * 299, ["invoice"], *[[]] * 299, ["zyzzyva"])
    write("small_en.msgpack.gz", ["never"])
    write("small_da.msgpack.gz", *[[]] * 100, ["købmand"])
    shares = collect_frequencies(tmp_path)
    assert shares["en"] == pytest.approx({"thank": 0.01, "invoice": 1e-5})
    assert shares["da"] == pytest.approx({"købmand": 0.1})
    assert shares["fr"] == {}
    write_pack(tmp_path / "pack.zip", {"en": [("A title", "Some text.")]}, {}, [], shares=shares)
    assert Pack.open(tmp_path / "pack.zip").shares["en"] == pytest.approx(shares["en"])


def test_common_words_are_written_on_pages(pack_path):
    pack = Pack.open(pack_path)
    pack.shares["en"] = dict.fromkeys(["invoice", "dashboard", "tomato"], 1e-4)
    words = {fold_word(word) for number in range(20) for word in render_page(pack, PageSpec(320, 320, layout="panel"), 5, number).words}
    assert {"invoice", "dashboard", "tomato"} <= words
