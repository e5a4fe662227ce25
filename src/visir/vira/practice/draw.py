"""A pen that remembers what it wrote: text through Skia, with every letter's place kept."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import skia
from numpy.typing import NDArray

from visir.unise.letters import ALPHABET, SPACE
from visir.vira.practice.pack import FontFile

Floats = NDArray[np.float32]
Rect = tuple[float, float, float, float]
Color = tuple[int, int, int]

_CLASS = np.full(0x2200, -1, np.int16)
_CLASS[[ord(letter) for letter in ALPHABET]] = np.arange(1, len(ALPHABET) + 1)
_GAP = 32
_TYPEFACES: dict[int, Any] = {}


@dataclass
class Style:
    """How text is written: a font at a size in pixels, a colour, and the pixels between letters."""

    font: Any
    color: Color
    size: float
    tracking: float = 0.0
    up: float = field(init=False)
    down: float = field(init=False)

    def __post_init__(self) -> None:
        metrics = self.font.getMetrics()
        self.up = metrics.fCapHeight if 0 < metrics.fCapHeight < 1.2 * self.size else 0.72 * self.size
        self.down = min(max(metrics.fDescent, 0.15 * self.size), 0.3 * self.size)

    def advances(self, text: str) -> Floats:
        """Return the width of each letter in pixels."""
        widths = np.asarray(self.font.getWidths(self.font.textToGlyphs(text)), np.float32)
        return widths + np.float32(self.tracking) if self.tracking else widths


def make_style(file: FontFile, size: float, color: Color, look: tuple[int, int, bool] = (1, 1, True), tracking: float = 0.0) -> Style:
    """Return a style; ``look``: Skia's edging (0 hard, 1 smooth, 2 subpixel), hinting (0 to 3), whether letters stand between pixels."""
    typeface = _TYPEFACES.get(id(file))
    if typeface is None:
        typeface = _TYPEFACES[id(file)] = skia.Typeface.MakeFromData(skia.Data.MakeWithCopy(file.data))
    font = skia.Font(typeface, size)
    font.setEdging((skia.Font.Edging.kAlias, skia.Font.Edging.kAntiAlias, skia.Font.Edging.kSubpixelAntiAlias)[look[0]])
    font.setHinting((skia.FontHinting.kNone, skia.FontHinting.kSlight, skia.FontHinting.kNormal, skia.FontHinting.kFull)[look[1]])
    font.setSubpixel(look[2])
    return Style(font, color, size, tracking)


