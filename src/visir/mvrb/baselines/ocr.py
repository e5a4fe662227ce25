"""Words on pictures, read once and kept: what the first family of baselines stands on."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from visir.capture.ocr import find_tesseract, read_words
from visir.errors import ModelError
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row
from visir.screenshot import Screenshot, clean_text
from visir.unise.embedder import wanted_device
from visir.unise.onnx import told_threads


class Engine(Protocol):
    """Reads the words on a picture.

    Attributes:
        name: what baselines are called by that it reads for.
        revision: its name and version.
    """

    name: str
    revision: str

    def read(self, screenshot: Screenshot) -> str:
        """Return the words in reading order, one line of text a line."""


class Tesseract:
    """Tesseract's program.

    Args:
        languages: its language codes, joined by ``+``.

    Raises:
        ModelError: it is not installed.
    """

    name = "ocr"

    def __init__(self, languages: str = "eng") -> None:
        self._languages = languages
        self.revision = f"tesseract-{languages}"
        if find_tesseract() is None:
            raise ModelError("the OCR baselines need tesseract: install it (Debian and Ubuntu: apt install tesseract-ocr)")

    def read(self, screenshot: Screenshot) -> str:
        """Return the words; see `Engine`."""
        return read_words(screenshot, self._languages).text


class RapidOcr:
    """RapidOCR: PP-OCR's detector and recogniser as its package carries them, in onnxruntime or in OpenVINO.

    Args:
        device: ``"openvino"`` for OpenVINO; ``"auto"`` is what ``VISIR_DEVICE`` says.

    Raises:
        ModelError: it, or OpenVINO, is not installed.
    """

    name = "rapidocr"

    def __init__(self, device: str = "auto") -> None:
        self._in_openvino = (wanted_device() if device == "auto" else device) == "openvino"
        try:
            import rapidocr  # noqa: F401

            if self._in_openvino:
                import openvino  # noqa: F401
        except ImportError as error:
            extra = "openvino" if error.name == "openvino" else "eval"
            raise ModelError(f"the rapidocr baselines need {error.name}: pip install 'visir[{extra}]' ({error})") from error
        self.revision = f"rapidocr-{version('rapidocr')}{'-openvino' if self._in_openvino else ''}"

    def read(self, screenshot: Screenshot) -> str:
        """Return the words; see `Engine`."""
        blue_first = np.asarray(screenshot.image)[:, :, ::-1]
        return clean_text("\n".join(_rapidocr(self._in_openvino)(blue_first).txts or ()))


@cache
def _rapidocr(in_openvino: bool) -> Any:
    """Return RapidOCR's engine, one for as long as the process lives.

    It opens an OpenVINO core of its own for each of its models; what happens when such cores end is told in `visir.unise.vino`.
    """
    from rapidocr import EngineType, RapidOCR

    # Left to themselves, its threads wait for one another on a machine that does other work: six seconds a page where one do.
    threads = told_threads() or -1
    params: dict[str, Any] = {
        "Global.log_level": "error",
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.openvino.inference_num_threads": threads,
    }
    if in_openvino:
        params |= {f"{part}.engine_type": EngineType.OPENVINO for part in ("Det", "Cls", "Rec")}
    return RapidOCR(params=params)


class OcrWords:
    """Reads pictures, each once.

    Args:
        cache: keeps the texts.
        engine: who reads.
    """

    def __init__(self, cache: Cache, engine: Engine) -> None:
        self._cache = cache
        self._engine = engine

    def read(self, rows: Sequence[Row], note: Callable[[int], None]) -> list[str]:
        """Return the words on the picture of every row; empty for rows without a picture.

        Args:
            rows: queries or candidates.
            note: called with the number of pictures read so far.
        """
        positions = [position for position, row in enumerate(rows) if row.picture]
        keys = [key_of(self._engine.revision, rows[position].digest) for position in positions]

        def compute(missing: list[int]) -> list[bytes]:
            texts = [self._engine.read(rows[positions[number]].screenshot()).encode() for number in missing]
            note(positions[missing[-1]] + 1)
            return texts

        read = [""] * len(rows)
        for position, text in zip(positions, self._cache.through(keys, compute, batch=8), strict=True):
            read[position] = text.decode()
        return read
