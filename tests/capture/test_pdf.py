from pathlib import Path

import numpy as np
import pytest
from documents import write_pdf

from visir.capture.options import CaptureOptions
from visir.capture.pdf import render
from visir.errors import CaptureError


def pages(path: Path, **options):
    return list(render(path, CaptureOptions(**options)))


def test_pages_have_picture_text_words_title_and_date(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ["Hello wide world\nsecond line", "Page two"], title="The Title")
    first, second = pages(path)
    assert (first.page, first.title, first.date, first.uri) == (1, "The Title", "2024-01-31", str(path))
    assert first.text == "Hello wide world\nsecond line"
    assert [word.text for word in first.words] == first.text.split()
    assert second.text == "Page two"
    assert max(first.image.size) == 1280


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_ink_lies_in_the_word_boxes_however_the_page_is_turned(tmp_path, rotate):
    [shot] = pages(write_pdf(tmp_path / "a.pdf", ["Hello wide world"], rotate=rotate))
    dark = np.asarray(shot.image.convert("L")) < 128
    height, width = dark.shape
    inside = np.zeros_like(dark)
    for word in shot.words:
        left, top, right, bottom = word.box
        area = (slice(int(top * height), int(bottom * height) + 1), slice(int(left * width), int(right * width) + 1))
        assert dark[area].any(), word
        inside[area] = True
    assert not (dark & ~inside).any()


def test_a_page_without_title_takes_its_largest_words(tmp_path):
    [shot] = pages(write_pdf(tmp_path / "a.pdf", ["Report on tides"], title="Microsoft Word - tides.doc"))
    assert shot.title == "Report on tides"


def test_an_empty_page_takes_the_files_name(tmp_path):
    [shot] = pages(write_pdf(tmp_path / "nothing.pdf", [""]))
    assert (shot.title, shot.text, shot.words) == ("nothing", "", ())


def test_pages_are_cut_off_at_the_limit(tmp_path):
    assert len(pages(write_pdf(tmp_path / "a.pdf", ["x"] * 5), max_pages=3)) == 3


def test_a_damaged_file_is_one_error(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.4\nnothing more")
    with pytest.raises(CaptureError, match="damaged"):
        pages(path)
