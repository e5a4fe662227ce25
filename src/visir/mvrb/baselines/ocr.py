"""Words on pictures, read once and kept: what the first family of baselines stands on."""

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal, Protocol

import numpy as np

from visir.capture.ocr import find_tesseract, read_words
from visir.errors import ModelError
from visir.mvrb.cache import Cache, key_of
from visir.mvrb.data import Row
from visir.screenshot import Screenshot, clean_text

EngineName = Literal["tesseract", "rapidocr"]
ENGINES: tuple[EngineName, ...] = ("tesseract", "rapidocr")


class Engine(Protocol):
    """Reads the words on a picture.

    Attributes:
        revision: its name and version.
    """

    revision: str

    def read(self, screenshot: Screenshot) -> str:
        """Return the words in reading order, one line of text a line."""


class Tesseract:
    """Tesseract's program, English.

    Raises:
        ModelError: it is not installed.
    """

    revision = "tesseract-eng"

    def __init__(self) -> None:
        if find_tesseract() is None:
            raise ModelError("the OCR baselines need tesseract: install it (Debian and Ubuntu: apt install tesseract-ocr)")

    def read(self, screenshot: Screenshot) -> str:
        """Return the words; see `Engine`."""
        return read_words(screenshot).text


class RapidOcr:
    """RapidOCR: PP-OCR's detector and recogniser in onnxruntime, as its package carries them.

    Raises:
        ModelError: it is not installed.
    """

    def __init__(self) -> None:
        try:
            import rapidocr  # noqa: F401
        except ImportError as error:
            raise ModelError(f"the rapidocr baselines need rapidocr: pip install 'visir[eval]' ({error})") from error
        self.revision = f"rapidocr-{version('rapidocr')}"

    @cached_property
    def _engine(self) -> Any:
        from rapidocr import RapidOCR

        return RapidOCR(params={"Global.log_level": "error"})

    def read(self, screenshot: Screenshot) -> str:
        """Return the words; see `Engine`."""
        blue_first = np.asarray(screenshot.image)[:, :, ::-1]
        return clean_text("\n".join(self._engine(blue_first).txts or ()))


class OcrWords:
    """Reads pictures, each once.

    Args:
        cache: keeps the texts.
        engine: who reads.
    """

    def __init__(self, cache: Cache, engine: EngineName = "tesseract") -> None:
        self._cache = cache
        self._engine: Engine = Tesseract() if engine == "tesseract" else RapidOcr()
        self.revision = self._engine.revision

    def read(self, rows: Sequence[Row], note: Callable[[int], None]) -> list[str]:
        """Return the words on the picture of every row; empty for rows without a picture.

        Args:
            rows: queries or candidates.
            note: called with the number of pictures read so far.
        """
        positions = [position for position, row in enumerate(rows) if row.picture]
        keys = [key_of(self.revision, rows[position].digest) for position in positions]

        def compute(missing: list[int]) -> list[bytes]:
            texts = [self._engine.read(rows[positions[number]].screenshot()).encode() for number in missing]
            note(positions[missing[-1]] + 1)
            return texts

        read = [""] * len(rows)
        for position, text in zip(positions, self._cache.through(keys, compute, batch=8), strict=True):
            read[position] = text.decode()
        return read
