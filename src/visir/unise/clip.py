"""UniSE-CLIP: any CLIP or SigLIP checkpoint as a sentence-transformers model of text, pictures, and both together.

The paper composes a query of a picture and a text as a linear combination of both embeddings (its UniSE-CLIP); which one is a
choice here. sentence-transformers brings text and pictures; this adds the third kind of input.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = ("clip", "siglip", "siglip2")
"""Architectures, by the ``model_type`` of a checkpoint's config.json."""

Fusion = Literal["sum", "sum-raw", "learned"]
_BOTH: tuple[Literal["image"], Literal["text"]] = ("image", "text")
_FUSION_FILE = "fusion.safetensors"


class LearnedFusion(nn.Module):
    """A correction to the sum of both embeddings; zero before training, so that it begins as ``sum``.

    Args:
        dim: length of the embeddings.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inside = nn.Linear(3 * dim, dim)
        self.outside = nn.Linear(dim, dim)
        nn.init.zeros_(self.outside.weight)
        nn.init.zeros_(self.outside.bias)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Join embeddings of length 1, both of shape (n, dim), into (n, dim)."""
        correction: Tensor = self.outside(F.gelu(self.inside(torch.cat([image, text, image * text], dim=1))))
        return image + text + correction

    def save(self, folder: str | Path) -> None:
        """Write the weights beside a model's."""
        save_file(self.state_dict(), Path(folder, _FUSION_FILE))

    def restore(self, folder: str | Path) -> None:
        """Read what `save` wrote; where there is nothing, the sum it stays."""
        if self.is_saved(folder):
            self.load_state_dict(load_file(Path(folder, _FUSION_FILE)))

    @staticmethod
    def is_saved(folder: str | Path) -> bool:
        """Say whether a learned fusion was saved there."""
        return Path(folder, _FUSION_FILE).is_file()


class ComposedTransformer(Transformer):
    """The towers of a CLIP-like checkpoint, with pictures and texts together as a third kind of input.

    Args:
        model_name_or_path: a checkpoint of transformers with ``get_text_features`` and ``get_image_features``.
        fusion: ``sum`` of the normalised embeddings (the paper's), ``sum-raw`` of the embeddings as they are, or ``learned``.
        choices: as for `sentence_transformers.base.modules.Transformer`.
    """

    config_keys = [*Transformer.config_keys, "fusion"]  # noqa: RUF012  (the base class declares it so)

    def __init__(self, model_name_or_path: str, *, fusion: Fusion = "sum", **choices: Any) -> None:
        super().__init__(model_name_or_path, **choices)
        tokenizer: Any = self.tokenizer
        # Not every tokenizer says how many tokens the text tower takes; the base class looks for that number elsewhere.
        tokenizer.model_max_length = min(tokenizer.model_max_length, _text_length(self))
        if self.config.model_type.startswith("siglip"):
            # Its text tower looks at the last place, full or not: it was trained on texts padded to full length, all of which it sees
            # (Zhai et al. 2023). A mask would also let the caching of gradients cut the padding off.
            self.processing_kwargs = {"text": {"padding": "max_length", "max_length": _text_length(self)}, **self.processing_kwargs}
            tokenizer.model_input_names = ["input_ids"]
        if self.config.model_type == "siglip2" and "image" not in self.processing_kwargs:
            # Its processor would take defaults of its own, whatever the checkpoint's says.
            pictures: Any = self.processor.image_processor
            kept = {"patch_size": pictures.patch_size, "max_num_patches": pictures.max_num_patches}
            self.processing_kwargs = {**self.processing_kwargs, "image": kept}
        if fusion not in get_args(Fusion):
            raise ValueError(f"unknown fusion {fusion!r}: choose one of {', '.join(get_args(Fusion))}")
        self.fusion = fusion
        self.modality_config[_BOTH] = {"method": "get_image_features", "method_output_name": None}
        self.input_formatter.supported_modalities = list(self.modality_config)
        self.mixer = LearnedFusion(self.get_embedding_dimension()) if fusion == "learned" else None
        if self.mixer is not None:
            self.mixer.restore(model_name_or_path)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Embed a batch of texts, of pictures, or of pictures with texts; see the base class."""
        if features.get("modality") != _BOTH:
            return super().forward(features, **kwargs)
        image, text = (
            super(ComposedTransformer, self).forward({**features, "modality": one}, **kwargs)[self.module_output_name] for one in _BOTH
        )
        if self.fusion != "sum-raw":
            image, text = F.normalize(image, dim=1), F.normalize(text, dim=1)
        features[self.module_output_name] = self.mixer(image, text) if self.mixer is not None else image + text
        return features

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Save the towers, and the weights of a learned fusion beside them."""
        super().save(output_path, *args, **kwargs)
        if self.mixer is not None:
            self.mixer.save(output_path)


def _text_length(towers: Transformer) -> int:
    return int(towers.config.text_config.max_position_embeddings)


def unise_clip(checkpoint: str, fusion: Fusion = "sum", **choices: Any) -> SentenceTransformer:
    """Make a UniSE-CLIP of a CLIP or SigLIP checkpoint.

    It sees pages whole, squeezed into its square, where CLIP would cut off what juts out. A SigLIP2 of any shape ("naflex") keeps theirs.

    Args:
        checkpoint: a folder, or a name on a model hub; safetensors, no remote code.
        fusion: how a picture and a text are joined; see `ComposedTransformer`.
        choices: as for `SentenceTransformer`; ``model_kwargs`` go to transformers.
    """
    options = {"use_safetensors": True, **choices.pop("model_kwargs", {})}
    towers = ComposedTransformer(checkpoint, fusion=fusion, model_kwargs=options)
    pictures = towers.processor.image_processor
    side = getattr(towers.model.config.vision_config, "image_size", None)
    if side is not None:
        pictures.size, pictures.do_center_crop = {"height": side, "width": side}, False
    return SentenceTransformer(modules=[towers, Normalize()], **choices)
