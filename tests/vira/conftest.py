from pathlib import Path

import pytest
from vira.sources import write_sources

from visir.index import Index
from visir.vira import devset

SAMPLES = Path(__file__).parent.parent.parent / "samples" / "documents"
NAMES = (
    "water-works-annual-report-2023.pdf",
    "swift-nest-boxes.pdf",
    "invoice-2023-0417.pdf",
    "menu-auberge-du-lac.pdf",
    "packing-list.txt",
)


@pytest.fixture(scope="session")
def corpora(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("corpora"))


SIZES = {"charts": 6, "documents": 8, "encyclopedia": 12, "manuals": 6, "products": 9, "repositories": 4}


@pytest.fixture(scope="session")
def dev(corpora, tmp_path_factory):
    """A development benchmark of the small sources."""
    folder = tmp_path_factory.mktemp("dev")
    devset.build(folder, corpora, SIZES, lambda _: None)
    return folder


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """An index of five of the samples, eight pages."""
    folder = tmp_path_factory.mktemp("indexed") / "index"
    with Index.open(folder, "text") as opened:
        opened.add(*(SAMPLES / name for name in NAMES))
    return folder
