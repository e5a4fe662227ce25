"""Any sentence-transformers model that sees pictures, as an `Embedder`: UniSE-CLIP, UniSE-MLLM, and the released ones."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.clip import ComposedTransformer, load_clip
from visir.unise.embedder import Calibration, Vectors
from visir.unise.instructions import SEARCH

_BATCH = 16
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Not fitted: a model that is trained here writes its own into visir.json.
_CALIBRATION = Calibration(text=(0.35, 0.1), picture=(0.65, 0.08), both=(0.5, 0.09))


class SentenceEmbedder:
    """A model of sentence-transformers behind the protocol of `Embedder`.

    Inputs of all kinds may stand in one batch. Instructions go to models with a chat template, as a system message (the
    ``[Task]`` of UniSE's template); a CLIP has no place for them.

    Args:
        model: the model.
        name: its name.
        revision: what tells its versions apart.
        calibration: see `Embedder`.
    """

    reads: Literal["pixels", "text"] = "pixels"

    def __init__(self, model: SentenceTransformer, name: str, revision: str, calibration: Calibration = _CALIBRATION) -> None:
        self._model = model
        self.name = name
        self.revision = revision
        self.calibration = calibration
        self.dim = int(model.truncate_dim or model.get_embedding_dimension() or 0)

    @classmethod
    def load(cls, name: str, device: str = "auto", precision: str = "auto", dim: int | None = None) -> "SentenceEmbedder":
        """Load a folder, or a name on a hub; safetensors only, never remote code.

        Raises:
            ModelError: it is not there, not reachable, or damaged.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if precision == "auto":
            precision = "bfloat16" if device.startswith("cuda") else "float32"
        if precision not in _PRECISIONS:
            raise ModelError(f"unknown precision {precision!r}: choose auto, {', '.join(_PRECISIONS)}")
        folder = Path(name)
        try:
            if _is_composed(folder):
                model = load_clip(folder, device=device, truncate_dim=dim)
            else:
                model = SentenceTransformer(name, device=device, truncate_dim=dim, model_kwargs={"use_safetensors": True})
        except Exception as error:  # the libraries below raise whatever they like for damaged files
            raise ModelError(f"the model {name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        model = model.to(_PRECISIONS[precision]).eval()
        revision = f"{_digest(folder) if folder.is_dir() else _hub_revision(model)}-{model.truncate_dim or 'full'}"
        own = folder / "visir.json"
        calibration = Calibration(**json.loads(own.read_text(encoding="utf-8"))["calibration"]) if own.is_file() else _CALIBRATION
        return cls(model, folder.resolve().name if folder.is_dir() else name, revision, calibration)

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries of text, picture or both; see `Embedder`."""
        asked = [Query(query) if isinstance(query, str) else query for query in queries]
        inputs = [_input(query.text, query.image) for query in asked]
        follows = "message" in getattr(self._model[0], "modality_config", {})
        return self._grouped(inputs, lambda batch: self._model.encode_query(batch, prompt=instruction if follows else None, **_NUMPY))

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed screenshots and texts; see `Embedder`."""
        inputs = [document if isinstance(document, str) else document.image for document in documents]
        return self._grouped(inputs, lambda batch: self._model.encode_document(batch, **_NUMPY))

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return np.asarray(queries @ documents.T, np.float32)

    def _grouped(self, inputs: Sequence[Any], encode: Callable[[list[Any]], Any]) -> Vectors:
        """Embed inputs of the same kind together, and put the vectors in the inputs' order."""
        vectors = np.zeros((len(inputs), self.dim), np.float32)
        kinds = [type(value).__name__ if isinstance(value, str | dict) else "image" for value in inputs]
        for kind in sorted(set(kinds)):
            places = [place for place, other in enumerate(kinds) if other == kind]
            vectors[places] = np.asarray(encode([inputs[place] for place in places]), np.float32)
        return vectors


_NUMPY: dict[str, Any] = {"batch_size": _BATCH, "show_progress_bar": False, "normalize_embeddings": True, "convert_to_numpy": True}


def _input(text: str, image: Screenshot | None) -> Any:
    if image is None:
        return text
    return {"image": image.image, "text": text} if text else image.image


def _is_composed(folder: Path) -> bool:
    """Say whether a folder holds a UniSE-CLIP that was saved."""
    modules = folder / "modules.json"
    named = f"{ComposedTransformer.__module__}.{ComposedTransformer.__qualname__}"
    return modules.is_file() and any(module.get("type") == named for module in json.loads(modules.read_text(encoding="utf-8")))


def _digest(folder: Path) -> str:
    """Return a digest of a model's weights and settings."""
    state = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".safetensors", ".json", ".jinja", ".txt"):
            with path.open("rb") as file:
                state.update(hashlib.file_digest(file, "blake2b").digest())
    return state.hexdigest()


def _hub_revision(model: SentenceTransformer) -> str:
    config = getattr(model[0], "config", None)
    return str(getattr(config, "_commit_hash", None) or "unknown")