class Pen:
    """Draws on a canvas and keeps what it wrote.

    Args:
        canvas: a Skia canvas whose matrix maps the page's pixels onto the picture's.
        matrix: that matrix (2 x 3), for the boxes.
        size: width and height of the picture in pixels.
    """

    def __init__(self, canvas: Any, matrix: NDArray[np.float64], size: tuple[int, int]) -> None:
        self.canvas = canvas
        self.matrix = matrix
        self.size = size
        self._lines: list[tuple[str, Floats, Floats, float, Style]] = []
        self._blocks: list[tuple[str, Rect]] = []
        self._covers: list[tuple[int, Rect]] = []

    def rect(self, box: Rect, color: Color, radius: float = 0.0, stroke: float = 0.0) -> None:
        """Fill a rectangle, or draw its edge ``stroke`` pixels wide."""
        paint = skia.Paint(AntiAlias=True, Color=skia.Color(*color))
        if stroke:
            paint.setStyle(skia.Paint.kStroke_Style)
            paint.setStrokeWidth(stroke)
        if radius:
            self.canvas.drawRoundRect(skia.Rect.MakeLTRB(*box), radius, radius, paint)
        else:
            self.canvas.drawRect(skia.Rect.MakeLTRB(*box), paint)

    def cover(self, box: Rect, color: Color, radius: float = 0.0) -> None:
        """Fill a rectangle over what was written before, which is forgotten where it is hidden."""
        self._covers.append((len(self._lines), box))
        self.rect(box, color, radius)

    def path(self, points: list[tuple[float, float]], color: Color, width: float = 1.0, fill: bool = False) -> None:
        """Draw a line through points, or fill the polygon that they make."""
        path = skia.Path.Polygon([skia.Point(x, y) for x, y in points], fill)
        paint = skia.Paint(AntiAlias=True, Color=skia.Color(*color), StrokeWidth=width)
        paint.setStyle(skia.Paint.kFill_Style if fill else skia.Paint.kStroke_Style)
        self.canvas.drawPath(path, paint)

    def circle(self, x: float, y: float, radius: float, color: Color) -> None:
        """Fill a circle."""
        self.canvas.drawCircle(x, y, radius, skia.Paint(AntiAlias=True, Color=skia.Color(*color)))

    def line(self, style: Style, text: str, x: float, y: float, align: float = 0.0, width: float = 0.0) -> float:
        """Write one line on the baseline ``y``; ``align`` 0 begins at ``x``, 0.5 is centred on it, 1 ends there; returns the line's width.

        Text that is wider than ``width`` loses its last words; letters that the font lacks are left out.
        """
        glyphs = style.font.textToGlyphs(text)
        if 0 in glyphs:
            text = "".join(letter for letter, glyph in zip(text, glyphs, strict=True) if glyph)
        if not text:
            return 0.0
        advances = style.advances(text)
        if width and float(advances.sum()) > width:
            fitting = int(np.searchsorted(np.cumsum(advances), width))
            text = text[:fitting].rpartition(" ")[0] if fitting < len(text) else text
            advances = advances[: len(text)]
        total = float(advances.sum())
        if text:
            self._write(style, text, x - align * total + np.cumsum(advances) - advances, advances, y)
        return total

    def turned(self, style: Style, text: str, x: float, y: float, degrees: float) -> None:
        """Write one line turned about its middle (x, y). Nothing of it is kept: who reads along lines should pass it over."""
        paint, wide = skia.Paint(AntiAlias=True, Color=skia.Color(*style.color)), float(style.advances(text).sum())
        self.canvas.save()
        self.canvas.rotate(degrees, x, y)
        self.canvas.drawString(text, x - wide / 2, y + style.up / 2, style.font, paint)
        self.canvas.restore()

    def _write(self, style: Style, text: str, xs: Floats, advances: Floats, y: float) -> None:
        paint = skia.Paint(AntiAlias=True, Color=skia.Color(*style.color))
        self.canvas.drawTextBlob(skia.TextBlob.MakeFromPosTextH(text, xs.tolist(), y, style.font), 0, 0, paint)
        self._lines.append((text, xs, advances, y, style))

    def paragraph(self, style: Style, text: str, box: Rect, leading: float = 1.3, align: str = "left") -> float:
        """Write text in lines into a box; returns the bottom of its last line. ``align``: left, right, center or justify."""
        glyphs = style.font.textToGlyphs(text)
        if 0 in glyphs:
            text = " ".join("".join(letter for letter, glyph in zip(text, glyphs, strict=True) if glyph).split())
        left, top, right, bottom = box
        if not text:
            return top
        advances = style.advances(text)
        edges = np.concatenate(([0.0], np.cumsum(advances))).astype(np.float32)
        spaces = np.array([index for index, letter in enumerate(text) if letter == " "], np.int64)
        starts, ends = np.concatenate(([0], spaces + 1)), np.concatenate((spaces, [len(text)]))
        y, first, room, last = top + style.up, 0, right - left, 0
        while first < len(starts) and y + style.down <= bottom:
            after = max(first + 1, int(np.searchsorted(edges[ends], edges[starts[first]] + room, "right")))
            a, b = int(starts[first]), int(ends[after - 1])
            spare = room - float(edges[b] - edges[a])
            if spare < 0 and after == first + 1:
                break
            xs = left + edges[a:b] - edges[a]
            if align == "justify" and after < len(starts) and after > first + 1:
                xs = xs + np.cumsum(np.fromiter((letter == " " for letter in text[a:b]), np.float32, b - a)) * (spare / (after - first - 1))
            elif align in ("right", "center"):
                xs = xs + spare * (1.0 if align == "right" else 0.5)
            self._write(style, text[a:b], xs.astype(np.float32), advances[a:b], y)
            y, first, last = y + leading * style.size, after, b
        end = y - leading * style.size + style.down
        if last:
            self.block(text[:last], (left, top, right, end))
        return end if last else top

    def block(self, text: str, box: Rect) -> None:
        """Remember that a box holds a text that belongs together."""
        self._blocks.append((text, box))

    def _map(self, boxes: NDArray[np.float64]) -> Floats:
        """Turn boxes in the page's pixels into fractions of the picture."""
        corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [0, 3]], boxes[:, [2, 3]]], 1)
        moved = corners @ self.matrix[:, :2].T + self.matrix[:, 2]
        low, high = moved.min(1) / self.size, moved.max(1) / self.size
        return np.concatenate([low, high], 1).astype(np.float32)

    def written(self) -> tuple[list[str], Floats, NDArray[np.int16], Floats]:
        """Return all words, their boxes (n, 4), the classes (`unise.letters`) of all letters, then of the gaps between words (m,), and
        the middles of these (m, 2).
        """
        if not self._lines:
            return [], np.zeros((0, 4), np.float32), np.zeros(0, np.int16), np.zeros((0, 2), np.float32)
        words = " ".join(line[0] for line in self._lines).split()
        texts = " ".join(line[0] for line in self._lines)
        codes = np.frombuffer(texts.encode("utf-32-le"), np.uint32).astype(np.int64)
        lengths = np.array([len(line[0]) for line in self._lines])
        at = np.concatenate([np.arange(start, start + n) for start, n in zip(np.cumsum(lengths + 1) - lengths - 1, lengths, strict=True)])
        left, right = np.zeros(len(codes)), np.zeros(len(codes))
        left[at] = np.concatenate([line[1] for line in self._lines])
        right[at] = left[at] + np.concatenate([line[2] - line[4].tracking for line in self._lines])
        top, low = np.zeros(len(codes)), np.zeros(len(codes))
        top[at] = np.repeat([line[3] - line[4].up for line in self._lines], lengths)
        low[at] = np.repeat([line[3] + line[4].down for line in self._lines], lengths)
        seen = codes != _GAP
        starts = np.flatnonzero(seen & ~np.concatenate(([False], seen[:-1])))
        ends = np.flatnonzero(seen & ~np.concatenate((seen[1:], [False])))
        boxes = np.stack([left[starts], top[starts], right[ends], low[starts]], 1)
        line_of = np.searchsorted(np.cumsum(lengths + 1), starts, "right")
        kept = self._visible(boxes, line_of)
        letter_kept = np.zeros(len(codes), bool)
        letter_kept[seen] = np.repeat(kept, ends - starts + 1)
        classes = _CLASS[np.minimum(codes, len(_CLASS) - 1)]
        letter_kept &= classes >= 0
        middles = np.stack([(left + right) / 2, (top + low) / 2], 1)[letter_kept]
        before = np.flatnonzero(kept[:-1] & kept[1:] & (line_of[:-1] == line_of[1:]))
        gaps = np.stack([(boxes[before, 2] + boxes[before + 1, 0]) / 2, (boxes[before, 1] + boxes[before, 3]) / 2], 1)
        places = np.concatenate([middles, gaps]) @ self.matrix[:, :2].T + self.matrix[:, 2]
        named = np.concatenate([classes[letter_kept], np.full(len(gaps), SPACE, np.int16)])
        names = [word for word, keep in zip(words, kept, strict=True) if keep]
        return names, np.clip(self._map(boxes[kept]), 0, 1), named, (places / self.size).astype(np.float32)

    def _visible(self, boxes: NDArray[np.float64], line_of: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which boxes are inside the picture and not covered by what was drawn later."""
        mapped = self._map(boxes)
        kept: NDArray[np.bool_] = np.asarray((mapped >= -0.002).all(1) & (mapped <= 1.002).all(1))
        for lines, (a, b, c, d) in self._covers:
            hit = (boxes[:, 0] < c) & (boxes[:, 2] > a) & (boxes[:, 1] < d) & (boxes[:, 3] > b)
            kept &= ~(hit & (line_of < lines))
        return kept

    def blocks(self) -> tuple[list[str], Floats]:
        """Return the texts of all blocks that nothing covers, and their boxes (k, 4) in fractions."""
        if not self._blocks:
            return [], np.zeros((0, 4), np.float32)
        boxes = np.array([box for _, box in self._blocks], np.float64)
        kept = self._visible(boxes, np.zeros(len(boxes), np.int64)) if self._covers else np.ones(len(boxes), bool)
        mapped = np.clip(self._map(boxes), 0, 1)
        kept &= (mapped[:, 2] > mapped[:, 0]) & (mapped[:, 3] > mapped[:, 1])
        return [text for (text, _), keep in zip(self._blocks, kept, strict=True) if keep], mapped[kept]
