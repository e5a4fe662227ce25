"""Where training pairs come from, by name: VIRA sets on disk, or drawn pages."""

import hashlib
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from visir.errors import ModelError
from visir.train.pairs import Kind, Pair, PairSet
from visir.train.shapes import shapes
from visir.vira.dataset import Dataset

KINDS: tuple[Kind, ...] = ("caption", "q2s", "sq2s", "sqa", "label")
HELD_SHARE = 20
"""One document in so many is held out of training; all its pairs and pages with it."""


def open_source(name: str, split: str, leave_out: Collection[str] = ()) -> list[PairSet]:
    """Return the pairs of a source, one set of each kind that it has.

    Args:
        name: ``shapes``, or a folder that ``visir vira build`` wrote.
        split: ``train`` or ``held``.
        leave_out: domains that give no pairs. Negatives are of their pair's own domain, so none is of these either.

    Raises:
        ModelError: there is no such source, or none of its pairs is in the split.
    """
    if name == "shapes":
        return shapes(split)
    if not Path(name).is_dir():
        raise ModelError(f"there are no training pairs at {name!r}: name shapes, or a folder that `visir vira build` wrote")
    data = Dataset(name)
    sets = [pairs for kind in KINDS if (pairs := _of_kind(data, kind, split, leave_out)).pairs]
    if not sets:
        reason = "its domains are left out" if leave_out else "it is too small to train on"
        raise ModelError(f"{name}: none of its pairs is in the split {split!r}; {reason}")
    return sets


def is_held(document: str) -> bool:
    """Say whether a document's pairs are held out."""
    return zlib.crc32(f"held:{document}".encode()) % HELD_SHARE == 0


class _Pictures(Mapping[str, bytes]):
    """The pictures of a set, read when they are asked for."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def __getitem__(self, key: str) -> bytes:
        return self._data.picture(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._data.images)

    def __len__(self) -> int:
        return len(self._data.images)


def _of_kind(data: Dataset, kind: Kind, split: str, leave_out: Collection[str]) -> PairSet:
    pairs = []
    state = hashlib.blake2b(digest_size=8)
    for row in data.rows(kind):
        if row.domain not in leave_out and is_held(row.document) == (split == "held"):
            # A class is asked for by the picture alone, as in the paper's benchmark. Negatives that are texts are named by their rows.
            text = "" if kind == "label" else row.text
            pair = Pair(text, row.target, row.image, row.negatives) if row.target else Pair(text, row.answer, row.image)
            pairs.append(pair)
            # Pictures are named by the digest of their bytes: their names stand for them.
            state.update(json.dumps([pair.text, pair.document, pair.picture, pair.negatives]).encode())
    return PairSet(f"{data.folder.name}-{kind}", kind, pairs, _Pictures(data), state.hexdigest())
