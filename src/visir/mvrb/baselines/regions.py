"""Late interaction: a model's many vectors of a page against the parts of a query, beside its one vector."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress
from visir.screenshot import Query
from visir.unise import evidence
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions
from visir.unise.words import Floats

_BATCH = 32
# Few words prove little: so many make half the proof that many do.
_FEW_WORDS = 2


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
        scores[typed] = self._bearing_words([row for row in task.queries if not row.picture], candidates, cosines[typed])
        scores[~typed] = self._like_pictures(pictures, seen, task.candidates, candidates, cosines[~typed])
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

    def _bearing_words(self, rows: Sequence[Row], candidates: Sequence[bytes], cosines: Floats) -> Floats:
        queries = [Query(row.text) for row in rows]
        chances = present([self._embedder.encode_query_regions(query) for query in queries], candidates)
        meant = [evidence.meaning(row, query, self._embedder.calibration) for row, query in zip(cosines, queries, strict=True)]
        return evidence.join(evidence.words(chances, chances), np.array(meant, np.float32).reshape(chances.shape))

    def _like_pictures(
        self, rows: Sequence[Row], seen: Sequence[bytes], others: Sequence[Row], candidates: Sequence[bytes], cosines: Floats
    ) -> Floats:
        ask = self._embedder.encode_query_regions
        asked = [ask(Query(image=row.screenshot()), Regions.unpack(packed)) for row, packed in zip(rows, seen, strict=True)]
        shared = present(asked, candidates)
        differ = present([self._embedder.encode_difference(row.text) for row in rows], candidates)
        # A text, such as an answer, is looked for on the picture that asks; few words prove little.
        texts = [number for number, row in enumerate(others) if not row.picture]
        parts = [ask(Query(others[number].text)) for number in texts]
        proof = np.array([len(part.names) / (len(part.names) + _FEW_WORDS) for part in parts], np.float32)
        shared[:, texts] = present(parts, seen).T * proof
        differ[:, texts] = 0
        found = np.array([len(query.names) for query in asked]).reshape(-1, 1).repeat(len(others), 1)
        # With no question, what is asked is what the picture is, as by the name of a class, and not what stands on it.
        found[np.ix_([not row.text for row in rows], texts)] = 0
        return evidence.turn(evidence.likeness(shared, cosines, found), differ)

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


def present(queries: Sequence[RegionQuery], pages: Sequence[bytes]) -> NDArray[np.float32]:
    """Return the weighted chance that each query's parts are on each page, shape (queries, pages); exact, page by page.

    Args:
        queries: of one model.
        pages: the regions of each page, packed: they take a quarter of the memory.
    """
    scores = np.zeros((len(queries), len(pages)), np.float32)
    # A picture with nothing on it has no parts, and vectors of no length.
    asked = [(number, query) for number, query in enumerate(queries) if len(query.names)]
    if not asked:
        return scores
    # Words that several queries ask for are looked for once.
    rows, part = np.unique(np.concatenate([query.vectors for _, query in asked]), axis=0, return_inverse=True)
    weights = np.concatenate([query.weights for _, query in asked])
    counts = [len(query.names) for _, query in asked]
    owner = np.repeat([number for number, _ in asked], counts)
    middle, width = (np.repeat([query.present[which] for _, query in asked], counts).astype(np.float32) for which in (0, 1))
    for number, packed in enumerate(pages):
        page = Regions.unpack(packed)
        if len(page.vectors):
            chances = 1.0 / (1.0 + np.exp((middle - (rows @ page.vectors.T).max(1)[part]) / width))
            scores[:, number] = np.bincount(owner, chances * weights, len(queries))
    return np.minimum(scores, 1)
