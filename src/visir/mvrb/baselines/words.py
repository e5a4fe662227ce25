"""OCR and BM25 on the words that it reads."""

from collections.abc import Callable, Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from visir.mvrb.baselines.ocr import Engine, OcrWords
from visir.mvrb.cache import Cache
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress


class Bm25:
    """OCR and BM25 (bm25s, its defaults, English stop words).

    Args:
        cache: keeps the texts.
        engine: who reads the pictures.
    """

    def __init__(self, cache: Cache, engine: Engine) -> None:
        self._cache = cache
        self._ocr = OcrWords(cache, engine)
        self.name = f"{engine.name}-bm25"
        self.revision = f"{bm25s.__version__}-{engine.revision}"

    @property
    def computed(self) -> int:
        """Texts that had to be read so far."""
        return self._cache.computed

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return BM25 of the query's words, those on its picture included, in each candidate's."""
        documents = self._texts(task.candidates, lambda done: progress("ocr of candidates", done, len(task.candidates)))
        queries = self._texts(task.queries, lambda done: progress("ocr of queries", done, len(task.queries)))
        scores = np.zeros((len(queries), len(documents)), np.float32)
        tokens = bm25s.tokenize(documents, stopwords="en", show_progress=False)
        if not tokens.vocab:
            return scores
        index = bm25s.BM25()
        index.index(tokens, show_progress=False)
        for number, words in enumerate(bm25s.tokenize(queries, stopwords="en", return_ids=False, show_progress=False)):
            if words:
                scores[number] = index.get_scores(words)
        return scores

    def _texts(self, rows: Sequence[Row], note: Callable[[int], None]) -> list[str]:
        return [f"{row.text} {read}" for row, read in zip(rows, self._ocr.read(rows, note), strict=True)]
