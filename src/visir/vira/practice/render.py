"""One practice page from its number: what is drawn, where every word of it stands, and how it is spoilt."""

import io
import math
from dataclasses import dataclass

import numpy as np
import skia
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from visir.vira.practice.draw import Floats, Pen
from visir.vira.practice.layouts import LAYOUTS, WEIGHTS
from visir.vira.practice.pack import Pack
from visir.vira.practice.source import TextSource
from visir.vira.practice.theme import Theme, choose_theme

_RESAMPLE = (Image.Resampling.BILINEAR,) * 4 + (Image.Resampling.BOX,) * 2 + (Image.Resampling.HAMMING, Image.Resampling.LANCZOS)
_GRAIN = Image.fromarray(np.clip(128 + 64 * np.random.default_rng(7).normal(size=(1600, 1600)), 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class PageSpec:
    """What kind of page is wanted.

    Args:
        height: pixels.
        width: pixels.
        level: 0 shows few words in large type, 1 whole pages in small type; between, pages of both kinds are mixed.
        held_only: write only words that training never shows.
        spoil: how often pages are blurred, compressed, noisy, tilted or scaled.
        layout: one layout's name, or empty for all of them.
    """

    height: int
    width: int
    level: float = 1.0
    held_only: bool = False
    spoil: float = 1.0
    layout: str = ""


@dataclass(frozen=True)
class PracticePage:
    """A page on which everything is known; all places are fractions of the page.

    Args:
        image: uint8 (height, width, 3).
        words: the words as printed, and ``boxes`` (n, 4) where they stand.
        letters: (m,) classes (`unise.letters`) of letters and, after these, of the gaps between words; ``letter_at`` (m, 2) their middles.
        blocks: texts that belong together, and ``block_boxes`` (k, 4).
        language: code of the page's language.
    """

    image: NDArray[np.uint8]
    words: list[str]
    boxes: Floats
    letters: NDArray[np.int16]
    letter_at: Floats
    blocks: list[str]
    block_boxes: Floats
    language: str


def render_page(pack: Pack, spec: PageSpec, seed: int, number: int) -> PracticePage:
    """Render page ``number`` of the stream ``seed``: the same pack, spec and numbers give the same page, in any process and order."""
    rng = np.random.default_rng([seed, number])
    source = TextSource(pack, rng, spec.held_only)
    theme = choose_theme(pack, source.language, rng, spec.level)
    scale = float(rng.uniform(1.15, 1.9)) if rng.random() < 0.3 * spec.spoil else 1.0
    angle = float(rng.normal() * 0.8) if rng.random() < 0.12 * spec.spoil else 0.0
    width, height = round(spec.width * scale), round(spec.height * scale)
    pixels = np.empty((height, width, 4), np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType).getCanvas()
    canvas.clear(skia.Color(*theme.paper))
    matrix = _matrix(scale, angle, spec.width, spec.height)
    canvas.concat(skia.Matrix.MakeAll(*matrix.ravel().tolist(), 0, 0, 1))
    pen = Pen(canvas, matrix, (width, height))
    _fill(pen, source, theme, spec)
    words, boxes, letters, letter_at = pen.written()
    blocks, block_boxes = pen.blocks()
    picture = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1).convert("RGB")
    if scale != 1.0:
        picture = picture.resize((spec.width, spec.height), _RESAMPLE[int(rng.integers(len(_RESAMPLE)))])
    image = np.asarray(spoil(picture, rng, spec.spoil))
    return PracticePage(image, words, boxes, letters, letter_at, blocks, block_boxes, source.language)


def _matrix(scale: float, angle: float, width: int, height: int) -> NDArray[np.float64]:
    """Return the matrix (2 x 3) that turns the page by ``angle`` degrees about its middle and scales it."""
    turn = math.radians(angle)
    rows = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    middle = np.array([width / 2, height / 2])
    return scale * np.concatenate([rows, (middle - rows @ middle)[:, None]], 1)


def _fill(pen: Pen, source: TextSource, theme: Theme, spec: PageSpec) -> None:
    rng = theme.rng
    name = spec.layout or str(rng.choice(list(WEIGHTS), p=list(WEIGHTS.values())))
    margin = float(rng.uniform(0.4, 3.0)) * theme.body if name != "panel" or rng.random() < 0.3 else 0.0
    margin = min(margin, 0.1 * spec.width)
    LAYOUTS[name](pen, source, theme, (margin, margin, spec.width - margin, spec.height - margin))


def spoil(picture: Image.Image, rng: np.random.Generator, much: float = 1.0) -> Image.Image:
    """Treat a page as cameras, scanners and encoders do: grey, shadow, tone, blur, grain, JPEG, each on some pages only."""
    shadow, tone, blur, grain, jpeg, grey = rng.random(6) < np.array([0.05, 0.25, 0.1, 0.1, 0.3, 0.06]) * much
    if grey:
        picture = picture.convert("L").convert("RGB")
    if tone:
        low, high, gamma = float(rng.uniform(0, 50)), float(rng.uniform(200, 255)), float(rng.uniform(0.7, 1.4))
        curve = (low + (high - low) * (np.arange(256) / 255.0) ** gamma).astype(int).tolist()
        picture = picture.point(curve * 3)
    if shadow:
        row = np.linspace(float(rng.uniform(0.6, 1)), float(rng.uniform(0.6, 1)), picture.width)
        shade = Image.fromarray((255 * row[None, :]).astype(np.uint8)).resize(picture.size)
        picture = ImageChops.multiply(picture, Image.merge("RGB", [shade] * 3))
    if blur:
        picture = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0.2, 0.6))))
    if grain:
        x, y = (int(value) for value in rng.integers(0, 256, 2))
        noise = _GRAIN.crop((x, y, x + picture.width, y + picture.height))
        picture = Image.blend(picture, Image.merge("RGB", [noise] * 3), float(rng.uniform(0.02, 0.14)))
    if jpeg:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(25, 92)))
        picture = Image.open(buffer).convert("RGB")
    return picture
