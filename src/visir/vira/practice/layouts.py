"""Layouts of practice pages: each fills a rectangle of the page with something that real pages are made of."""

from collections.abc import Callable

from visir.vira.practice.charts import draw_chart
from visir.vira.practice.draw import Color, Pen, Rect, Style
from visir.vira.practice.source import TextSource
from visir.vira.practice.theme import Theme, ink_on

Layout = Callable[[Pen, TextSource, Theme, Rect], None]
_ALIGNS = ("left", "left", "left", "justify", "justify", "right", "center")


def _heading(pen: Pen, source: TextSource, theme: Theme, area: Rect, scale: float) -> float:
    """Write a heading at the top of an area; returns where the text below may begin."""
    left, top, right, bottom = area
    colored = theme.rng.random() < 0.3
    style = theme.style(scale, ink_on(theme.paper, theme.rng, 0.9) if colored else None, head=True)
    end = pen.paragraph(style, source.title(), (left, top, right, min(bottom, top + 2.6 * style.size)), 1.15)
    if theme.rng.random() < 0.15:
        pen.rect((left, end + 2, right, end + 3), theme.accent)
    return end + 0.5 * theme.body


def _picture(pen: Pen, theme: Theme, box: Rect) -> None:
    """Fill a box with coloured shapes, as a stand-in for a picture."""
    rng = theme.rng
    left, top, right, bottom = box
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    pen.cover(box, (red, green, blue))
    for _ in range(int(rng.integers(2, 9))):
        x, y = float(rng.uniform(left, right)), float(rng.uniform(top, bottom))
        red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
        size = float(rng.uniform(0.05, 0.35)) * min(right - left, bottom - top)
        if rng.random() < 0.5:
            room = min(x - left, right - x, y - top, bottom - y)
            pen.circle(x, y, max(1.0, min(size, room)), (red, green, blue))
        else:
            pen.rect((x, y, min(right, x + 2 * size), min(bottom, y + 2 * size)), (red, green, blue))


