"""OCR and the words that it reads: the first family of baselines."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import bm25s
import numpy as np
from numpy.typing import NDArray

from visir.capture.ocr import find_tesseract, read_words
from visir.errors import ModelError
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress
from visir.screenshot import Screenshot


class OcrWords:
    """Reads pictures with tesseract, each once.

    Args:
        cache: keeps the texts.

    Raises:
        ModelError: tesseract is not installed.
    """

    def __init__(self, cache: Cache) -> None:
        if find_tesseract() is None:
            raise ModelError("the OCR baselines need tesseract: install it (Debian and Ubuntu: apt install tesseract-ocr)")
        self._cache = cache

    def read(self, rows: Sequence[Row], note: Callable[[int], None]) -> list[Screenshot | None]:
        """Return the picture of every row with its words; ``None`` for rows without a picture.

        Args:
            rows: queries or candidates.
            note: called with the number of pictures read so far.
        """
        positions = [position for position, row in enumerate(rows) if row.picture]
        shots = {position: rows[position].screenshot() for position in positions}
        keys = [key_of("tesseract-eng", shots[position].encoded) for position in positions]
        done = 0

        def compute(missing: list[int]) -> list[bytes]:
            nonlocal done
            texts = [read_words(shots[positions[number]]).text.encode() for number in missing]
            done += len(missing)
            note(done)
            return texts

        texts = self._cache.through(keys, compute, batch=8)
        read: list[Screenshot | None] = [None] * len(rows)
        for position, text in zip(positions, texts, strict=True):
            read[position] = replace(shots[position], text=text.decode())
        return read


class Bm25:
    """Tesseract and BM25 (bm25s, its defaults, English stop words)."""

    name = "ocr-bm25"

    def __init__(self, ocr: OcrWords) -> None:
        self._ocr = ocr
        self.revision = bm25s.__version__

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return BM25 of the query's words, those on its picture included, in each candidate's."""
        documents = self._texts(task.candidates, lambda done: progress("ocr of candidates", done, len(task.candidates)))
        queries = self._texts(task.queries, lambda done: progress("ocr of queries", done, len(task.queries)))
        index = bm25s.BM25()
        index.index(bm25s.tokenize(documents, stopwords="en", show_progress=False), show_progress=False)
        scores = np.zeros((len(queries), len(documents)), np.float32)
        for number, tokens in enumerate(bm25s.tokenize(queries, stopwords="en", return_ids=False, show_progress=False)):
            if tokens:
                scores[number] = index.get_scores(tokens)
        return scores

    def _texts(self, rows: Sequence[Row], note: Callable[[int], None]) -> list[str]:
        shots = self._ocr.read(rows, note)
        return [f"{row.text} {shot.text if shot else ''}" for row, shot in zip(rows, shots, strict=True)]
