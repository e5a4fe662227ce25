"""The nouns of visir: what is captured, asked, and found."""

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from PIL import Image

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) as fractions of the page, 0 at the left and at the top."""

LONG_SIDE = 1280
"""Pixels of a screenshot's longer side: type of 10 points on an A4 page is 15 pixels high."""

_MAX_TEXT = 200_000
_MAX_WORDS = 20_000
# Scripts written without spaces: every character stands as a word of its own, so that it can be found and marked.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it stands on a page.

    Args:
        text: the word, without white space.
        box: where it stands, in fractions of the page.
    """

    text: str
    box: Box


@dataclass(frozen=True)
class Screenshot:
    """One page as a person sees it, with the words that its source says are on it.

    Args:
        encoded: the picture as the bytes of a JPEG, PNG or WebP file.
        uri: the file or address it was captured from.
        page: 1-based number of the page, the slide or the part of a long page.
        title: title of the document, or its file name.
        text: the words in reading order; lines are kept. ``text.split()`` equals the words' texts where there are words.
        words: the words with their boxes; empty where the source does not tell.
        date: when the document says it was made, as an ISO date, or empty.
    """

    encoded: bytes = field(repr=False)
    uri: str = ""
    page: int = 1
    title: str = ""
    text: str = field(default="", repr=False)
    words: tuple[Word, ...] = field(default=(), repr=False)
    date: str = ""

    @classmethod
    def from_image(cls, image: "Image.Image | str | Path", **fields: object) -> "Screenshot":
        """Make a screenshot of a picture or of a picture file; other fields as in the class."""
        if isinstance(image, Image.Image):
            return cls(encode_image(image), **fields)  # type: ignore[arg-type]
        fields.setdefault("uri", str(image))
        with Image.open(image) as opened:
            return cls(encode_image(opened), **fields)  # type: ignore[arg-type]

    @property
    def image(self) -> Image.Image:
        """The picture, decoded anew at each call, in RGB."""
        with Image.open(io.BytesIO(self.encoded)) as opened:
            return opened.convert("RGB")

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digest of what an embedder can see: picture, title and text."""
        state = hashlib.blake2b(self.encoded, digest_size=16)
        state.update(b"\0".join((b"", self.title.encode(), self.text.encode())))
        return state.hexdigest()


@dataclass(frozen=True)
class Query:
    """What is asked: a text, a picture, or a picture with a text that says what should differ.

    Args:
        text: the words of the query, or empty.
        image: the picture of the query, or ``None``.
    """

    text: str = ""
    image: Screenshot | None = None


@dataclass(frozen=True)
class Hit:
    """One page that answers a query.

    Args:
        uri: the file or address of the document.
        page: 1-based page.
        score: 0 to 100; docs/search.md says how it is made.
        title: title of the document.
        snippet: the passage of the page that holds most words of the query.
        marks: (start, end) character offsets into ``snippet`` of the query's words.
        boxes: where the query's words stand on the page, in fractions.
        picture: path of the stored picture of the page.
    """

    uri: str
    page: int
    score: float
    title: str = ""
    snippet: str = ""
    marks: tuple[tuple[int, int], ...] = ()
    boxes: tuple[Box, ...] = ()
    picture: str = ""


def clean_text(text: str) -> str:
    """Bring text into the form that words are compared in: NFKC, no invisible characters, unspaced scripts spaced, lines kept."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:_MAX_TEXT]))
    text = _UNSPACED.sub(r" \1 ", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def lay_out(lines: Iterable[Iterable[tuple[str, Box]]]) -> tuple[str, tuple[Word, ...]]:
    """Make a page's text and words out of its lines, each a series of raw (text, box) pieces.

    A piece that falls into several words shares its width among them. The text's words are the words' texts, in order.
    """
    rows: list[str] = []
    words: list[Word] = []
    for line in lines:
        before = len(words)
        for piece, box in line:
            words.extend(_split(piece, box))
        if len(words) > before:
            rows.append(" ".join(word.text for word in words[before:]))
        if len(words) > _MAX_WORDS:
            break
    return "\n".join(rows), tuple(words)


def _split(piece: str, box: Box) -> Iterator[Word]:
    parts = clean_text(piece).split()
    length = sum(map(len, parts))
    left, top, right, bottom = box
    for part in parts:
        end = left + (right - box[0]) * len(part) / length
        yield Word(part, _clip((left, top, end, bottom)))
        left = end


def _clip(box: Box) -> Box:
    left, top, right, bottom = (round(min(1.0, max(0.0, value)), 4) for value in box)
    return (min(left, right), min(top, bottom), max(left, right), max(top, bottom))


def encode_image(image: Image.Image) -> bytes:
    """Encode a picture as it is stored: a JPEG no larger than `LONG_SIDE`."""
    image = flatten(image)
    if max(image.size) > LONG_SIDE:
        image = image.copy()
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def flatten(image: Image.Image) -> Image.Image:
    """Return the picture in RGB; what is transparent is shown on white, 16-bit grey is scaled to 8."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        low, high = image.getextrema()
        scale = 255.0 / max(float(high) - min(0.0, float(low)), 255.0)  # type: ignore[arg-type]
        return image.convert("F").point(lambda value: value * scale).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
