"""Charts for practice pages."""

import math

import numpy as np

from visir.vira.practice.draw import Color, Pen, Rect
from visir.vira.practice.source import TextSource
from visir.vira.practice.theme import Theme, ink_on


def draw_chart(pen: Pen, source: TextSource, theme: Theme, area: Rect) -> None:
    """Draw a chart into an area: title above, legend below, the plot between them."""
    rng = theme.rng
    left, top, right, bottom = area
    style, small = theme.style(), theme.style(0.9)
    end = pen.paragraph(theme.style(1.2, head=True), source.title(), (left, top, right, top + 3 * theme.body), 1.15, "center")
    colors = [ink_on(theme.paper, rng, 1.0) for _ in range(int(rng.integers(1, 6)))]
    foot = bottom - 1.6 * theme.body
    x = left + theme.body
    for color in colors:
        name = source.phrase(1, 3)
        width = float(small.advances(name).sum())
        if x + width + 2 * theme.body > right:
            break
        pen.rect((x, foot + 0.2 * theme.body, x + 0.7 * theme.body, foot + 0.9 * theme.body), color)
        pen.line(small, name, x + theme.body, foot + small.up + 1)
        x += width + 2.5 * theme.body
    plot = (left + 4.5 * theme.body, end + theme.body, right - theme.body, foot - 3.6 * theme.body)
    if plot[3] - plot[1] < 4 * theme.body or plot[2] - plot[0] < 8 * theme.body:
        pen.paragraph(style, source.passage(30), (left, end + 4, right, foot))
    elif rng.random() < 0.15:
        _pie(pen, source, theme, plot, colors)
    else:
        _axes(pen, source, theme, plot)
        kind = rng.random()
        (_bars if kind < 0.4 else _curves if kind < 0.7 else _points)(pen, source, theme, plot, colors)


def _axes(pen: Pen, source: TextSource, theme: Theme, plot: Rect) -> None:
    left, top, right, bottom = plot
    style, ticks = theme.style(0.85), int(theme.rng.integers(3, 8))
    step = float(theme.rng.choice([0.1, 0.25, 1, 2, 5, 10, 20, 50, 100, 1000]))
    lined = theme.rng.random() < 0.6
    for tick in range(ticks + 1):
        y = bottom - (bottom - top) * tick / ticks
        pen.line(style, f"{tick * step:g}", left - 5, y + style.up / 2, 1.0)
        if lined:
            pen.rect((left, y, right, y + 0.8), theme.panel)
    pen.rect((left, top, left + 1, bottom), theme.ink)
    pen.rect((left, bottom, right, bottom + 1), theme.ink)
    pen.line(style, source.phrase(1, 4), (left + right) / 2, bottom + 2.8 * theme.body, 0.5, right - left)
    if theme.rng.random() < 0.5:
        pen.turned(style, source.phrase(1, 4), left - 4 * theme.body, (top + bottom) / 2, -90.0)


def _bars(pen: Pen, source: TextSource, theme: Theme, plot: Rect, colors: list[Color]) -> None:
    rng = theme.rng
    left, top, right, bottom = plot
    style = theme.style(0.85)
    groups = max(2, min(int(rng.integers(2, 13)), int((right - left) / (5 * theme.body))))
    width = (right - left) / groups
    valued = rng.random() < 0.4 and len(colors) == 1
    years, tilt = rng.random() < 0.4, float(rng.choice([-90.0, -45.0, -30.0])) if rng.random() < 0.2 else 0.0
    first = int(rng.integers(1950, 2020))
    for group in range(groups):
        x = left + group * width
        each = 0.7 * width / len(colors)
        for index, color in enumerate(colors):
            high = float(rng.uniform(0.05, 0.92)) * (bottom - top)
            at = x + 0.15 * width + index * each
            pen.rect((at, bottom - high, at + 0.92 * each, bottom), color)
            if valued:
                pen.line(style, source.number(), x + width / 2, bottom - high - 3, 0.5, width)
        name = str(first + group) if years else source.phrase(1, 2)
        if tilt:
            pen.turned(style, name[:10], x + width / 2, bottom + 1.5 * theme.body, tilt)
        else:
            pen.line(style, name, x + width / 2, bottom + 1.3 * theme.body, 0.5, width - 4)


