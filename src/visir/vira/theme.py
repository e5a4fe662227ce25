"""How a composed page looks: fonts, colours, widths and zoom, all by the page's key."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from visir.vira.camera import Look
from visir.vira.page import number_of, share_of

SANS = (
    *("Open Sans", "Lato", "Cantarell", "Inter", "Carlito", "DejaVu Sans", "Liberation Sans", "Roboto", "Noto Sans", "Cabin", "Oxygen"),
    *("Quicksand", "Dosis", "Clear Sans", "B612", "TeX Gyre Heros", "FreeSans", "PT Sans", "Go", "Quattrocento Sans", "Comic Neue"),
)
SERIF = (
    *(
        "EB Garamond",
        "Caladea",
        "DejaVu Serif",
        "Liberation Serif",
        "Noto Serif",
        "Gentium",
        "Charis SIL",
        "Vollkorn",
        "Cardo",
        "FreeSerif",
    ),
    *("TeX Gyre Pagella", "TeX Gyre Schola", "Linux Libertine O", "Roboto Slab", "PT Serif", "Quattrocento", "Old Standard", "Junicode"),
)
MONO = ("DejaVu Sans Mono", "Liberation Mono", "Fira Code", "JetBrains Mono", "Hack", "Inconsolata", "Courier Prime", "Go Mono")
_ACCENTS = ("#0645ad", "#b3261e", "#00695c", "#6a1b9a", "#e65100", "#1565c0", "#2e7d32", "#ad1457", "#37474f", "#4e342e")
_PAPERS = ("#ffffff", "#ffffff", "#ffffff", "#fbfaf6", "#f4f6f8", "#fffdf2", "#f7f3ee")
_SIZES = ((640, 896), (640, 896), (640, 896), (720, 896), (560, 860), (800, 800), (896, 672), (480, 896))


@dataclass(frozen=True)
class Theme:
    """What a template needs to know, and how the camera looks at it."""

    look: Look
    dark: bool
    style: str
    variant: int


def theme_of(key: str, serif: float = 0.35, zoom: tuple[float, float] = (0.75, 1.1), sizes: tuple[tuple[int, int], ...] = _SIZES) -> Theme:
    """Return a page's theme.

    Args:
        key: of the page.
        serif: share of pages set in a face with serifs.
        zoom: the least and the most, see `Look`.
        sizes: pictures' (width, height) to choose from.
    """

    def pick(name: str, options: tuple[Any, ...]) -> Any:
        return options[number_of("theme", name, key) % len(options)]

    dark = share_of("dark", key) < 0.12
    faces = SERIF if share_of("serif", key) < serif else SANS
    body, head, mono = pick("body", faces), pick("head", SANS + SERIF if share_of("mixed", key) < 0.4 else faces), pick("mono", MONO)
    if share_of("same", key) < 0.5:
        head = body
    paper, ink, soft, line = (pick("paper", _PAPERS), "#1c1d1f", "#5f6368", "#d5d8dc")
    if dark:
        paper, ink, soft, line = ("#17191d", "#e6e6e6", "#a2a7ad", "#3b4047")
    panel = "#22262c" if dark else pick("panel", ("#f3f5f7", "#eef2f6", "#f6f1e7", "#f2f2f2", "#ffffff"))
    accent = "#8ab4f8" if dark else pick("accent", _ACCENTS)
    size = 13 + 6 * share_of("size", key)
    style = (
        f":root{{--paper:{paper};--ink:{ink};--soft:{soft};--line:{line};--panel:{panel};--accent:{accent};"
        f"--body:'{body}',sans-serif;--head:'{head}',sans-serif;--mono:'{mono}',monospace;"
        f"--round:{pick('round', (0, 0, 4, 8, 14))}px;--gap:{pick('gap', (8, 12, 16, 22))}px}}"
        f"html{{font-size:{size:.1f}px;line-height:{1.25 + 0.4 * share_of('leading', key):.2f}}}{_base()}"
    )
    width, height = pick("shape", sizes)
    scale = zoom[0] + (zoom[1] - zoom[0]) * share_of("zoom", key)
    return Theme(Look(width, height, round(scale, 3)), dark, style, number_of("variant", key))


@cache
def _base() -> str:
    return (
        "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font-family:var(--body)}"
        "h1,h2,h3{font-family:var(--head);line-height:1.2;margin:.6em 0 .35em}a{color:var(--accent);text-decoration:none}"
        "p{margin:.5em 0}pre,code{font-family:var(--mono)}small,.soft{color:var(--soft)}"
    )
