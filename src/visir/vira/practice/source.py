"""What is written on practice pages: passages of real text, words, names of things and numbers."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from visir.unise.words import fold_word
from visir.vira.practice.pack import Pack, is_held_word

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = ("%", " kg", " km", " MB", " GB", " ms", " °C", "k", "M", " €", " h", "x", " pt")
_MARKS = ("€", "$", "£")
_SIGNS = ("", "", "+", "-", "−")
_SIZES = ("k", "K", "M", "B", "", " M", "m")
_CODES = ("#", "No. ", "INV-", "ID ", "A", "+", "0")
_ENDS = ("com", "org", "net", "de", "fr", "io", "es")
_KEYWORDS = ("def", "return", "if", "for", "while", "import", "const", "let", "class", "public", "void", "int", "print", "else", "try")
_ENGLISH = 0.5

Choice = TypeVar("Choice")


class TextSource:
    """Draws text from a pack, in one language a page; the same generator state gives the same text.

    Args:
        pack: where the text comes from; of a ``train`` pack, words in `is_held_word` are left out.
        rng: the page's generator.
        held_only: write nothing but words in `is_held_word`, in any order (for naming unseen words).
    """

    def __init__(self, pack: Pack, rng: np.random.Generator, held_only: bool = False) -> None:
        self.rng = rng
        self._pack = pack
        self._held_only = held_only
        languages = sorted(pack.texts)
        self.language = "en" if rng.random() < _ENGLISH else languages[int(rng.integers(len(languages)))]
        self._texts = pack.texts[self.language] or pack.texts["en"]
        self._words = pack.words[self.language] or pack.words["en"]
        self._common = pack.common[self.language] or pack.common["en"] or self._words
        self._jumble = float(rng.choice([0.0, 0.0, 0.0, 0.15, 1.0]))

    def word(self) -> str:
        """One word of the page's language: half of them such as are often written, half any of its word list."""
        while True:
            words = self._common if self.rng.random() < 0.5 else self._words
            word = self._any(words)
            if self._allowed(word):
                return word

    def _any(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self.rng.integers(len(choices)))]

    def _allowed(self, word: str) -> bool:
        held = is_held_word(fold_word(word))
        return held if self._held_only else not (held and self._pack.split == "train")

    def passage(self, limit: int = 120) -> str:
        """A passage of up to ``limit`` words from somewhere in a paragraph; on some pages words are swapped for words of the list."""
        if self._held_only:
            return " ".join(self.word() for _ in range(int(self.rng.integers(min(8, limit), limit + 1))))
        for _ in range(8):
            _, text = self._any(self._texts)
            words = [word for word in text.split() if self._allowed(word)]
            if words:
                break
        else:
            return self.word()
        if len(words) > limit:
            start = int(self.rng.integers(len(words) - limit + 1)) if self.rng.random() < 0.6 else 0
            words = words[start : start + limit]
        if self._jumble:
            words = [self.word() if swap else word for word, swap in zip(words, self.rng.random(len(words)) < self._jumble, strict=True)]
        return " ".join(words)

    def phrase(self, low: int = 1, high: int = 5) -> str:
        """A few words, such as stand on a label, a button or in a cell."""
        count = int(self.rng.integers(low, high + 1))
        if self._held_only or self.rng.random() < 0.4:
            text = " ".join(self.word() for _ in range(count))
        else:
            text = self.passage(count).strip(",.;:()")
        return text[:1].upper() + text[1:] if self.rng.random() < 0.6 else text

    def title(self) -> str:
        """The title of a section or an article."""
        for _ in range(4):
            title, _ = self._any(self._texts)
            if title and not self._held_only and all(self._allowed(word) for word in title.split()):
                return title
        return self.phrase(2, 6)

    def number(self) -> str:
        """A number as tables, charts, receipts and dashboards show them."""
        rng = self.rng
        kind = int(rng.integers(12))
        if kind == 0:
            day, month, year = rng.integers(1, 32), rng.integers(1, 13), rng.integers(1950, 2030)
            return self._any((f"{day:02}.{month:02}.{year}", f"{month:02}/{day:02}/{year}", f"{year}-{month:02}-{day:02}"))
        if kind == 1:
            return f"{self._any(_MONTHS)} {rng.integers(1, 32)}, {rng.integers(1950, 2030)}"
        if kind == 2:
            return f"{self._any(_MARKS)}{rng.integers(0, 2000)}.{rng.integers(100):02}"
        if kind == 3:
            return f"{rng.normal() * 10 ** float(rng.integers(-1, 4)):.{int(rng.integers(0, 4))}f}"
        if kind == 4:
            return f"{rng.integers(0, 10 ** int(rng.integers(1, 8))):,}"
        if kind == 5:
            return f"{rng.integers(0, 24):02}:{rng.integers(0, 60):02}"
        if kind == 6:
            return f"{rng.random() * 100:.{int(rng.integers(0, 3))}f}{self._any(_UNITS)}"
        if kind == 7:
            return f"{self._any(_SIGNS)}{rng.random() * 10 ** float(rng.integers(1, 3)):.{int(rng.integers(0, 3))}f}%"
        if kind == 8:
            return f"{self._any(_MARKS)}{rng.random() * 10 ** float(rng.integers(1, 4)):.{int(rng.integers(0, 2))}f}{self._any(_SIZES)}"
        if kind == 9:
            one, two = rng.integers(0, 100, 2)
            return self._any((f"{one}h {two % 60}m", f"{one} x {two}.{rng.integers(100):02}", f"{one}/{two}", f"v{one}.{two}"))
        if kind == 10:
            return f"{self._any(_CODES)}{rng.integers(0, 10 ** int(rng.integers(2, 8)))}"
        return str(rng.integers(0, 10 ** int(rng.integers(1, 5))))

    def address(self) -> str:
        """A mail or web address, or a path."""
        one, two = (fold_word(self.word()).replace("'", "") or "a" for _ in range(2))
        end = self._any(_ENDS)
        return self._any((f"{one}@{two}.{end}", f"https://www.{one}.{end}/{two}", f"/{one}/{two}.txt", f"{one}_{two}"))

    def code(self) -> str:
        """One line of something like a program."""
        one, two, three = (fold_word(self.word()).replace("'", "") or "a" for _ in range(3))
        key = self._any(_KEYWORDS)
        number = self.rng.integers(1000)
        shapes = (
            f"{one} = {two}({three}, {number})",
            f"{key} {one}.{two}:",
            f"{key} ({one} < {two}) {{",
            f'    {one}["{two}"] = "{three}";',
            f"    return {one}.{two}",
            f"# {self.passage(8)}",
            f"{key} {one}({two}, {three})",
            f"        {one} += {number}",
            "}",
        )
        return self._any(shapes)
