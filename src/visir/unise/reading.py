"""Read pages by their looks, without torch: where words stand, what their letters look like, and which words that makes them.

The tower of unise-mini gives two maps of a page (`visir.unise.mini`). Peaks of the one are words; the other, pooled over a word's box, is
the word's vector, which lies near the sum of its letter n-grams. The nearest word of a lexicon, weighed by how often it is written, is what
the word reads as; words that no lexicon knows keep their vectors, and are found by these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visir.unise.letters import Speller, likelihoods, spell
from visir.unise.lexicon import Lexicon
from visir.unise.onnx import open_session
from visir.unise.vino import VinoSession
from visir.unise.words import COARSE, Floats, find_words, fit_size, fold_word, part_word, pool_words

_MAX_WORDS = 1000
# Heights of words in pixels: below the first a page is enlarged, to bring them to the second; above the third they are read at half size.
_SMALL, _WANTED, _LARGE = 9.5, 12.0, 18.0
# Type that is lower than this at half the default size, where all small type looks about 6.5 pixels high, is enlarged at once: so much.
_FINE, _MAGNIFIED = 7.2, 1.7
# No page is looked at with more than so many times the default number of pixels.
_ENLARGED = 4.0
# Words spelt as surely as this are not looked up; for others that are no words of the lexicon so many of these are weighed.
_LIKELY, _CANDIDATES = 0.3, 6
# A word of the lexicon that is spelt so and looks like it is at least so sure; one that is not likely spelt so must look more like it.
_SURE, _ALIKE, _MORE_ALIKE = 0.9, 0.55, 0.6
# What a word's looks (a cosine) count against its letters and its frequency (logarithms), and the frequency of a word that is not known.
_LOOKS, _UNKNOWN = 80.0, -17.0
# By how much words must differ in these, all told, for one to be likelier by e; and what a word needs of the one or the other to be read.
_DOUBT = 5.0
_LEAST_LETTER, _LEAST_LOOKS = -2.5, 0.5
# Pages of so few words are turned, for what is written along the axes of charts.
_SPARSE = 100
# A page's gist has so many parts along each side.
_PARTS = 3


@dataclass(frozen=True)
class Reading:
    """The words seen on a page, in reading order.

    Args:
        boxes: (k, 4) where they stand, in fractions of the page.
        vectors: (k, d) what their letters look like, each of length 1.
        words: what each reads as; empty where it reads as nothing.
        sure: (k,) how likely it reads so.
        gist: (g,) what the page looks like as a whole; see `PageReader.glance`.
    """

    boxes: Floats
    vectors: Floats
    words: list[str]
    sure: Floats
    gist: Floats


@dataclass(frozen=True)
class _Sight:
    """Where words stand (k, 4) on a picture at one size, and the maps that tell which: the word map, and the fine map of letters."""

    boxes: Floats
    words: Floats
    fine: Floats

    @property
    def heights(self) -> Floats:
        """How high each word is, as a share of the page."""
        return np.asarray(self.boxes[:, 3] - self.boxes[:, 1])


_Seen = list[tuple[_Sight, NDArray[np.int64]]]
"""The words of a page: at each size that it was seen at, the numbers of those that are read there."""


class PageReader:
    """Sees words on pictures, and knows the vectors of words that are written.

    Args:
        folder: holds ``tower.onnx``, ``ngrams.npz``, ``lexicon.npz`` and ``lexicon.txt``, as written by `visir.train.export_mini`.
        pixels: area in pixels that a page is brought to.
        device: ``"openvino"`` runs the tower in OpenVINO, any other in onnxruntime.
    """

    def __init__(self, folder: Path, pixels: int, device: str = "auto") -> None:
        self._folder, self._pixels, self._device = folder, pixels, device
        self.lexicon = Lexicon(folder)

    @cached_property
    def _session(self) -> Any:
        # Opened with the first picture: most searches look at none.
        path = self._folder / "tower.onnx"
        return VinoSession(path) if self._device == "openvino" else open_session(path)

    def look(self, image: Image.Image) -> Reading:
        """Return the words seen on a picture.

        The tower reads type of some 9 to 20 pixels. A page is glanced at, and then seen at the size that shows a document's type so;
        where its type is smaller and the picture has more to show, larger; and for words in large type at half that size, again and again.
        """
        image = image.convert("RGB")
        glanced = self._glanced(image.size)
        glance = self._see(image, glanced)
        plain = size = self._fit(image.size, self._pixels, 1.0)
        if 0 < _height(glance, glanced) < _FINE:
            size = self._larger(image.size, size, _MAGNIFIED)
        sight = self._see(image, size)
        if 0 < (high := _height(sight, size)) < _SMALL and (larger := self._larger(image.size, size, (_WANTED / high) ** 2)) != size:
            size, sight = larger, self._see(image, larger)
        seen: _Seen = [(sight, np.arange(len(sight.boxes)))]
        shown, half = size, glance
        while len(sight.boxes) and half.heights.max(initial=0) * shown[1] > _LARGE:
            halved = self._fit(image.size, shown[0] * shown[1] / 4, 1.0)
            if min(halved) < 2 * COARSE:
                break
            half = glance if halved == glanced else self._see(image, halved)
            seen, shown = _join(seen, half, _LARGE / shown[1]), halved
        boxes, vectors, columns = self._words(seen)
        order = reading_order(boxes * np.tile(np.array(size, np.float32), 2))
        read = self._read([columns[number] for number in order], vectors[order])
        reading = Reading(boxes[order], vectors[order], *read, _gist(glance.fine))
        return self._with_turned(reading, image, plain) if len(order) <= _SPARSE else reading

    def glance(self, image: Image.Image) -> Floats:
        """Return the gist (g,) of a picture: the means of the fine map over three by three parts of it, at half the default size.

        What stands where on a page, without what it says: after the gist of a scene (Oliva and Torralba 2001), with the filters that the
        tower has learnt.
        """
        image = image.convert("RGB")
        [fine] = self._session.run(["fine"], {"image": _resized(image, self._glanced(image.size))})
        return _gist(fine[0])

    def _glanced(self, size: tuple[int, int]) -> tuple[int, int]:
        wide, high = self._fit(size, self._pixels, 1.0)
        return self._fit(size, wide * high / 4, 1.0)

    def _with_turned(self, page: Reading, image: Image.Image, size: tuple[int, int]) -> Reading:
        """Add the words that are written from below upwards, as along the vertical axes of charts: those that are surely words."""
        sight = self._see(image.transpose(Image.Transpose.ROTATE_270), size[::-1])
        boxes, vectors, columns = self._words([(sight, np.arange(len(sight.boxes)))])
        words, sure = self._read(columns, vectors)
        plain = [fold_word(word) for word in words]
        likely = (self.lexicon.shares_of(plain) > _UNKNOWN) | ((self.lexicon.vectors_of(plain) * vectors).sum(1) > _ALIKE)
        kept = [number for number in np.flatnonzero(likely & (sure > 0.5)) if len(plain[number]) > 2 and plain[number].isalpha()]
        boxes = boxes[kept]
        boxes = np.stack([boxes[:, 1], 1 - boxes[:, 2], boxes[:, 3], 1 - boxes[:, 0]], 1)
        return replace(
            page,
            boxes=np.concatenate([page.boxes, boxes]),
            vectors=np.concatenate([page.vectors, vectors[kept]]),
            words=page.words + [words[number] for number in kept],
            sure=np.concatenate([page.sure, sure[kept]]),
        )

    def _fit(self, size: tuple[int, int], pixels: float, most: float) -> tuple[int, int]:
        """Return a size of about ``pixels``: at most `_ENLARGED` times the default, and at most ``most`` times the picture's sides."""
        wide, high = size
        return fit_size(wide, high, int(min(pixels, most**2 * wide * high, _ENLARGED * self._pixels)))

    def _larger(self, whole: tuple[int, int], size: tuple[int, int], times: float) -> tuple[int, int]:
        """Return a size of so many ``times`` the pixels of another, at most four; the other, if the whole picture has little more."""
        wide, high = self._fit(whole, size[0] * size[1] * min(_ENLARGED, times), 1.5)
        return (wide, high) if wide * high > 1.3 * size[0] * size[1] else size

    def _see(self, image: Image.Image, size: tuple[int, int]) -> _Sight:
        """Find words on a picture that is brought to one size, in no order."""
        words, spots, fine = self._session.run(None, {"image": _resized(image, size)})
        boxes, _ = find_words(spots[0], limit=_MAX_WORDS * max(1, round(size[0] * size[1] / self._pixels)))
        return _Sight(boxes, words[0], fine[0])

    def _words(self, seen: _Seen) -> tuple[Floats, Floats, list[Floats]]:
        """Return the boxes (k, 4) of words, their vectors, and the columns of each (`Speller.words`)."""
        parts = [(sight, sight.boxes[numbers]) for sight, numbers in seen]
        vectors = [pool_words(sight.words, boxes) for sight, boxes in parts]
        columns = [word for sight, boxes in parts for word in self._speller.words(sight.fine, boxes)]
        return np.concatenate([boxes for _, boxes in parts]), np.concatenate(vectors), columns

    @cached_property
    def _speller(self) -> Speller:
        return Speller(self._folder / "letters.npz")

    def _read(self, columns: Sequence[Floats], vectors: Floats) -> tuple[list[str], Floats]:
        """Return what each word reads as, and how likely (k,).

        Words of the lexicon that look like it, and the word as it is spelt, are weighed by their looks, their letters, and how often they
        are written.
        """
        spelt = [spell(part) for part in columns]
        chosen = [word for word, _ in spelt]
        sure = np.array([chance for _, chance in spelt], np.float32)
        cores = [fold_word(word) for word in chosen]
        looks = (self.lexicon.vectors_of(cores) * vectors).sum(1)
        known = (self.lexicon.shares_of(cores) > _UNKNOWN) & (looks > np.where(sure > _LIKELY, _ALIKE, _MORE_ALIKE))
        sure[known] = np.maximum(sure[known], _SURE)
        doubtful = np.flatnonzero(sure < _LIKELY).tolist()
        if not doubtful:
            return chosen, sure
        asked: list[str] = []
        texts: list[str] = []
        counts: list[int] = []
        for number, words in zip(doubtful, self.lexicon.nearest(vectors[doubtful], _CANDIDATES), strict=True):
            start, core, end = part_word(chosen[number])
            candidates = list(dict.fromkeys([cores[number], *words]))
            asked += candidates
            texts += [f"{start}{core if word == cores[number] else word}{end}" for word in candidates]
            counts.append(len(candidates))
        of = np.repeat(doubtful, counts)
        # In small letters, as the lexicon has them; adding the chances of capitals to theirs gave nothing (docs/log.md).
        by_letters = likelihoods([columns[number] for number in of.tolist()], [text.lower() for text in texts])
        by_looks = (self.lexicon.vectors_of(asked) * vectors[of]).sum(1)
        scores = _LOOKS * by_looks + by_letters + np.maximum(self.lexicon.shares_of(asked), _UNKNOWN)
        ends = np.cumsum(counts)
        for number, first, last in zip(doubtful, ends - counts, ends, strict=True):
            best = first + int(scores[first:last].argmax())
            sure[number] = 1 / np.exp((scores[first:last] - scores[best]) / _DOUBT).sum()
            plain = by_letters[best] < _LEAST_LETTER * len(texts[best]) and by_looks[best] < _LEAST_LOOKS
            chosen[number] = "" if plain else texts[best]
        return chosen, sure


