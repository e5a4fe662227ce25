"""A UniSE-CLIP that `visir export` wrote: runs in onnxruntime or OpenVINO, without torch."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Calibration, Vectors
from visir.unise.instructions import SEARCH
from visir.unise.onnx import normalise, open_session
from visir.unise.vino import VinoSession


class ClipEmbedder:
    """The towers of a UniSE-CLIP behind the protocol of `Embedder`.

    Args:
        folder: holds ``image.onnx``, ``text.onnx``, ``tokenizer.json`` and, where the fusion is learned, ``fusion.onnx``.
        config: the folder's ``config.json``.
        device: ``auto`` and ``cpu`` run in onnxruntime, ``openvino`` in OpenVINO, which is faster where the processor has bf16 units.

    Raises:
        ModelError: a file is missing or damaged, or a package is not installed.
    """

    reads: Literal["pixels", "text"] = "pixels"

    def __init__(self, folder: Path, config: dict[str, Any], device: str = "auto") -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ModelError(f"{folder}: this model needs one more package: pip install tokenizers") from error
        self.name: str = config["name"]
        self.revision: str = config["revision"]
        self.dim: int = config["dim"]
        self.calibration = Calibration(**{name: tuple(curve) for name, curve in config["calibration"].items()})
        self._config = config
        exact = config["made"]["precision"] == "fp32"
        opener = partial(VinoSession, exact=exact) if device == "openvino" else open_session
        self._image, self._text = opener(folder / "image.onnx"), opener(folder / "text.onnx")
        self._mixer = opener(folder / "fusion.onnx") if config["fusion"] == "learned" else None
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{folder / 'tokenizer.json'} is missing or damaged: export the model again") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(config["max_tokens"])
        if config["pad"]:
            self._tokenizer.enable_padding(length=config["max_tokens"], **config["pad"])

    def encode_query(self, queries: Sequence[Query | str], instruction: str = SEARCH) -> Vectors:
        """Embed queries of text, picture or both; see `Embedder`. The instruction is ignored."""
        asked = [Query(query) if isinstance(query, str) else query for query in queries]
        return self._rows([self._query(query) for query in asked])

    def encode_document(self, documents: Sequence[Screenshot | str]) -> Vectors:
        """Embed screenshots and texts; see `Embedder`."""
        return self._rows([self._of_text(one) if isinstance(one, str) else self._of_image(one.image) for one in documents])

    def similarity(self, queries: Vectors, documents: Vectors) -> Vectors:
        """Return the cosine of every query with every document."""
        return np.asarray(queries @ documents.T, np.float32)

    def _rows(self, vectors: list[Vectors]) -> Vectors:
        return normalise(np.concatenate(vectors)) if vectors else np.zeros((0, self.dim), np.float32)

    def _query(self, query: Query) -> Vectors:
        if query.image is None:
            return self._of_text(query.text)
        image = self._of_image(query.image.image)
        if not query.text:
            return image
        text = self._of_text(query.text)
        if self._config["fusion"] == "sum-raw":
            return image + text
        image, text = normalise(image), normalise(text)
        if self._mixer is None:
            return image + text
        return np.asarray(self._mixer.run(None, {"image": image, "text": text})[0], np.float32)

    def _of_text(self, text: str) -> Vectors:
        # One by one: int8 activations are quantised over the whole input, so a vector would depend on its neighbours.
        encoding = self._tokenizer.encode(text)
        feeds = {"input_ids": np.array([encoding.ids], np.int64)}
        if not self._config["pad"]:  # what is padded to full length was trained without a mask
            feeds["attention_mask"] = np.array([encoding.attention_mask], np.int64)
        return np.asarray(self._text.run(None, feeds)[0], np.float32)

    def _of_image(self, image: Image.Image) -> Vectors:
        shape = self._config["image"]
        small = image.resize((shape["width"], shape["height"]), Image.Resampling(shape["resample"]))
        pixels = (np.asarray(small, np.float32) / 255 - np.array(shape["mean"], np.float32)) / np.array(shape["std"], np.float32)
        return np.asarray(self._image.run(None, {"pixel_values": pixels.transpose(2, 0, 1)[None]})[0], np.float32)
