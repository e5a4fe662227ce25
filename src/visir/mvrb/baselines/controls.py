"""Two controls that every system must beat: chance, and the nearest small grey picture."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress

_SIDE = 48


class Random:
    """Candidates in random order, the same every time."""

    name = "random"
    revision = "1"
    computed = 0

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return random numbers that depend on the task's name alone."""
        rng = np.random.default_rng(zlib.crc32(task.name.encode()))
        return rng.random((len(task.queries), len(task.candidates)), np.float32)


class GreyPictures:
    """Cosine of 48 x 48 grey pictures: what can be found without reading or understanding anything.

    Texts have no picture, so they all tie; ties fall to the first candidate.

    Args:
        cache: keeps the small pictures by content.
    """

    name = "grey"
    revision = "1"

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    @property
    def computed(self) -> int:
        """Small pictures that had to be made so far."""
        return self._cache.computed

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the similarities of the pictures."""
        queries, candidates = (self._greys(rows) for rows in (task.queries, task.candidates))
        progress(self.name, len(candidates), len(candidates))
        return (queries @ candidates.T).astype(np.float32)

    def _greys(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        keys = [key_of(f"{self.name}\0{self.revision}", row.digest) for row in rows]
        small = self._cache.through(keys, lambda positions: [_grey(rows[position]) for position in positions])
        greys = np.frombuffer(b"".join(small), np.uint8).reshape(len(rows), -1).astype(np.float32)
        greys -= greys.mean(axis=1, keepdims=True)
        return np.asarray(greys / np.maximum(np.linalg.norm(greys, axis=1, keepdims=True), 1e-6), np.float32)


def _grey(row: Row) -> bytes:
    if not row.picture:
        return bytes(_SIDE * _SIDE)
    return row.screenshot().image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX).tobytes()
