"""Words of a page that has none of its own, read by tesseract where it is installed."""

import io
import os
import shutil
import subprocess
from dataclasses import replace
from functools import cache

from PIL import Image

from visir.errors import MissingToolError
from visir.screenshot import Box, Screenshot, lay_out

_READABLE_SIDE = 2200
_MIN_CONFIDENCE = 30.0


@cache
def find_tesseract() -> str | None:
    """Return tesseract's path, or ``None`` where it is not installed."""
    return shutil.which("tesseract")


@cache
def _languages(tesseract: str) -> tuple[str, ...]:
    """Return the languages that a tesseract has learnt; nothing where it does not tell."""
    told = subprocess.run([tesseract, "--list-langs"], capture_output=True, check=False).stdout.decode("utf-8", "replace")
    return tuple(line.strip() for line in told.splitlines()[1:] if line.strip())


def read_words(screenshot: Screenshot, language: str = "eng", timeout: float = 60.0) -> Screenshot:
    """Return the screenshot with the words that tesseract reads on it; unchanged where it is missing or fails.

    Args:
        screenshot: any page.
        language: tesseract's language codes, joined by ``+``.
        timeout: seconds after which the page stays without words.

    Raises:
        MissingToolError: tesseract has not learnt one of the languages.
    """
    tesseract = find_tesseract()
    if tesseract is None:
        return screenshot
    there = _languages(tesseract)
    for code in language.split("+"):
        if there and code not in there:
            raise MissingToolError(
                screenshot.uri, f"tesseract has no language {code!r}: install tesseract-ocr-{code}, or name some of {', '.join(there)}"
            )
    image = screenshot.image.convert("L")
    # Tesseract wants letters some 25 pixels high, about twice what a stored page has.
    factor = max(1.0, min(2.0, _READABLE_SIDE / max(image.size)))
    image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PPM")
    command = [tesseract, "stdin", "stdout", "-l", language, "--psm", "3", "tsv"]
    try:
        done = subprocess.run(
            command, input=buffer.getvalue(), capture_output=True, timeout=timeout, env={**os.environ, "OMP_THREAD_LIMIT": "1"}, check=False
        )
    except subprocess.TimeoutExpired:
        return screenshot
    text, words = lay_out(_lines(done.stdout.decode("utf-8", "replace"), image.width, image.height).values())
    return replace(screenshot, text=text, words=words)


def _lines(table: str, width: int, height: int) -> dict[tuple[str, ...], list[tuple[str, Box]]]:
    """Group tesseract's words, one a row of its table, by the line they stand in."""
    lines: dict[tuple[str, ...], list[tuple[str, Box]]] = {}
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) < 12 or not cells[11].strip() or float(cells[10]) < _MIN_CONFIDENCE:
            continue
        left, top, wide, high = map(int, cells[6:10])
        box = (left / width, top / height, (left + wide) / width, (top + high) / height)
        lines.setdefault(tuple(cells[1:5]), []).append((cells[11], box))
    return lines
