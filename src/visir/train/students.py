"""The models that stages 1 and 2 train: opened in 32 bits, with or without adapters."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from torch import nn

from visir.errors import ModelError
from visir.train.encoders import find_encoder
from visir.train.pair_recipe import ModelChoice
from visir.unise.clip import KINDS as CLIP_KINDS
from visir.unise.embedder import WEIGHTS
from visir.unise.mini_student import ReadingEncoder, unise_mini
from visir.unise.mllm import KINDS
from visir.unise.sentence import open_model
from visir.unise.tiny import tiny_clip, tiny_mllm, tiny_siglip

_STACKS = ("layer", "layers", "blocks")
"""What transformers calls the layers of a tower."""


def open_student(choice: ModelChoice, folder: Path) -> SentenceTransformer:
    """Open what a recipe names; a ``tiny:KIND`` is made in ``folder/base`` first.

    Raises:
        ModelError: there is no such model, or the choices do not fit it.
    """
    base = choice.base
    if choice.encoder:
        return _open_mini(choice, folder)
    if base.startswith("tiny:"):
        base = str(_make_tiny(base.removeprefix("tiny:"), folder / "base"))
    options = {"dtype": torch.float32}
    return open_model(base, pixels=choice.pixels or None, fusion=choice.fusion, device="cpu", model_kwargs=options)


def _open_mini(choice: ModelChoice, folder: Path) -> SentenceTransformer:
    reader = WEIGHTS / choice.base if (WEIGHTS / choice.base / "tower.onnx").is_file() else Path(choice.base)
    if not (reader / "tower.onnx").is_file():
        raise ModelError(f"model.encoder is for unise-mini, and {choice.base} is none: there is no {reader / 'tower.onnx'}")
    if choice.fusion not in ("sum", "learned"):
        raise ModelError(f"unise-mini has no fusion {choice.fusion!r}: choose sum or learned")
    return unise_mini(reader, find_encoder(choice.encoder), folder / "readings.sqlite", choice.fusion)


def _make_tiny(kind: str, place: Path) -> Path:
    if kind not in (*CLIP_KINDS, *KINDS):
        raise ModelError(f"there is no tiny model {kind!r}: choose {', '.join((*CLIP_KINDS, *KINDS))}")
    if (place / "config.json").is_file():
        return place
    if kind == "clip":
        return tiny_clip(place, width=64, layers=2, image=32, patch=8, dim=64)
    return tiny_mllm(place, kind, width=64) if kind in KINDS else tiny_siglip(place, any_shape=kind == "siglip2")


def save_activations(model: SentenceTransformer) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    tower: Any = model[0].model
    # transformers renamed it on the way from version 5 to 6.
    enable = getattr(tower, "activation_checkpointing_enable", None) or tower.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def compile_layers(model: SentenceTransformer) -> None:
    """Compile the layers of a model's towers when they are first run; layers of one shape share what is compiled."""
    tower: Any = model[0].model
    for name, module in tower.named_modules():
        if isinstance(module, nn.ModuleList) and name.rpartition(".")[2] in _STACKS:
            for layer in module:
                layer.compile()


def add_adapters(model: SentenceTransformer, choice: ModelChoice) -> Any:
    """Freeze a model and put low-rank adapters beside its layers; returns what `merge_adapters` takes."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    targets = choice.lora_targets
    try:
        tuner = LoraModel(model[0].model, LoraConfig(r=choice.lora, lora_alpha=2 * choice.lora, target_modules=targets), "default")
    except ValueError as error:
        raise ModelError(
            f"model.lora_targets = {targets!r} fits no layer of {choice.base} ({' '.join(str(error).split())[:150]})"
        ) from None
    for layer in tuner.modules():
        if isinstance(layer, BaseTunerLayer):
            # Where it matters autocast brings inputs to 16 bits again, and both copies are for nothing: a fifth of a step on a processor.
            layer.cast_input_dtype_enabled = False
    return tuner


def merge_adapters(model: SentenceTransformer, tuner: Any, share: float = 1.0) -> None:
    """Add the adapters, or a share of them, to the weights they stand beside, so that the model is as it came, and trained."""
    for layer in tuner.modules():
        if hasattr(layer, "scale_layer"):
            layer.scale_layer(share)
    model[0].model = tuner.merge_and_unload()


def seen_height(model: SentenceTransformer, page: Image.Image) -> int:
    """Return how many pixels high a page is for a model."""
    tower: Any = model[0]
    if isinstance(tower, ReadingEncoder):
        return page.height  # its reader chooses the size that suits the type
    features = model.preprocess([page])
    if "image_grid_thw" in features:
        return int(features["image_grid_thw"][0, 1]) * int(tower.processor.image_processor.patch_size)
    if "spatial_shapes" in features:
        return int(features["spatial_shapes"][0, 0]) * int(tower.processing_kwargs["image"]["patch_size"])
    return int(features["pixel_values"].shape[-2])
