"""A server on an index of a few documents, and a browser, which the tests share."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import TOPICS, write_pdf
from playwright.sync_api import sync_playwright
from servers import Running, running, wait_until

from visir.capture.web import find_chromium
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


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=["--disable-gpu"], chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, server):
    """A window on the page that fails the test if a script fails or anybody else is asked."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=server.address)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: (
            wrong.append(message.text) if message.type == "error" and not re.search("status of (4|503)", message.text) else None
        ),
    )
    page.on("request", lambda request: None if request.url.startswith((server.address, "data:", "blob:")) else wrong.append(request.url))
    yield page
    context.close()
    assert not wrong


@pytest.fixture(scope="module")
def rye(server) -> bytes:
    """The picture of the page on rye starters."""
    with server.client() as client:
        return client.picture(client.search("starter rye", count=1).hits[0].picture)
