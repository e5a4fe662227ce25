"""unise-mini as stages 1 and 2 of the paper train it: a reader that stays as it is, and a text encoder that learns.

A picture becomes the words that `visir.unise.reading` reads on it. These, and what is asked, go through one BERT encoder; a picture with a
text is the sum of both vectors, as `visir.unise.mini_onnx` composes queries. So the encoder learns from what is really read, mistakes
included.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor
from torch.nn import functional as F
from transformers import BertModel

from visir.unise.clip import Fusion, LearnedFusion
from visir.unise.export import MAX_TOKENS, SETTINGS, read_settings
from visir.unise.onnx import ENCODER
from visir.unise.reading import PageReader
from visir.unise.wordpiece import WordPiece

_READER = "reader"


class ReadingEncoder(InputModule):
    """Embeds texts, pictures by the words read on them, and both together.

    Args:
        encoder: folder of a BERT checkpoint with its ``vocab.txt``; see `visir.unise.export.read_settings`.
        reader: folder of unise-mini, or of its files that read.
        remembered: a file that keeps what this reader read, so that no picture is read twice; made if missing.
        fusion: how a picture and a text become one vector: ``sum`` or ``learned``; see `visir.unise.clip`.
    """

    def __init__(self, encoder: Path, reader: Path, remembered: Path | None = None, fusion: Fusion = "sum") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # A short training needs no dropout, which takes two thirds of its time on a processor; so does not this attention.
        self.model = BertModel.from_pretrained(
            encoder, add_pooling_layer=False, use_safetensors=True, dtype=torch.float32, attn_implementation="eager",
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        self.mixer = LearnedFusion(self.get_embedding_dimension()) if fusion == "learned" else None
        self._encoder_folder, self._reader_folder = encoder, reader
        self._tokens = WordPiece(encoder / "vocab.txt")
        self._first_token, self._prompt = read_settings(encoder)
        config = json.loads((reader / "config.json").read_text(encoding="utf-8"))
        self._reader, self._revision = PageReader(reader, config["pixels"]), config["revision"].encode()
        self._remembered: _Readings | None = None
        if remembered:
            self.remember(remembered)

    def remember(self, readings: Path) -> None:
        """Keep what is read from now on in a file, and take from it what was read before; it is made if missing."""
        self._remembered = _Readings(readings)

    @property
    def modalities(self) -> list[Any]:
        """What it takes."""
        return ["text", "image", ("image", "text")]

    def get_embedding_dimension(self) -> int:
        """Return the length of its vectors."""
        return int(self.model.config.hidden_size)

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, task: str | None = None, **_: Any) -> dict[str, Tensor]:
        """Return ``parts`` and ``parts_mask``, (n, 1 or 2, longest): the tokens of each input's text, and of what is read on its picture.

        Args:
            inputs: texts, PIL pictures, and dicts of ``text`` and ``image``.
            prompt: ignored: the encoder follows no instructions.
            task: ``query`` puts the encoder's own prompt before texts.
        """
        asked = self._prompt if task == "query" else ""
        rows = [[self._encode(part, asked) for part in _parts(value)] for value in inputs]
        shape = len(rows), max(map(len, rows)), max(len(ids) for row in rows for ids in row)
        parts, mask = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        for number, row in enumerate(rows):
            for place, ids in enumerate(row):
                parts[number, place, : len(ids)] = torch.tensor(ids)
                mask[number, place, : len(ids)] = 1
        return {"parts": parts, "parts_mask": mask}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Embed a batch that `preprocess` made; adds ``sentence_embedding`` (n, dim)."""
        mask = features["parts_mask"]
        there = mask.any(2)
        ids, seen = features["parts"][there], mask[there]
        hidden = self.model(input_ids=ids, attention_mask=seen).last_hidden_state
        weight = seen.unsqueeze(2).to(hidden.dtype)
        pooled = hidden[:, 0].float() if self._first_token else (hidden * weight).sum(1).float() / weight.sum(1).float()
        vectors = F.normalize(pooled, dim=1)
        placed = vectors.new_zeros(*there.shape, vectors.shape[1]).masked_scatter(there.unsqueeze(2), vectors)
        joined = placed.sum(1)
        if self.mixer is not None and there.shape[1] > 1:
            text, image = placed.unbind(1)
            joined = torch.where(there.all(1, keepdim=True), self.mixer(image, text), joined)
        features["sentence_embedding"] = joined
        return features

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Save the encoder as a BERT checkpoint, and the reader beside it."""
        encoder, reader = Path(output_path, ENCODER), Path(output_path, _READER)
        self.model.save_pretrained(encoder)
        for name in ("vocab.txt", *SETTINGS):
            if (self._encoder_folder / name).is_file():
                (encoder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(self._encoder_folder / name, encoder / name)
        shutil.copytree(self._reader_folder, reader, ignore=shutil.ignore_patterns(ENCODER), dirs_exist_ok=True)
        if self.mixer is not None:
            self.mixer.save(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, *_: Any, **__: Any) -> Self:
        """Load what `save` wrote."""
        folder = Path(model_name_or_path)
        made = cls(folder / ENCODER, folder / _READER, fusion="learned" if LearnedFusion.is_saved(folder) else "sum")
        if made.mixer is not None:
            made.mixer.restore(folder)
        return made

    def _encode(self, part: str | Image.Image, prompt: str) -> list[int]:
        return self._tokens.sentences(prompt + part if isinstance(part, str) else self.read(part), MAX_TOKENS)[0]

    def read(self, picture: Image.Image) -> str:
        """Return the words on a picture, in reading order."""
        if self._remembered is None:
            return self._look(picture)
        key = hashlib.blake2b(picture.tobytes(), digest_size=16, key=self._revision).digest()
        text = self._remembered.get(key)
        if text is None:
            text = self._look(picture)
            self._remembered.put(key, text)
        return text

    def _look(self, picture: Image.Image) -> str:
        return " ".join(word for word in self._reader.look(picture.convert("RGB")).words if word)


class _Readings:
    """What was read on pictures, in a file that several processes may share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: tuple[int, sqlite3.Connection] | None = None

    def get(self, key: bytes) -> str | None:
        row = self._open().execute("SELECT text FROM readings WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: bytes, text: str) -> None:
        with self._open() as base:
            base.execute("INSERT OR IGNORE INTO readings VALUES (?, ?)", (key, text))

    def _open(self) -> sqlite3.Connection:
        # A connection must not be used on the other side of a fork.
        if self._own is None or self._own[0] != os.getpid():
            base = sqlite3.connect(self._path, timeout=60)
            base.execute("CREATE TABLE IF NOT EXISTS readings (key BLOB PRIMARY KEY, text TEXT) WITHOUT ROWID")
            self._own = os.getpid(), base
        return self._own[1]


def _parts(value: Any) -> list[str | Image.Image]:
    return [value["text"], value["image"]] if isinstance(value, dict) else [value]


def unise_mini(reader: Path, encoder: Path, remembered: Path | None = None, fusion: Fusion = "sum", **choices: Any) -> SentenceTransformer:
    """Make a unise-mini that can be trained.

    Args:
        reader: see `ReadingEncoder`.
        encoder: see `ReadingEncoder`.
        remembered: see `ReadingEncoder`.
        fusion: see `ReadingEncoder`.
        choices: as for `SentenceTransformer`.
    """
    return SentenceTransformer(modules=[ReadingEncoder(encoder, reader, remembered, fusion), Normalize()], **choices)