def _curves(pen: Pen, source: TextSource, theme: Theme, plot: Rect, colors: list[Color]) -> None:
    rng = theme.rng
    left, top, right, bottom = plot
    points, dotted = int(rng.integers(4, 40)), rng.random() < 0.35
    for color in colors:
        walk = rng.normal(size=points).cumsum()
        walk = (walk - walk.min()) / max(1e-6, float(walk.max() - walk.min())) * float(rng.uniform(0.2, 0.9))
        line = [(left + (right - left) * i / (points - 1), bottom - (bottom - top) * float(v)) for i, v in enumerate(walk)]
        if dotted:
            for x, y in line:
                pen.circle(x, y, 2.0, color)
        else:
            pen.path(line, color, float(rng.uniform(1, 2.5)))
    _scale(pen, theme, plot)


def _scale(pen: Pen, theme: Theme, plot: Rect) -> None:
    """Write numbers below a plot."""
    left, _, right, bottom = plot
    labels = int(theme.rng.integers(3, 7))
    first, step = int(theme.rng.integers(0, 2000)), int(theme.rng.integers(1, 20))
    for index in range(labels):
        at = left + (right - left) * index / (labels - 1)
        pen.line(theme.style(0.85), str(first + index * step), at, bottom + 1.3 * theme.body, 0.5)


def _points(pen: Pen, source: TextSource, theme: Theme, plot: Rect, colors: list[Color]) -> None:
    """Scatter marks, which look like noughts, crosses and pluses and are no letters."""
    rng = theme.rng
    left, top, right, bottom = plot
    radius = float(rng.uniform(1.5, 0.6 * theme.body))
    for color in colors:
        kind, slope, count = int(rng.integers(5)), float(rng.normal()), int(rng.integers(5, 120))
        spread = rng.normal(size=(count, 2)) * 0.18
        spread[:, 1] += slope * spread[:, 0]
        centre = rng.uniform(0.3, 0.7, 2)
        for across, up in np.clip(spread + centre, 0.02, 0.98).tolist():
            _mark(pen, kind, left + across * (right - left), bottom - up * (bottom - top), radius, color)
    _scale(pen, theme, plot)


def _mark(pen: Pen, kind: int, x: float, y: float, radius: float, color: Color) -> None:
    """Draw a disc, a ring, a cross, a plus or a triangle."""
    if kind == 0:
        pen.circle(x, y, radius, color)
    elif kind in (1, 4):
        corners = 14 if kind == 1 else 3
        turns = [2 * math.pi * (corner / corners + 0.25) for corner in range(corners + 1)]
        pen.path([(x + radius * math.cos(turn), y - radius * math.sin(turn)) for turn in turns], color, 1.2)
    else:
        tilt = math.pi / 4 if kind == 2 else 0.0
        for turn in (tilt, tilt + math.pi / 2):
            across, down = radius * math.cos(turn), radius * math.sin(turn)
            pen.path([(x - across, y - down), (x + across, y + down)], color, 1.2)


def _pie(pen: Pen, source: TextSource, theme: Theme, plot: Rect, colors: list[Color]) -> None:
    rng = theme.rng
    left, top, right, bottom = plot
    x, y, radius = (left + right) / 2, (top + bottom) / 2, 0.36 * min(right - left, bottom - top)
    shares = rng.dirichlet([2.0] * int(rng.integers(3, 7)))
    start = 0.0
    style = theme.style(0.9)
    for index, share in enumerate(shares):
        end = start + 2 * math.pi * float(share)
        turns = [start + (end - start) * i / 16 for i in range(17)]
        arc = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
        pen.path([(x, y), *arc], colors[index % len(colors)] if index < len(colors) else theme.panel, fill=True)
        middle = (start + end) / 2
        at = (x + 1.12 * radius * math.cos(middle), y + 1.12 * radius * math.sin(middle))
        room = right - at[0] if math.cos(middle) > 0 else at[0] - left
        align = 0.0 if math.cos(middle) > 0 else 1.0
        pen.line(style, f"{source.phrase(1, 1)} {share * 100:.0f}%", at[0], at[1] + style.up / 2, align, room)
        start = end
