"""Setting type on pages: styled text is broken into rows, rows are gathered on pages, pages are drawn with Pillow.

Everything is a generator of rows, so that a document is laid out and drawn page by page however long it is.
"""

import re
import unicodedata
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from PIL import Image

from visir.capture.fonts import Font, Run, face, is_rtl, measure, runs
from visir.screenshot import Box, clean_text, flatten

Colour = tuple[int, int, int]
Lines = list[list[tuple[str, Box]]]

WIDTH, HEIGHT, MARGIN = 1024, 1280, 48
LEFT, RIGHT, BOTTOM = MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN
BLACK: Colour = (32, 32, 32)
WHITE: Colour = (255, 255, 255)
FRAME: Colour = (110, 110, 110)

# A word up to this long that does not fit on a line stays one word of the page's text, standing where its first part stands. Longer ones,
# encoded data mostly, are listed in the parts that they are drawn in, so that no page holds the text of the next.
_MAX_WORD = 200
_MAX_PICTURE_BYTES = 20 << 20
_MAX_PICTURE_PIXELS = 40_000_000
# Of a long word no more than this is measured at a time.
_WINDOW = 512
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# What may not begin a line, and what may not end one.
_CLOSERS = frozenset("、。，．！？：；）」』】》〉〕”’…・ーゝゞ々ぁぃぅぇぉっゃゅょァィゥェォッャュョ゛゜ﾞﾟ,.!?:;)]}")
_OPENERS = frozenset("（「『【《〈〔“‘([{\u0e40\u0e41\u0e42\u0e43\u0e44\u17d2")
_TOKENS = re.compile(r"\n|[^\S\n]+|\S+")


@dataclass(frozen=True, slots=True)
class Style:
    """How characters look.

    Args:
        face: sans, bold, oblique, mono or monobold.
        size: pixels.
        colour: of the characters.
        ground: colour behind them, or ``None``.
        underline: a line below them.
        strike: a line through them.
    """

    face: str = "sans"
    size: int = 18
    colour: Colour = BLACK
    ground: Colour | None = None
    underline: bool = False
    strike: bool = False


@dataclass(slots=True)
class Ink:
    """Characters in one style at their place: `x` is their left edge, `y` their base line, from the row's top."""

    x: int
    y: int
    text: str
    style: Style
    width: int


@dataclass(slots=True)
class Row:
    """A strip of a page: what is drawn on it, and its words, in pixels from the page's left and the row's top.

    Args:
        height: pixels.
        inks: the characters.
        fills: coloured (left, top, right, bottom) areas, drawn first.
        pieces: the text in reading order as (text, left, top, right, bottom).
        pictures: (x, y, picture).
        gap: an empty space, left out at the top of a page.
        keep: must stand on the same page as the row after it.
        turn: begins a new page.
    """

    height: int
    inks: list[Ink] = field(default_factory=list)
    fills: list[tuple[int, int, int, int, Colour]] = field(default_factory=list)
    pieces: list[tuple[str, int, int, int, int]] = field(default_factory=list)
    pictures: list[tuple[int, int, Image.Image]] = field(default_factory=list)
    gap: bool = False
    keep: bool = False
    turn: bool = False


@dataclass(slots=True)
class _Atom:
    """What is not broken as long as it fits on a line: the parts of a word, and the space before it."""

    space: int
    parts: list[tuple[str, Style]]
    width: int
    listed: str | None = None  # what the row's pieces say instead of the atom's own text; empty: nothing
    place: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts)


