"""Processes are really killed, at any moment, and really run side by side."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from documents import write_pdf

from visir.index import Index
from visir.index.store import Store

COMMITS_OFTEN = """
import sys
import visir.index.refresh as refresh
refresh._COMMIT_SECONDS, refresh._COMMIT_PAGES, refresh._OPTIMISE_PAGES = 0.05, 6, 20
from visir.index import Index
with Index.open(sys.argv[1]) as index:
    print("ready", flush=True)
    print(index.add(sys.argv[2]), flush=True)
"""


def text_of(name: str, page: int) -> str:
    return f"document {name} page {page} speaks of number {len(name) * page}"


def make_documents(folder: Path, count: int) -> dict[str, int]:
    lengths = {f"doc{number:02d}": 1 + number * 7 % 12 for number in range(count)}
    for name, pages in lengths.items():
        write_pdf(folder / f"{name}.pdf", [text_of(name, page) for page in range(1, pages + 1)])
    return lengths


def visible(index: Index) -> dict[str, list[int]]:
    """Documents as a searcher sees them, with their pages; each page has its own text and its picture."""
    found: dict[str, list[int]] = {}
    for row in index.store.scan_pages(["path", "page", "text", "edition"]).to_pylist():
        name = Path(row["path"]).stem
        assert row["text"] == text_of(name, row["page"])
        assert index.store.picture(row["edition"], row["page"]).stat().st_size > 100
        found.setdefault(name, []).append(row["page"])
    return found


def count_pictures(index: Path) -> int:
    return len(list((index / "pictures").rglob("*.jpg")))


def start(index: Path, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", COMMITS_OFTEN, str(index), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_no_committed_page_and_shows_no_half_document(tmp_path):
    lengths = make_documents(tmp_path / "documents", 24)
    chance = random.Random(0)
    seen: set[str] = set()
    partly = 0
    for _ in range(15):
        process = start(tmp_path / "index", tmp_path / "documents")
        enough = count_pictures(tmp_path / "index") + chance.randrange(20)
        while count_pictures(tmp_path / "index") < enough and process.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        with Index.open(tmp_path / "index") as index:
            now = visible(index)
            index.search("document number")
        for name, pages in now.items():
            assert sorted(pages) == list(range(1, lengths[name] + 1)), name
        assert seen <= now.keys()
        seen = set(now)
        partly += 0 < len(seen) < len(lengths)
    assert partly >= 5, "no kill fell into the middle: the test proves nothing"
    with Index.open(tmp_path / "index") as index:
        index.add(tmp_path / "documents")
        index.add(tmp_path / "documents")
        assert {name: len(pages) for name, pages in visible(index).items()} == lengths
        assert index.store.count_pages() == sum(lengths.values())
        assert count_pictures(tmp_path / "index") == sum(lengths.values())


def test_ctrl_c_keeps_what_is_whole_and_says_so(tmp_path):
    lengths = make_documents(tmp_path / "documents", 40)
    command = [sys.executable, "-m", "visir.cli.main", "index", str(tmp_path / "documents"), "--index", str(tmp_path / "index")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while count_pictures(tmp_path / "index") < 30 and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was committed stays" in told
    assert "Traceback" not in told
    with Index.open(tmp_path / "index") as index:
        now = visible(index)
        assert 0 < len(now) < len(lengths)
        assert all(len(pages) == lengths[name] for name, pages in now.items())
        assert index.add(tmp_path / "documents").unchanged == len(now)


def test_two_processes_index_and_a_third_searches_at_once(tmp_path):
    lengths = make_documents(tmp_path / "documents", 16)
    make_documents(tmp_path / "more", 4)
    writers = [start(tmp_path / "index", tmp_path / "documents"), start(tmp_path / "index", tmp_path / "documents")]
    with Index.open(tmp_path / "index") as index:
        while any(writer.poll() is None for writer in writers):
            for hit in index.search("document page number", count=50):
                assert hit.page <= lengths[Path(hit.uri).stem]
            pages = [(Path(hit.uri), hit.page) for hit in index.search("document", count=200)]
            assert len(pages) == len(set(pages)), "a page was shown twice"
        for writer in writers:
            assert "failed=0" in writer.communicate()[0]
            assert writer.returncode == 0
        index.add(tmp_path / "documents")
        assert {name: len(pages) for name, pages in visible(index).items()} == lengths
        assert index.store.count_pages() == sum(lengths.values())


@pytest.fixture
def replaceable(tmp_path):
    """Yield an index with a document of 12 pages, a second writer of it, and what puts an edition of 9 pages in its place."""
    path = tmp_path / "documents" / "doc.pdf"
    write_pdf(path, [f"old edition page {page}" for page in range(12)])

    with Index.open(tmp_path / "index") as index, Index.open(tmp_path / "index") as writer:

        def replace():
            write_pdf(path, [f"new edition page {page}" for page in range(9)])
            assert writer.add(path.parent).indexed == 1

        index.add(path.parent)
        yield index, writer, replace


@pytest.mark.parametrize("judged", ["before", "after"])
def test_a_document_replaced_in_the_middle_of_a_search_is_shown_once(replaceable, monkeypatch, judged):
    index, writer, replace = replaceable
    ask, waiting = index.store._ask, [None]

    def replaced_between(where, *questions):
        if not waiting:
            return ask(where, *questions)
        waiting.pop()
        (near,), live_before = ask(where, questions[0])
        replace()
        (matching,), live_after = ask(where, questions[1])
        return [near, matching], live_before if judged == "before" else live_after

    monkeypatch.setattr(index.store, "_ask", replaced_between)
    monkeypatch.setattr(writer.store, "drop_editions", lambda editions: None)  # as long as the writer has not come to that
    hits = index.search("edition page", count=50)
    assert not waiting
    assert len(hits) == 9
    assert len({hit.page for hit in hits}) == len(hits)
    assert all("new edition" in hit.snippet for hit in hits)


@pytest.mark.parametrize("replaced", ["before the first look", "before the scan", "before the scan, and swept"])
def test_a_document_replaced_in_the_middle_of_a_scan_is_seen_whole(replaceable, monkeypatch, replaced):
    index, writer, replace = replaceable
    look, waiting = index.store.live_editions, [None]

    def look_amid():
        if waiting and replaced == "before the first look":
            waiting.pop()
            replace()
        seen = look()
        if waiting:
            waiting.pop()
            replace()
        return seen

    monkeypatch.setattr(index.store, "live_editions", look_amid)
    if "swept" not in replaced:
        monkeypatch.setattr(writer.store, "drop_editions", lambda editions: None)
    texts = index.store.scan_pages(["text"])["text"].to_pylist()
    assert not waiting
    assert (len(texts), len({text[:3] for text in texts})) == ((12, 1) if replaced == "before the scan" else (9, 1))


def test_a_searcher_never_sees_a_replaced_document_half(tmp_path):
    path = tmp_path / "documents" / "doc.pdf"
    write_pdf(path, [f"old edition page {page}" for page in range(12)])
    with Index.open(tmp_path / "index") as index:
        index.add(path.parent)
        write_pdf(path, [f"new edition page {page}" for page in range(9)])
        writer = start(tmp_path / "index", path.parent)
        states = set()
        while writer.poll() is None:
            rows = index.store.scan_pages(["text"]).to_pylist()
            states.add((len(rows), len({row["text"][:3] for row in rows})))
        writer.communicate()
        rows = index.store.scan_pages(["text"]).to_pylist()
        states.add((len(rows), len({row["text"][:3] for row in rows})))
    assert states == {(12, 1), (9, 1)}
    assert os.path.exists(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_within_a_commit_makes_no_page_two(tmp_path, monkeypatch, request, number):
    before = signal.signal(number, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(number, before))
    lengths = make_documents(tmp_path / "documents", 3)
    once = {name: list(range(1, pages + 1)) for name, pages in lengths.items()}
    add, put = Store.add_pages, Store.put_picture
    pressed = []

    def press():
        pressed.append(True)
        signal.raise_signal(number)  # in this thread, at once

    with Index.open(tmp_path / "index") as index, monkeypatch.context() as patch:
        patch.setattr(Store, "add_pages", lambda *given: (add(*given), press()))
        with pytest.raises(KeyboardInterrupt):
            index.add(tmp_path / "documents")
        assert visible(index) == once
        assert len(pressed) == 1
    with Index.open(tmp_path / "other") as index, monkeypatch.context() as patch:
        patch.setattr("visir.index.refresh._EMBED_PAGES", 4)
        patch.setattr(Store, "put_picture", lambda *given: (put(*given), pressed or press()))
        pressed.clear()
        with pytest.raises(KeyboardInterrupt):
            index.add(tmp_path / "documents")
        found = visible(index)
        assert found == {name: once[name] for name in found}
