"""What several documents share: fonts, photographs of paper, Office files that come out the same every time."""

import io
import re
import zipfile
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import pypdfium2
from PIL import Image, ImageFilter, ImageFont

Point = tuple[float, float]

_FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
_STAMP = (2024, 5, 2, 9, 0, 0)
_STAMP_TEXT = b"2024-05-02T09:00:00Z"
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")


@lru_cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return one of the fonts that come with matplotlib, as in ``font("DejaVuSans-Bold", 20)``."""
    return ImageFont.truetype(str(_FONTS / f"{name}.ttf"), size)


def page_picture(pdf: Path, scale: float) -> Image.Image:
    """Return the first page of a PDF as a picture of ``scale`` pixels a point."""
    with pypdfium2.PdfDocument(pdf) as document:
        return document[0].render(scale=scale).to_pil().convert("RGB")


def grain(picture: Image.Image, strength: float, seed: int) -> Image.Image:
    """Add a camera's noise."""
    noise = np.random.default_rng(seed).normal(0, strength, (picture.height, picture.width, 1))
    return Image.fromarray(np.clip(np.asarray(picture, np.float32) + noise, 0, 255).astype(np.uint8))


def uneven_light(picture: Image.Image, dark: float) -> Image.Image:
    """Let the light fall from the upper left; the far corner keeps ``1 - dark`` of it."""
    down, across = np.mgrid[0 : 1 : picture.height * 1j, 0 : 1 : picture.width * 1j]
    light = 1.04 - dark * (0.6 * across + 0.4 * down)
    return Image.fromarray(np.clip(np.asarray(picture, np.float32) * light[:, :, None], 0, 255).astype(np.uint8))


def wood(width: int, height: int, colour: tuple[int, int, int], seed: int) -> Image.Image:
    """Return a table top."""
    random = np.random.default_rng(seed)
    fibres = Image.fromarray(random.normal(128, 60, (height, max(2, width // 40))).clip(0, 255).astype(np.uint8))
    fibres = fibres.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.2))
    strength = (np.asarray(fibres, np.float32)[:, :, None] - 128) / 128
    board = (np.arange(height) // (height // 4))[:, None, None] % 2
    return Image.fromarray(np.clip(np.array(colour) * (1 + 0.16 * strength - 0.05 * board), 0, 255).astype(np.uint8))


def lay_on(table: Image.Image, sheet: Image.Image, corners: tuple[Point, Point, Point, Point]) -> Image.Image:
    """Lay a sheet on a table, seen from aslant.

    Args:
        table: the background.
        sheet: the paper.
        corners: where the sheet's upper left, upper right, lower right and lower left corners come to lie on the table.
    """
    width, height = sheet.size
    sources = ((0, 0), (width, 0), (width, height), (0, height))
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners, sources, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    mapping = tuple(np.linalg.solve(np.array(rows), np.array(wanted)))
    bent = sheet.transform(table.size, Image.Transform.PERSPECTIVE, mapping, Image.Resampling.BICUBIC)
    mask = Image.new("L", sheet.size, 255).transform(table.size, Image.Transform.PERSPECTIVE, mapping)
    shadow = Image.new("L", table.size)
    shadow.paste(110, (10, 12), mask)
    photo = Image.composite(Image.new("RGB", table.size, "black"), table, shadow.filter(ImageFilter.GaussianBlur(12)))
    photo.paste(bent, (0, 0), mask)
    return photo


def settle(path: Path) -> None:
    """Write an Office file again with one date all over, so that the same text makes the same file."""
    path.write_bytes(_settled(path.read_bytes()))


def _settled(archive: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == "docProps/core.xml":
                content = _TIME.sub(_STAMP_TEXT, content)
            elif member.filename.endswith(".xlsx"):
                content = _settled(content)
            new.writestr(zipfile.ZipInfo(member.filename, _STAMP), content, member.compress_type)
    return target.getvalue()