def wrap(inlines: Iterable[tuple[str, Style]], left: int, right: int, *, spaces: bool = False, stretch: float = 1.42) -> Iterator[Row]:
    """Break styled text into rows between two edges; a line feed in it begins a new row.

    Args:
        inlines: the text in pieces of one style each.
        left: pixels.
        right: pixels.
        spaces: keep the spaces as they are, those at the beginning of a line too, as plain text and code want it.
        stretch: height of a row by the size of its type.
    """
    inlines = list(inlines)
    style = inlines[0][1] if inlines else Style()
    rtl = is_rtl("".join(text[:200] for text, _ in inlines)[:1000])
    line: list[_Atom] = []
    x = left
    for atom in _atoms(inlines, spaces):
        if atom is None:
            yield _set(line, left, right, rtl, style, stretch)
            line, x = [], left
            continue
        if not spaces and not line:
            atom.space = 0
        if line and x + atom.space + atom.width > right:
            yield _set(line, left, right, rtl, style, stretch)
            line, x, atom.space = [], left, 0
        atom.space = min(atom.space, max(0, right - left - 1))
        while x + atom.space + atom.width > right:
            head, rest = _break(atom, right - x - atom.space)
            if rest is None:
                break
            yield _set([*line, head], left, right, rtl, style, stretch)
            line, x, atom = [], left, rest
        line.append(atom)
        x += atom.space + atom.width
    if line:
        yield _set(line, left, right, rtl, style, stretch)


def _atoms(inlines: Iterable[tuple[str, Style]], spaces: bool) -> Iterator[_Atom | None]:
    """Cut styled text into atoms; ``None`` stands for a line feed."""
    atom: _Atom | None = None
    space = 0
    for text, style in inlines:
        for token in _TOKENS.findall(text):
            if not token.isspace():
                parts = _clusters(token) if _UNSPACED.search(token) else [token]
                for position, part in enumerate(parts):
                    if atom is not None and position:
                        yield atom
                        atom = None
                    atom = atom or _Atom(space, [], 0)
                    space = 0
                    atom.parts.append((part, style))
                    atom.width += _width(part, style)
                continue
            if atom is not None:
                yield atom
                atom = None
            if token == "\n":
                yield None
                space = 0
            else:
                space += measure(" ", style.face, style.size) * (len(token) if spaces else 1)
    if atom is not None:
        yield atom


def _width(text: str, style: Style) -> int:
    # What cannot fit need not be measured, and its shaping may be dear.
    return measure(text, style.face, style.size) if len(text) <= 4 * _WINDOW else 1 << 30


def _clusters(token: str) -> list[str]:
    """Cut a word of an unspaced script where a line may break."""
    clusters: list[str] = []
    before = ""
    for char in token:
        bound = char in _CLOSERS or before in _OPENERS or unicodedata.category(char)[0] == "M" or unicodedata.category(char) == "Cf"
        if before and (bound or not (_UNSPACED.match(before) or _UNSPACED.match(char))):
            clusters[-1] += char
        else:
            clusters.append(char)
        before = char
    return clusters


def _break(atom: _Atom, room: int) -> tuple[_Atom, _Atom | None]:
    """Break an atom that is too wide: what fits into the room, one character at least, and the rest."""
    head: list[tuple[str, Style]] = []
    taken = 0
    for number, (text, style) in enumerate(atom.parts):
        width = _width(text, style)
        if taken + width <= room:
            head.append((text, style))
            taken += width
            continue
        cut = max(fit(text, style, room - taken), 0 if head else 1)
        rest = [(text[cut:], style), *atom.parts[number + 1 :]] if cut < len(text) else atom.parts[number + 1 :]
        if cut:
            head.append((text[:cut], style))
            taken += _width(text[:cut], style)
        if not rest:
            break
        whole = atom.text
        long = atom.listed is None and _is_endless(whole)
        listed = whole if atom.listed is None else atom.listed
        rest_width = sum(_width(*part) for part in rest)
        return _Atom(atom.space, head, taken, None if long else listed), _Atom(0, rest, rest_width, None if long else "")
    return atom, None


def _is_endless(text: str) -> bool:
    # The beginning mostly tells: an endless text is asked about again at each line.
    return any(len(word) > _MAX_WORD for part in (text[:_WINDOW], text) for word in clean_text(part).split())


