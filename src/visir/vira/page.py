"""What a domain delivers: a page and all that its source says about it."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from visir.screenshot import Screenshot


@dataclass(frozen=True)
class Page:
    """One captured page with the evidence that captions and questions are made from.

    Args:
        shot: the picture; its ``uri`` is the page's key, unique in the whole set, its ``text`` and ``words`` what is written on it.
        domain: name of the domain.
        document: the source document; a document lies whole in one split.
        language: code of the page's language.
        captions: statements about the page that its source makes, best first.
        questions: questions that the page answers, or phrases that a person would search it by, best first.
        answers: (question, answer) pairs about what the page shows.
        classes: (question, class name) pairs; the question is empty where the class is what the page is.
        relations: (text, key) pairs: what must be said to get from this page to another.
        composed: whether a template was filled with real text or data; else the page exists as it is.
        licence: of the source.
    """

    shot: Screenshot
    domain: str
    document: str
    language: str = "en"
    captions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    classes: tuple[tuple[str, str], ...] = ()
    relations: tuple[tuple[str, str], ...] = ()
    composed: bool = False
    licence: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """The page's name in the whole set."""
        return self.shot.uri

    @cached_property
    def image_id(self) -> str:
        """Name of the picture: a digest of its bytes."""
        return hashlib.blake2b(self.shot.encoded, digest_size=10).hexdigest()


def number_of(*names: str) -> int:
    """Return a number of 60 bits that depends on the names alone: the source of every choice that must not change between runs."""
    return int.from_bytes(hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest()) >> 4


def share_of(*names: str) -> float:
    """Return a number from 0 to 1 that depends on the names alone."""
    return number_of(*names) / (1 << 60)
