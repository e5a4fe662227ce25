"""How alike two pages are: a perceptual hash of the picture, and the runs of words that their texts share."""

import io
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Hashes = NDArray[np.uint64]

_SIDE = 16
_RUN = 8
# Steps of brightness that compression and scaling may take.
_NOISE = 3


def picture_hash(encoded: bytes) -> bytes:
    """Return 32 bytes that change little where a picture is scaled or compressed anew: where brightness rises from left to right.

    This is the difference hash of image search (dHash) on 16 x 16 cells, with a dead band so that flat paper stays zero.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        image.draft("L", (4 * _SIDE, 4 * _SIDE))
        grey = np.asarray(image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    return np.packbits((grey[:, 1:] - grey[:, :-1]) > _NOISE).tobytes()


def distances(hashes: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return in how many of 256 bits hashes differ.

    Args:
        hashes: (n, 32), uint8.
        others: (m, 32).

    Returns:
        (n, m).
    """
    left, right = hashes.view(np.uint64), others.view(np.uint64)
    differing: NDArray[np.uint16] = np.bitwise_count(left[:, None, :] ^ right[None, :, :]).sum(2, dtype=np.uint16)
    return differing


def shingles(text: str) -> Hashes:
    """Return the hashes of a text's runs of eight words, each once, sorted; of all its words where they are fewer."""
    words = ["".join(letter for letter in word if letter.isalnum()) for word in text.lower().split()]
    words = [word for word in words if word]
    runs: Iterable[str] = (" ".join(words[start : start + _RUN]) for start in range(max(1, len(words) - _RUN + 1)))
    return np.unique(np.fromiter((_hash(run) for run in runs if run), np.uint64))


def _hash(run: str) -> int:
    data = run.encode()
    return zlib.crc32(data) << 32 | zlib.adler32(data[::-1])


def share_within(found: Hashes, pool: Hashes) -> float:
    """Return the share of ``found`` that is in ``pool``; both are sorted."""
    if not len(found) or not len(pool):
        return 0.0
    at = np.minimum(np.searchsorted(pool, found), len(pool) - 1)
    return float((pool[at] == found).mean())
