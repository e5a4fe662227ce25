"""Any embedding model as a system under test, its vectors kept on disk."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from visir.mvrb.baselines.words import OcrWords
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
    """

    def __init__(self, embedder: Embedder, cache: Cache) -> None:
        self._embedder = embedder
        self._cache = cache
        self._ocr = OcrWords(cache) if embedder.reads == "text" else None
        self.name = f"ocr-{embedder.name}" if self._ocr else embedder.name
        self.revision = embedder.revision

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the cosines."""
        documents = self._vectors(task.candidates, None, lambda done: progress("candidates", done, len(task.candidates)))
        queries = self._vectors(task.queries, task.instruction, lambda done: progress("queries", done, len(task.queries)))
        return self._embedder.similarity(queries, documents)

    def _vectors(self, rows: Sequence[Row], instruction: str | None, note: Callable[[int], None]) -> Vectors:
        """Embed rows as queries under an instruction, or as documents where it is ``None``."""
        shots = self._ocr.read(rows, note) if self._ocr else [row.screenshot() if row.picture else None for row in rows]
        role = "document" if instruction is None else f"query\0{instruction}"
        model = f"{self._embedder.name}\0{self._embedder.revision}\0{role}"
        keys = [
            key_of(model, row.text, shot.encoded if shot else b"", shot.text if shot else "") for row, shot in zip(rows, shots, strict=True)
        ]
        done = 0

        def compute(positions: list[int]) -> list[bytes]:
            nonlocal done
            if instruction is None:
                vectors = self._embedder.encode_document([shots[position] or rows[position].text for position in positions])
            else:
                queries = [self._query(rows[position], shots[position]) for position in positions]
                vectors = self._embedder.encode_query(queries, instruction)
            done += len(positions)
            note(done)
            return [vector.tobytes() for vector in vectors]

        raw = self._cache.through(keys, compute, _BATCH)
        return np.frombuffer(b"".join(raw), np.float32).reshape(len(rows), -1)

    def _query(self, row: Row, shot: Screenshot | None) -> Query:
        # A picture without a word that OCR can read leaves a text model nothing but the text, if there is one.
        if self._ocr and shot is not None and not shot.text:
            return Query(row.text or "picture")
        return Query(row.text, shot)
