"""What tests share: an index on a folder of documents, and a practice pack."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from documents import TOPICS, write_pdf

from visir.index import Index


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder of three PDFs with five pages on three topics."""
    folder = tmp_path / "library"
    for name, pages in TOPICS.items():
        write_pdf(folder / f"{name}.pdf", pages)
    return folder


@pytest.fixture
def open_index(tmp_path: Path) -> Iterator[Callable[..., Index]]:
    """Open indexes that are closed at the end of the test."""
    opened: list[Index] = []

    def make(name: str = "index", **choices: object) -> Index:
        opened.append(Index.open(tmp_path / name, **choices))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for index in opened:
        index.close()


@pytest.fixture(scope="session")
def pack_path(tmp_path_factory):
    """A practice pack of the package's own fonts and a few sentences."""
    import visir
    from visir.vira.practice.build_pack import write_pack

    fonts_folder = Path(visir.__file__).parent / "capture" / "fonts"
    sentence = "The heron stands in the shallow river and waits, for hours, until a small fish comes near its feet; then it strikes."
    texts = {
        "en": [(f"Chapter {i}", f"{sentence} Number {i} of many. {sentence}") for i in range(300)],
        "fr": [("Été", f"{i} élèves à la forêt où naît l’été." * 2) for i in range(300)],
    }
    words = {"en": [f"{a}{b}ing" for a in ("walk", "sing", "bring", "trust", "carve") for b in "abcdefghijklmnopqrst"], "fr": []}
    path = tmp_path_factory.mktemp("pack") / "practice.zip"
    fonts = [
        ("Held" if i == 0 else "Shown", file.read_bytes(), True)
        for i, file in enumerate(fonts_folder / f"DejaVuSansMono{style}.ttf" for style in ("-Bold", ""))
    ]
    write_pack(path, texts, words, fonts, held_families=("Held",))
    return path
