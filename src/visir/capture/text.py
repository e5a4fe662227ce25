"""Text, Markdown and tables in text files, drawn as pages without a browser, so that every machine can show them."""

import codecs
import csv
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.tree import SyntaxTreeNode
from PIL import Image

from visir.capture.fonts import measure
from visir.capture.options import CaptureOptions
from visir.capture.typeset import (
    BOTTOM,
    LEFT,
    MARGIN,
    RIGHT,
    Colour,
    Ink,
    Lines,
    Row,
    Style,
    align,
    beside,
    draw,
    edges_of,
    fit,
    framed,
    load_picture,
    paginate,
    wrap,
)
from visir.errors import CaptureError
from visir.screenshot import Screenshot, encode_image, lay_out

Pages = Iterator[tuple[Image.Image, Lines]]

_HEAD = 64 << 10
_MAX_LINE = 20_000
# Below what a page's text may hold, so that nothing of a record is lost.
_MAX_RECORD = 150_000
_ADVICE = "give its file name the ending of what it is, or leave it out"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's, so it is tried first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]

_MONO = Style("mono", 16)
_BODY = Style("sans", 18)
_LINK: Colour = (20, 84, 180)
_DIM: Colour = (96, 96, 96)
_GROUND: Colour = (242, 242, 242)
_RULE: Colour = (200, 200, 200)


def render(path: Path, options: CaptureOptions, kind: str) -> Iterator[Screenshot]:
    """Draw a text file as pages, one at a time, in memory that does not depend on its size.

    Args:
        path: the file.
        options: `max_pages` is heeded.
        kind: "text", "markdown" or "csv".

    Raises:
        CaptureError: the file is empty, is not text, or cannot be read.
    """
    renderers: dict[str, Callable[[Path, TextIO], tuple[str, Pages]]] = {"text": _text, "markdown": _markdown, "csv": _csv}
    number = 0
    try:
        encoding = _encoding(path)
        with path.open(encoding=encoding, errors="replace") as stream:
            title, pages = renderers[kind](path, stream)
            for image, lines in islice(pages, options.max_pages):
                number += 1
                text, words = lay_out(lines)
                yield Screenshot(encode_image(image), str(path), number, title, text, words)
    except OSError as error:
        raise CaptureError(str(path), f"cannot be read: {error.strerror or error}; check that the file is there and may be read") from error
    if not number and options.max_pages > 0:
        raise CaptureError(str(path), "is empty: it holds nothing but white space")


