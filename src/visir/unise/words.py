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
    if not len(boxes):
        return np.zeros(0, np.int64)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    alive = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if alive[index]:
            later = boxes[index + 1 :]
            wide = np.minimum(later[:, 2], boxes[index, 2]) - np.maximum(later[:, 0], boxes[index, 0])
            high = np.minimum(later[:, 3], boxes[index, 3]) - np.maximum(later[:, 1], boxes[index, 1])
            shared = wide.clip(0) * high.clip(0)
            alive[index + 1 :] &= shared <= most * np.minimum(area[index], area[index + 1 :])
    return np.flatnonzero(alive)


def pool_words(words: Floats, boxes: Floats) -> Floats:
    """Average the word map (c, h, w) over boxes (k, 4) in fractions, each cell by the share covered; returns (k, c), each of length 1."""
    _, high, wide = words.shape
    integral = np.pad(words.astype(np.float64).cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    left, top, right, bottom = (boxes * np.array([wide, high, wide, high])).T
    right, bottom = np.maximum(right, left + 0.05), np.maximum(bottom, top + 0.05)

    def read(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        y, x = np.clip(y, 0, high), np.clip(x, 0, wide)
        y0, x0 = np.minimum(y.astype(int), high - 1), np.minimum(x.astype(int), wide - 1)
        fy, fx = y - y0, x - x0
        above = (1 - fx) * integral[:, y0, x0] + fx * integral[:, y0, x0 + 1]
        below = (1 - fx) * integral[:, y0 + 1, x0] + fx * integral[:, y0 + 1, x0 + 1]
        return np.asarray((1 - fy) * above + fy * below)

    total = (read(bottom, right) - read(top, right) - read(bottom, left) + read(top, left)).T
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(lengths, 1e-9), np.float32)
