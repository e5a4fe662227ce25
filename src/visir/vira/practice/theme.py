"""How one practice page looks: its fonts, sizes and colours."""

from dataclasses import dataclass

import numpy as np

from visir.vira.practice.draw import Color, Style, make_style
from visir.vira.practice.pack import FontFile, Pack

_INK_CONTRAST = 85.0


def _luminance(color: Color) -> float:
    return 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]


def _random_color(rng: np.random.Generator) -> Color:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def ink_on(paper: Color, rng: np.random.Generator, colorful: float = 0.5) -> Color:
    """Return a colour that can be read on ``paper``: black, white or grey, or with the given probability any colour of enough contrast."""
    light = _luminance(paper)
    if rng.random() < colorful:
        for _ in range(6):
            color = _random_color(rng)
            if abs(_luminance(color) - light) > _INK_CONTRAST:
                return color
    shade = int(rng.integers(0, 70))
    return (shade, shade, shade) if light > 127 else (255 - shade, 255 - shade, 255 - shade)


@dataclass
class Theme:
    """Fonts, sizes and colours of a page.

    Args:
        rng: the page's generator.
        paper: the page's ground; panel: the ground of boxes on it; accent: a strong colour.
        body: size of running text in pixels.
    """

    rng: np.random.Generator
    paper: Color
    panel: Color
    accent: Color
    ink: Color
    body: float
    look: tuple[int, int, bool]
    text_font: FontFile
    head_font: FontFile

    def style(self, scale: float = 1.0, color: Color | None = None, head: bool = False) -> Style:
        """Return a style ``scale`` times as large as running text."""
        size = max(6.5, self.body * scale)
        if not self.look[2]:
            size = round(size)
        return make_style(self.head_font if head else self.text_font, size, color or self.ink, self.look)

    def on(self, ground: Color, scale: float = 1.0, head: bool = False) -> Style:
        """Return a style that can be read on ``ground``."""
        return self.style(scale, ink_on(ground, self.rng, 0.25), head)


def choose_theme(pack: Pack, language: str, rng: np.random.Generator, level: float) -> Theme:
    """Draw a theme. ``level`` 0 gives type of 18 to 40 pixels, 1 gives 8 to 18, mostly 9 to 13; between, the one fades into the other."""
    dark = rng.random() < 0.2
    if rng.random() < 0.6:
        paper: Color = (24, 26, 30) if dark else (255, 255, 255)
        if dark:
            shade = int(rng.integers(0, 60))
            paper = (shade, shade, min(255, shade + int(rng.integers(0, 20))))
    else:
        base = rng.integers(0, 70, 3) if dark else rng.integers(195, 256, 3)
        paper = (int(base[0]), int(base[1]), int(base[2]))
    step = int(rng.integers(8, 40)) * (1 if dark else -1)
    red, green, blue = (int(np.clip(value + step, 0, 255)) for value in paper)
    easy = rng.random() > level
    body = float(rng.uniform(18, 40)) if easy else float(np.clip(11.0 * np.exp(rng.normal() * 0.2), 8.2, 20.0))
    fonts = pack.fonts if language == "en" else [font for font in pack.fonts if font.wide] or pack.fonts
    text_font = fonts[int(rng.integers(len(fonts)))]
    head_font = fonts[int(rng.integers(len(fonts)))] if rng.random() < 0.5 else text_font
    edging, hinting = int(rng.choice([1, 1, 1, 1, 1, 2])), int(rng.choice([0, 1, 1, 2]))
    look = (edging, hinting, bool(rng.random() < 0.6))
    colorful = 0.15 if rng.random() < 0.7 else 0.8
    return Theme(rng, paper, (red, green, blue), _random_color(rng), ink_on(paper, rng, colorful), body, look, text_font, head_font)
