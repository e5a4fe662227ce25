"""Late interaction: a model's many vectors of a page against the parts of a query, beside its one vector."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress
from visir.screenshot import Query
from visir.unise.late import score_pictures, score_texts
from visir.unise.regions import RegionEmbedder, Regions
from visir.unise.words import Floats

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
        self.name = embedder.name + (":regions" if alone else "")
        self.revision = embedder.revision

    @property
    def computed(self) -> int:
        """Vectors and regions that had to be computed so far."""
        return self._cache.computed

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the joined scores, 0 to 1."""
        pictures = [row for row in task.queries if row.picture]
        candidates = self._see(task.candidates, self._vectors.documents, progress)
        seen = self._see(pictures, lambda rows: self._vectors.queries(rows, task.instruction), progress)
        cosines = self._vectors.score(task, progress) if not self._alone else np.zeros((len(task.queries), len(candidates)), np.float32)
        typed = np.array([not row.picture for row in task.queries], bool)
        scores = np.zeros_like(cosines)
        words = [Query(row.text) for row in task.queries if not row.picture]
        scores[typed] = score_texts(self._embedder, words, candidates, cosines[typed])
        texts = {number: row.text for number, row in enumerate(task.candidates) if not row.picture}
        scores[~typed] = score_pictures(self._embedder, (row.query() for row in pictures), seen, candidates, texts, cosines[~typed])
        return scores

    def _see(self, rows: Sequence[Row], embed: Callable[[Sequence[Row]], Floats], progress: Progress) -> Sequence[bytes]:
        """Return the regions of rows; their vectors are computed at the same time, so that each picture is looked at once."""
        found: list[bytes] = []
        for at in range(0, len(rows), _BATCH):
            part = rows[at : at + _BATCH]
            found += self._regions(part)
            if not self._alone:
                embed(part)
            progress("pages", len(found), len(rows))
        return found

    def _regions(self, rows: Sequence[Row]) -> list[bytes]:
        """Return the regions of each row's picture, packed; a text has those of its words."""
        kind = f"{self._embedder.name}\0{self._embedder.revision}\0regions"
        keys = [key_of(kind, "" if row.picture else row.text, row.digest) for row in rows]
        return self._cache.through(keys, lambda positions: [self._look(rows[position]).pack() for position in positions], _BATCH)

    def _look(self, row: Row) -> Regions:
        if row.picture:
            return self._embedder.encode_regions([row.screenshot()])[0]
        words = self._embedder.encode_query_regions(Query(row.text))
        return Regions(np.zeros((len(words.vectors), 4), np.float32), words.vectors)
