"""PDF pages into screenshots, by pdfium: picture, text layer, word boxes."""

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, PartialCaptureError
from visir.screenshot import LONG_SIDE, Box, Screenshot, Word, clean_text, encode_image, lay_out

_JUNK_TITLE = re.compile(
    r"^(untitled|unknown|title|document\d*|slide ?\d*|(microsoft \w+ - .*)|(.*\.(docx?|pptx?|xlsx?|tex|dvi|ps|indd|qxd)))$", re.I
)
_HYPHEN = "\x02"
_UNITS = 1_000_000
# pdfium keeps what it parsed of a page until the document is closed: some 25 kB a page.
_REOPEN_PAGES = 500
_TROUBLES = {
    raw.FPDF_ERR_PASSWORD: "is encrypted: save a copy without its password and index that",
    raw.FPDF_ERR_SECURITY: "is encrypted in a way that cannot be read: save a copy without its encryption and index that",
}
_DAMAGED = "is damaged or has no pages: download it again, or open it in a PDF reader and save it anew"


def render(path: Path, options: CaptureOptions, uri: str = "") -> Iterator[Screenshot]:
    """Yield one screenshot a page, holding one page in memory at a time.

    Args:
        path: the PDF file.
        options: see the class.
        uri: what the screenshots give as their source, where that is not ``path``.

    Raises:
        CaptureError: the file is damaged, encrypted, or has no pages.
        PartialCaptureError: after the last good page, where some pages could not be drawn.
    """
    uri = uri or str(path)
    document = _open(path, uri)
    try:
        date = _date(document)
        title = _metadata(document, "Title")
        if _JUNK_TITLE.match(title):
            title = ""
        broken = []
        for number in range(1, min(len(document), options.max_pages) + 1):
            if number % _REOPEN_PAGES == 0:
                document.close()
                document = _open(path, uri)
            try:
                encoded, text, words = _page(document, number - 1)
            except (pdfium.PdfiumError, ValueError):
                broken.append(number)
                continue
            title = title or _headline(words) or Path(uri).stem
            yield Screenshot(encoded, uri, number, title, text, words, date)
    finally:
        document.close()
    if broken:
        listed = ", ".join(map(str, broken[:10])) + (" …" if len(broken) > 10 else "")
        raise PartialCaptureError(uri, f"{len(broken)} of its pages cannot be drawn: {listed}")


def _open(path: Path, uri: str) -> pdfium.PdfDocument:
    # pdfium sets its error only where it knows one: that of the file before would stand for a file without pages.
    with contextlib.suppress(pdfium.PdfiumError):
        pdfium.PdfDocument(b"")
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        raise CaptureError(uri, _TROUBLES.get(error.err_code, _DAMAGED)) from error
    if len(document) == 0:
        document.close()
        raise CaptureError(uri, "has no pages")
    if document.get_formtype():
        document.init_forms()
    return document


def _page(document: pdfium.PdfDocument, index: int) -> tuple[bytes, str, tuple[Word, ...]]:
    page = document[index]
    try:
        width, height = page.get_size()
        if min(width, height) <= 0:
            raise ValueError("a page without area")
        bitmap = page.render(scale=LONG_SIDE / max(width, height), rev_byteorder=True, limit_image_cache=True)
        try:
            encoded = encode_image(bitmap.to_pil())
        finally:
            bitmap.close()
        text, words = _words(page)
    finally:
        page.close()
    return encoded, text, words


def _words(page: pdfium.PdfPage) -> tuple[str, tuple[Word, ...]]:
    textpage = page.get_textpage()
    try:
        return lay_out(_lines(textpage, _ruler(page)))
    finally:
        textpage.close()


def _lines(textpage: pdfium.PdfTextPage, box_of: Callable[[pdfium.PdfTextPage, int, int], Box]) -> Iterator[list[tuple[str, Box]]]:
    """Yield the lines of a page, each a list of words with boxes; runs of characters between white space are words."""
    line: list[tuple[str, Box]] = []
    letters: list[str] = []
    first = last = 0
    hyphenated = False
    count = textpage.count_chars()
    for index in range(count + 1):
        letter = chr(raw.FPDFText_GetUnicode(textpage.raw, index)) if index < count else "\n"
        if letter == _HYPHEN and letters:
            # A word broken at the end of a line goes on behind the hyphen; its box is that of its first part.
            hyphenated = True
        elif not letter.isspace() and letter != "\0":
            if not letters:
                first, hyphenated = index, False
            letters.append(letter)
            last = last if hyphenated else index
        else:
            if letters:
                line.append(("".join(letters), box_of(textpage, first, last)))
                letters = []
            if letter in "\r\n" and line:
                yield line
                line = []


def _ruler(page: pdfium.PdfPage) -> Callable[[pdfium.PdfTextPage, int, int], Box]:
    """Make a function that measures the box of the characters first..last in fractions of the page as it is shown.

    Page rotation and crop box make the way from a PDF's own coordinates to the picture an affine map; pdfium tells it
    point by point, so three points give it whole.
    """

    def shown(x: float, y: float) -> tuple[int, int]:
        column, row = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(page.raw, 0, 0, _UNITS, _UNITS, 0, x, y, column, row)
        return column.value, row.value

    left, bottom, right, top = page.get_mediabox()
    span_x, span_y = (right - left) or 1.0, (top - bottom) or 1.0
    origin, along, up = shown(left, bottom), shown(right, bottom), shown(left, top)
    x_by_x, y_by_x = (along[0] - origin[0]) / span_x / _UNITS, (along[1] - origin[1]) / span_x / _UNITS
    x_by_y, y_by_y = (up[0] - origin[0]) / span_y / _UNITS, (up[1] - origin[1]) / span_y / _UNITS
    x_at_0 = origin[0] / _UNITS - x_by_x * left - x_by_y * bottom
    y_at_0 = origin[1] / _UNITS - y_by_x * left - y_by_y * bottom
    rect = raw.FS_RECTF()

    def box_of(textpage: pdfium.PdfTextPage, first: int, last: int) -> Box:
        xs, ys = [], []
        for index in {first, last}:
            raw.FPDFText_GetLooseCharBox(textpage.raw, index, rect)
            for x, y in ((rect.left, rect.bottom), (rect.right, rect.top)):
                xs.append(x_at_0 + x_by_x * x + x_by_y * y)
                ys.append(y_at_0 + y_by_x * x + y_by_y * y)
        return (min(xs), min(ys), max(xs), max(ys))

    return box_of


def _headline(words: tuple[Word, ...]) -> str:
    """Return the first run of words as large as the largest on the page: most first pages set their title so."""
    candidates = [word for word in words if len(word.text) > 1 and word.box[1] < 0.7]
    if not candidates:
        return ""
    size = 0.85 * max(word.box[3] - word.box[1] for word in candidates)
    run: list[str] = []
    for word in words:
        if word.box[3] - word.box[1] >= size:
            run.append(word.text)
        elif run:
            break
    title = " ".join(run[:20])
    return title if 4 <= len(title) <= 200 else ""


def _metadata(document: pdfium.PdfDocument, key: str) -> str:
    return clean_text(document.get_metadata_value(key) or "").replace("\n", " ")


def _date(document: pdfium.PdfDocument) -> str:
    for key in ("ModDate", "CreationDate"):
        found = re.match(r"D?:?(\d{4})(\d\d)(\d\d)", _metadata(document, key))
        if found and found[1] >= "1970" and "01" <= found[2] <= "12" and "01" <= found[3] <= "31":
            return "-".join(found.groups())
    return ""
