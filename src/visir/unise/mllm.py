"""UniSE-MLLM: a Qwen-VL checkpoint as a sentence-transformers model of text, pictures, and both together.

The paper's UniSE-MLLM is a Qwen2-VL-2B whose input follows a template with ``[Task]`` and ``[Query]``, whose pictures are resized within a
pixel budget, and whose vector is the hidden state of the last token. The letter of the template is not published: `TEMPLATE` is ours.
A checkpoint that brings a template and ``modules.json`` of its own keeps both.
"""

from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from transformers import ProcessorMixin, Qwen2_5_VLProcessor, Qwen2VLProcessor, Qwen3VLProcessor

KINDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""Architectures, by the ``model_type`` of a checkpoint's config.json."""

PIXELS = 1280 * 28 * 28
"""Pixel budget of a picture where a recipe says nothing: 1,280 tokens of 28 x 28 pixels, Qwen2-VL's own."""

TEMPLATE = """\
{%- macro show(parts) -%}
{%- if parts is string -%}{{ parts }}{%- else -%}
{%- for part in parts -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}{%- endif -%}
{%- endmacro -%}
<|im_start|>user
{% for message in messages -%}
{%- if message.role == 'system' -%}[Task] {{ show(message.content) }}
[Query] {% else -%}{{ show(message.content) }}{%- endif -%}
{%- endfor -%}<|im_end|>
<|endoftext|>"""
"""UniSE's template: an instruction, which only queries have, stands as the task; the last token is the one whose state is the vector."""

_STATES = {"method": "forward", "method_output_name": "last_hidden_state"}
_MODALITIES: Any = {"text": _STATES, "image": _STATES, "message": {**_STATES, "format": "structured"}}


def mend_processors() -> None:
    """Let Qwen-VL processors load without their video part, which needs torchvision and which visir does not use.

    transformers builds a processor's parts from the names in its ``__init__``; one without the video part takes its place. A subclass
    would not do: `AutoProcessor` loads the class that the checkpoint names. It is done where torchvision is installed, too: a model
    that was saved without a video part must load there.
    """
    for kind in (Qwen2VLProcessor, Qwen2_5_VLProcessor, Qwen3VLProcessor):
        if not getattr(kind, "_without_video", False):
            _drop_video(kind)


def _drop_video(kind: type[ProcessorMixin]) -> None:
    def init(self: Any, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any) -> None:
        for name in ("image", "video", "vision_start", "vision_end"):
            token = f"<|{name}_pad|>" if name in ("image", "video") else f"<|{name}|>"
            setattr(self, f"{name}_token", token)
            setattr(self, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)  # type: ignore[no-untyped-call]

    kind.__init__ = init  # type: ignore[method-assign]
    kind._without_video = True  # type: ignore[attr-defined]


def unise_mllm(checkpoint: str, pixels: int | None = PIXELS, template: str | None = TEMPLATE, **choices: Any) -> SentenceTransformer:
    """Make a UniSE-MLLM of a Qwen-VL checkpoint.

    Args:
        checkpoint: a folder, or a name on a model hub; safetensors, no remote code.
        pixels: the largest area of a picture, which is resized to whole patches, keeping its shape; ``None`` keeps the checkpoint's.
        template: chat template in jinja; ``None`` keeps the checkpoint's.
        choices: as for `SentenceTransformer`; ``model_kwargs`` go to transformers.
    """
    mend_processors()
    options = {"use_safetensors": True, "trust_remote_code": False, **choices.pop("model_kwargs", {})}
    asked = {"modality_config": _MODALITIES, "module_output_name": "token_embeddings"} if template is not None else {}
    tower = Transformer(checkpoint, model_kwargs=options, **asked)
    if template is not None:
        tower.processor.chat_template = template
    model = SentenceTransformer(modules=[tower, Pooling(tower.get_embedding_dimension(), "lasttoken"), Normalize()], **choices)
    if pixels is not None:
        set_pixels(model, pixels)
    return model


def set_pixels(model: SentenceTransformer, pixels: int) -> None:
    """Set the pixel budget of a model whose pictures keep their shape.

    Raises:
        ValueError: the model takes pictures of one size.
    """
    patches = _patches(model)
    if patches is not None:
        patches["max_num_patches"] = max(1, pixels // patches["patch_size"] ** 2)
        return
    pictures = getattr(model[0].processor, "image_processor", None)
    size = getattr(pictures, "size", None)
    if pictures is None or size is None or not size.get("longest_edge"):
        raise ValueError("a pixel budget needs a model that takes pictures of any shape; this one takes one size")
    pictures.size = {"shortest_edge": min(size["shortest_edge"], pixels), "longest_edge": pixels}


def get_pixels(model: SentenceTransformer) -> int | None:
    """Return a model's pixel budget, or ``None`` if it takes pictures of one size."""
    patches = _patches(model)
    if patches is not None:
        return int(patches["max_num_patches"] * patches["patch_size"] ** 2)
    size = getattr(getattr(getattr(model[0], "processor", None), "image_processor", None), "size", None)
    largest = size.get("longest_edge") if size is not None else None
    return int(largest) if largest else None


def _patches(model: SentenceTransformer) -> dict[str, int] | None:
    """Return the settings of a SigLIP2 of any shape, which counts patches and not pixels."""
    settings: dict[str, int] = getattr(model[0], "processing_kwargs", {}).get("image", {})
    return settings if "max_num_patches" in settings else None
