"""Any sentence-transformers model that sees pictures, as an `Embedder`: UniSE-CLIP, UniSE-MLLM, and the released ones."""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub import constants
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import import_from_string, load_dir_path, load_file_path
from transformers import PreTrainedConfig

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.clip import KINDS as CLIP_KINDS
from visir.unise.clip import ComposedTransformer, Fusion, unise_clip
from visir.unise.embedder import Calibration, Vectors
from visir.unise.hub import reach_hub
from visir.unise.instructions import SEARCH
from visir.unise.mini_student import ReadingEncoder
from visir.unise.mllm import KINDS as MLLM_KINDS
from visir.unise.mllm import mend_processors, set_pixels, unise_mllm

_BATCH = 16
# A GPU waits for pictures to be decoded and resized: so many batches are prepared at once, at most.
_AHEAD = 8
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# What sentence-transformers would ask for leave to run: modules of a saved model that are visir's.
_OWN = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (ComposedTransformer, ReadingEncoder)}
# Not fitted: a model that is trained here writes its own into visir.json.
_CALIBRATION = Calibration(text=(0.35, 0.1), picture=(0.65, 0.08), both=(0.5, 0.09))


class SentenceEmbedder:
    """A model of sentence-transformers behind the protocol of `Embedder`.

    Inputs of all kinds may stand in one batch. Instructions go to models with a chat template, as a system message (the
    ``[Task]`` of UniSE's template); a CLIP has no place for them.

    Args:
        model: the model, also as an attribute.
        name: its name.
        revision: what tells its versions apart.
        calibration: see `Embedder`.
        made: what made it, as its folder says; see `visir train`.
        ahead: batches that are prepared at once, each by a thread; 1 where the model itself keeps the processor busy.
    """

    reads: Literal["pixels", "text"] = "pixels"

    def __init__(
        self,
        model: SentenceTransformer,
        name: str,
        revision: str,
        calibration: Calibration = _CALIBRATION,
        made: Mapping[str, Any] | None = None,
        ahead: int = 1,
    ) -> None:
        self.model = model
        lock = Lock()
        self._views = [_view(model, lock) for _ in range(ahead)] if ahead > 1 else [model]
        self.made = dict(made or {})
        self.name = name
        self.revision = revision
        self.calibration = calibration
        self.dim = int(model.truncate_dim or model.get_embedding_dimension() or 0)

    @classmethod
    def load(cls, name: str, device: str = "auto", precision: str = "auto", pixels: int | None = None) -> "SentenceEmbedder":
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
        model = open_model(name, pixels=pixels, device=device, model_kwargs={"dtype": _PRECISIONS[precision]})
        model = model.to(_PRECISIONS[precision]).eval()
        revision = f"{model_revision(name)}-{model.truncate_dim or 'full'}"
        revision += f"-{pixels}" if pixels is not None else ""
        ahead = min(_AHEAD, os.cpu_count() or 1) if device.startswith("cuda") else 1
        return cls(model, folder.resolve().name if folder.is_dir() else name, revision, *_facts(name), ahead=ahead)

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries of text, picture or both; see `Embedder`."""
        asked = [Query(query) if isinstance(query, str) else query for query in queries]
        inputs = [_input(query.text, query.image) for query in asked]
        told = instruction if follows_instructions(self.model) else None
        return self._grouped(inputs, lambda model, batch: model.encode_query(batch, prompt=told, **_NUMPY))

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed screenshots and texts; see `Embedder`."""
        inputs = [document if isinstance(document, str) else document.image for document in documents]
        return self._grouped(inputs, lambda model, batch: model.encode_document(batch, **_NUMPY))

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return np.asarray(queries @ documents.T, np.float32)

    def _grouped(self, inputs: Sequence[Any], encode: Callable[[SentenceTransformer, list[Any]], Any]) -> Vectors:
        """Embed inputs of the same kind together, and put the vectors in the inputs' order."""
        vectors = np.zeros((len(inputs), self.dim), np.float32)
        kinds = [type(value).__name__ if isinstance(value, str | dict) else "image" for value in inputs]
        for kind in sorted(set(kinds)):
            places = [place for place, other in enumerate(kinds) if other == kind]
            views = self._views[: -(-len(places) // _BATCH)] if kind != "str" else self._views[:1]
            shares = [places[start :: len(views)] for start in range(len(views))]
            batches = [[inputs[place] for place in share] for share in shares]
            if len(views) == 1:
                made = [encode(views[0], batches[0])]
            else:
                with ThreadPoolExecutor(len(views)) as pool:
                    made = list(pool.map(encode, views, batches))
            for share, rows in zip(shares, made, strict=True):
                vectors[share] = np.asarray(rows, np.float32)
        return vectors


def _view(model: SentenceTransformer, lock: Lock) -> SentenceTransformer:
    """Return a model of the same weights for another thread: a tokenizer keeps settings of the call that is running.

    What prepares inputs is copied; the towers embed one batch at a time, so that they need no more memory than one thread would.
    """

    def forward(*inputs: Any, **choices: Any) -> Any:
        with lock:
            return model(*inputs, **choices)

    view = copy.copy(model)
    towers = {id(part): part for part in model[0].children()}
    view._modules = {**model._modules, "0": copy.deepcopy(model[0], towers)}
    view.forward = forward  # type: ignore[method-assign]
    return view


_NUMPY: dict[str, Any] = {"batch_size": _BATCH, "show_progress_bar": False, "normalize_embeddings": True, "convert_to_numpy": True}


def _input(text: str, image: Screenshot | None) -> Any:
    if image is None:
        return text
    return {"image": image.image, "text": text} if text else image.image


def follows_instructions(model: SentenceTransformer) -> bool:
    """Say whether a model has a chat template, in which an instruction has its place."""
    return "message" in getattr(model[0], "modality_config", {})


def open_model(name: str, pixels: int | None = None, fusion: Fusion = "sum", **choices: Any) -> SentenceTransformer:
    """Open a model as sentence-transformers knows it; safetensors only, never remote code.

    What ``save_pretrained`` wrote is opened as it is; a bare CLIP, SigLIP or Qwen-VL checkpoint of transformers becomes a UniSE-CLIP or a
    UniSE-MLLM.

    Args:
        name: a folder, or ``owner/model`` on a hub.
        pixels: the pixel budget; ``None`` keeps the model's.
        fusion: how a bare CLIP joins a picture and a text.
        choices: as for `SentenceTransformer`.

    Raises:
        ModelError: it is not there, not reachable, or damaged.
    """
    options = {"use_safetensors": True, "trust_remote_code": False, **choices.pop("model_kwargs", {})}
    mend_processors()
    if not Path(name).is_dir() and not reach_hub() and not load_file_path(name, "config.json") and not load_file_path(name, "modules.json"):
        raise ModelError(
            f"the model {name} cannot be loaded: there is no such folder, and {constants.ENDPOINT} cannot be reached to fetch it"
        )
    try:
        model = _open(name, fusion, options, choices)
        if pixels is not None:
            set_pixels(model, pixels)
    except ModelError:
        raise
    except Exception as error:  # the libraries below raise whatever they like for damaged files
        raise ModelError(f"the model {name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    return model


def _open(name: str, fusion: Fusion, options: dict[str, Any], choices: dict[str, Any]) -> SentenceTransformer:
    modules = _modules(name)
    _refuse_foreign(name, modules)
    if any(module["type"] in _OWN for module in modules):
        # sentence-transformers itself would ask for leave to run remote code, since it knows no module but its own.
        place = Path(load_dir_path(name, "") or name)
        return SentenceTransformer(modules=[_module(place / module["path"], module["type"], options) for module in modules], **choices)
    if modules:
        return SentenceTransformer(name, model_kwargs=options, **choices)
    kind = PreTrainedConfig.get_config_dict(name)[0].get("model_type")
    if kind in MLLM_KINDS:
        return unise_mllm(name, model_kwargs=options, **choices)
    if kind in CLIP_KINDS:
        return unise_clip(name, fusion, model_kwargs=options, **choices)
    known = ", ".join((*CLIP_KINDS, *MLLM_KINDS))
    raise ModelError(f"the model {name} cannot be loaded: it is of the kind {kind!r}; visir makes models of {known}")


def _module(folder: Path, kind: str, options: dict[str, Any]) -> Any:
    maker: Any = _OWN.get(kind) or import_from_string(kind)
    return maker.load(str(folder), **({"local_files_only": True, "model_kwargs": options} if maker is ComposedTransformer else {}))


def _modules(name: str) -> list[dict[str, Any]]:
    """Return what the ``modules.json`` of a saved model says; nothing for a bare checkpoint."""
    path = load_file_path(name, "modules.json")
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else []


def _refuse_foreign(name: str, modules: list[dict[str, Any]]) -> None:
    """Refuse code that a model brings, and pickled weights, which sentence-transformers would load whatever it is told."""
    for module in modules:
        kind, place = module["type"], module.get("path", "")
        if kind not in _OWN and not kind.startswith("sentence_transformers."):
            raise ModelError(f"the model {name} cannot be loaded: its modules.json names {kind}; visir runs no code that a model brings")
        if place and not load_file_path(name, "model.safetensors", place) and load_file_path(name, "pytorch_model.bin", place):
            raise ModelError(f"the model {name} cannot be loaded: {place}/pytorch_model.bin is a pickle; visir reads safetensors only")


def _facts(name: str) -> tuple[Calibration, dict[str, Any]]:
    """Return how a model's similarities are read and what made it, as its ``visir.json`` says, if it has one."""
    path = load_file_path(name, "visir.json")
    try:
        facts = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        return Calibration(**facts["calibration"]) if "calibration" in facts else _CALIBRATION, facts.get("made", {})
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"the model {name} cannot be loaded: its visir.json is damaged ({error})") from error


def model_revision(name: str) -> str:
    """Return a digest of a folder's weights and settings, or the commit of a model on a hub, whose client names its folder by it."""
    if Path(name).is_dir():
        return _digest(Path(name))
    file = load_file_path(name, "modules.json") or load_file_path(name, "config.json")
    return Path(file).parent.name if file else "unknown"


def _digest(folder: Path) -> str:
    """Return a digest of a model's weights and settings."""
    state = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".safetensors", ".json", ".jinja", ".txt"):
            with path.open("rb") as file:
                state.update(hashlib.file_digest(file, "blake2b").digest())
    return state.hexdigest()
