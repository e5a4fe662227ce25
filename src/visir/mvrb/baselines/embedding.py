"""Any embedding model as a system under test, its vectors kept on disk."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visir.mvrb.baselines.ocr import Engine, OcrWords, Tesseract
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress
from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Embedder, Vectors

_BATCH = 32


class EmbeddingRetriever:
    """Cosine of the vectors of a model; a model that reads text gets the pictures through OCR.

    Args:
        embedder: the model.
        cache: keeps vectors by model, role, instruction and content.
        engine: makes who reads pictures, for a model that needs words.
        suffix: what the model is called by behind its name.
    """

    def __init__(self, embedder: Embedder, cache: Cache, engine: Callable[[], Engine] = Tesseract, suffix: str = "") -> None:
        self._embedder = embedder
        self._cache = cache
        self._ocr: OcrWords | None = None
        self.name = f"{embedder.name}{suffix}"
        self.revision = embedder.revision
        if embedder.reads == "text":
            reader = engine()
            self._ocr = OcrWords(cache, reader)
            self.name = f"{reader.name}-{self.name}"
            self.revision = f"{self.revision}-{reader.revision}"

    @property
    def computed(self) -> int:
        """Vectors and texts that had to be computed so far."""
        return self._cache.computed

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the cosines."""
        documents = self.documents(task.candidates, lambda done: progress("candidates", done, len(task.candidates)))
        queries = self.queries(task.queries, task.instruction, lambda done: progress("queries", done, len(task.queries)))
        return self._embedder.similarity(queries, documents)

    def documents(self, rows: Sequence[Row], note: Callable[[int], None] = lambda done: None) -> Vectors:
        """Embed rows as documents, shape (rows, dim).

        Args:
            rows: the candidates.
            note: called with how many are done.
        """

        def encode(shots: list[Screenshot | None], part: list[Row]) -> Vectors:
            return self._embedder.encode_document([shot or row.text for shot, row in zip(shots, part, strict=True)])

        return self._vectors(rows, "document", encode, note)

    def queries(self, rows: Sequence[Row], instruction: str, note: Callable[[int], None] = lambda done: None) -> Vectors:
        """Embed rows as queries, shape (rows, dim).

        Args:
            rows: the queries.
            instruction: what models that follow instructions are told.
            note: called with how many are done.
        """

        def encode(shots: list[Screenshot | None], part: list[Row]) -> Vectors:
            return self._embedder.encode_query([self._query(row, shot) for row, shot in zip(part, shots, strict=True)], instruction)

        return self._vectors(rows, f"query\0{instruction}", encode, note)

    def _vectors(
        self,
        rows: Sequence[Row],
        role: str,
        encode: Callable[[list[Screenshot | None], list[Row]], Vectors],
        note: Callable[[int], None],
    ) -> Vectors:
        words = self._ocr.read(rows, note) if self._ocr else [""] * len(rows)
        model = f"{self._embedder.name}\0{self.revision}\0{role}"
        keys = [key_of(model, row.text, row.digest, text) for row, text in zip(rows, words, strict=True)]

        def compute(positions: list[int]) -> list[bytes]:
            part = [rows[position] for position in positions]
            shots = [
                replace(row.screenshot(), text=words[position]) if row.picture else None
                for position, row in zip(positions, part, strict=True)
            ]
            vectors = encode(shots, part)
            note(positions[-1] + 1)
            return [vector.tobytes() for vector in vectors]

        raw = self._cache.through(keys, compute, _BATCH)
        return np.frombuffer(b"".join(raw), np.float32).reshape(len(rows), -1)

    def _query(self, row: Row, shot: Screenshot | None) -> Query:
        # A picture without a word that OCR can read leaves a text model nothing but the text, if there is one.
        if self._ocr and shot is not None and not shot.text:
            return Query(row.text or "picture")
        return Query(row.text, shot)
