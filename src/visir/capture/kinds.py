"""What kind of document a file is: by its first bytes, then by its name."""

import stat
import zipfile
from pathlib import Path

from visir.errors import CaptureError, UnsupportedError

KINDS: dict[str, tuple[str, ...]] = {
    "pdf": ("pdf",),
    "image": ("png", "jpg", "jpeg", "webp", "tif", "tiff", "gif", "bmp"),
    "web": ("html", "htm", "xhtml", "svg"),
    "office": ("docx", "doc", "pptx", "ppt", "xlsx", "xls", "odt", "odp", "ods", "rtf"),
    "markdown": ("md", "markdown"),
    "csv": ("csv", "tsv"),
    "text": ("txt", "text"),
}
"""The kinds of document and the file name endings that belong to them."""

_BY_ENDING = {ending: kind for kind, endings in KINDS.items() for ending in endings}
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"BM", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (_COMPOUND, "office"),
    (b"{\\rtf", "office"),
)
_WRITTEN = ("web", "markdown", "csv", "text")
_MAX_UNPACKED = 1 << 30


def kind_of_name(path: Path) -> str:
    """Return the kind that a file's name promises, or an empty string for one that visir does not read."""
    return _BY_ENDING.get(path.suffix.lower().lstrip("."), "")


def kind_of_file(path: Path) -> str:
    """Return the kind of a file by what is in it, since endings lie.

    Raises:
        CaptureError: the file is empty, unreadable, or a bomb.
        UnsupportedError: no renderer knows it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # Opening a pipe would wait for somebody to write into it.
            raise CaptureError(str(path), "is a folder, a pipe or a device, not a file: name a file")
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise CaptureError(str(path), f"cannot be read: {error.strerror or error}") from error
    if not head:
        raise CaptureError(str(path), "is empty")
    promised = kind_of_name(path)
    # Bytes may stand before a PDF's mark; in a text they may be what the text is about.
    if head.startswith(b"%PDF-") or (b"%PDF-" in head and promised not in _WRITTEN):
        return "pdf"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    if head[:4] == b"PK\x03\x04":
        return _kind_of_zip(path)
    if head.startswith(_COMPOUND) and head[28:30] != b"\xfe\xff":
        # Every Office file of the old kind says its byte order there; without it LibreOffice shows the bytes as text.
        raise CaptureError(str(path), "is a damaged Office file: open it in an Office program and save it anew")
    for magic, kind in _MAGIC:
        # Marks that are letters also begin ordinary words: under a text's name they are believed only before bytes that no text has.
        doubtful = magic == b"BM" or (magic == b"GIF8" and promised in _WRITTEN and b"\0" not in head)
        if head.startswith(magic) and (promised == "image" or not doubtful):
            return kind
    return _kind_of_text(path, head, promised)


def _kind_of_text(path: Path, head: bytes, promised: str) -> str:
    if promised in ("pdf", "image", "office"):
        raise CaptureError(str(path), f"is named .{path.suffix.lstrip('.')} but its content is something else: damaged, or wrongly named")
    if not promised:
        raise UnsupportedError(str(path), f"is of a kind that visir does not read; it reads {', '.join(_BY_ENDING)}")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if promised == "text" and start.startswith((b"<!doctype html", b"<html")):
        return "web"
    return promised


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CaptureError(str(path), f"is a damaged archive: {error}") from error
    if sum(member.file_size for member in members) > _MAX_UNPACKED:
        raise CaptureError(str(path), f"unpacks to more than {_MAX_UNPACKED >> 20} MB, which looks like a decompression bomb")
    names = {member.filename for member in members}
    if "[Content_Types].xml" in names or "mimetype" in names:
        return "office"
    raise UnsupportedError(str(path), "is a zip archive, not a document: unpack it and index the folder")
