"""Letters in columns: what unise-mini spells words with, without torch.

Every cell of the fine map is cut into `PARTS` columns of a pixel's width, and each column names a letter, the space between two words, or
nothing (connectionist temporal classification, Graves et al. 2006). So a word is spelt letter by letter, whether a lexicon knows it or not.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visir.unise.words import Floats

ALPHABET = (
    "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿĄĆĘŁŃŚŹŻąćęłńśźżČĎĚŇŘŠŤŮŽčďěňřšťůžŒœ«»–—‘’“”„…•°×€£§©®"
)
"""The letters that are named one by one; others are only parts of words."""

BLANK = 0
"""The class of a column that adds nothing to the word."""

SPACE = len(ALPHABET) + 1
"""The class of the gap between two words; letter ``i`` of `ALPHABET` is class ``i + 1``."""

CLASSES = len(ALPHABET) + 2

PARTS = 8
"""Columns of a cell of the fine map."""

# By how much a word's edge is wrong: a share of its height, and one of its width's square over its height, for long words' are less sure.
_EDGE, _LONG = 0.1, 0.01
# Edges are sought within so many times as much.
_REACH = 5.0
_NEVER = -1e4
# Words that are gone through in step, those of like width together.
_TOGETHER = 256
# Cells that are named in one go: their chances (0.9 MB) stay in a core's own memory from one step to the next.
_NAMED = 128
_CLASS = {letter: number for number, letter in enumerate(ALPHABET, 1)}


def classes_of(word: str) -> list[int] | None:
    """Return the classes of a word's letters; None where one is not in `ALPHABET`."""
    found = [_CLASS.get(letter, 0) for letter in word]
    return found if all(found) else None


class Speller:
    """Spells the words of a page by its fine map.

    Args:
        path: ``letters.npz``, as written by `visir.train.export_mini`.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            rows = np.asarray(file["rows"] * file["scales"][:, None], np.float32)
            self._map = np.ascontiguousarray(rows.T)
            self._bias = np.asarray(file["bias"], np.float32)

    def columns(self, fine: Floats, boxes: Floats) -> list[Floats]:
        """Return the log chances (t, CLASSES) of the columns of each word.

        Args:
            fine: the tower's map (c, h, w).
            boxes: (k, 4) in fractions of the page.
        """
        channels, high, wide = fine.shape
        row = ((boxes[:, 1] + boxes[:, 3]) * (high / 2)).astype(np.int64).clip(0, high - 1)
        first = (boxes[:, 0] * (wide * PARTS)).astype(np.int64).clip(0, wide * PARTS - 1)
        last = (np.ceil(boxes[:, 2] * (wide * PARTS)).astype(np.int64).clip(max=wide * PARTS) - 1).clip(min=first)
        # Whole cells are named, and then cut: their columns lie side by side.
        cells = last // PARTS - first // PARTS + 1
        ends = cells.cumsum()
        place = np.repeat(row * wide + first // PARTS - (ends - cells), cells) + np.arange(cells.sum())
        named = np.empty((len(place), PARTS * CLASSES), np.float32)
        cell = fine.reshape(channels, -1)
        for at in range(0, len(place), _NAMED):
            part = named[at : at + _NAMED]
            np.matmul(cell[:, place[at : at + _NAMED]].T, self._map, out=part)
            part += self._bias
            letters = part.reshape(-1, CLASSES)
            letters -= letters.max(1, keepdims=True)
            letters -= np.log(np.exp(letters).sum(1, keepdims=True))
        named = named.reshape(-1, CLASSES)
        begins = (ends - cells) * PARTS + first % PARTS
        return [named[begin : begin + count] for begin, count in zip(begins.tolist(), (last - first + 1).tolist(), strict=True)]

    def words(self, fine: Floats, boxes: Floats) -> list[Floats]:
        """Return the log chances (t, CLASSES) of the columns of each word, those of its neighbours cut off.

        Args:
            fine: the tower's map (c, h, w).
            boxes: (k, 4) in fractions of the page; see `_EDGE` for how wrong their edges may be.
        """
        _, high, wide = fine.shape
        # A column is a pixel wide, and so is a unit of height.
        heights = np.maximum((boxes[:, 3] - boxes[:, 1]) * high * PARTS, 1.0)
        widths = (boxes[:, 2] - boxes[:, 0]) * wide * PARTS
        doubts = _EDGE * heights + _LONG * widths**2 / heights
        reach = np.minimum(_REACH * doubts, (heights + widths) / 2)
        wider = boxes.copy()
        wider[:, 0] -= reach / (wide * PARTS)
        wider[:, 2] += reach / (wide * PARTS)
        wider = wider.clip(0, 1)
        before, after = (boxes[:, 0] - wider[:, 0]) * wide * PARTS, (wider[:, 2] - boxes[:, 2]) * wide * PARTS
        inside = np.minimum(reach, widths / 2)
        found = []
        for number, columns in enumerate(self.columns(fine, wider)):
            start = _trim(columns, before[number], inside[number], doubts[number])
            end = len(columns) - _trim(columns[::-1], after[number], inside[number], doubts[number])
            found.append(columns[start:end])
        return found


def _trim(columns: Floats, edge: float, room: float, doubt: float) -> int:
    """Return how many columns before a word are not its own: up to the surest gap, the likelier the nearer its edge."""
    near = columns[: int(edge + room) + 1, SPACE]
    return int((near - np.abs(np.arange(len(near)) - edge) / doubt).argmax()) + 1 if len(near) else 0


def spell(columns: Floats) -> tuple[str, float]:
    """Return the likeliest letters of a word's columns, and the chance of the likeliest way to them."""
    if not len(columns):
        return "", 0.0
    best = columns.argmax(1)
    fresh = np.concatenate([[True], best[1:] != best[:-1]]) & (best != BLANK) & (best != SPACE)
    return "".join(ALPHABET[number - 1] for number in best[fresh]), float(np.exp(columns.max(1).sum()))


