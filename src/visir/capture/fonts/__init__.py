"""The type that pages are set in: DejaVu, which is shipped beside this file, and the machine's own fonts for what DejaVu lacks.

Glyphs are drawn once and kept, since FreeType through Pillow takes 8 µs a glyph and pasting a kept one takes 1.5 µs.
"""

import subprocess
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

_HERE = Path(__file__).parent
_FACES = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "oblique": "DejaVuSans-Oblique.ttf",
    "mono": "DejaVuSansMono.ttf",
    "monobold": "DejaVuSansMono-Bold.ttf",
}
_SHAPED = bool(features.check("raqm")) and bool(features.check("fribidi"))
# Where there is no fontconfig: macOS and Windows have these, tried in this order.
_USUAL = [
    *(
        Path("/System/Library/Fonts") / name
        for name in ("PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "Supplemental/Arial Unicode.ttf", "Apple Symbols.ttf")
    ),
    *(
        Path("C:/Windows/Fonts") / name
        for name in ("msyh.ttc", "YuGothM.ttc", "malgun.ttf", "simsun.ttc", "Nirmala.ttc", "Nirmala.ttf", "LeelawUI.ttf", "seguisym.ttf")
    ),
]
# One fc-list takes 15 ms: a file made of every character there is must not spend minutes in it.
_MAX_LOOKUPS = 256
_MAX_LOOKUPS_PER_BLOCK = 4
_MAX_GLYPHS = 4096
_UNDRAWN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Scripts whose letters change by their neighbours though they are no combining marks: Indic, Burmese, Hangul letters, Khmer and their like.
_JOINED = ((0x0900, 0x109F), (0x1100, 0x11FF), (0x1780, 0x18AF), (0x1900, 0x1CFF), (0xA800, 0xABFF), (0x11000, 0x11FFF))


def needs_shaping(char: str) -> bool:
    """Whether the character's form or place depends on its neighbours, so that it must not be drawn alone."""
    code = ord(char)
    if code < 0x300:
        return False
    if unicodedata.category(char)[0] == "M" or unicodedata.bidirectional(char) in ("R", "AL", "AN"):
        return True
    return any(low <= code <= high for low, high in _JOINED)


def is_rtl(text: str) -> bool:
    """Whether the first letter that has a direction runs from right to left."""
    if text.isascii():
        return False
    for char in text:
        direction = unicodedata.bidirectional(char)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


class Font:
    """One font file at one size, with the glyphs drawn so far.

    Args:
        path: the font file.
        index: which font of a collection.
        size: pixels.
    """

    def __init__(self, path: Path, index: int, size: int) -> None:
        self.basic = ImageFont.truetype(str(path), size, index, layout_engine=ImageFont.Layout.BASIC)
        engine = ImageFont.Layout.RAQM if _SHAPED else ImageFont.Layout.BASIC
        self.shaped = ImageFont.truetype(str(path), size, index, layout_engine=engine)
        self.pad = size // 3
        self.above, below = self.basic.getmetrics()
        self.rows = self.above + below + 2 * self.pad
        self.advances: dict[str, int] = {}
        self._glyphs: dict[str, Image.Image] = {}
        self._has: dict[str, bool] = {}
        self._missing = self._look("\uffff")

    def _look(self, char: str) -> tuple[float, bytes]:
        mask = Image.new("L", (4 * self.pad + 8, self.rows))
        ImageDraw.Draw(mask).text((self.pad, self.pad + self.above), char, fill=255, font=self.basic, anchor="ls")
        return self.basic.getlength(char), mask.tobytes()

    def has(self, char: str) -> bool:
        """Whether the font has a glyph of its own for the character."""
        # Pillow does not tell, so the character's picture is compared with that of a missing one.
        if char not in self._has:
            self._has[char] = self._look(char) != self._missing
        return self._has[char]

    def learn(self, char: str) -> bool:
        """Take the character among those that are drawn alone, one after the other, if it is such a one."""
        if char in self.advances:
            return True
        if unicodedata.category(char) in _UNDRAWN:
            self.advances[char] = 0
        elif not needs_shaping(char) and self.has(char):
            self.advances[char] = round(self.basic.getlength(char))
        return char in self.advances

    def length(self, text: str) -> int:
        """Pixels that the text takes, for any text."""
        try:
            return sum(map(self.advances.__getitem__, text))
        except KeyError:
            return round(self.shaped.getlength(text))

    def mask(self, text: str) -> Image.Image:
        """Draw the text white on black, `pad` pixels from the left, its base line `pad + above` from the top."""
        mask = Image.new("L", (self.length(text) + 2 * self.pad, self.rows))
        if all(char in self.advances for char in text):
            x = 0
            for char in text:
                mask.paste(255, (x, 0), self._glyph(char))
                x += self.advances[char]
        else:
            ImageDraw.Draw(mask).text((self.pad, self.pad + self.above), text, fill=255, font=self.shaped, anchor="ls")
        return mask

    def _glyph(self, char: str) -> Image.Image:
        glyph = self._glyphs.get(char)
        if glyph is None:
            if len(self._glyphs) >= _MAX_GLYPHS:
                self._glyphs.clear()
            glyph = Image.new("L", (self.advances[char] + 2 * self.pad, self.rows))
            if unicodedata.category(char) not in _UNDRAWN:
                ImageDraw.Draw(glyph).text((self.pad, self.pad + self.above), char, fill=255, font=self.basic, anchor="ls")
            self._glyphs[char] = glyph
        return glyph


@dataclass(frozen=True, slots=True)
class Run:
    """Characters that one font draws.

    Args:
        font: the font.
        text: the characters.
        width: pixels.
    """

    font: Font
    text: str
    width: int


@lru_cache(256)
def _font(path: Path, index: int, size: int) -> Font | None:
    # A font of coloured bitmaps has only its own sizes, and a font may be broken: both are passed over.
    try:
        return Font(path, index, size)
    except (OSError, ValueError):
        return None


@lru_cache
def face(name: str, size: int) -> Font:
    """Return a font that is shipped with visir: sans, bold, oblique, mono or monobold."""
    font = _font(_HERE / _FACES[name], 0, size)
    assert font is not None, f"{_FACES[name]} is missing from the installation"
    return font


def measure(text: str, name: str, size: int) -> int:
    """Pixels that the text takes in a face and a size, fallback fonts included."""
    font = face(name, size)
    try:
        return sum(map(font.advances.__getitem__, text))
    except KeyError:
        if all(font.learn(char) for char in set(text)):
            return font.length(text)
    return sum(run.width for run in runs(text, name, size))


@lru_cache(8192)
def runs(text: str, name: str, size: int) -> tuple[Run, ...]:
    """Share the text among the fonts that can draw it, in reading order."""
    parts: list[tuple[Font, str]] = []
    for char in text:
        last = parts[-1] if parts else None
        # Marks and joiners belong to the letter before them and are drawn by its font.
        follows = last is not None and (unicodedata.category(char)[0] == "M" or unicodedata.category(char) == "Cf")
        font = last[0] if last is not None and follows else _font_for(char, name, size)
        font.learn(char)
        if last is not None and last[0] is font:
            parts[-1] = (font, last[1] + char)
        else:
            parts.append((font, char))
    ordered = reversed(parts) if is_rtl(text) and _SHAPED else parts
    return tuple(Run(font, part, font.length(part)) for font, part in ordered)


@lru_cache(32768)
def _font_for(char: str, name: str, size: int) -> Font:
    wanted = face(name, size)
    for font in (wanted, face("sans", size)):
        if font.learn(char) or font.has(char):
            return font
    return _system.find(char, size) or wanted


class _System:
    """The machine's own fonts, asked for by character and remembered by block of 256 characters."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[tuple[Path, int]]] = {}
        self.asked: dict[int, int] = {}

    def find(self, char: str, size: int) -> Font | None:
        block = ord(char) >> 8
        known = self.blocks.setdefault(block, [])
        found = self._first(known, char, size)
        if found is None and self.asked.get(block, 0) < _MAX_LOOKUPS_PER_BLOCK and sum(self.asked.values()) < _MAX_LOOKUPS:
            self.asked[block] = self.asked.get(block, 0) + 1
            known.extend(entry for entry in _listed(char) if entry not in known)
            found = self._first(known, char, size)
        return found

    @staticmethod
    def _first(entries: list[tuple[Path, int]], char: str, size: int) -> Font | None:
        fonts = (_font(path, index, size) for path, index in entries)
        return next((font for font in fonts if font is not None and font.has(char)), None)


_system = _System()


def _listed(char: str) -> list[tuple[Path, int]]:
    """Font files that say they have the character, the plainest first; at most four."""
    try:
        command = ["fc-list", f":charset={ord(char):x}", "file", "index", "style"]
        answer = subprocess.run(command, capture_output=True, timeout=10, check=True).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return [(path, 0) for path in _USUAL if path.is_file()]
    found = []
    for line in answer.splitlines():
        path, _, rest = line.partition(": :")
        fields = dict(part.split("=", 1) for part in rest.split(":") if "=" in part)
        if not fields.get("index", "").isdigit() or int(fields["index"]) > 0xFFFF:  # above: the named instances of a variable font
            continue
        style = fields.get("style", "").lower()
        plain = any(word in style for word in ("regular", "book", "roman", "medium", "normal"))
        slanted = any(word in style for word in ("bold", "italic", "oblique", "condensed", "light", "black", "thin"))
        found.append((slanted, not plain, "Serif" in path, "Sans" not in path, len(path), path, int(fields["index"])))
    return [(Path(path), index) for *_, path, index in sorted(found)[:4]]
