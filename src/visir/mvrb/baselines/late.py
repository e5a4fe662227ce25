"""Late interaction: models with a vector for every token (ColPali, ColQwen2, ColModernVBERT …), by sentence-transformers.

Khattab and Zaharia, "ColBERT" (2020); Faysse et al., "ColPali" (2024). A score is the mean over the query's tokens of the greatest
cosine with any of the candidate's (MaxSim, divided by the query's tokens; the order of candidates is MaxSim's).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import MultiVectorEncoder

from visir.errors import ModelError
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row, TaskData
from visir.mvrb.retriever import Progress
from visir.unise.sentence import model_revision

_BATCH = 16
_PRECISION = {"cuda": torch.bfloat16}
Tokens = NDArray[np.float16]


class LateInteraction:
    """A model with a vector for every token.

    These models read a text or a picture, not both at once. The score of a query of both is the mean of what the text and the
    picture score alone: a choice of ours, as it is not published how the paper asked such models.

    Args:
        model: the model.
        name: its name.
        revision: what tells its versions apart.
        cache: keeps vectors, in half precision.
    """

    def __init__(self, model: MultiVectorEncoder, name: str, revision: str, cache: Cache) -> None:
        self._model = model
        self._cache = cache
        self.name = name
        self.revision = revision

    @classmethod
    def load(cls, name: str, cache: Cache, device: str = "auto") -> "LateInteraction":
        """Load a folder, or a name on a hub; safetensors only, never remote code.

        Raises:
            ModelError: it is not there, not reachable, or damaged.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model = MultiVectorEncoder(name, device=device, model_kwargs={"use_safetensors": True})
        except Exception as error:  # the libraries below raise whatever they like for damaged files
            raise ModelError(f"the model {name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        model = model.to(_PRECISION.get(device.split(":")[0], torch.float32)).eval()
        folder = Path(name)
        return cls(model, folder.resolve().name if folder.is_dir() else name, model_revision(name), cache)

    @property
    def computed(self) -> int:
        """Inputs whose vectors had to be computed so far."""
        return self._cache.computed

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return the mean MaxSim."""
        parts = [self._asked(task.queries, kind, task.instruction, progress) for kind in ("text", "image")]
        scores = np.zeros((len(task.queries), len(task.candidates)), np.float32)
        for start in range(0, len(task.candidates), _BATCH):
            documents = [torch.from_numpy(tokens) for tokens in self._documents(task.candidates[start : start + _BATCH])]
            for numbers, queries in parts:
                for first in range(0, len(numbers), 4 * _BATCH):
                    some = slice(first, first + 4 * _BATCH)
                    scores[numbers[some], start : start + _BATCH] += self._maxsim(queries[some], documents)
            progress("candidates", start + len(documents), len(task.candidates))
        kinds = np.array([len(row.kind.split("+")) for row in task.queries], np.float32)
        return scores / kinds[:, None]

    def _maxsim(self, queries: Sequence[Tokens], documents: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        device = self._model.device
        asked = [torch.from_numpy(tokens).to(device, torch.float32) for tokens in queries]
        offered = [tokens.to(device, torch.float32) for tokens in documents]
        total = self._model.similarity(asked, offered).float().cpu().numpy()
        counts = np.array([len(tokens) for tokens in queries], np.float32)
        return np.asarray(total / counts[:, None], np.float32)

    def _asked(self, rows: Sequence[Row], kind: str, instruction: str, progress: Progress) -> tuple[NDArray[np.int64], list[Tokens]]:
        """Return the numbers of the queries that have this kind of part, and the parts' vectors."""
        numbers = [number for number, row in enumerate(rows) if kind in row.kind.split("+")]
        picked = [rows[number] for number in numbers]
        prompt = instruction if "message" in getattr(self._model[0], "modality_config", {}) else None
        vectors = self._vectors(
            picked,
            f"query-{kind}\0{prompt or ''}",
            kind,
            lambda inputs: self._model.encode_query(inputs, prompt=prompt, **_NUMPY),
            lambda done: progress(f"queries, {kind}", done, len(picked)),
        )
        return np.array(numbers, np.int64), vectors

    def _documents(self, rows: Sequence[Row]) -> list[Tokens]:
        found: list[Tokens | None] = [None] * len(rows)
        for kind in ("text", "image"):
            numbers = [number for number, row in enumerate(rows) if row.kind == kind]
            vectors = self._vectors(
                [rows[number] for number in numbers], "document", kind, lambda inputs: self._model.encode_document(inputs, **_NUMPY)
            )
            for number, tokens in zip(numbers, vectors, strict=True):
                found[number] = tokens
        return [tokens for tokens in found if tokens is not None]

    def _vectors(
        self,
        rows: Sequence[Row],
        role: str,
        kind: str,
        encode: Callable[[list[Any]], Any],
        note: Callable[[int], None] = lambda done: None,
    ) -> list[Tokens]:
        keys = [key_of(self.name, self.revision, role, row.text if kind == "text" else row.digest) for row in rows]

        def compute(positions: list[int]) -> list[bytes]:
            inputs = [rows[position].text if kind == "text" else rows[position].screenshot().image for position in positions]
            vectors = encode(inputs)
            note(positions[-1] + 1)
            return [len(tokens).to_bytes(4, "little") + np.asarray(tokens, np.float16).tobytes() for tokens in vectors]

        raw = self._cache.through(keys, compute, _BATCH)
        return [np.frombuffer(value, np.float16, offset=4).reshape(int.from_bytes(value[:4], "little"), -1).copy() for value in raw]


_NUMPY: dict[str, Any] = {"batch_size": _BATCH, "show_progress_bar": False, "convert_to_numpy": True, "normalize_embeddings": True}
