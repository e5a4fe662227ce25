"""Small vectors of any embedder: fewer components, fewer bits a component."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visir.unise.embedder import Vectors

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
    return np.asarray(_unit(_floats(queries, documents)) @ _unit(_floats(documents, queries)).T, np.float32)


def _floats(vectors: NDArray[Any], others: NDArray[Any]) -> Vectors:
    if vectors.dtype != np.uint8:
        return np.asarray(vectors, np.float32)
    count = others.shape[1] if others.dtype != np.uint8 else None
    return np.unpackbits(vectors, axis=1, count=count).astype(np.float32) * 2 - 1


def _unit(vectors: NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
