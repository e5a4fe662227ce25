"""Many vectors a page: what late interaction compares, and what shows where on a page a query is answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Embedder


@dataclass(frozen=True)
class Regions:
    """Where on a page there is what: the many vectors of a page that late interaction compares.

    Args:
        boxes: (k, 4) left, top, right, bottom in fractions of the page.
        vectors: (k, d) float32, of length 1; shorter where a region is worth less than what it says.
    """

    boxes: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def pack(self) -> bytes:
        """Return the regions as bytes: boxes in 1/65535 of the page, vectors in 1/127."""
        count = np.array([len(self.boxes)], "<u4")
        boxes, vectors = np.rint(self.boxes * 65535).astype("<u2"), np.rint(self.vectors * 127).astype(np.int8)
        return b"".join(part.tobytes() for part in (count, boxes, vectors))

    @classmethod
    def unpack(cls, packed: bytes) -> "Regions":
        """Return packed regions; none where ``packed`` is empty."""
        count = int(np.frombuffer(packed, "<u4", 1)[0]) if packed else 0
        if not count:
            return cls(np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32))
        boxes = np.frombuffer(packed, "<u2", 4 * count, 4).reshape(count, 4).astype(np.float32) / np.float32(65535)
        vectors = np.frombuffer(packed, np.int8, offset=4 + 8 * count).reshape(count, -1).astype(np.float32)
        return cls(boxes, vectors / np.float32(127))


@dataclass(frozen=True)
class RegionQuery:
    """The parts of a query that each look for their own place on a page.

    Args:
        names: what the parts are called, where they have a name.
        vectors: (m, d) float32, each of length 1.
        weights: (m,) how much each part counts; where they add up to more than 1, some of the parts are enough.
        present: (midpoint, width) of the logistic curve that turns a cosine into the chance that a part is there.
        marked: (m,) which parts are shown where they stand on a page; all, if left out.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]
    present: tuple[float, float]
    marked: NDArray[np.bool_] | None = None

    def chances(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn the cosines of parts with regions into the chances that they show the same."""
        middle, width = self.present
        return np.asarray(1.0 / (1.0 + np.exp((middle - cosines) / width)), np.float32)

    def match(self, regions: Regions) -> tuple[float, NDArray[np.int64]]:
        """Compare with a page by late interaction (Khattab and Zaharia 2020): each part with the region that is most like it.

        Returns:
            the weighted chance that the parts are there, 0 to 1, and the numbers of the regions that most likely show one.
        """
        if not len(self.names) or not len(regions.boxes):
            return 0.0, np.zeros(0, np.int64)
        cosines = self.vectors @ regions.vectors.T
        best = self.chances(cosines.max(1))
        shown = cosines if self.marked is None else cosines[self.marked]
        return min(1.0, float(best @ self.weights)), np.flatnonzero((shown > self.present[0]).any(0))


@runtime_checkable
class RegionEmbedder(Embedder, Protocol):
    """An embedder that also gives a vector for each of many places on a page."""

    def encode_regions(self, documents: Sequence[Screenshot]) -> list[Regions]:
        """Return the regions of each page, read off its picture; of one that has words, the regions of these."""

    def encode_query_regions(self, query: Query, seen: Regions | None = None) -> RegionQuery:
        """Return the parts of a text, or of a picture.

        Args:
            query: what is asked. The text beside a picture is left to `encode_difference`.
            seen: the regions of the picture, where they are known already.
        """

    def encode_difference(self, text: str) -> RegionQuery:
        """Return the parts of a text that says how a page should differ from a picture.

        Their weights add up to less than 1 where the text tells little. The name of a language stands for small words of it.
        """

    def read(self, document: Screenshot) -> Screenshot:
        """Return the page with the words that are read on its picture."""
