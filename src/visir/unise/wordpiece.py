"""WordPiece tokens as BERT cuts them (Devlin et al. 2018, uncased): 40 lines in place of a 30 MB dependency."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from visir.language import without_accents

_MAX_WORD = 100


class WordPiece:
    """Cuts text into the token ids of a BERT vocabulary.

    Args:
        vocabulary: file with one token a line; a token's line is its id.
    """

    def __init__(self, vocabulary: Path) -> None:
        self._ids = {token: number for number, token in enumerate(vocabulary.read_text(encoding="utf-8").split("\n"))}
        self._unknown = self._ids["[UNK]"]
        self.start, self.end, self.padding = self._ids["[CLS]"], self._ids["[SEP]"], self._ids["[PAD]"]
        self._pieces = lru_cache(200_000)(self._cut)

    def __call__(self, text: str) -> list[int]:
        """Return the ids of the text's tokens, without start and end; a written "[SEP]" is text like any other."""
        return [number for word in _words(text) for number in self._pieces(word)]

    def sentences(self, text: str, most: int, count: int = 1) -> list[list[int]]:
        """Cut a text into at most ``count`` pieces of at most ``most`` tokens, as a sentence encoder takes them.

        Returns:
            the ids of each piece, start and end among them; of an empty text one piece of these two.
        """
        room = most - 2
        # Characters bound the work: no vocabulary makes a token out of more than some twenty.
        ids = self(text[: 20 * most * count])[: room * count]
        return [[self.start, *ids[place : place + room], self.end] for place in range(0, max(len(ids), 1), room)]

    def _cut(self, word: str) -> tuple[int, ...]:
        if len(word) > _MAX_WORD:
            return (self._unknown,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            end = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in self._ids), start)
            if end == start:
                return (self._unknown,)
            ids.append(self._ids[prefix + word[start:end]])
            start = end
        return tuple(ids)


def _words(text: str) -> Iterator[str]:
    """Lower the case, drop accents and control characters, and split at white space, punctuation and ideographs."""
    letters = []
    for letter in text:
        code = ord(letter)
        if letter in "\t\n\r":
            letters.append(" ")
        elif code in (0, 0xFFFD) or unicodedata.category(letter).startswith("C"):
            continue
        elif _is_ideograph(code):
            letters.append(f" {letter} ")
        else:
            letters.append(letter)
    for chunk in "".join(letters).split():
        # Letter by letter, as the original does it: at the end of a word Python makes a sigma of another form.
        plain = without_accents(chunk.replace("Σ", "σ").lower())
        start = 0
        for position, letter in enumerate(plain):
            if _is_punctuation(letter):
                if start < position:
                    yield plain[start:position]
                yield letter
                start = position + 1
        if start < len(plain):
            yield plain[start:]


def _is_punctuation(letter: str) -> bool:
    code = ord(letter)
    if code < 128:
        return 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return unicodedata.category(letter).startswith("P")


def _is_ideograph(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x2CEAF
        or 0xF900 <= code <= 0xFAFF
        or 0x2F800 <= code <= 0x2FA1F
    )
