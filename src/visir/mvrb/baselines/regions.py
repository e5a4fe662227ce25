"""Late interaction: a model's many vectors of a page against the parts of a query, beside its one vector."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress
from visir.screenshot import Query
from visir.unise import evidence
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions

_BATCH = 32


class RegionRetriever:
    """A model's vectors joined with the chance that the parts of a query are on a page, as `visir search` joins them.

    Args:
        embedder: the model.
        cache: keeps what was computed, by model and content.
        alone: go by the regions alone.
    """

    def __init__(self, embedder: RegionEmbedder, cache: Cache, alone: bool = False) -> None:
        self._embedder, self._cache, self._alone = embedder, cache, alone
        self._vectors = EmbeddingRetriever(embedder, cache)
        self.name = embedder.name + (":regions" if alone else "+regions")
        self.revision = embedder.revision

    @property
    def computed(self) -> int:
        """Vectors and regions that had to be computed so far."""
        return self._cache.computed

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the joined scores, 0 to 1."""
        queries = [Query(row.text, row.screenshot() if row.picture else None) for row in task.queries]
        asked = [self._embedder.encode_query_regions(query) for query in queries]
        chances = present(asked, self._regions(task.candidates, progress))
        if self._alone:
            return chances
        cosines = self._vectors.score(task, progress)
        meant = [evidence.meaning(row, query, self._embedder.calibration) for row, query in zip(cosines, queries, strict=True)]
        return evidence.join(evidence.words(chances, chances), np.stack(meant))

    def _regions(self, rows: Sequence[Row], progress: Progress) -> list[Regions]:
        """Return the regions of each candidate; a text has those of its words."""
        keys = [key_of(f"{self._embedder.name}\0{self._embedder.revision}\0regions", row.text, row.digest) for row in rows]
        done = 0

        def compute(positions: list[int]) -> list[bytes]:
            nonlocal done
            found = [self._look(rows[position]) for position in positions]
            done += len(positions)
            progress("regions", done, len(rows))
            return [regions.pack() for regions in found]

        return [Regions.unpack(raw) for raw in self._cache.through(keys, compute, _BATCH)]

    def _look(self, row: Row) -> Regions:
        if row.picture:
            return self._embedder.encode_regions([row.screenshot()])[0]
        words = self._embedder.encode_query_regions(Query(row.text))
        return Regions(np.zeros((len(words.vectors), 4), np.float32), words.vectors)


def present(queries: Sequence[RegionQuery], pages: Sequence[Regions]) -> NDArray[np.float32]:
    """Return the weighted chance that each query's parts are on each page, shape (queries, pages); exact, page by page."""
    scores = np.zeros((len(queries), len(pages)), np.float32)
    if not any(len(query.names) for query in queries):
        return scores
    vectors = np.concatenate([query.vectors for query in queries])
    starts = np.cumsum([0, *(len(query.names) for query in queries)])
    for number, page in enumerate(pages):
        if len(page.vectors):
            best = (vectors @ page.vectors.T).max(1)
            for index, query in enumerate(queries):
                part = best[starts[index] : starts[index + 1]]
                scores[index, number] = query.chances(part) @ query.weights
    return scores