def _height(sight: _Sight, size: tuple[int, int]) -> float:
    """Return how high the word in the middle is, in pixels of the size at which it was seen; 0 where there is none."""
    return float(np.median(sight.heights)) * size[1] if len(sight.boxes) else 0.0


def _resized(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0))[None]


def _gist(fine: Floats) -> Floats:
    """Return the means of a map (c, h, w) over 3 x 3 parts of it, one after another: (9 * c,)."""
    parts = (part for rows in np.array_split(fine, _PARTS, 1) for part in np.array_split(rows, _PARTS, 2))
    return np.concatenate([part.mean((1, 2)) for part in parts])


def _join(seen: _Seen, half: _Sight, large: float) -> _Seen:
    """Return the words of a page, those higher than ``large``, a share of the page, as they were seen at half the size.

    What only the half takes for large is not: it sees small type as higher than it is.
    """
    boxes = np.concatenate([sight.boxes[numbers] for sight, numbers in seen])
    heights = boxes[:, 3] - boxes[:, 1]
    x, y = ((boxes[:, side] + boxes[:, side + 2]) / 2 for side in (0, 1))
    kept, own = [], np.ones(len(boxes), bool)
    for number in np.flatnonzero(half.heights > large).tolist():
        left, top, right, bottom = half.boxes[number]
        inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        if not inside.any() or np.median(heights[inside]) > large:
            kept.append(number)
            own &= ~inside
    owned = np.split(own, np.cumsum([len(numbers) for _, numbers in seen])[:-1])
    left_over = [(sight, numbers[mine]) for (sight, numbers), mine in zip(seen, owned, strict=True)]
    return [*left_over, (half, np.array(kept, np.int64))]


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
