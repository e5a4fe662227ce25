"""What every domain has, and small ways with text that several share."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeVar

from PIL import Image

from visir.screenshot import Screenshot
from visir.vira.camera import Camera, Shot
from visir.vira.corpora import Corpora
from visir.vira.page import Page, number_of, share_of

T = TypeVar("T")
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)\]”\"'][.!?])\s+(?=[A-Z“\"(])")
_ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|etc|cf|vs|Dr|Mr|Mrs|St|No|vol|Fig|Sec|Ch|approx|resp|al|c|b|d|r|fl|[A-Z])\.$")


class Domain:
    """A kind of document. Subclasses say where its documents are and how one becomes pages.

    Class attributes:
        name: of the domain.
        debian, pypi: the packages that its sources are in.
        dev_share: share of the documents that is kept from training.
        printed: whether such pages are also met on paper, so that some may be shown as scans.
        about: one line for the data card; ``licence`` another.
    """

    name: ClassVar[str]
    debian: ClassVar[tuple[str, ...]] = ()
    pypi: ClassVar[tuple[str, ...]] = ()
    dev_share: ClassVar[float] = 0.1
    printed: ClassVar[bool] = False
    about: ClassVar[str] = ""
    licence: ClassVar[str] = ""

    def __init__(self, corpora: Corpora) -> None:
        self.corpora = corpora

    def documents(self) -> list[str]:
        """Return the keys of all documents, sorted."""
        raise NotImplementedError

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield the pages of one document; the same document gives the same pages."""
        raise NotImplementedError

    def is_dev(self, document: str) -> bool:
        """Whether a document is kept from training, by its key alone."""
        return share_of("split", self.name, document) < self.dev_share

    def split(self, split: str) -> list[str]:
        """Return the documents of a split in an order that depends on their keys alone, so that the first n are a fair sample."""
        return sorted((key for key in self.documents() if self.is_dev(key) == (split == "dev")), key=lambda key: number_of(self.name, key))


def screenshot(shot: Shot, key: str, title: str, number: int = 1) -> Screenshot:
    """Make a screenshot of a camera's shot."""
    return Screenshot(shot.encoded, key, number, title, shot.text, shot.words)


def choose(options: Sequence[T], *names: str) -> T:
    """Return one of the options, by names alone."""
    return options[number_of(*names) % len(options)]


def shrink(shot: Screenshot, long_side: int = 896, quality: int = 80) -> Screenshot:
    """Return a screenshot with its picture brought down to ``long_side`` pixels."""
    picture = shot.image
    picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Screenshot(buffer.getvalue(), shot.uri, shot.page, shot.title, shot.text, shot.words, shot.date)


def sentences(text: str) -> list[str]:
    """Cut running text into sentences."""
    parts: list[str] = []
    for piece in _SENTENCE_END.split(" ".join(text.split())):
        if parts and _ABBREVIATED.search(parts[-1]):
            parts[-1] += " " + piece
        else:
            parts.append(piece)
    return [part for part in parts if part]


def shorten(text: str, limit: int = 200) -> str:
    """Return at most ``limit`` characters of a text, cut between words."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def hide(text: str, name: str, instead: str = "it") -> str:
    """Return a text without a name: the whole name, and its longer words, give way to ``instead``."""
    plain = re.sub(r"\s*\([^)]*\)$", "", name)
    parts = [plain, *sorted((word for word in plain.split() if len(word) > 3), key=len, reverse=True)]
    hidden = re.sub("|".join(rf"\b{re.escape(part)}(?:'s|s)?\b" for part in parts), "\0", text, flags=re.I)
    hidden = re.sub(r"\0(?:\W*\0)*", "\0", hidden)
    return (instead.capitalize() if hidden.startswith("\0") else "") + hidden.lstrip("\0").replace("\0", instead)


def is_readable(text: str, fewest: int = 4) -> bool:
    """Whether a text can stand as a query: some words, mostly letters."""
    letters = sum(letter.isalpha() or letter == " " for letter in text)
    return len(text.split()) >= fewest and letters > 0.75 * len(text)
