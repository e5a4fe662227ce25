"""Make a page look as if it had been printed and scanned or copied; its words' boxes go along."""

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageStat

from visir.screenshot import Screenshot, Word
from visir.vira.page import Page, number_of, share_of

_MOST_DEGREES = 2.5


def scanned(page: Page, share: float) -> Page | None:
    """Return the page as a scan if it is among the ``share`` of pages that are scanned, by its key; else nothing.

    A dark page is one of a screen: it is never scanned.
    """
    if share_of("scan", page.key) >= share or ImageStat.Stat(page.shot.image.convert("L")).mean[0] < 100:
        return None
    return replace(page, shot=scan(page.shot))


def scan(shot: Screenshot) -> Screenshot:
    """Return a screenshot as a scanner or a photocopier gives it back: askew, unevenly lit, grainy, grey, compressed.

    Every choice depends on the screenshot's ``uri`` alone. Words keep their order; each box becomes the smallest upright one around the
    turned box, cut at the edge of the page. Words that the turn moves off the page keep a box of no area at the edge.
    """
    rng = np.random.default_rng(number_of("scanned", shot.uri))
    picture = shot.image.convert("RGB")
    width, height = picture.size
    turn = _turn(rng, width, height)
    inverse = np.linalg.inv(np.vstack([turn, [0, 0, 1]]))[:2]
    glass = (int(rng.integers(205, 250)),) * 3
    picture = picture.transform(picture.size, Image.Transform.AFFINE, inverse.ravel().tolist(), Image.Resampling.BICUBIC, fillcolor=glass)
    if rng.random() < 0.35:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.6))))
    pixels = np.asarray(picture, np.float32) * _light(rng, width, height)[..., None]
    pixels += rng.normal(0, rng.uniform(1.5, 7), (height, width, 1)).astype(np.float32)
    if rng.random() < 0.6:
        pixels = _copied(rng, pixels)
    buffer = io.BytesIO()
    quality = int(rng.integers(35, 75))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    words = tuple(Word(word.text, _turned(word.box, turn, width, height)) for word in shot.words)
    return replace(shot, encoded=buffer.getvalue(), words=words)


def _turn(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Return the map (2 x 3) from the page's pixels to the scan's: a turn about the middle, a little smaller or larger, a little aside."""
    angle = np.radians(np.clip(rng.normal(0, 0.9), -_MOST_DEGREES, _MOST_DEGREES))
    scale = rng.uniform(0.96, 1.01)
    rows = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([width / 2, height / 2])
    aside = rng.uniform(-0.01, 0.01, 2) * (width, height)
    return np.concatenate([rows, (middle - rows @ middle + aside)[:, None]], 1)


def _turned(
    box: tuple[float, float, float, float], turn: NDArray[np.float64], width: int, height: int
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    corners = np.array([[left, right, left, right], [top, top, bottom, bottom]]) * [[width], [height]]
    x, y = np.clip((turn[:, :2] @ corners + turn[:, 2:]) / [[width], [height]], 0, 1)
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _light(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Return how bright each pixel is lit: falling off to one side, and sometimes the dark valley of a bound book."""
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = rng.uniform(-0.1, 0.1, 2)
    light = 0.96 + slope[0] * x + slope[1] * y
    if rng.random() < 0.25:
        side = rng.choice([-1.0, 1.0])
        light = light * (1 - rng.uniform(0.2, 0.45) * np.exp(-((x - side) ** 2) / rng.uniform(0.005, 0.03)))
    lit: NDArray[np.float32] = np.clip(light, 0, 1.02).astype(np.float32)
    return lit


def _copied(rng: np.random.Generator, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pixels as a photocopier sees them: grey, with harder contrast, specks of toner, and now and then a streak down the page."""
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    contrast = rng.uniform(1.0, 1.6)
    grey = (grey - 190) * contrast + 190 + rng.uniform(-5, 25)
    height, width = grey.shape
    for _ in range(int(rng.integers(0, 60))):
        left, top, size = rng.integers(0, width), rng.integers(0, height), rng.integers(1, 3)
        grey[top : top + size, left : left + size] = rng.uniform(20, 140)
    if rng.random() < 0.15:
        x = int(rng.integers(0, width - 2))
        grey[:, x : x + int(rng.integers(1, 3))] -= rng.uniform(15, 60)
    return np.repeat(grey[..., None], 3, 2)
