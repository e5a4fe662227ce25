import pytest
from vira.sources import write_sources

from visir.vira import devset


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