def _encoding(path: Path) -> str:
    """Tell the encoding by the beginning of the file, and refuse what is not text."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), "")
    if not encoding:
        if b"\0" in head:
            raise CaptureError(str(path), f"holds NUL bytes and is not text: {_ADVICE}")
        encoding = next(name for name in ("utf-8", "cp1252", "latin-1") if _decodes(head, name))
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    odd = sum(text.count(char) for char in {*map(chr, range(32)), "\x7f", "\ufffd"} - {*"\t\n\r\f\b\x1b"})
    if odd > 8 and odd * 50 > len(text):
        raise CaptureError(str(path), f"holds control characters and is not text: {_ADVICE}")
    return encoding


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)  # a character cut in two by the end of the head is no error
    except UnicodeDecodeError:
        return False
    return True


def _read_lines(stream: TextIO, limit: int) -> Iterator[str]:
    """Lines with their line feeds; an endless line is cut, at a space where there is one near."""
    carry = ""
    while chunk := stream.readline(limit):
        line, carry = carry + chunk, ""
        if len(chunk) == limit and not chunk.endswith("\n"):
            space = line.rfind(" ", len(line) - 1000)
            if space > 0:
                line, carry = line[:space], line[space:]
        yield line.replace("\0", "")
    if carry:
        yield carry


def _gap(height: int) -> Row:
    return Row(height, gap=True)


# ---- plain text


def _text(path: Path, stream: TextIO) -> tuple[str, Pages]:
    lines = (_ANSI.sub("", line) if "\x1b" in line else line for line in _read_lines(stream, _MAX_LINE))
    blank = []
    first = ""
    for first in lines:
        if first.strip():
            break
        blank = [first]
    title = " ".join(first.split())
    return title if 0 < len(title) <= 100 else path.name, paginate(_text_rows(chain(blank, [first], lines)))


def _text_rows(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        for number, part in enumerate(line.rstrip("\n").split("\f")):
            if number:
                yield Row(0, gap=True, turn=True)
            rows = list(wrap([(part.expandtabs(8), _MONO)], LEFT, RIGHT, spaces=True, stretch=1.32)) if part else []
            yield from rows or [_gap(21)]


# ---- Markdown

# A longer file is read in sections, so that its tree of tokens does not grow with it.
_SECTION = 200_000
_HEADINGS = {"h1": 34, "h2": 28, "h3": 24, "h4": 21, "h5": 19, "h6": 18}
_FRONT_TITLE = re.compile(r"^title\s*[:=]\s*(.+)$", re.MULTILINE)
_HTML_NOISE = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_HTML_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>")
_STRIP = 20
# Lists take two levels each. Much more than a page has room for, much less than Python's stack.
_DEEPEST = 40


def _markdown(path: Path, stream: TextIO) -> tuple[str, Pages]:
    lines = _read_lines(stream, _MAX_LINE)
    front, lines = _front_matter(lines)
    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST + 2}).enable(["table", "strikethrough"])
    parser.block.ruler.before("table", "too_deep", _flatten)
    trees = (SyntaxTreeNode(parser.parse(section)) for section in _sections(lines))
    first = next(trees, None)
    named = _FRONT_TITLE.search(front)
    title = named[1].strip().strip("\"'").strip() if named else ""
    if not title and first is not None:
        heading = next((node for node in first.walk() if node.type == "heading"), None)
        title = _plain(heading) if heading else ""
    if first is None:
        return path.name, iter(())
    blocks = (node for tree in chain([first], trees) for node in tree.children)
    return title or path.name, paginate(_Blocks(path.parent).rows(blocks, LEFT, _BODY))


def _flatten(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A rule for blocks that sets what is nested too deep as one paragraph, marks and all; markdown-it would leave it out."""
    if state.level < _DEEPEST:
        return False
    if not silent:
        state.line = start + 1
        # A list hands on all lines that follow: its own are those that are set in as far.
        while state.line < end and (state.isEmpty(state.line) or state.sCount[state.line] >= state.blkIndent):
            state.line += 1
        state.push("paragraph_open", "p", 1)
        inline = state.push("inline", "", 0)
        inline.content, inline.children = state.getLines(start, state.line, state.blkIndent, False).strip(), []
        state.push("paragraph_close", "p", -1)
    return True


def _front_matter(lines: Iterator[str]) -> tuple[str, Iterator[str]]:
    """Take the front matter, YAML between --- or TOML between +++, off the beginning."""
    first = next(lines, "")
    fence = first.strip()
    if fence not in ("---", "+++"):
        return "", chain([first], lines)
    held = []
    for line in islice(lines, 200):
        held.append(line)
        if line.strip() == fence or (fence == "---" and line.strip() == "..."):
            return "".join(held[:-1]), lines
        if fence == "---" and not line.strip() and len(held) == 1:
            break  # a rule at the beginning of the text
    return "", chain([first], held, lines)


def _sections(lines: Iterable[str]) -> Iterator[str]:
    """Join lines to sections that end at an empty line outside a fence, or where they have grown far too long."""
    held: list[str] = []
    size, fenced = 0, False
    for line in lines:
        held.append(line if line.endswith("\n") else line + "\n")
        size += len(line)
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if (size > _SECTION and not line.strip() and not fenced) or size > 4 * _SECTION:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)


def _plain(node: SyntaxTreeNode) -> str:
    """The text of a node without its marks."""
    texts = (leaf.content if leaf.type in ("text", "code_inline") else " " for leaf in node.walk() if not leaf.children)
    return " ".join("".join(texts).split())