def article(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """Headings, paragraphs, lists and pictures in one to three columns."""
    rng = theme.rng
    left, top, right, bottom = area
    if rng.random() < 0.5:
        top = _heading(pen, source, theme, area, float(rng.uniform(1.4, 2.6)))
    columns = 1 + int(rng.integers(0, max(1, min(3, int((right - left) / (15 * theme.body))))))
    gap = 1.6 * theme.body
    width = (right - left - gap * (columns - 1)) / columns
    style, align, leading = theme.style(), _ALIGNS[int(rng.integers(len(_ALIGNS)))], float(rng.uniform(1.08, 1.7))
    between, bullet = float(rng.uniform(0.0, 1.0)) * theme.body, ("•", "–", "·", "1.", "*")[int(rng.integers(5))]
    for column in range(columns):
        x, y = left + column * (width + gap), top
        while y < bottom - 2 * theme.body:
            kind = rng.random()
            if kind < 0.12:
                y = _heading(pen, source, theme, (x, y + 0.4 * theme.body, x + width, bottom), float(rng.uniform(1.0, 1.5)))
            elif kind < 0.2 and bottom - y > 8 * theme.body:
                high = float(rng.uniform(4, 8)) * theme.body
                _picture(pen, theme, (x, y + 4, x + width * float(rng.uniform(0.4, 1.0)), y + high))
                y += high + 6
            elif kind < 0.4:
                inset = 1.5 * theme.body
                for _ in range(int(rng.integers(2, 6))):
                    if y + style.up + style.down > bottom:
                        break
                    pen.line(style, bullet, x + 0.2 * theme.body, y + style.up)
                    y = pen.paragraph(style, source.passage(20), (x + inset, y, x + width, bottom), leading, "left") + between / 2 + 2
            else:
                y = pen.paragraph(style, source.passage(), (x, y, x + width, bottom), leading, align) + between + 2


def table(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """A table of words and numbers, with or without rules and stripes."""
    rng = theme.rng
    left, top, right, bottom = area
    style, head = theme.style(), theme.style(1.0, head=True)
    columns = max(2, min(int((right - left) / (6.5 * theme.body)), int(rng.integers(2, 9))))
    shares = rng.uniform(0.6, 1.6, columns)
    edges = [left, *(left + (right - left) * float(share) for share in (shares.cumsum() / shares.sum()))]
    numeric = rng.random(columns) < 0.55
    height, striped, ruled = float(rng.uniform(1.35, 2.3)) * theme.body, rng.random() < 0.4, rng.random() < 0.5
    y = top if rng.random() < 0.4 else _heading(pen, source, theme, area, 1.3)
    row = 0
    while y + height < bottom:
        if striped and row % 2:
            pen.rect((left, y, right, y + height), theme.panel)
        if ruled:
            pen.rect((left, y + height - 0.5, right, y + height + 0.5), theme.panel)
        base = y + height / 2 + style.up / 2
        for column in range(columns):
            room = edges[column + 1] - edges[column] - 8
            text = source.phrase(1, 2) if row == 0 else source.number() if numeric[column] else source.phrase(1, 4)
            at = edges[column + 1] - 4 if numeric[column] else edges[column] + 4
            pen.line(head if row == 0 else style, text, at, base, 1.0 if numeric[column] else 0.0, room)
        y, row = y + height, row + 1


def form(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """Labels with values, like a receipt, an invoice or a form; sometimes narrow."""
    rng = theme.rng
    left, top, right, bottom = area
    if rng.random() < 0.5:
        right = left + max(22 * theme.body, 0.5 * (right - left)) if right - left > 24 * theme.body else right
    style = theme.style()
    y = _heading(pen, source, theme, (left, top, right, bottom), 1.5)
    for _ in range(int(rng.integers(0, 4))):
        pen.line(style, (source.address, source.phrase, source.number)[int(rng.integers(3))](), left, y + style.up, 0.0, right - left)
        y += 1.35 * theme.body
    boxed, split, dotted = rng.random() < 0.3, float(rng.uniform(0.3, 0.6)), rng.random() < 0.2
    height = float(rng.uniform(1.3, 2.4 if boxed else 1.8)) * theme.body
    while y + height < bottom:
        base, middle = y + height / 2 + style.up / 2, left + split * (right - left)
        label = source.phrase(1, 4)
        value = source.number() if rng.random() < 0.6 else source.address() if rng.random() < 0.3 else source.phrase(1, 5)
        used = pen.line(style, label, left, base, 0.0, middle - left - 6)
        if boxed:
            pen.rect((middle, y + 1, right, y + height - 2), theme.panel, 2.0, 1.0)
            pen.line(style, value, middle + 5, base, 0.0, right - middle - 8)
        else:
            if dotted:
                pen.line(style, "." * 60, left + used + 4, base, 0.0, max(1.0, middle - left - used - 4))
            pen.line(style, value, right, base, 1.0, right - middle)
        y += height
        if rng.random() < 0.06:
            pen.rect((left, y + 2, right, y + 3), theme.ink)
            y += 8


def slide(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """A slide or a poster: a large title and a few large lines or cards."""
    rng = theme.rng
    left, _, right, bottom = area
    scale = max(1.0, float(rng.uniform(1.2, 2.6)) * min(1.0, (right - left) / (26 * theme.body)))
    y = _heading(pen, source, theme, area, 1.6 * scale) + scale * theme.body
    if rng.random() < 0.4:
        columns = int(rng.integers(2, 4))
        width = (right - left) / columns
        for column in range(columns):
            box = (left + column * width + 4, y, left + (column + 1) * width - 4, bottom)
            ground = theme.panel if rng.random() < 0.6 else theme.accent
            pen.rect(box, ground, 6.0)
            inner = (box[0] + 8, box[1] + 8, box[2] - 8, box[3] - 6)
            below = pen.paragraph(theme.on(ground, 1.25, head=True), source.phrase(1, 4), inner, 1.15)
            pen.paragraph(theme.on(ground), source.passage(40), (inner[0], below + 6, inner[2], inner[3]))
        return
    style = theme.style(scale)
    for _ in range(int(rng.integers(2, 8))):
        if y + 2 * style.size > bottom:
            break
        inset = style.size if rng.random() < 0.7 else 0.0
        if inset:
            pen.circle(left + 0.4 * inset, y + style.up / 2, 0.14 * style.size, theme.accent)
        y = pen.paragraph(style, source.passage(14), (left + inset, y, right, bottom), 1.2) + 0.6 * style.size


def panel(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """A program's or a site's window: bars, menus, lists, buttons, cards and sometimes a dialog on top."""
    rng = theme.rng
    left, top, right, bottom = area
    style = theme.style()
    bar = float(rng.uniform(1.8, 3.2)) * theme.body
    ground: Color = theme.accent if rng.random() < 0.4 else theme.panel
    pen.rect((left, top, right, top + bar), ground)
    _buttons(pen, source, theme, theme.on(ground), (left + 6, top, right, top + bar), ground)
    side = left + (float(rng.uniform(9, 16)) * theme.body if rng.random() < 0.6 and right - left > 32 * theme.body else 0.0)
    if side > left:
        pen.rect((left, top + bar, side, bottom), theme.panel)
        names, y = theme.on(theme.panel), top + bar + theme.body
        pitch = float(rng.uniform(1.4, 2.4)) * theme.body
        while y + theme.body < bottom:
            pen.line(names, source.phrase(1, 3), left + 0.8 * theme.body, y + names.up, 0.0, side - left - theme.body)
            y += pitch
    inner = (side + theme.body, top + bar + theme.body, right - theme.body, bottom - 0.5 * theme.body)
    kind = int(rng.integers(4))
    if kind == 0:
        _cards(pen, source, theme, inner)
    else:
        (table, form, article)[kind - 1](pen, source, theme, inner)
    if rng.random() < 0.25:
        _dialog(pen, source, theme, style, area)


def _buttons(pen: Pen, source: TextSource, theme: Theme, style: Style, row: Rect, ground: Color) -> None:
    x, middle = row[0], (row[1] + row[3]) / 2
    framed = theme.rng.random() < 0.4
    while x < row[2] - 5 * theme.body:
        text = source.phrase(1, 2)
        width = float(style.advances(text).sum())
        if x + width + 8 > row[2]:
            break
        if framed:
            pen.rect((x, middle - 0.8 * style.size, x + width + 10, middle + 0.8 * style.size), ink_on(ground, theme.rng), 4.0, 1.0)
        pen.line(style, text, x + 5, middle + style.up / 2)
        x += width + 14 + float(theme.rng.uniform(0, 3)) * theme.body


def _cards(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    rng = theme.rng
    left, top, right, bottom = area
    columns = max(1, min(4, int((right - left) / (13 * theme.body))))
    width, height = (right - left) / columns, float(rng.uniform(5, 11)) * theme.body
    pictured = rng.random() < 0.4
    small, bold = theme.on(theme.panel, 0.92), theme.on(theme.panel, 1.1, head=True)
    y = top
    while y + height < bottom:
        for column in range(columns):
            box = (left + column * width + 3, y + 3, left + (column + 1) * width - 3, y + height - 3)
            pen.rect(box, theme.panel, 4.0)
            start = box[1] + 5
            if pictured:
                start = box[1] + 0.4 * height
                _picture(pen, theme, (box[0], box[1], box[2], start))
                start += 4
            start = pen.paragraph(bold, source.phrase(1, 4), (box[0] + 5, start, box[2] - 4, box[3]), 1.15) + 3
            if rng.random() < 0.4:
                pen.line(small, source.number(), box[0] + 5, min(box[3] - 3, start + small.up), 0.0, width - 12)
                start += 1.3 * small.size
            pen.paragraph(small, source.passage(30), (box[0] + 5, start, box[2] - 4, box[3]), 1.2)
        y += height


def _dialog(pen: Pen, source: TextSource, theme: Theme, style: Style, area: Rect) -> None:
    left, top, right, bottom = area
    width, height = 0.5 * (right - left), 0.3 * (bottom - top)
    x, y = left + 0.25 * (right - left), top + float(theme.rng.uniform(0.15, 0.55)) * (bottom - top)
    pen.cover((x - 2, y - 2, x + width + 2, y + height + 2), theme.ink, 5.0)
    pen.rect((x, y, x + width, y + height), theme.paper, 4.0)
    below = _heading(pen, source, theme, (x + 8, y + 8, x + width - 8, y + height), 1.15)
    buttons = y + height - 2.2 * theme.body
    pen.paragraph(style, source.passage(40), (x + 8, below, x + width - 8, buttons))
    _buttons(pen, source, theme, style, (x + 8, buttons, x + width - 8, y + height), theme.paper)


def code(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """Lines of something like a program or a terminal, numbered or not."""
    rng = theme.rng
    left, top, right, bottom = area
    style, dim = theme.style(), theme.style(1.0, ink_on(theme.paper, rng, 0.8))
    pitch, numbered = float(rng.uniform(1.15, 1.6)) * style.size, rng.random() < 0.5
    y, number = top + style.up, int(rng.integers(1, 400))
    while y + style.down < bottom:
        x = left
        if numbered:
            pen.line(dim, str(number), left + 2.2 * style.size, y, 1.0)
            x = left + 3 * style.size
        if rng.random() < 0.9:
            pen.line(style if rng.random() < 0.7 else dim, source.code(), x, y, 0.0, right - x)
        y, number = y + pitch, number + 1


def poster(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """Few words here and there, at any size, on shapes."""
    rng = theme.rng
    left, top, right, bottom = area
    if rng.random() < 0.5:
        wide, high = (right - left) * float(rng.uniform(0.3, 1)), (bottom - top) * float(rng.uniform(0.2, 0.5))
        _picture(pen, theme, (left, top, left + wide, top + high))
        top += 0.52 * (bottom - top)
    rows = int(rng.integers(2, 10))
    for row in range(rows):
        space = (bottom - top) / rows
        size = float(rng.uniform(0.25, 0.8)) * space
        style = theme.style(min(5.0, max(0.75, size / theme.body)), head=rng.random() < 0.5)
        x = float(rng.uniform(left, left + 0.5 * (right - left)))
        pen.line(style, source.phrase(1, 4), x, top + row * space + style.up + 1, 0.0, right - x)


def mixed(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """Two to four other layouts beside and below one another."""
    rng = theme.rng
    left, top, right, bottom = area
    gap = theme.body
    across = rng.random() < 0.4 and right - left > 40 * theme.body
    cut = float(rng.uniform(0.3, 0.7))
    if across:
        middle = left + cut * (right - left)
        areas = [(left, top, middle - gap, bottom), (middle + gap, top, right, bottom)]
    else:
        middle = top + cut * (bottom - top)
        areas = [(left, top, right, middle - gap), (left, middle + gap, right, bottom)]
    for part in areas:
        LAYOUTS[("article", "table", "form", "chart", "slide")[int(rng.choice(5, p=[0.35, 0.2, 0.15, 0.2, 0.1]))]](pen, source, theme, part)


LAYOUTS: dict[str, Layout] = {
    "article": article,
    "table": table,
    "form": form,
    "slide": slide,
    "panel": panel,
    "code": code,
    "poster": poster,
    "chart": draw_chart,
    "mixed": mixed,
}
WEIGHTS: dict[str, float] = {
    "article": 0.31,
    "table": 0.09,
    "form": 0.08,
    "slide": 0.07,
    "panel": 0.14,
    "code": 0.04,
    "poster": 0.06,
    "chart": 0.10,
    "mixed": 0.11,
}
"""How often each layout is drawn."""
