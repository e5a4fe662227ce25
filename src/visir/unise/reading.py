"""Read pages by their looks, without torch: where words stand, what their letters look like, and which words that makes them.

The tower of unise-mini gives two maps of a page (`visir.unise.mini`). Peaks of the one are words; the other, pooled over a word's box, is
the word's vector, which lies near the sum of its letter n-grams. The nearest word of a lexicon, weighed by how often it is written, is what
the word reads as; words that no lexicon knows keep their vectors, and are found by these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visir.unise.onnx import open_session
from visir.unise.words import Floats, bag_rows, find_words, fit_size, fold_word, pool_words

_SHARPNESS = 60.0
_LEAST_ALIKE = 0.45
_MAX_WORDS = 1000
# Words compared with the lexicon in one go: bounds the memory for their scores (25 MB).
_AT_ONCE = 128


@dataclass(frozen=True)
class Reading:
    """The words seen on a page, in reading order.

    Args:
        boxes: (k, 4) where they stand, in fractions of the page.
        vectors: (k, d) what their letters look like, each of length 1.
    """

    boxes: Floats
    vectors: Floats


class PageReader:
    """Sees words on pictures, and knows the vectors of words that are written.

    Args:
        folder: holds ``tower.onnx``, ``ngrams.npz``, ``lexicon.npy`` and ``lexicon.txt``, as written by `visir.train.export_mini`.
        pixels: area in pixels that a page is brought to.
    """

    def __init__(self, folder: Path, pixels: int) -> None:
        self._folder, self._pixels = folder, pixels

    @cached_property
    def _session(self) -> Any:
        # Opened with the first picture: most searches look at none.
        return open_session(self._folder / "tower.onnx")

    def look(self, image: Image.Image) -> Reading:
        """Return the words seen on a picture."""
        width, height = fit_size(*image.size, self._pixels)
        picture = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0))
        words, spots = self._session.run(None, {"image": picture[None]})
        boxes, _ = find_words(spots[0], limit=_MAX_WORDS)
        boxes = boxes[reading_order(boxes * np.tile(np.array([width, height], np.float32), 2))]
        return Reading(boxes, pool_words(words[0], boxes))

    @cached_property
    def _table(self) -> Floats:
        with np.load(self._folder / "ngrams.npz") as file:
            return np.asarray(file["rows"] * file["scales"][:, None], np.float32)

    def vectors_of(self, words: Sequence[str]) -> Floats:
        """Return the vectors (n, d) of words by their letters, each of length 1."""
        rows, starts = bag_rows(words, len(self._table))
        vectors = np.zeros((len(words), self._table.shape[1]), np.float32)
        ends = np.append(starts[1:], len(rows))
        some = np.flatnonzero(ends > starts)
        for at in range(0, len(some), 4096):
            chosen = some[at : at + 4096]
            first, last = starts[chosen[0]], ends[chosen[-1]]
            vectors[chosen] = np.add.reduceat(self._table[rows[first:last]], starts[chosen] - first, axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)

    @cached_property
    def _lexicon(self) -> tuple[list[str], Floats]:
        """The words that can be read, and the logarithm of how often each is written, as a share."""
        lines = (self._folder / "lexicon.txt").read_text(encoding="utf-8").splitlines()
        counts = np.array([float(line.partition("\t")[2]) for line in lines])
        return [line.partition("\t")[0] for line in lines], np.log(counts / counts.sum()).astype(np.float32)

    @cached_property
    def _lexicon_vectors(self) -> Floats:
        """Transposed, times `_SHARPNESS`, and below them the words' shares: one product gives the scores."""
        looks = np.load(self._folder / "lexicon.npy").astype(np.float32)
        looks *= _SHARPNESS / np.linalg.norm(looks, axis=1, keepdims=True)
        return np.ascontiguousarray(np.concatenate([looks, self._lexicon[1][:, None]], 1).T)

    @cached_property
    def _frequency(self) -> dict[str, float]:
        return dict(zip(self._lexicon[0], self._lexicon[1].tolist(), strict=True))

    def rarity_of(self, words: Sequence[str]) -> Floats:
        """Return how much each word tells (n,): minus the logarithm of its share of all writing, at most that of the rarest."""
        rarest = float(self._lexicon[1].min())
        return np.array([-self._frequency.get(fold_word(word), rarest) for word in words], np.float32)

    def spell(self, vectors: Floats) -> list[str]:
        """Return what words read as by their vectors (k, d); empty where no word of the lexicon looks like it."""
        names, shares = self._lexicon
        found: list[str] = []
        for at in range(0, len(vectors), _AT_ONCE):
            part = vectors[at : at + _AT_ONCE]
            scores = np.concatenate([part, np.ones((len(part), 1), np.float32)], 1) @ self._lexicon_vectors
            best = scores.argmax(1)
            alike = (scores[np.arange(len(part)), best] - shares[best]) / _SHARPNESS
            found.extend(names[number] if sure else "" for number, sure in zip(best, alike > _LEAST_ALIKE, strict=True))
        return found


def reading_order(boxes: Floats) -> NDArray[np.int64]:
    """Return the order in which boxes (k, 4), in units that are as wide as high, are read.

    Recursive cuts (Nagy and Seth 1984): a part is cut where the widest empty band crosses it, its upper or left side is read first; what no
    band crosses is read in lines.
    """
    if not len(boxes):
        return np.zeros(0, np.int64)
    size = float(np.median(boxes[:, 3] - boxes[:, 1]))
    order: list[int] = []
    waiting = [np.arange(len(boxes))]
    while waiting:
        part = waiting.pop()
        across = _widest_band(boxes[part][:, [1, 3]])
        along = _widest_band(boxes[part][:, [0, 2]])
        if max(across[0] / 0.9, along[0] / 1.5) <= size:
            order.extend(part[_lines(boxes[part], size)].tolist())
            continue
        axis, (_, cut) = (1, across) if across[0] / 0.9 >= along[0] / 1.5 else (0, along)
        first = boxes[part][:, axis] < cut
        waiting += [part[~first], part[first]]
    return np.array(order, np.int64)


def _widest_band(spans: Floats) -> tuple[float, float]:
    """Return the width of the widest gap between spans (k, 2), and where it ends; 0 where they leave none."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])[:-1]
    gaps = spans[1:, 0] - reach
    if not len(gaps) or gaps.max() <= 0:
        return 0.0, 0.0
    at = int(gaps.argmax())
    return float(gaps[at]), float(spans[at + 1, 0])


def _lines(boxes: Floats, size: float) -> NDArray[np.int64]:
    """Return the order of boxes by line, then from left to right; a box belongs to the line whose first box's middle is near its own."""
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    line = np.zeros(len(boxes), np.int64)
    start, number = -np.inf, -1
    for index in np.argsort(middles, kind="stable"):
        if middles[index] - start > 0.6 * size:
            start, number = middles[index], number + 1
        line[index] = number
    return np.lexsort((boxes[:, 0], line))
