"""Words by their letters, and where they stand on a page: the side of unise-mini that needs no torch.

A word's vector is the sum of its letter n-grams' rows in a table; a page's words are found as peaks of a map (Zhou et al. 2019) and read by
pooling the word map over their boxes.
"""

import zlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FINE = 8
"""Pixels between neighbours of the fine maps ``words`` and ``spots`` of a page tower."""


COARSE = 32
"""Pixels between neighbours of the grid ``regions``; the sides of a page are multiples of it."""

# Boxes compared with all others in one go: bounds the memory for it.
_COMPARED = 256


def fit_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """Return (width, height) near ``pixels`` in area, near the given shape, both multiples of `COARSE`; at most 4 to 1."""
    ratio = min(4.0, max(0.25, width / height))
    wide = max(1, round((pixels * ratio) ** 0.5 / COARSE))
    high = max(1, int(pixels / COARSE**2 / wide + 0.02))
    return wide * COARSE, high * COARSE


def part_word(word: str) -> tuple[str, str, str]:
    """Part a word from the punctuation before and after it."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[:start], word[start:end], word[end:]


@lru_cache(maxsize=500_000)
def fold_word(word: str) -> str:
    """Return the form that words are compared in: lower case, no punctuation around; empty where nothing is left."""
    return part_word(word.casefold())[1]


@lru_cache(maxsize=200_000)
def ngram_rows(word: str, buckets: int) -> tuple[int, ...]:
    """Return the n-gram table's rows of a folded word: its letter 1- to 4-grams, with its ends marked, hashed by CRC-32."""
    marked = f"<{word}>"
    grams = {marked[i : i + n] for n in range(1, 5) for i in range(len(marked) - n + 1)} - {"<", ">"}
    return tuple(sorted(zlib.crc32(gram.encode()) % buckets for gram in grams))


def bag_rows(words: Iterable[str], buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all words' table rows in one row of numbers, and where each word begins: what an embedding bag takes."""
    bags = [ngram_rows(fold_word(word), buckets) for word in words]
    sizes = np.fromiter(map(len, bags), np.int64, len(bags))
    rows = np.fromiter((row for bag in bags for row in bag), np.int64, int(sizes.sum()))
    return rows, np.cumsum(sizes) - sizes


def find_words(spots: Floats, threshold: float = 0.45, limit: int = 1000) -> tuple[Floats, Floats]:
    """Find the words of one page.

    Args:
        spots: the tower's map (5, h, w).
        threshold: least probability of a word's middle.
        limit: words at most, the surest first.

    Returns:
        boxes (k, 4) in fractions of the page, and their probabilities (k,), the surest first.
    """
    _, high, wide = spots.shape
    heat = 1.0 / (1.0 + np.exp(-spots[0]))
    padded = np.pad(heat, ((0, 0), (1, 1)), constant_values=0.0)
    peak = (heat > threshold) & (heat >= padded[:, :-2]) & (heat > padded[:, 2:])
    rows, columns = np.nonzero(peak)
    order = np.argsort(-heat[rows, columns], kind="stable")[:limit]
    rows, columns = rows[order], columns[order]
    reach = np.exp(np.clip(spots[1:, rows, columns], -4.0, 5.0))
    x, y = columns + 0.5, rows + 0.5
    boxes = np.stack([x - reach[0], y - reach[1], x + reach[2], y + reach[3]], 1).astype(np.float32)
    kept = _suppress(boxes)
    boxes = np.clip(boxes[kept] / np.array([wide, high, wide, high], np.float32), 0.0, 1.0)
    return boxes, heat[rows, columns][kept].astype(np.float32)


def _suppress(boxes: Floats, most: float = 0.5) -> NDArray[np.int64]:
    """Return the numbers of the boxes that share no more than ``most`` of the smaller one with any better one."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    alive = np.ones(len(boxes), bool)
    for start in range(0, len(boxes), _COMPARED):
        some, later = boxes[start : start + _COMPARED, None], boxes[None, start:]
        sides = np.minimum(some[..., 2:], later[..., 2:]) - np.maximum(some[..., :2], later[..., :2])
        shared = sides.clip(0).prod(2)
        met = np.triu(shared > most * np.minimum(area[start : start + _COMPARED, None], area[None, start:]), 1)
        for index in np.flatnonzero(met.any(1)):
            if alive[start + index]:
                alive[start:] &= ~met[index]
    return np.flatnonzero(alive)


def pool_words(words: Floats, boxes: Floats) -> Floats:
    """Average the word map (c, h, w) over boxes (k, 4) in fractions, each cell by the share covered; returns (k, c), each of length 1."""
    channels, high, wide = words.shape
    if not len(boxes):
        return np.zeros((0, channels), np.float32)
    left, top, right, bottom = (boxes * np.array([wide, high, wide, high], np.float32)).T
    right, bottom = np.maximum(right, left + 0.05), np.maximum(bottom, top + 0.05)
    first_x, first_y = (np.clip(edge.astype(np.int64), 0, most - 1) for edge, most in ((left, wide), (top, high)))
    across, down = (
        np.maximum(np.ceil(np.minimum(edge, most)).astype(np.int64) - first, 1)
        for edge, most, first in ((right, wide, first_x), (bottom, high, first_y))
    )
    cells = across * down
    starts = cells.cumsum() - cells
    of = np.repeat(np.arange(len(boxes)), cells)
    number = np.arange(cells.sum()) - starts[of]
    x, y = first_x[of] + number % across[of], first_y[of] + number // across[of]
    covered = (np.minimum(right[of], x + 1) - np.maximum(left[of], x)) * (np.minimum(bottom[of], y + 1) - np.maximum(top[of], y))
    seen = words.reshape(channels, -1)[:, y * wide + x] * np.maximum(covered, 0).astype(np.float32)
    total = np.add.reduceat(seen, starts, axis=1).T
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(lengths, 1e-9), np.float32)
