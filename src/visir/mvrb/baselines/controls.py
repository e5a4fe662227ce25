"""Two controls that every system must beat: chance, and the nearest small grey picture."""

import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    """

    name = "grey"
    revision = "1"
    computed = 0

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the similarities of the pictures."""
        queries = np.stack([_grey(row) for row in task.queries])
        candidates = np.stack([_grey(row) for row in task.candidates])
        progress(self.name, len(candidates), len(candidates))
        return (queries @ candidates.T).astype(np.float32)


def _grey(row: Row) -> NDArray[np.float32]:
    if not row.picture:
        return np.zeros(_SIDE * _SIDE, np.float32)
    small = row.screenshot().image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32).ravel()
    pixels -= pixels.mean()
    return pixels / max(float(np.linalg.norm(pixels)), 1e-6)
