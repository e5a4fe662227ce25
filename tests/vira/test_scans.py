import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from visir.screenshot import Screenshot, Word
from visir.vira.page import Page
from visir.vira.scans import scan, scanned

SIZE = (640, 896)


def page_of_bars(uri):
    """A white page with black bars for words, and their boxes."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    words = []
    for row in range(60, 840, 40):
        for column in range(40, 560, 90):
            draw.rectangle((column, row, column + 59, row + 11), fill="black")
            words.append(Word("bar", (column / SIZE[0], row / SIZE[1], (column + 60) / SIZE[0], (row + 12) / SIZE[1])))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Screenshot(buffer.getvalue(), uri, 1, "", "bar " * len(words), tuple(words))


@pytest.mark.parametrize("number", range(12))
def test_boxes_lie_on_their_words_after_a_scan(number):
    before = page_of_bars(f"page {number}")
    after = scan(before)
    grey = np.asarray(after.image.convert("L"), float)
    assert after.image.size == SIZE
    assert [word.text for word in after.words] == [word.text for word in before.words]
    covered = np.zeros_like(grey, bool)
    for word in after.words:
        left, top, right, bottom = (round(side * length) for side, length in zip(word.box, SIZE * 2, strict=True))
        inside = grey[top:bottom, left:right]
        # An upright box around a bar of 60 x 12 that is turned by 2.5 degrees at most is black on four fifths of its area.
        assert (inside < 128).mean() > 0.6
        covered[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = True
    # Nearly no ink lies outside the boxes: specks, streaks and the valley of a book are all that may.
    ink = grey < 90
    assert (ink & covered).sum() > 0.9 * ink.sum()


def test_the_same_page_gives_the_same_scan():
    assert scan(page_of_bars("a")).encoded == scan(page_of_bars("a")).encoded
    assert scan(page_of_bars("a")).encoded != scan(page_of_bars("b")).encoded


def test_the_share_of_scans_is_kept_and_grows_page_by_page():
    pages = [Page(page_of_bars(f"page {number}"), "products", "d") for number in range(60)]
    few = {page.key for page in pages if scanned(page, 0.2)}
    more = {page.key for page in pages if scanned(page, 0.5)}
    assert few < more
    assert 5 <= len(few) <= 20
    assert not any(scanned(page, 0.0) for page in pages)


def test_a_scanned_page_has_a_picture_id_of_its_own():
    page = Page(page_of_bars("a"), "products", "d")
    assert scanned(page, 1.0).image_id != page.image_id
