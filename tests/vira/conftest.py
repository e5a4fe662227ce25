from pathlib import Path

import pytest

import visir
from visir.vira.practice.build_pack import write_pack

FONTS = [Path(visir.__file__).parent / "capture/fonts" / f"DejaVuSans{style}.ttf" for style in ("Mono-Bold", "Mono")]
TEXT = "The heron stands in the shallow river and waits, for hours, until a small fish comes near its feet; then it strikes."


@pytest.fixture(scope="session")
def pack_path(tmp_path_factory):
    """A practice pack of the package's own fonts and a few sentences."""
    texts = {
        "en": [(f"Chapter {i}", f"{TEXT} Number {i} of many. {TEXT}") for i in range(300)],
        "fr": [("Été", f"{i} élèves à la forêt où naît l’été." * 2) for i in range(300)],
    }
    words = {"en": [f"{a}{b}ing" for a in ("walk", "sing", "bring", "trust", "carve") for b in "abcdefghijklmnopqrst"], "fr": []}
    path = tmp_path_factory.mktemp("pack") / "practice.zip"
    fonts = [("Held" if i == 0 else "Shown", file.read_bytes(), True) for i, file in enumerate(FONTS)]
    write_pack(path, texts, words, fonts, held_families=("Held",))
    return path
