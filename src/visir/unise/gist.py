"""What a page looks like as a whole, laid into the space of texts: so charts of a kind, and pages of a layout, lie where their names do."""

from pathlib import Path

import numpy as np

from visir.unise.words import Floats

MOST = 5.0
"""No part of a gist counts as farther from its mean than so many times the usual."""


class GistMap:
    """A linear map of gists (`visir.unise.reading.PageReader.glance`) into the space of texts, as `visir.train.gist` learns it.

    Args:
        path: ``gist.npz``: ``rows`` (g, dim) in 8 bits with ``scales`` (dim,); ``mean`` and ``spread`` (g,) of the gists of training.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self._rows = np.asarray(file["rows"] * file["scales"], np.float32)
            self._mean, self._spread = file["mean"], file["spread"]

    def __call__(self, gist: Floats) -> Floats:
        """Return what a gist (g,) adds to its page's vector (dim,)."""
        return np.asarray(np.clip((gist - self._mean) / self._spread, -MOST, MOST) @ self._rows, np.float32)
