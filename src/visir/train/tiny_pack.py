"""A practice pack of what ships with visir, made in a second: what the reading stage is tried on where no packages can be fetched."""

import random
from pathlib import Path

from visir.unise.embedder import WEIGHTS
from visir.vira.practice.build_pack import write_pack

TINY = "tiny"
"""The name of this pack in a recipe's ``data.pack``."""
_FONTS = Path(__file__).parent.parent / "capture" / "fonts"
_VOCABULARY = WEIGHTS / "text" / "vocab.txt"


def write_tiny_pack(path: Path, paragraphs: int = 600) -> Path:
    """Write a pack of random words of the text model's vocabulary and the fonts that pages are set in; returns its path.

    One that is there already stays: it would be the same.
    """
    if path.is_file():
        return path
    words = [word for word in _VOCABULARY.read_text(encoding="utf-8").split() if word.isalpha() and word.isascii() and len(word) > 2]
    rng = random.Random(0)
    texts = {"en": [(rng.choice(words).title(), " ".join(rng.choices(words[:2000], k=rng.randint(12, 40)))) for _ in range(paragraphs)]}
    fonts = [(file.stem, file.read_bytes(), True) for file in sorted(_FONTS.glob("*.ttf"))]
    write_pack(path, texts, {"en": words}, fonts, held_families=("DejaVuSans-Oblique",))
    return path
