"""Files that callers send, kept beside the index; and documents handed out again."""

import hashlib
import os
import re
import secrets
import shutil
import unicodedata
from pathlib import Path
from typing import BinaryIO

_NAME_BYTES = 120
_PIECE = 1 << 20
_INCOMING = ".incoming"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)
_PLAIN = ("text", "markdown", "csv")


def safe_name(name: str) -> str:
    """Return a file name that is a file name everywhere: no path, no control characters, not hidden, not too long."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*').strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if not dot:
        stem, ending = kept, ""
    ending = _cut(ending, 20)
    stem = _cut(stem, _NAME_BYTES - len(ending.encode()) - 1).rstrip(". ")
    return (stem or "document") + (f".{ending}" if ending else "")


def _cut(text: str, size: int) -> str:
    return text.encode("utf-8", "ignore")[:size].decode("utf-8", "ignore")


def keep_upload(folder: Path, name: str, content: BinaryIO) -> Path:
    """Write an uploaded file and return where it is.

    The same content under the same name is the same file. Each lies in a folder of its own within another: a web page that
    was uploaded may load files of its folder and of the one above, and finds nobody else's there.
    """
    incoming = folder / _INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    fresh = incoming / secrets.token_hex(8)
    digest = hashlib.blake2b(digest_size=16)
    try:
        with fresh.open("wb") as file:
            while piece := content.read(_PIECE):
                digest.update(piece)
                file.write(piece)
        target = folder / digest.hexdigest() / "file" / safe_name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def drop_unfinished(folder: Path) -> None:
    """Remove what uploads left behind that were cut off."""
    shutil.rmtree(folder / _INCOMING, ignore_errors=True)


def drop_upload(path: Path) -> None:
    """Delete an uploaded file and the folders that were made for it."""
    path.unlink(missing_ok=True)
    for above in (path.parent, path.parent.parent):
        try:
            above.rmdir()
        except OSError:  # the same content was uploaded under another name too
            return


def media_type(path: Path, kind: str) -> str:
    """Return the type under which a browser may show a document, or an empty text for one that it should only save.

    The type is told by the content. HTML and SVG are saved, never shown: they would run their scripts in this server's name.
    """
    with path.open("rb") as file:
        head = file.read(16)
    for magic, shown in _MAGIC:
        if head.startswith(magic):
            return shown
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return "text/plain; charset=utf-8" if kind in _PLAIN else ""
