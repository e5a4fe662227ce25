"""Query embeddings of many requests at once: whoever comes while a batch is at work goes with the next one.

Nobody waits for company: a lone query is embedded at once, and a batch holds what came in the meantime.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
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
        self._waiting: queue.SimpleQueue[tuple[Query | str, str, Future[Vectors]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="query embeddings", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries together with those of other threads; see `Embedder`."""
        futures: list[Future[Vectors]] = []
        for query in queries:
            future: Future[Vectors] = Future()
            self._waiting.put((query, instruction, future))
            futures.append(future)
        return np.stack([future.result() for future in futures]) if futures else np.zeros((0, self.dim), np.float32)

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed pages; see `Embedder`."""
        with self._lock:
            return self._embedder.encode_document(documents)

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return self._embedder.similarity(queries, documents)

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            with suppress(queue.Empty):
                while len(batch) < LARGEST and batch[-1] is not None:
                    batch.append(self._waiting.get_nowait())
            wanted = [item for item in batch if item is not None]
            for instruction in dict.fromkeys(instruction for _, instruction, _ in wanted):
                self._embed([item for item in wanted if item[1] == instruction], instruction)
            if len(wanted) < len(batch):
                return

    def _embed(self, items: "list[tuple[Query | str, str, Future[Vectors]]]", instruction: str) -> None:
        self._observe(len(items))
        try:
            with self._lock:
                vectors = self._embedder.encode_query([query for query, _, _ in items], instruction)
        except Exception as error:  # one query that cannot be embedded must not take the others along
            if len(items) == 1:
                items[0][2].set_exception(error)
                return
            for item in items:
                self._embed([item], instruction)
            return
        for (_, _, future), vector in zip(items, vectors, strict=True):
            future.set_result(vector)


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
