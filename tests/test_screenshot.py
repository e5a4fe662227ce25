import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visir.screenshot import LONG_SIDE, Screenshot, clean_text, encode_image, flatten, lay_out

boxes = st.tuples(*[st.floats(-0.5, 1.5)] * 4)


@given(st.lists(st.lists(st.tuples(st.text(), boxes), max_size=5), max_size=5))
def test_the_texts_words_are_the_words_and_lie_on_the_page(lines):
    text, words = lay_out(lines)
    assert text.split() == [word.text for word in words]
    for word in words:
        left, top, right, bottom = word.box
        assert 0 <= left <= right <= 1
        assert 0 <= top <= bottom <= 1


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text):
    assert clean_text(clean_text(text)) == clean_text(text)


def test_words_of_a_piece_share_its_width():
    _, words = lay_out([[("ab cd", (0.0, 0.0, 0.4, 0.1))]])
    assert [word.box[0] for word in words] == [0.0, 0.2]


def test_unspaced_scripts_are_split_into_characters_and_ligatures_resolved():
    assert clean_text("ﬁne 日本語\u00ad") == "fine 日 本 語"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
def test_every_mode_of_picture_becomes_rgb(mode):
    image = Image.new(mode, (30, 20))
    assert flatten(image).mode == "RGB"


def test_transparent_is_white_and_sixteen_bits_are_scaled():
    assert flatten(Image.new("RGBA", (2, 2), (0, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
    deep = Image.fromarray(np.array([[0, 65535]], np.uint16))
    assert flatten(deep).getpixel((1, 0)) == (255, 255, 255)


def test_pictures_are_kept_no_larger_than_a_page_and_not_enlarged():
    large = Image.open(io.BytesIO(encode_image(Image.new("RGB", (4000, 1000)))))
    assert large.size == (LONG_SIDE, 320)
    assert Image.open(io.BytesIO(encode_image(Image.new("RGB", (40, 10))))).size == (40, 10)


def test_digest_tells_pictures_and_words_apart():
    image = Image.new("RGB", (8, 8))
    one, same = Screenshot.from_image(image, text="a"), Screenshot.from_image(image, text="a", uri="elsewhere", page=3)
    assert one.digest == same.digest
    assert one.digest != Screenshot.from_image(image, text="b").digest
    assert one.digest != Screenshot.from_image(Image.new("RGB", (8, 8), "red"), text="a").digest
