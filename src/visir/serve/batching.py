"""Query embeddings of many requests at once: whoever comes while a batch is at work goes with the next one.

Nobody waits for company: a lone query is embedded at once, by whoever asks, and a batch holds what came in the meantime.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Calibration, Embedder, Vectors
from visir.unise.instructions import SEARCH
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions

LARGEST = 32


def batched(embedder: Embedder, observe: Callable[[int], None] = lambda size: None) -> "BatchedEmbedder":
    """Wrap an embedder for use by several threads; one that gives regions still does.

    Args:
        embedder: does the work, one call at a time.
        observe: told the size of each batch of queries.
    """
    return BatchedRegionEmbedder(embedder, observe) if isinstance(embedder, RegionEmbedder) else BatchedEmbedder(embedder, observe)


@dataclass(eq=False)
class _Asked:
    """A query that waits, and then its vector or what is wrong with it."""

    query: Query | str
    instruction: str
    vector: Vectors | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.vector is not None or self.error is not None


class BatchedEmbedder:
    """An `Embedder` that joins the queries of several threads into batches for the one that it wraps.

    Args:
        embedder: does the work, one call at a time.
        observe: told the size of each batch.
    """

    def __init__(self, embedder: Embedder, observe: Callable[[int], None] = lambda size: None) -> None:
        self.name: str = embedder.name
        self.revision: str = embedder.revision
        self.dim: int = embedder.dim
        self.reads: Literal["pixels", "text"] = embedder.reads
        self.calibration: Calibration = embedder.calibration
        self._embedder = embedder
        self._observe = observe
        self._lock = threading.Lock()
        self._change = threading.Condition()
        self._waiting: list[_Asked] = []
        self._is_embedding = False

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries together with those of other threads; see `Embedder`."""
        asked = [_Asked(query, instruction) for query in queries]
        with self._change:
            self._waiting += asked
        while batch := self._next_batch(asked):
            try:
                for kind in dict.fromkeys(one.instruction for one in batch):
                    self._embed([one for one in batch if one.instruction == kind], kind)
            except Exception as error:  # whatever it was, nobody may wait for ever for what this thread has taken
                for one in batch:
                    if not one.done:
                        one.error = error
            finally:
                with self._change:
                    self._is_embedding = False
                    self._change.notify_all()
        for one in asked:
            if one.error is not None:
                raise one.error
        return np.stack([one.vector for one in asked if one.vector is not None]) if asked else np.zeros((0, self.dim), np.float32)

    def _next_batch(self, asked: Sequence[_Asked]) -> list[_Asked]:
        """Wait until all that was asked is done, and return nothing, or until this thread is the one to embed what waits."""
        with self._change:
            self._change.wait_for(lambda: not self._is_embedding or all(one.done for one in asked))
            if all(one.done for one in asked):
                return []
            self._is_embedding = True
            batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            return batch

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed pages; see `Embedder`."""
        with self._lock:
            return self._embedder.encode_document(documents)

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return self._embedder.similarity(queries, documents)

    def _embed(self, items: Sequence[_Asked], instruction: str) -> None:
        self._observe(len(items))
        try:
            with self._lock:
                vectors = self._embedder.encode_query([item.query for item in items], instruction)
        except Exception as error:  # one query that cannot be embedded must not take the others along
            if len(items) == 1:
                items[0].error = error
                return
            for item in items:
                self._embed([item], instruction)
            return
        for item, vector in zip(items, vectors, strict=True):
            item.vector = vector


class BatchedRegionEmbedder(BatchedEmbedder):
    """A `BatchedEmbedder` that is a `RegionEmbedder` too."""

    _embedder: RegionEmbedder

    def encode_regions(self, documents: Sequence[Screenshot]) -> list[Regions]:
        """Return pages' regions; see `RegionEmbedder`."""
        with self._lock:
            return self._embedder.encode_regions(documents)

    def encode_query_regions(self, query: Query, seen: Regions | None = None) -> RegionQuery:
        """Return the parts of a query; see `RegionEmbedder`."""
        with self._lock:
            return self._embedder.encode_query_regions(query, seen)

    def encode_difference(self, text: str) -> RegionQuery:
        """Return the parts of a text beside a picture; see `RegionEmbedder`."""
        with self._lock:
            return self._embedder.encode_difference(text)

    def read(self, document: Screenshot) -> Screenshot:
        """Return a page with the words that are read on it; see `RegionEmbedder`."""
        with self._lock:
            return self._embedder.read(document)
