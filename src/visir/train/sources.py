"""Where training pairs come from, by name."""

from visir.train.pairs import PairSet
from visir.train.shapes import shapes


def open_source(name: str, split: str) -> list[PairSet]:
    """Return the pairs of a source, one set of each kind that it has.

    Args:
        name: ``shapes``, or a folder that ``visir vira`` wrote.
        split: ``train`` or ``held``.
    """
    return shapes(split)
