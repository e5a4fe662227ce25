"""Small vectors of any embedder: fewer components, fewer bits a component."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Embedder, Vectors
from visir.unise.instructions import SEARCH

Output = Literal["float32", "int8", "binary"]


def compact(vectors: Vectors, dim: int | None = None, output: Output = "float32") -> NDArray[Any]:
    """Make vectors smaller.

    Args:
        vectors: float32, shape (n, dim).
        dim: keep only so many leading components (Matryoshka): worth it for models that were trained so.
        output: ``int8`` scales each vector to -127 … 127 (a quarter of the bytes; the scale is not kept, cosines do not need it);
            ``binary`` keeps signs, eight to a byte (1/32 of the bytes).

    Returns:
        float32 (n, dim) of length 1; int8 (n, dim); or uint8 (n, ceil(dim / 8)).
    """
    vectors = np.asarray(vectors, np.float32)[:, :dim]
    if output == "binary":
        return np.asarray(np.packbits(vectors > 0, axis=1))
    if output == "int8":
        largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
        return np.asarray(np.rint(vectors * (127 / largest)), np.int8)
    if output == "float32":
        return _unit(vectors)
    raise ValueError(f"unknown output {output!r}: choose float32, int8 or binary")


def similarity(queries: NDArray[Any], documents: NDArray[Any]) -> Vectors:
    """Return the cosine of queries with documents, shape (queries, documents), each as `compact` made it.

    Signs count as -1 and 1. Queries of more bits than the documents find better than queries of as few, and cost nothing to store.
    """
    counts = [vectors.shape[1] for vectors in (queries, documents) if vectors.dtype != np.uint8]
    return _cosines(queries, documents, counts[0] if counts else None)


class CompactEmbedder:
    """An embedder whose vectors are small, behind the same protocol; vectors alone, no regions.

    Args:
        embedder: the model.
        dim: see `compact`. output: see `compact`; encoding gives float32 (n, dim), int8 (n, dim) or uint8 (n, ceil(dim / 8)).

    Raises:
        ValueError: the model's vectors are shorter than ``dim``, or the output is unknown.
    """

    def __init__(self, embedder: Embedder, dim: int | None = None, output: Output = "float32") -> None:
        if dim is not None and not 1 <= dim <= embedder.dim:
            raise ValueError(f"dim must be 1 to {embedder.dim}, the length of this model's vectors, not {dim}")
        if output not in get_args(Output):
            raise ValueError(f"unknown output {output!r}: choose {', '.join(get_args(Output))}")
        self._embedder, self._output = embedder, output
        self.name = embedder.name
        self.dim = dim or embedder.dim
        self.revision = f"{embedder.revision}-{self.dim}-{output}"
        self.reads: Literal["pixels", "text"] = embedder.reads
        self.calibration = embedder.calibration

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> NDArray[Any]:
        """Embed queries of text, picture or both; see `Embedder`."""
        return compact(self._embedder.encode_query(queries, instruction), self.dim, self._output)

    def encode_document(self, documents: Sequence[Screenshot | str]) -> NDArray[Any]:
        """Embed screenshots and texts; see `Embedder`."""
        return compact(self._embedder.encode_document(documents), self.dim, self._output)

    def similarity(self, queries: NDArray[Any], documents: NDArray[Any]) -> Vectors:
        """Return the cosine of every query with every document."""
        return _cosines(queries, documents, self.dim)


def _cosines(queries: NDArray[Any], documents: NDArray[Any], dim: int | None) -> Vectors:
    return np.asarray(_unit(_floats(queries, dim)) @ _unit(_floats(documents, dim)).T, np.float32)


def _floats(vectors: NDArray[Any], dim: int | None) -> Vectors:
    if vectors.dtype != np.uint8:
        return np.asarray(vectors, np.float32)
    return np.unpackbits(vectors, axis=1, count=dim).astype(np.float32) * 2 - 1


def _unit(vectors: NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
