"""Models of the true shape with random weights: what they cost can be measured where the weights cannot be had."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, Qwen2VLConfig, Qwen2VLModel

_QUERY_TOKENS = 32
_SIDE = 224
_END = 49407
_PATCH = 14
_CHANNELS_BY_FRAMES = 3 * 2


@dataclass(frozen=True)
class Shape:
    """A model with random weights.

    Args:
        model: the model.
        text: embeds one query of 32 tokens.
        page: embeds one page whose picture takes so many tokens; CLIP has one size alone.
        pages: sizes of pages in tokens.
    """

    model: nn.Module
    text: Callable[[], Tensor]
    page: Callable[[int], Tensor]
    pages: tuple[int, ...]


def make_shape(name: str, device: str, precision: torch.dtype) -> Shape:
    """Make a model of the true shape with random weights.

    Args:
        name: one of `visir.mvrb.experiments.cost.SHAPES`.
        device: where it runs.
        precision: of its weights.
    """
    return _qwen(device, precision) if name == "qwen2-vl-2b" else _clip(name, device, precision)


def _random(make: Callable[[], nn.Module], device: str, precision: torch.dtype) -> nn.Module:
    """Make a model without the minutes that a proper initialisation takes; weights are small, so that nothing overflows."""
    with torch.device("meta"):
        model = make()
    model = model.to(precision).to_empty(device=device)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            nn.init.normal_(tensor, std=0.02)
        else:
            # Positions: the only whole numbers that these models keep.
            tensor.copy_(torch.arange(tensor.numel(), device=device).reshape(tensor.shape))
    return model.eval()


def _clip(name: str, device: str, precision: torch.dtype) -> Shape:
    large = name == "clip-l14"
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14}
    small = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "patch_size": 32}
    width = 768 if large else 512
    text = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": 12, "num_attention_heads": width // 64}
    config = CLIPConfig(text_config=text, vision_config={**(vision if large else small), "image_size": _SIDE}, projection_dim=width)
    model: Any = _random(lambda: CLIPModel(config), device, precision)
    words = torch.full((1, _QUERY_TOKENS), 320, device=device)
    words[0, -1] = _END
    picture = torch.randn(1, 3, _SIDE, _SIDE, device=device, dtype=precision)
    tokens = (_SIDE // (14 if large else 32)) ** 2
    return Shape(
        model,
        lambda: model.get_text_features(words).pooler_output,
        lambda count: model.get_image_features(picture).pooler_output,
        (tokens,),
    )


def _qwen(device: str, precision: torch.dtype) -> Shape:
    text = {
        "vocab_size": 151936,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1_000_000.0},
    }
    vision = {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "patch_size": _PATCH}
    config = Qwen2VLConfig(text_config=text, vision_config=vision)
    model = _random(lambda: Qwen2VLModel(config), device, precision)
    words = torch.full((1, _QUERY_TOKENS), 320, device=device)

    def page(tokens: int) -> Tensor:
        side = 2 * int(tokens**0.5)
        patches = torch.randn(side * side, _CHANNELS_BY_FRAMES * _PATCH * _PATCH, device=device, dtype=precision)
        picture = torch.full((1, side * side // 4), config.image_token_id, device=device)
        edges = (torch.tensor([[mark]], device=device) for mark in (config.vision_start_token_id, config.vision_end_token_id))
        start, end = edges
        ids = torch.cat([words[:, :8], start, picture, end, words[:, 8:]], dim=1)
        grid = torch.tensor([[1, side, side]], device=device)
        kinds = (ids == config.image_token_id).int()
        return _last(model(input_ids=ids, pixel_values=patches, image_grid_thw=grid, mm_token_type_ids=kinds))

    return Shape(model, lambda: _last(model(input_ids=words)), page, (256, 1024))


def _last(output: object) -> Tensor:
    hidden: Tensor = output.last_hidden_state  # type: ignore[attr-defined]
    return hidden[:, -1]