class _Blocks:
    """Makes rows of Markdown's blocks; one method for each kind of block.

    Args:
        folder: pictures are taken from here and below.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, nodes: Iterable[SyntaxTreeNode], left: int, style: Style) -> Iterator[Row]:
        """Set blocks one below the other."""
        for node in nodes:
            if node.type == "heading":
                size = _HEADINGS[node.tag]
                yield Row(size // 2, gap=True, keep=True)
                for row in self.inlines(node, left, replace(style, face="bold", size=size)):
                    row.keep = True
                    yield row
                yield Row(8, gap=True, keep=True)
            elif node.type == "paragraph":
                yield from self.inlines(node, left, style)
                yield _gap(4 if node.hidden else 12)
            elif node.type in ("fence", "code_block"):
                yield from self.code(node.content, left)
            elif node.type in ("bullet_list", "ordered_list"):
                yield from self.items(node, left, style)
            elif node.type == "blockquote":
                for row in self.rows(node.children, min(left + 24, RIGHT - 200), replace(style, colour=_DIM)):
                    row.fills.append((left + 4, 0, left + 8, row.height, _RULE))
                    yield row
                yield _gap(6)
            elif node.type == "table":
                yield from self.table(node, left, style)
            elif node.type == "hr":
                yield _gap(8)
                yield Row(2, fills=[(left, 0, RIGHT, 2, _RULE)])
                yield _gap(16)
            elif node.type == "html_block":
                bare = html.unescape(_HTML_TAG.sub(" ", _HTML_NOISE.sub(" ", node.content)))
                lines = [" ".join(line.split()) for line in bare.splitlines()]
                if any(lines):
                    yield from wrap([("\n".join(filter(None, lines)), style)], left, RIGHT)
                    yield _gap(12)

    def code(self, content: str, left: int) -> Iterator[Row]:
        """Code on grey, its spaces kept."""
        right = RIGHT
        lines = content.rstrip("\n").split("\n")
        yield Row(8, fills=[(left, 0, right, 8, _GROUND)], keep=True, gap=True)
        for line in lines:
            rows = wrap([(line.expandtabs(4), _MONO)], left + 12, right - 12, spaces=True, stretch=1.32)
            for row in list(rows) or [_gap(21)]:
                row.fills.insert(0, (left, 0, right, row.height, _GROUND))
                yield row
        yield Row(8, fills=[(left, 0, right, 8, _GROUND)], gap=True)
        yield _gap(14)

    def items(self, node: SyntaxTreeNode, left: int, style: Style) -> Iterator[Row]:
        """A list: its bullets are only drawn, its numbers are words of the text."""
        inner = min(left + 34, RIGHT - 200)
        number = int(node.attrs.get("start", 1))
        bullet = "•◦▪"[min(2, (left - LEFT) // 34)]
        for item in node.children:
            mark = bullet if node.type == "bullet_list" else f"{number}{item.markup or '.'}"
            number += 1
            pending = True
            for row in self.rows(item.children, inner, style):
                if pending and not row.gap:
                    base = row.inks[0].y if row.inks else 20
                    width = measure(mark, style.face, style.size)
                    x = max(LEFT, inner - 10 - width)
                    row.inks.insert(0, Ink(x, base, mark, replace(style, face="sans"), width))
                    if node.type == "ordered_list":
                        row.pieces.insert(0, (mark, x, base - 16, x + width, base + 5))
                    pending = False
                yield row
        if node.level == 0:
            yield _gap(8)

    def inlines(self, node: SyntaxTreeNode, left: int, style: Style, right: int = RIGHT) -> Iterator[Row]:
        """The running text of a block; pictures in it stand between its lines."""
        held: list[tuple[str, Style]] = []
        for part in self.flat(node.children, style):
            if isinstance(part, tuple):
                held.append(part)
                continue
            yield from wrap(held, left, right)
            held = []
            yield self.picture(part, left, right)
        yield from wrap(held, left, right)

    def flat(self, nodes: Iterable[SyntaxTreeNode], style: Style) -> Iterator[tuple[str, Style] | SyntaxTreeNode]:
        """Inline nodes as pieces of text in one style each, and pictures."""
        for node in nodes:
            if node.type == "text":
                yield node.content, style
            elif node.type == "softbreak":
                yield " ", style
            elif node.type == "hardbreak" or (node.type == "html_inline" and node.content[:3].lower() == "<br"):
                yield "\n", style
            elif node.type == "code_inline":
                yield node.content, replace(style, face="monobold" if style.face == "bold" else "mono", size=style.size - 2, ground=_GROUND)
            elif node.type == "image":
                yield node
            elif node.type == "strong":
                yield from self.flat(node.children, replace(style, face="bold"))
            elif node.type == "em":
                yield from self.flat(node.children, replace(style, face="oblique") if style.face == "sans" else style)
            elif node.type == "s":
                yield from self.flat(node.children, replace(style, strike=True))
            elif node.type == "link":
                yield from self.flat(node.children, replace(style, colour=_LINK, underline=True))
            elif node.children:
                yield from self.flat(node.children, style)

    def picture(self, node: SyntaxTreeNode, left: int, right: int) -> Row:
        """The picture if it is a file in the document's folder or below, or else its alternative text in a frame."""
        alt = _plain(node) or node.content or str(node.attrs.get("title", ""))
        source = unquote(str(node.attrs.get("src", "")).split("#")[0].split("?")[0])
        picture = load_picture(source, self.folder, (right - left, (BOTTOM - MARGIN) * 6 // 10))
        if picture is None:
            return framed(alt, left, right)
        width, height = picture.size
        return Row(height + 12, pictures=[(left, 6, picture)], pieces=[(alt, left, 6, left + width, 6 + height)])

    def table(self, node: SyntaxTreeNode, left: int, style: Style) -> Iterator[Row]:
        """A table with its grid; a cell of many lines is set in strips, so that it can go on over pages."""
        style = replace(style, size=16)
        lines = [list(line.children) for part in node.children for line in part.children]
        texts = [[_plain(cell) for cell in line] for line in lines[:200]]
        count = max(map(len, lines))
        pad = 10 if count <= 12 else 3
        wanted = [
            max((measure(line[place][:500], "bold", 16) for line in texts if place < len(line)), default=0) + 2 * pad + 2
            for place in range(count)
        ]
        edges = edges_of(wanted, left, RIGHT)
        for number, line in enumerate(lines):
            face = "bold" if number == 0 else style.face
            columns = []
            for cell, start, end in zip(line, edges, edges[1:], strict=False):
                rows = list(self.inlines(cell, start + pad, replace(style, face=face), end - pad))
                how = str(cell.attrs.get("style", ""))
                for row in rows:
                    align(row, start + pad, end - pad, "right" if "right" in how else "center" if "center" in how else "left")
                columns.append(rows)
            for start in range(0, max(1, *map(len, columns)), _STRIP):
                yield self.grid(columns, start, edges, number)
        yield _gap(16)

    def grid(self, columns: list[list[Row]], start: int, edges: list[int], number: int) -> Row:
        """One strip of a row of a table with the lines about it."""
        strip = [rows[start : start + _STRIP] for rows in columns]
        row = beside([[_gap(5), *rows, _gap(5)] for rows in strip])
        row.keep = number == 0
        ends = (edges[0], edges[-1])
        if number == 0:
            row.fills.insert(0, (ends[0], 0, ends[1], row.height, _GROUND))
        if start == 0:
            row.fills.append((ends[0], 0, ends[1], 1, _RULE))
        row.fills.append((ends[0], row.height, ends[1], row.height + 1, _RULE))
        row.fills += [(edge, 0, edge + 1, row.height, _RULE) for edge in edges]
        return row


# ---- tables in text files

_CELL = Style("sans", 14)
_ROW_HEIGHT = 24
_ROWS = (BOTTOM - MARGIN) // _ROW_HEIGHT - 1
_MIN_COLUMN, _MAX_CSV_COLUMNS = 96, 512
_CUT = 400
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?[-+]?\d[\d.,' \u00a0\u202f]*([eE][-+]?\d+)?\s?[%€$£¥)]?$")


def _csv(path: Path, stream: TextIO) -> tuple[str, Pages]:
    lines = _read_lines(stream, _MAX_RECORD)
    ahead: list[str] = []
    size = 0
    while size < _HEAD and (line := next(lines, None)) is not None:
        ahead.append(line)
        size += len(line)
    delimiter, spaced = _dialect("".join(ahead)[:_HEAD], path.suffix.lower())
    records = (record for record in _records(chain(ahead, lines), delimiter, spaced) if any(cell.strip() for cell in record))
    sample: list[list[str]] = []
    size = 0
    for record in islice(records, 200):
        sample.append(record)
        size += sum(map(len, record))
        if size > 1 << 20:
            break
    return path.name, _csv_pages(sample, records) if sample else iter(())


def _dialect(head: str, ending: str) -> tuple[str, bool]:
    """Find what parts the cells, and whether a space follows it: what cuts most lines into the same number of cells, or else the comma."""
    best, delimiter = 0.0, "\t" if ending in (".tsv", ".tab") else ","
    lines = head.splitlines(keepends=True)
    lines = lines[:-1] if len(head) == _HEAD and len(lines) > 1 else lines
    # The csv module's own sniffer takes minutes for some files and guesses letters for others.
    for candidate in (delimiter, *",;\t|"):
        try:
            records = [record for record in islice(csv.reader(lines, delimiter=candidate), 100) if record]
        except csv.Error:
            continue
        counts = [len(record) for record in records]
        usual = max(set(counts), key=counts.count, default=0)
        score = counts.count(usual) / len(counts) if usual > 1 else 0.0
        if any('"' in cell for record in records for cell in record):
            score /= 2  # cut inside of a quoted cell, most likely
        if score > best + 0.05:
            best, delimiter = score, candidate
    return delimiter, f'{delimiter} "' in head


def _records(lines: Iterable[str], delimiter: str, spaced: bool) -> Iterator[list[str]]:
    """Parse records; where a cell has no end, as after a quote that is never closed, its lines are cut at the delimiter alone."""
    held: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line

    source = noted()
    while True:
        try:
            for record in csv.reader(source, delimiter=delimiter, skipinitialspace=spaced):
                held.clear()
                yield record
        except csv.Error:
            yield from (line.rstrip("\n").split(delimiter) for line in held)
            held.clear()
        else:
            return


def _csv_pages(sample: list[list[str]], records: Iterable[list[str]]) -> Pages:
    """Pages of a table of any length; columns are measured in the sample, and those that have no room stand on a page of their own."""
    count = min(max(map(len, sample)), _MAX_CSV_COLUMNS)
    header = [] if all(_NUMBER.match(cell.strip()) for cell in sample[0] if cell.strip()) else _even(sample[0], count)
    body = sample[1:] if header else sample
    wanted, numeric = [], []
    for place in range(count):
        cells = [" ".join(line[place][:140].split()) for line in body if place < len(line) and line[place].strip()]
        numeric.append(bool(cells) and sum(bool(_NUMBER.match(cell)) for cell in cells) >= 0.8 * len(cells))
        name = measure(header[place][:100], "bold", _CELL.size) if header else 0
        wanted.append(min(RIGHT - LEFT, max([name, *(measure(cell, _CELL.face, _CELL.size) for cell in cells)]) + 18))
    groups = list(_groups(wanted))
    lines = chain(body, records)
    empty = bool(header) and not body
    while page := [_even(line, count) for line in islice(lines, _ROWS)] or ([[""] * count] if empty else []):
        empty = False
        for group in groups:
            edges = edges_of(wanted[group], LEFT, RIGHT)
            head = [_csv_row(header[group], edges, numeric[group], replace(_CELL, face="bold"), (226, 226, 226))] if header else []
            rows = [_csv_row(line[group], edges, numeric[group], _CELL, _GROUND if odd % 2 else None) for odd, line in enumerate(page)]
            yield draw([*head, *rows])


def _even(record: list[str], count: int) -> list[str]:
    """A record of as many cells as there are columns; what is too much goes into the last."""
    if len(record) > count:
        return [*record[: count - 1], " ".join(record[count - 1 :])]
    return record + [""] * (count - len(record))


def _groups(wanted: Sequence[int]) -> Iterator[slice]:
    start, used = 0, 0
    for place, width in enumerate(wanted):
        least = min(width, _MIN_COLUMN)
        if place > start and used + least > RIGHT - LEFT:
            yield slice(start, place)
            start, used = place, 0
        used += least
    yield slice(start, len(wanted))


def _csv_row(cells: Sequence[str], edges: Sequence[int], numeric: Sequence[bool], style: Style, ground: Colour | None) -> Row:
    """One row; a cell that is too long is cut in the picture and whole in the text."""
    row = Row(_ROW_HEIGHT)
    base = 17
    if ground:
        row.fills.append((edges[0], 0, edges[-1], _ROW_HEIGHT, ground))
    for cell, start, end, right in zip(cells, edges, edges[1:], numeric, strict=False):
        shown = " ".join(cell[:_CUT].split())
        if not shown:
            continue
        room = end - start - 16
        width = measure(shown, style.face, style.size)
        if width > room or len(cell) > _CUT:
            shown = shown[: fit(shown, style, room - measure("…", style.face, style.size))].rstrip() + "…"
            width = measure(shown, style.face, style.size)
        x = end - 8 - width if right else start + 8
        row.inks.append(Ink(x, base, shown, style, width))
        row.pieces.append((cell, x, base - style.size, x + width, base + 4))
    return row
