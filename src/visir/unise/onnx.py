"""Models that run in onnxruntime: no torch for people who only search."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np

from visir.errors import ModelError, QueryError
from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Calibration, Vectors
from visir.unise.instructions import SEARCH
from visir.unise.wordpiece import WordPiece

# Adding and normalising as one operation takes longer than the two: 39 ms a text of 256 tokens where 31 do.
_SLOWER = ["SkipLayerNormFusion"]

ENCODER = "encoder"
"""Name of the folder of the text encoder in a folder of unise-mini."""


class TextEmbedder:
    """The paper's first family of baselines: a page's words through a sentence encoder, int8.

    A page is its title and its first ``max_tokens`` tokens; with ``pieces`` in the configuration, up to so many pieces of that
    length, of which the first weighs most. A picture in a query counts by the words that capture found on it, and adds to the
    query's text as the paper composes queries: the sum of both vectors.

    Args:
        folder: holds ``model.onnx`` and ``vocab.txt``, as written by `visir.unise.export`.
        config: the folder's ``config.json``.
    """

    reads: Literal["pixels", "text"] = "text"

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.name: str = config["name"]
        self.revision: str = config["revision"]
        self.dim: int = config["dim"]
        self.calibration = Calibration(**config["calibration"])
        self._max_tokens: int = config["max_tokens"]
        self._pieces: int = config.get("pieces", 1)
        self._prompt: str = config.get("prompt", "")
        self._tokens = WordPiece(folder / "vocab.txt")
        # One thread a text: threads that share a text of twelve words wait for one another, those with texts of their own do not.
        self._session = open_session(folder / "model.onnx", threads=1)

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries; see `Embedder`. The instruction is ignored.

        Raises:
            QueryError: a query's picture has no words.
        """
        vectors = np.zeros((len(queries), self.dim), np.float32)
        texts: list[str] = []
        owners: list[int] = []
        for number, query in enumerate(queries):
            query = Query(query) if isinstance(query, str) else query
            if query.image is not None and not query.image.text:
                raise QueryError(
                    "the text model finds pictures by the words on them, and none were read on this one: "
                    "either there are none, or tesseract is not installed (Debian and Ubuntu: apt install tesseract-ocr)"
                )
            for prompt, text in ((self._prompt, query.text), ("", query.image.text if query.image else "")):
                if text:
                    texts.append(prompt + text)
                    owners.append(number)
        for owner, vector in zip(owners, self._encode(texts), strict=True):
            vectors[owner] += vector
        return normalise(vectors)

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed pages by title and words; see `Embedder`."""
        return self._encode([text if isinstance(text, str) else f"{text.title}\n{text.text}" for text in documents])

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return np.asarray(queries @ documents.T, np.float32)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if len(texts) < 2:
            rows = [self._vector(text) for text in texts]
        else:
            with ThreadPoolExecutor(min(len(texts), cores())) as pool:
                rows = list(pool.map(self._vector, texts))
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    def _vector(self, text: str) -> Vectors:
        vector = np.zeros(self.dim, np.float32)
        for number, piece in enumerate(self._tokens.sentences(text, self._max_tokens, self._pieces)):
            # One by one: activations are quantised over the whole input, so a text's vector would depend on its neighbours.
            found = self._session.run(None, {"input_ids": np.array([piece], np.int64)})[0][0]
            # A title and an opening say more of what a page is about than its last lines do.
            vector += found * len(piece) / (1 + number)
        return normalise(vector)


def open_text_embedder(folder: Path) -> TextEmbedder:
    """Open the folder of a text encoder; see `TextEmbedder`.

    Raises:
        ModelError: its files are missing or damaged.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ModelError(f"{folder}: the text encoder is missing or damaged; install visir again") from error
    return TextEmbedder(folder, config)


def normalise(vectors: Vectors) -> Vectors:
    """Scale vectors to length 1; a zero vector stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def cores() -> int:
    """Return how many threads may work at once: as ``OMP_NUM_THREADS`` says, or as there are cores."""
    return told_threads() or os.cpu_count() or 1


def told_threads() -> int:
    """Return how many threads ``OMP_NUM_THREADS`` says; 0 where it says nothing, which leaves it to a run time."""
    # OpenMP allows several numbers, of which the first is for threads that start no others.
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() else 0


def open_session(path: Path, threads: int = 0) -> Any:
    """Open an ONNX file in onnxruntime.

    Args:
        path: the file.
        threads: that share one input; 0 for as many as ``OMP_NUM_THREADS`` says, or as there are cores without their twins.

    Raises:
        ModelError: the file is missing or damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or told_threads()
    # Threads that spin while they wait take the cores from whatever else a search does: 9 of its 22 ms CPU on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER)
    except Exception as error:  # onnxruntime's own error classes have no common base
        raise ModelError(f"{path} is missing or damaged: {str(error).splitlines()[0]}; install visir again") from error
