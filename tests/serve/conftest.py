"""A server on an index of a few documents, which the tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import TOPICS, write_pdf
from servers import Running, running, wait_until

from visir.serve.client import Client


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three PDFs with five pages on three topics, and a file that is not what its name says."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, pages in TOPICS.items():
        write_pdf(folder / f"{name}.pdf", pages)
    (folder / "broken.pdf").write_bytes(b"not a PDF at all")
    return folder


@pytest.fixture(scope="session")
def server(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server on the shelf that the tests share; who changes its index cleans up."""
    with running(tmp_path_factory.mktemp("served") / "index", str(shelf)) as started:
        client = started.client()
        wait_until(lambda: client.jobs()[0].state == "done")
        yield started


@pytest.fixture
def client(server: Running) -> Client:
    return server.client()
