import zipfile

import docx
import pytest
from documents import draw_png

from visir.capture import CaptureOptions, Worker
from visir.capture.kinds import kind_of_file
from visir.capture.ocr import find_tesseract
from visir.capture.office import _damaged_parts, _date
from visir.errors import MissingToolError

GIF = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.md", b"# PDF\n\nA file begins with %PDF-1.7 and ends with %%EOF.", "markdown"),
        ("a.html", b"<p>%PDF-1.4 is the mark", "web"),
        ("a.txt", b"GIF89a is a format of pictures", "text"),
        ("a.txt", b"%PDF-1.7\n%\xe2\xe3", "pdf"),
        ("a.txt", GIF, "image"),
        ("a.pdf", b"some bytes before %PDF-1.7", "pdf"),
        ("a.png", GIF, "image"),
        ("a.txt", b"BMW is a car", "text"),
    ],
)
def test_marks_that_are_letters_are_not_believed_in_a_text(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert kind_of_file(tmp_path / name) == kind


def test_the_date_of_a_damaged_office_file_is_unknown_and_nothing_worse(tmp_path):
    path = tmp_path / "a.docx"
    docx.Document().save(str(path))
    whole = path.read_bytes()
    assert _date(path)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("docProps/core.xml")
    start = member.header_offset + 30 + len(member.filename)
    path.write_bytes(whole[:start] + b"\xff" * 40 + whole[start + 40 :])
    assert _date(path) == ""
    # Bit 0 of a member's flags says that it is locked.
    locked = bytearray(whole)
    locked[whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"docProps/core.xml")) + 8] |= 1
    path.write_bytes(bytes(locked))
    assert _date(path) == ""
    assert _damaged_parts(path) == []


@pytest.mark.skipif(find_tesseract() is None, reason="tesseract is not installed")
def test_a_language_that_tesseract_has_not_learnt_is_said(tmp_path):
    (tmp_path / "a.png").write_bytes(draw_png(["a heron waits"]))
    with Worker(CaptureOptions(ocr=True, ocr_language="eng+xyz")) as worker, pytest.raises(MissingToolError, match="tesseract-ocr-xyz"):
        list(worker.capture(str(tmp_path / "a.png")))
    with Worker(CaptureOptions(ocr=True)) as worker:
        [shot] = worker.capture(str(tmp_path / "a.png"))
    assert "heron" in shot.text
