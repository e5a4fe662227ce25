"""Pictures of pages for the wire: their sizes, smaller copies, parts; and pictures that come in as text."""

import base64
import binascii
import io
import re
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from threading import Lock

from PIL import Image

from visir.errors import QueryError
from visir.screenshot import Box

WIDTHS = (160, 240, 320, 480, 640, 960, 1280)
"""Widths that smaller copies are made in; whatever is asked for, the next larger one is served, so that few are made."""

_DATA_URL = re.compile(r"data:image/[\w.+-]+(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


def decode_picture(text: str) -> bytes:
    """Return the bytes of a picture that was written as a data URL or in base64.

    Raises:
        QueryError: it is neither.
    """
    encoded = text
    if text[:5].lower() == "data:":
        head = _DATA_URL.match(text)
        if head is None:
            raise QueryError("a picture's data URL must begin with data:image/…;base64,")
        encoded = text[head.end() :]
    elif text[:8].lower().startswith(("http://", "https://")):
        raise QueryError("a picture must be sent along, as a data URL or in base64: addresses are not fetched")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError("the picture is not valid base64") from error


@lru_cache(20_000)
def size_of(path: Path) -> tuple[int, int] | None:
    """Return width and height of a stored picture, or ``None`` where there is none.

    Pictures never change: a new capture of a document has new paths.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        return None


class Copies:
    """Smaller copies of stored pictures, the latest kept in memory.

    Args:
        limit: bytes to keep at most.
    """

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[Path, int, Box | None], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, path: Path, width: int, box: Box | None) -> bytes:
        """Return a JPEG of a picture or a part of it, no wider than the next larger of `WIDTHS`.

        Raises:
            FileNotFoundError: there is no such picture.
        """
        wanted = next((known for known in WIDTHS if known >= width), WIDTHS[-1])
        key = (path, wanted, box)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = _copy(path, wanted, box)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += len(made)
            while self._bytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped)
        return made


def _copy(path: Path, width: int, box: Box | None) -> bytes:
    with Image.open(path) as image:
        if box is None:
            if image.width <= width:
                return path.read_bytes()
            # The decoder itself can halve, which costs least.
            image.draft("RGB", (width, max(1, width * image.height // image.width)))
        part = crop(image.convert("RGB"), box) if box else image.convert("RGB")
    if part.width > width:
        part = part.resize((width, max(1, round(width * part.height / part.width))), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    part.save(buffer, "JPEG", quality=82, progressive=True)
    return buffer.getvalue()


def crop(image: Image.Image, box: Box) -> Image.Image:
    """Return the part of a picture in a box of fractions; at least one pixel, whatever the box."""
    left, top = min(int(box[0] * image.width), image.width - 1), min(int(box[1] * image.height), image.height - 1)
    right, bottom = max(left + 1, round(box[2] * image.width)), max(top + 1, round(box[3] * image.height))
    return image.crop((left, top, min(right, image.width), min(bottom, image.height)))
