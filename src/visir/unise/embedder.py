"""What every embedding model of visir looks like from outside, and how one is loaded by name."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.instructions import SEARCH

Vectors = NDArray[np.float32]
WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = "unise-mini"
_DEVICES = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?|openvino")
_IN_OPENVINO = ("clip-onnx", "unise-mini")


@dataclass(frozen=True)
class Calibration:
    """Where a model's similarities mean something, as (midpoint, width) of a logistic curve; see docs/search.md.

    Args:
        text: for queries of text alone.
        picture: for queries of a picture alone, which lie nearer to all pages.
        both: for queries of a picture and a text, which lie between.
    """

    text: tuple[float, float]
    picture: tuple[float, float]
    both: tuple[float, float]

    def curve(self, query: Query) -> tuple[float, float]:
        """Return the curve for a query."""
        if query.image is None:
            return self.text
        return self.both if query.text else self.picture


class Embedder(Protocol):
    """A model that puts queries and documents into one space.

    Attributes:
        name: the model's name.
        revision: digest of its weights and its preprocessing; vectors of different revisions must not be compared.
        dim: length of its vectors.
        reads: ``"pixels"`` if it looks at pictures, ``"text"`` if it needs a page's words.
        calibration: how its similarities are read.
    """

    name: str
    revision: str
    dim: int
    reads: Literal["pixels", "text"]
    calibration: Calibration

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries of text, picture or both into float32 vectors of length 1, shape (n, dim).

        Args:
            queries: what is asked.
            instruction: the task, for models that follow instructions; others ignore it.
        """

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed screenshots or texts into float32 vectors of length 1, shape (n, dim)."""

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document, shape (queries, documents)."""


def load_embedder(
    name: str = DEFAULT_MODEL,
    device: str = "auto",
    precision: str = "auto",
    dim: int | None = None,
    pixels: int | None = None,
    output: Literal["float32", "int8", "binary"] = "float32",
) -> Embedder:
    """Load a model that visir ships, a model folder, or a model of a hub.

    Args:
        name: ``"unise-mini"``, ``"text"`` for the page text encoder alone, the path of a model folder, or ``owner/model`` on a model hub.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …; models that do not run in torch take ``"auto"`` and ``"cpu"``, and those that
            `visir export` wrote, and ``"unise-mini"``, also ``"openvino"``. ``"auto"`` is what ``VISIR_DEVICE`` says, where the model can.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; models that do not run in torch take the first two.
        dim: keep only so many leading components (Matryoshka).
        pixels: the largest area of a picture, in pixels; only for models that run in torch and take pictures of any shape.
        output: what vectors are made of; for others than ``"float32"`` see `visir.unise.compact.CompactEmbedder`.

    Raises:
        ModelError: there is no such model, it cannot be reached, its files are damaged, or it cannot do what is asked.
    """
    if device == "auto" and (wanted := wanted_device()):
        device = device_for(name, wanted)
    embedder = _load(name, device, precision, pixels)
    if dim is None and output == "float32":
        return embedder
    from visir.unise.compact import CompactEmbedder

    try:
        return CompactEmbedder(embedder, dim, output)
    except ValueError as error:
        raise ModelError(f"{name}: {error}") from error


def wanted_device() -> str:
    """Return the device that ``VISIR_DEVICE`` names for whatever can run there; empty where it names none."""
    return os.environ.get("VISIR_DEVICE", "")


def device_for(name: str, device: str) -> str:
    """Return the device for a model where one is named for several: a GPU is for those that run in torch, OpenVINO for those it can run.

    Raises:
        ModelError: it is the name of no device.
    """
    if not _DEVICES.fullmatch(device):
        raise ModelError(f"there is no device {device!r}: name auto, cpu, cuda, cuda:1, mps, xpu or openvino")
    folder = _folder_of(name)
    if device == "openvino":
        return device if _config_of(folder).get("kind") in _IN_OPENVINO else "auto"
    return device if _runs_in_torch(name, folder) else "auto"


def _folder_of(name: str) -> Path:
    return WEIGHTS / name if (WEIGHTS / name / "config.json").is_file() else Path(name)


def _runs_in_torch(name: str, folder: Path) -> bool:
    """Say whether a model is a checkpoint in a folder, or else one on a hub."""
    return _is_checkpoint(folder) or (is_hub_name(name) and not folder.exists())


def is_hub_name(name: str) -> bool:
    """Say whether a name has the form ``owner/model`` that models on a hub have."""
    return name.count("/") == 1 and not name.startswith((".", "/"))


def shipped_models() -> list[str]:
    """Return the names of the models that visir ships, sorted."""
    return sorted(path.parent.name for path in WEIGHTS.glob("*/config.json"))


def _load(name: str, device: str, precision: str, pixels: int | None) -> Embedder:
    folder = _folder_of(name)
    if _runs_in_torch(name, folder):
        try:
            from visir.unise.sentence import SentenceEmbedder
        except ImportError as error:
            raise ModelError(f"the model {name} runs in torch: pip install 'visir[train]' ({error})") from error
        return SentenceEmbedder.load(name, device, precision, pixels)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("no table of settings")
    except (OSError, ValueError) as error:
        shipped = ", ".join(shipped_models())
        raise ModelError(f"there is no model {name!r}: name one that visir ships ({shipped}) or a folder with its config.json") from error
    if pixels is not None:
        raise ModelError(f"{name}: pixels are for models that run in torch")
    if precision not in ("auto", "float32"):
        raise ModelError(f"{name}: this model does not run in torch and takes the precision auto or float32, not {precision!r}")
    in_openvino = config.get("kind") in _IN_OPENVINO
    if device not in ("auto", "cpu") and not (in_openvino and device == "openvino"):
        devices = "auto, cpu or openvino" if in_openvino else "auto or cpu"
        raise ModelError(f"{name}: this model does not run in torch and takes the device {devices}, not {device!r}")
    if config.get("kind") == "text-onnx":
        from visir.unise.onnx import TextEmbedder

        return TextEmbedder(folder, config)
    if config.get("kind") == "unise-mini":
        from visir.unise.mini_onnx import MiniEmbedder

        return MiniEmbedder(folder, config, device)
    if config.get("kind") == "clip-onnx":
        from visir.unise.clip_onnx import ClipEmbedder

        return ClipEmbedder(folder, config, device)
    raise ModelError(f"{folder}: config.json names the unknown kind of model {config.get('kind')!r}: a newer visir may read it")


def _is_checkpoint(folder: Path) -> bool:
    """Say whether a folder holds a model of sentence-transformers or of transformers."""
    if (folder / "modules.json").is_file():
        return True
    return "model_type" in _config_of(folder)


def _config_of(folder: Path) -> dict[str, Any]:
    """Return what a folder's ``config.json`` says; nothing where there is none, or none that can be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
