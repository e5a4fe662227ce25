"""What speaks for a page, 0 to 1: the words that are there and what the page means, joined as independent evidence.

docs/search.md has the formula, and where its numbers come from.
"""

import numpy as np
from numpy.typing import NDArray

from visir.screenshot import Query
from visir.unise.embedder import Calibration

# Where some page has all the words that were typed, meaning proves so much less: who types them mostly means them.
_TYPED = 0.4
# So many words of a picture are enough to go by.
_ENOUGH = 8
# What is seen on both pictures counts so much, what both mean the rest.
_SEEN = 0.4
# A page that has all that the text asks for counts for twice one that is as like the picture and has nothing of it.
_TURNED = 1.0


def meaning(
    cosines: NDArray[np.float32], query: Query, calibration: Calibration, typed: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return what cosines of a query with pages prove, 0 to 1, same shape.

    Args:
        cosines: of any shape.
        query: whose cosines they are.
        calibration: the model's.
        typed: what the query's words prove of the same pages, if they are looked for. The more they prove of any page, the less the
            meaning does of each: words that are found somewhere were mostly meant, those that are found nowhere were a description.
    """
    middle, width = calibration.curve(query)
    found = typed.max(initial=0) if typed is not None and query.image is None else 0
    return np.asarray((1 - _TYPED * found**2) / (1.0 + np.exp((middle - cosines) / width)), np.float32)


def words(share: NDArray[np.float32], best: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what words on pages prove, 0 to 1, same shape.

    Args:
        share: share of the query's words that is on each page.
        best: how good each page is among those that have some, 0 to 1.
    """
    return np.asarray(share * (1 + best) / 2, np.float32)


def join(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Join two independent kinds of evidence, 0 to 1: what neither proves stays open."""
    return np.asarray(1 - (1 - one) * (1 - other), np.float32)


def likeness(shared: NDArray[np.float32], cosines: NDArray[np.float32], parts: NDArray[np.int64] | int) -> NDArray[np.float32]:
    """Return how like pages are to the picture that asks, 0 to 1, same shape: by what is seen on both, and by what both mean.

    Args:
        shared: share of the picture's telling words that is on each page.
        cosines: of the query's vector with the pages'.
        parts: how many telling words the picture has; where they are few, they count less and the vectors more.
    """
    seen = _SEEN * np.minimum(np.asarray(parts, np.float32) / _ENOUGH, 1)
    return np.asarray(seen * shared + (1 - seen) * np.maximum(cosines, 0), np.float32)


def turn(alike: NDArray[np.float32], differ: NDArray[np.float32]) -> NDArray[np.float32]:
    """Join what a picture and the text beside it ask for, 0 to 1, same shape.

    Of pages that are as like the picture, those that have what the text says come first; one that is not like it is not found by its
    words alone.

    Args:
        alike: what `likeness` returned.
        differ: share of what the text says should differ that is on each page.
    """
    return np.asarray(alike * (1 + _TURNED * words(differ, differ)) / (1 + _TURNED), np.float32)
