"""Export of a UniSE-CLIP to ONNX, in 32 or 8 bits, and the gate that every export must pass."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.clip import ComposedTransformer
from visir.unise.embedder import Embedder, Vectors, load_embedder
from visir.unise.export import write_graph
from visir.unise.mllm import get_pixels
from visir.unise.sentence import SentenceEmbedder
from visir.version import code_version

LEAST_COSINE = 0.995
MOST_LOST = 0.005
_OPSET = 18


@dataclass(frozen=True)
class GateItem:
    """A query and the number of the document that it should find."""

    query: Query
    answer: int


@dataclass(frozen=True)
class Gate:
    """What a copy of a model made of the gate's inputs, against the model itself.

    Args:
        cosine: mean cosine of the two vectors of an input; the least too.
        recall: share of queries whose document came first, by the copy. wanted: by the model.
        asked: how many queries; of few, a single one may be more than the share that may be lost.
    """

    cosine: float
    least_cosine: float
    recall: float
    wanted: float
    asked: int

    @property
    def passed(self) -> bool:
        """Whether the copy may stand for the model."""
        return self.cosine >= LEAST_COSINE and abs(self.recall - self.wanted) <= max(MOST_LOST, 1.001 / self.asked)

    def __str__(self) -> str:
        return (
            f"mean cosine {self.cosine:.4f} (at least {LEAST_COSINE}), lowest {self.least_cosine:.4f}; "
            f"recall@1 {self.recall:.2%} against {self.wanted:.2%} (at most {100 * MOST_LOST:.1f} points or one query apart)"
        )


def compare(model: Embedder, copy: Embedder, items: Sequence[GateItem], documents: Sequence[Screenshot | str]) -> Gate:
    """Embed the same queries and documents with a model and its copy."""
    answers = np.array([item.answer for item in items])

    def embed(embedder: Embedder) -> tuple[Vectors, float]:
        queries, pages = embedder.encode_query([item.query for item in items]), embedder.encode_document(documents)
        return np.concatenate([queries, pages]), float(((queries @ pages.T).argmax(1) == answers).mean())

    (one, wanted), (other, recall) = embed(model), embed(copy)
    cosines = (one * other).sum(1)
    return Gate(float(cosines.mean()), float(cosines.min()), recall, wanted, len(items))


def export_clip(
    model: SentenceEmbedder, folder: Path, precision: str, items: Sequence[GateItem], documents: Sequence[Screenshot]
) -> dict[str, Gate]:
    """Write a UniSE-CLIP as ONNX into a folder that `load_embedder` takes, if the copy passes the gate in every run time.

    Args:
        model: the model.
        folder: where the files go; an earlier export there is replaced.
        precision: ``fp32`` or ``int8``: 8-bit weights, activations quantised on the way.
        items: the gate's queries. documents: its documents.

    Returns:
        what the gate said, by run time.

    Raises:
        ModelError: the copy strays too far from the model, the model is no UniSE-CLIP, or the folder holds something else than an export;
            nothing is written then.
    """
    if folder.exists() and not _may_be_replaced(folder):
        raise ModelError(f"{folder} is there and holds something else than an exported model: name another folder with -o")
    if precision not in ("fp32", "int8"):
        raise ModelError(f"unknown precision {precision!r}: choose fp32 or int8")
    towers = model.model[0]
    if not isinstance(towers, ComposedTransformer):
        raise ModelError(f"{model.name}: only a UniSE-CLIP can be exported; a model of another kind runs in torch")
    if get_pixels(model.model) is not None:
        raise ModelError(f"{model.name}: a SigLIP2 that takes pictures of any shape cannot be exported; those of one size can")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        _write(towers, made, precision)
        _write_config(model, towers, made, precision)
        gates = {}
        for runtime in ("cpu", "openvino") if _has_openvino() else ("cpu",):
            gates[runtime] = gate = compare(model, load_embedder(str(made), runtime), items, documents)
            if not gate.passed:
                raise ModelError(f"{model.name} in {precision} on {runtime} strays from the model: {gate}; nothing was written")
        config = json.loads((made / "config.json").read_text(encoding="utf-8"))
        config["gate"] = {runtime: asdict(gate) for runtime, gate in gates.items()}
        (made / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)
    return gates


def _may_be_replaced(folder: Path) -> bool:
    """Say whether a folder is empty, or holds what was exported before."""
    if not folder.is_dir():
        return False
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        return not any(folder.iterdir())
    return bool(kind == "clip-onnx")


def _has_openvino() -> bool:
    from importlib.util import find_spec

    return find_spec("openvino") is not None


class _Tower(nn.Module):
    """One tower of a UniSE-CLIP as a function of tensors."""

    def __init__(self, towers: ComposedTransformer, modality: str, names: Sequence[str]) -> None:
        super().__init__()
        self.towers, self.modality, self.names = towers, modality, names

    def forward(self, *inputs: Tensor) -> Tensor:
        features = dict(zip(self.names, inputs, strict=True))
        said: Tensor = self.towers({**features, "modality": self.modality})[self.towers.module_output_name]
        return said


def _write(towers: ComposedTransformer, folder: Path, precision: str) -> None:
    """Write the towers, and the fusion where it is learned."""
    tokenizer: Any = towers.tokenizer
    vision = towers.model.config.vision_config
    ids = torch.tensor([tokenizer("a page")["input_ids"]])
    pixels = torch.zeros(1, 3, vision.image_size, vision.image_size)
    length = torch.export.Dim("length", min=2, max=_max_tokens(towers))
    dynamic: dict[str, Any] = {} if _pad(towers) else {"input_ids": {1: length}, "attention_mask": {1: length}}
    texts = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if _pad(towers):
        texts = {"input_ids": torch.tensor([tokenizer("a page", padding="max_length", max_length=_max_tokens(towers))["input_ids"]])}
    _write_graph(_Tower(towers, "text", list(texts)), texts, dynamic, folder / "text.onnx", precision)
    _write_graph(_Tower(towers, "image", ["pixel_values"]), {"pixel_values": pixels}, {}, folder / "image.onnx", precision)
    if towers.mixer is not None:
        # Two tensors: of one given twice, the exporter makes one input.
        parts = {name: torch.zeros(1, towers.get_embedding_dimension()) for name in ("image", "text")}
        _write_graph(towers.mixer, parts, {}, folder / "fusion.onnx", "fp32")


def _write_graph(module: nn.Module, inputs: dict[str, Tensor], dynamic: dict[str, Any], path: Path, precision: str) -> None:
    shapes = [dynamic.get(name, {}) for name in inputs]
    exact = path.with_suffix(".exact")
    write_graph(
        module, tuple(inputs.values()), exact, input_names=list(inputs), output_names=["vector"], opset_version=_OPSET,
        dynamic_shapes=(tuple(shapes),) if isinstance(module, _Tower) else tuple(shapes),
    )  # fmt: skip
    if precision == "int8":
        quantize_dynamic(exact, path, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"])
        exact.unlink()
    else:
        exact.rename(path)


def _max_tokens(towers: ComposedTransformer) -> int:
    return int(towers.model.config.text_config.max_position_embeddings)


def _pad(towers: ComposedTransformer) -> dict[str, Any] | None:
    """Return how texts are padded to full length, for models that were trained so (SigLIP)."""
    if towers.processing_kwargs.get("text", {}).get("padding") != "max_length":
        return None
    tokenizer: Any = towers.tokenizer
    return {"pad_id": tokenizer.pad_token_id, "pad_token": tokenizer.pad_token}


def _write_config(model: SentenceEmbedder, towers: ComposedTransformer, folder: Path, precision: str) -> None:
    pictures: Any = towers.processor.image_processor
    tokenizer: Any = towers.tokenizer
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    state = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.glob("*.onnx")):
        state.update(path.read_bytes())
    config = {
        "kind": "clip-onnx",
        "name": f"{model.name}-{precision}",
        "revision": f"{state.hexdigest()}-{model.dim}",
        "dim": model.dim,
        "fusion": towers.fusion,
        "max_tokens": _max_tokens(towers),
        "pad": _pad(towers),
        "image": {
            **{name: int(pictures.size[name]) for name in ("width", "height")},
            "resample": int(pictures.resample),
            "mean": list(pictures.image_mean),
            "std": list(pictures.image_std),
        },
        "calibration": asdict(model.calibration),
        "made": {**model.made, "from": model.name, "revision": model.revision, "precision": precision, "exported_by": code_version()},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
