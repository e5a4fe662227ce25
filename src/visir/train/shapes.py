"""Drawn pages with one shape each, as pairs of all kinds: what recipes are tried on in minutes, and pictures that are no text.

A page has a shape in a colour, at a place, on a ground. A caption names all four; a question asks for a page by them; a composed query
shows a page and says which colour the shape should have. Every seventh page is held out: its parts are known from others, their union not.
"""

import io
from itertools import product

from PIL import Image, ImageDraw

from visir.train.pairs import Kind, Pair, PairSet, digest_of

_COLOURS = {"red": "#d02020", "green": "#20a020", "blue": "#2040e0", "yellow": "#e0c000", "black": "#101010", "pink": "#f080c0"}
_FORMS = ("circle", "square", "triangle", "cross")
_PLACES = {"left": (0.28, 0.5), "right": (0.72, 0.5), "top": (0.5, 0.28), "bottom": (0.5, 0.72)}
_GROUNDS = {"white": "#ffffff", "grey": "#a0a0a0", "brown": "#7a4a20"}
_PAGES = list(product(_COLOURS, _FORMS, _PLACES, _GROUNDS))

Page = tuple[str, str, str, str]


def draw_page(page: Page, side: int = 64) -> bytes:
    """Draw a page, ``side`` pixels wide and high, as PNG."""
    colour, form, place, ground = page
    image = Image.new("RGB", (side * 4, side * 4), _GROUNDS[ground])
    x, y = (int(part * side * 4) for part in _PLACES[place])
    reach = side
    paper = ImageDraw.Draw(image)
    box = (x - reach * 0.8, y - reach * 0.8, x + reach * 0.8, y + reach * 0.8)
    if form == "circle":
        paper.ellipse(box, _COLOURS[colour])
    elif form == "square":
        paper.rectangle(box, _COLOURS[colour])
    elif form == "triangle":
        paper.polygon([(x, box[1]), (box[0], box[3]), (box[2], box[3])], _COLOURS[colour])
    else:
        paper.rectangle((x - reach * 0.2, box[1], x + reach * 0.2, box[3]), _COLOURS[colour])
        paper.rectangle((box[0], y - reach * 0.2, box[2], y + reach * 0.2), _COLOURS[colour])
    buffer = io.BytesIO()
    image.resize((side, side), Image.Resampling.BOX).save(buffer, "PNG")
    return buffer.getvalue()


def shapes(split: str, side: int = 64) -> list[PairSet]:
    """Return the pairs of a split, ``train`` or ``held``, one set of each kind."""
    images = {"-".join(page): draw_page(page, side) for page in _PAGES}
    chosen = [page for page in _PAGES if _is_held(page) == (split == "held")]
    return [_pair_set(kind, chosen, images) for kind in ("caption", "q2s", "sq2s")]


def _pair_set(kind: Kind, pages: list[Page], images: dict[str, bytes]) -> PairSet:
    pairs = []
    for page in pages:
        key = "-".join(page)
        colour, form, place, ground = page
        others = tuple("-".join((other, form, place, ground)) for other in _COLOURS if other != colour)
        if kind == "caption":
            pairs.append(Pair(f"{colour} {form} {place} on {ground}", key))
        elif kind == "q2s":
            forms = tuple("-".join((colour, other, place, ground)) for other in _FORMS if other != form)
            pairs.append(Pair(f"which {ground} page has {place} a {colour} {form}", key, negatives=others + forms))
        else:
            shown = list(_COLOURS)[(list(_COLOURS).index(colour) + 1) % len(_COLOURS)]
            picture = "-".join((shown, form, place, ground))
            pairs.append(Pair(f"the same in {colour}", key, picture, others))
    used = {key for pair in pairs for key in (pair.document, pair.picture, *pair.negatives) if key}
    mine = {key: images[key] for key in sorted(used)}
    return PairSet(f"shapes-{kind}", kind, pairs, mine, digest_of(pairs, mine))


def _is_held(page: Page) -> bool:
    return _PAGES.index(page) % 7 == 3