def likelihoods(columns: Sequence[Floats], words: Sequence[str]) -> Floats:
    """Return the log chance of the likeliest way in which each word's columns (t, CLASSES) spell it (n,).

    Letters that are not in `ALPHABET` make a word as good as impossible.
    """
    found = np.full(len(words), _NEVER, np.float32)
    spelt = [classes_of(word) for word in words]
    usable = [number for number, letters in enumerate(spelt) if letters and len(columns[number]) >= len(letters)]
    usable.sort(key=lambda number: len(columns[number]))
    for at in range(0, len(usable), _TOGETHER):
        some = usable[at : at + _TOGETHER]
        found[some] = _best_ways([columns[number] for number in some], [spelt[number] or [] for number in some])
    return found


def _best_ways(columns: Sequence[Floats], spelt: Sequence[Sequence[int]]) -> Floats:
    """Go through all columns in step; words are padded behind their ends, where nothing is read any more."""
    sizes, steps = np.array([len(word) for word in spelt]), np.array([len(part) for part in columns])
    states = np.full((len(spelt), 2 * sizes.max() + 1), BLANK)
    shown = np.zeros((len(spelt), steps.max(), states.shape[1]), np.float32)
    for number, (part, word) in enumerate(zip(columns, spelt, strict=True)):
        states[number, 1 : 2 * len(word) : 2] = word
        shown[number, : len(part)] = part[:, states[number]]
    skips = np.full(states.shape, _NEVER, np.float32)
    skips[:, 2:][(states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])] = 0.0
    rows = np.arange(len(spelt))
    ways = np.full((len(spelt), states.shape[1] + 2), _NEVER, np.float32)
    ways[:, 2:4] = shown[:, 0, :2]
    ends = np.empty(len(spelt), np.float32)
    for step in range(steps.max()):
        if step:
            best = np.maximum(ways[:, 2:], ways[:, 1:-1])
            ways[:, 2:] = np.maximum(best, ways[:, :-2] + skips) + shown[:, step]
        over = rows[steps == step + 1]
        ends[over] = np.maximum(ways[over, 2 * sizes[over] + 2], ways[over, 2 * sizes[over] + 1])
    return ends