def fit(text: str, style: Style, room: int) -> int:
    """How many characters fit into the room; of an endless word preferably up to a mark that ends something."""
    window = text[:_WINDOW]
    cut = bisect_right(range(1, len(window) + 1), room, key=lambda end: measure(window[:end], style.face, style.size))
    if len(text) > _MAX_WORD:
        mark = max(window.rfind(char, cut // 2, cut) for char in ",;&/")
        cut = mark + 1 if mark >= 0 else cut
    return cut


def _set(atoms: Sequence[_Atom], left: int, right: int, rtl: bool, style: Style, stretch: float) -> Row:
    """Place the atoms of one line and make its row."""
    sizes = [part_style.size for atom in atoms for _, part_style in atom.parts] or [style.size]
    height = round(max(sizes) * stretch)
    base = round((height - max(sizes)) / 2 + max(sizes) * 0.86)
    row = Row(height, gap=not atoms)
    x = left
    if rtl:
        x = max(left, right - sum(atom.space + atom.width for atom in atoms))
    for space, atom in zip([atom.space for atom in atoms], _visual(atoms, rtl), strict=True):
        x += space
        start = x
        for text, part_style in atom.parts:
            width = _width(text, part_style)
            row.inks.append(Ink(x, base, text, part_style, width))
            x += width
        size = max(part_style.size for _, part_style in atom.parts)
        atom.place = (start, base - round(size * 0.9), x, base + round(size * 0.26))
    row.pieces = [(atom.text if atom.listed is None else atom.listed, *atom.place) for atom in atoms if atom.listed != ""]
    if any(ink.style.ground or ink.style.underline or ink.style.strike for ink in row.inks):
        row.fills = list(_decorations(row.inks))
    return row


def _visual(atoms: Sequence[_Atom], rtl: bool) -> Sequence[_Atom]:
    """Order the words of a line from left to right as they are seen: neighbours that run from right to left are turned about."""
    backward = [is_rtl(atom.text) for atom in atoms]
    if not any(backward):
        return atoms
    ordered: list[_Atom] = []
    group: list[_Atom] = []
    line = list(zip(atoms, backward, strict=True))
    # In a line that begins at the right it is the other way round: all is turned about, and the words from left to right turned back.
    for atom, back in reversed(line) if rtl else line:
        if back != rtl:
            group.insert(0, atom)
            continue
        ordered += [*group, atom]
        group = []
    return ordered + group


def _decorations(inks: Sequence[Ink]) -> Iterator[tuple[int, int, int, int, Colour]]:
    """Grounds and lines of neighbouring words in one style, drawn through the space between them."""
    place = 0
    while place < len(inks):
        first, end = inks[place], inks[place].x + inks[place].width
        place += 1
        while place < len(inks) and inks[place].style == first.style and end <= inks[place].x <= end + 2 * first.style.size:
            end = inks[place].x + inks[place].width
            place += 1
        style, base = first.style, first.y
        if style.ground:
            yield (first.x - 3, base - round(style.size * 1.02), end + 3, base + round(style.size * 0.32), style.ground)
        if style.underline:
            yield (first.x, base + 2, end, base + 3, style.colour)
        if style.strike:
            middle = base - round(style.size * 0.3)
            yield (first.x, middle, end, middle + 1, style.colour)


def align(row: Row, left: int, right: int, how: str) -> None:
    """Move a row's line to the right edge or to the middle."""
    ends = [ink.x + ink.width for ink in row.inks]
    move = {"right": 1.0, "center": 0.5}.get(how, 0.0) * max(0, right - max(ends, default=right))
    if move >= 1 and not row.pictures:
        step = round(move)
        for ink in row.inks:
            ink.x += step
        row.fills = [(start + step, up, end + step, down, colour) for start, up, end, down, colour in row.fills]
        row.pieces = [(text, start + step, up, end + step, down) for text, start, up, end, down in row.pieces]


def beside(columns: Sequence[Sequence[Row]]) -> Row:
    """Make one row of the rows of several columns, set side by side; the text goes column by column."""
    joined = Row(max((sum(row.height for row in rows) for rows in columns), default=0))
    for rows in columns:
        top = 0
        for row in rows:
            joined.inks += [Ink(ink.x, ink.y + top, ink.text, ink.style, ink.width) for ink in row.inks]
            joined.fills += [(left, up + top, right, down + top, colour) for left, up, right, down, colour in row.fills]
            joined.pieces += [(text, left, up + top, right, down + top) for text, left, up, right, down in row.pieces]
            joined.pictures += [(x, y + top, picture) for x, y, picture in row.pictures]
            top += row.height
    return joined


def edges_of(wanted: Sequence[int], left: int, right: int) -> list[int]:
    """Edges of columns: as wide as they want to be, or, where there is no room for that, no wider than an equal share of what is left."""
    widths = list(wanted)
    room, unset = right - left, len(wanted)
    if sum(wanted) > room:
        for place in sorted(range(len(wanted)), key=wanted.__getitem__):
            widths[place] = min(wanted[place], room // unset)
            room, unset = room - widths[place], unset - 1
    return list(accumulate(widths, initial=left))


def framed(text: str, left: int, right: int) -> Row:
    """A frame with a text in it, in place of a picture that cannot be shown."""
    lines = wrap([(text or "picture", Style(size=16, colour=FRAME))], left + 14, right - 14)
    row = beside([[Row(10), *lines, Row(10)]])
    if not text:
        row.pieces = []
    end = min(right, max((ink.x + ink.width for ink in row.inks), default=left) + 14)
    row.fills = [(left, 0, end, row.height, FRAME), (left + 1, 1, end - 1, row.height - 1, WHITE)]
    return row


def load_picture(name: str, folder: Path, room: tuple[int, int]) -> Image.Image | None:
    """Open a picture, made no larger than the room; nothing is ever fetched, and nothing outside the folder is shown."""
    try:
        folder = folder.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or not path.is_file() or path.stat().st_size > _MAX_PICTURE_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if opened.width * opened.height > _MAX_PICTURE_PIXELS:
                    return None
                opened.draft("RGB", room)
                picture = flatten(opened).copy()
        picture.thumbnail(room, Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
    return picture


def paginate(rows: Iterable[Row]) -> Iterator[tuple[Image.Image, Lines]]:
    """Gather rows on pages and draw them; a page is drawn as soon as the next one has begun. Empty pages are left out."""
    page: list[Row] = []
    kept: list[Row] = []
    used = 0
    for row in rows:
        kept.append(row)
        if row.keep and len(kept) < 8:
            continue
        need = sum(one.height for one in kept)
        if page and (used + need > BOTTOM - MARGIN or kept[0].turn):
            yield draw(page)
            page, used = [], 0
        for one in kept:
            if page and used + one.height > BOTTOM - MARGIN:
                yield draw(page)
                page, used = [], 0
            if page or not one.gap:
                page.append(one)
                used += one.height
        kept = []
    page += kept
    if page:
        yield draw(page)


def draw(rows: Sequence[Row]) -> tuple[Image.Image, Lines]:
    """Draw rows from the top of a page; returns the page, and its text in lines of pieces with their boxes in fractions."""
    grey = not any(row.pictures for row in rows) and all(
        len(set(colour)) == 1 for row in rows for colour in (*(fill[4] for fill in row.fills), *(ink.style.colour for ink in row.inks))
    )
    page = Image.new("L" if grey else "RGB", (WIDTH, HEIGHT), 255 if grey else WHITE)
    lines: Lines = []
    top = MARGIN
    for row in rows:
        for left, up, right, down, colour in row.fills:
            page.paste(colour[0] if grey else colour, (left, top + up, right, top + down))
        for x, y, picture in row.pictures:
            page.paste(picture, (x, top + y))
        for ink in row.inks:
            _draw_ink(page, ink, top + ink.y, grey)
        if row.pieces:
            lines.append([(text, _fractions(left, top + up, right, top + down)) for text, left, up, right, down in row.pieces])
        top += row.height
    return page, lines


def _fractions(left: int, top: int, right: int, bottom: int) -> Box:
    return left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT


def _draw_ink(page: Image.Image, ink: Ink, base: int, grey: bool) -> None:
    style = ink.style
    colour = style.colour[0] if grey else style.colour
    font = face(style.face, style.size)
    if all(map(font.advances.__contains__, ink.text)):
        drawn: Sequence[Run] = (Run(font, ink.text, ink.width),)
    else:
        drawn = runs(ink.text, style.face, style.size)
    x = ink.x
    for run in drawn:
        # Short words come again, long ones seldom do and would fill the memory.
        mask = _mask(run.font, run.text) if len(run.text) <= 24 else run.font.mask(run.text)
        page.paste(colour, (x - run.font.pad, base - run.font.above - run.font.pad), mask)
        x += run.width


@lru_cache(8192)
def _mask(font: Font, text: str) -> Image.Image:
    return font.mask(text)
