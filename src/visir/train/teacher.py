"""The text teacher: all-MiniLM-L6-v2, whose sentence vectors pages and regions learn to match.

By default it is the int8 encoder that ships with visir as ``text``; a folder of a BERT checkpoint can be named instead.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import BertWordPieceTokenizer, Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from visir.errors import ModelError
from visir.train.encoders import read_quantized
from visir.unise.embedder import WEIGHTS

_SHIPPED = WEIGHTS / "text"
_SHAPE = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536, "vocab_size": 30522}


def find_teacher(folder: str = "") -> Path:
    """Return the teacher's folder: the one that is named, or that of the text encoder that ships with visir."""
    path = Path(folder) if folder else _SHIPPED
    if not (path / "config.json").is_file():
        raise ModelError(f"{path}: no text model there; name a folder that holds one as data.teacher")
    return path


class TextTokens:
    """Turns texts into padded token numbers; light enough for data workers."""

    def __init__(self, folder: Path) -> None:
        if (folder / "tokenizer.json").is_file():
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            self._tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)._tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __call__(self, texts: list[str], limit: int) -> tuple[Tensor, Tensor]:
        """Return token numbers and mask, both (n, longest), each text cut off at ``limit`` tokens."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        rows = [row[: limit - 1] + row[-1:] if len(row) > limit else row for row in rows]
        longest = max(map(len, rows), default=1)
        ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        return ids, mask


class TextTeacher(nn.Module):
    """A frozen sentence encoder: token numbers and mask (n, t) -> vectors (n, 384) of length 1."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        quantized = folder / "model.onnx"
        values = _SHAPE if quantized.is_file() else json.loads((folder / "config.json").read_text())
        config = BertConfig.from_dict(values)
        self.bert = BertModel(config, add_pooling_layer=False)
        weights = read_quantized(quantized) if quantized.is_file() else load_file(folder / "model.safetensors")
        missing, _ = self.bert.load_state_dict(weights, strict=False)
        if any("position_ids" not in name for name in missing):
            raise ModelError(f"{folder}: the text model lacks weights ({missing[0]} and others); fetch it again")
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode; see the class."""
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(2).float()
        return F.normalize((states * weights).sum(1) / weights.sum(1).clamp(min=1), dim=1)
