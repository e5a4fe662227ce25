"""Tiny random checkpoints of the real architectures, made in a second: what recipes are tried on where no hub can be reached."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen3VLProcessor,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    Siglip2Processor,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from visir.unise.mllm import mend_processors

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_PROCESSORS: dict[str, Any] = {"qwen2_vl": Qwen2VLProcessor, "qwen2_5_vl": Qwen2_5_VLProcessor, "qwen3_vl": Qwen3VLProcessor}


def tiny_clip(folder: Path, width: int = 32, layers: int = 2, image: int = 32, patch: int = 8, dim: int = 24) -> Path:
    """Write a CLIP checkpoint with random weights and a tokenizer of letters.

    Args:
        folder: where it goes; made if missing.
        width: channels of both towers.
        layers: layers of both towers.
        image: side of the pictures, in pixels.
        patch: side of a patch, in pixels.
        dim: length of the embeddings.
    """
    letters = [*map(chr, range(97, 123)), *map(chr, range(48, 58))]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[])
    size = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers, "num_attention_heads": 2}
    ends = {"bos_token_id": vocabulary["<|startoftext|>"], "eos_token_id": vocabulary["<|endoftext|>"]}
    text = {**size, **ends, "vocab_size": len(vocabulary), "max_position_embeddings": 77}
    config = CLIPConfig(text_config=text, vision_config={**size, "image_size": image, "patch_size": patch}, projection_dim=dim)
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": image}, crop_size={"height": image, "width": image})
    CLIPProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def tiny_mllm(folder: Path, kind: str = "qwen2_vl", width: int = 32, layers: int = 2) -> Path:
    """Write a Qwen-VL checkpoint with random weights and a tokenizer of bytes.

    Args:
        folder: where it goes; made if missing.
        kind: ``qwen2_vl``, ``qwen2_5_vl`` or ``qwen3_vl``.
        width: channels of the language model.
        layers: its layers.
    """
    mend_processors()
    symbols = [*sorted(ByteLevel.alphabet()), *_SPECIAL]
    number = {symbol: place for place, symbol in enumerate(symbols)}
    tokenizer = Qwen2Tokenizer(vocab=number, merges=[], extra_special_tokens=list(_SPECIAL[1:]), model_max_length=4096)
    patch = 16 if kind == "qwen3_vl" else 14
    config = AutoConfig.for_model(
        kind,
        text_config=_text_size(kind, width, layers, len(symbols)),
        vision_config=_vision_size(kind, width, patch),
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    pictures = Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": 4 * (2 * patch) ** 2, "longest_edge": 16 * (2 * patch) ** 2}
    )
    _PROCESSORS[kind](image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _text_size(kind: str, width: int, layers: int, symbols: int) -> dict[str, Any]:
    heads, size = 2, width // 2
    split = [size // 2 - 2 * (size // 6), size // 6, size // 6]  # rotary channels of time, height and width
    size_of_all = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": symbols,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if kind == "qwen3_vl":
        rope = {"rope_type": "default", "mrope_section": split, "mrope_interleaved": True, "rope_theta": 10_000.0}
        return {**size_of_all, "head_dim": size, "rope_parameters": rope}
    return {**size_of_all, "rope_parameters": {"rope_type": "default", "mrope_section": split, "rope_theta": 10_000.0}}


def _vision_size(kind: str, width: int, patch: int) -> dict[str, Any]:
    same = {"depth": 2, "num_heads": 2, "patch_size": patch, "spatial_merge_size": 2, "temporal_patch_size": 2}
    if kind == "qwen2_vl":
        return {**same, "embed_dim": 32, "hidden_size": width, "mlp_ratio": 2}
    if kind == "qwen2_5_vl":
        return {
            **same,
            "hidden_size": 32,
            "out_hidden_size": width,
            "intermediate_size": 64,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        }
    places = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return {**same, **places, "hidden_size": 32, "out_hidden_size": width, "intermediate_size": 64}


def tiny_siglip(folder: Path, any_shape: bool = False) -> Path:
    """Write a SigLIP checkpoint with random weights and a tokenizer of letters.

    Args:
        folder: where it goes; made if missing.
        any_shape: a SigLIP2 that keeps the shape of pictures ("naflex"); the others are SigLIP to transformers.
    """
    letters = {name: number for number, name in enumerate(["<pad>", "</s>", "<unk>", *map(chr, range(97, 123))])}
    model = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    model.normalizer = normalizers.Lowercase()
    model.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    model.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, model_max_length=24, **names)  # type: ignore[no-untyped-call]
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**size, "vocab_size": len(letters), "max_position_embeddings": 24, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    torch.manual_seed(0)
    pictures: Any
    if any_shape:
        Siglip2Model(Siglip2Config(text_config=text, vision_config={**size, "num_patches": 16, "patch_size": 8})).save_pretrained(folder)
        pictures = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
        Siglip2Processor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)  # type: ignore[no-untyped-call]
        return folder
    SiglipModel(SiglipConfig(text_config=text, vision_config={**size, "image_size": 32, "patch_size": 8})).save_pretrained(folder)
    pictures = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    SiglipProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder
