"""Reading practice: an endless stream of rendered pages on which every word, letter and block is known."""

from visir.vira.practice.pack import Pack, is_held_word
from visir.vira.practice.render import PageSpec, PracticePage, render_page

__all__ = ["Pack", "PageSpec", "PracticePage", "is_held_word", "render_page"]
