"""What a picture looks like from afar, as a vector in the space of texts: what tells pictures apart that have hardly a word on them."""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visir.unise.words import Floats

_SIDE = 8
# How much the mean colour counts beside what differs from it.
_MEAN = 0.5


def look_of(image: Image.Image, dim: int) -> Floats:
    """Return the vector (dim,), of length 1, of a picture's colours on a grid of 8 x 8 cells.

    The colours are laid into the space by a fixed matrix of random signs (Johnson and Lindenstrauss 1984; Achlioptas 2003), so that
    pictures that look alike have like vectors, and that these have next to nothing in common with the vectors of texts.
    """
    cells = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0), np.float32) / 255 - 0.5
    mean = cells.mean((0, 1))
    seen = np.append((cells - mean).ravel(), _MEAN * _SIDE * mean) @ _signs(dim)
    return np.asarray(seen / max(1e-9, float(np.linalg.norm(seen))), np.float32)


@cache
def _signs(dim: int) -> NDArray[np.float32]:
    rows = 3 * _SIDE * _SIDE + 3
    bits = np.frombuffer(hashlib.shake_128(b"looks").digest(rows * dim // 8), np.uint8)
    return np.unpackbits(bits).reshape(rows, dim).astype(np.float32) * 2 - 1
