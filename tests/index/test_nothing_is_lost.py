"""What must not be lost, whatever is killed, away, damaged or odd."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from documents import TOPICS, draw_png, write_pdf

from visir.capture import CaptureOptions
from visir.errors import StoreError
from visir.index import Index, Listeners
from visir.index.store import Store


@contextmanager
def serve_folder(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder on this machine, and say where."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def paths(index: Index) -> set[str]:
    return {Path(row["path"]).name for row in index.store.scan_pages(["path"]).to_pylist()}


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "and a copy of it comes"])
def test_a_rename_that_is_broken_off_between_its_two_commits_keeps_the_document(library, open_index, monkeypatch, again):
    index = open_index()
    index.add(library)
    (library / "bread.pdf").rename(library / "loaf.pdf")
    with monkeypatch.context() as patch:

        def killed(*_):
            raise KeyboardInterrupt

        patch.setattr(Store, "remove_documents", killed)
        with pytest.raises(KeyboardInterrupt):
            index.refresh()
    if again:
        shutil.copyfile(library / "loaf.pdf", library / "a-copy.pdf")
    index.refresh()
    wanted = {"loaf.pdf", "chess.pdf", "rainfall.pdf"} | ({"a-copy.pdf"} if again else set())
    assert paths(index) == wanted
    assert {Path(document.path).name for document in index.documents()} == wanted
    assert all(index.store.picture(row["edition"], row["page"]).exists() for row in index.store.scan_pages(["edition", "page"]).to_pylist())


def test_a_rebuild_does_not_drop_a_folder_that_is_away(library, tmp_path, open_index):
    other = tmp_path / "drive"
    write_pdf(other / "late.pdf", TOPICS["chess"])
    open_index().add(library, other)
    other.rename(tmp_path / "unplugged")
    with pytest.raises(StoreError, match="drive is not there"):
        Index.rebuild(tmp_path / "index")
    assert "late.pdf" in paths(open_index())


@pytest.mark.parametrize("place", ["between the renames", "while the old one was deleted"])
def test_a_rebuild_that_was_killed_at_its_end_is_ended_by_the_next(library, tmp_path, open_index, place):
    index = open_index()
    index.add(library)
    index.close()
    if place == "between the renames":
        (tmp_path / "index").rename(tmp_path / "index.replaced")
        for create in (True, False):
            with pytest.raises(StoreError, match="visir rebuild"):
                Index.open(tmp_path / "index", create=create)
    else:
        (tmp_path / "index.replaced" / "pictures").mkdir(parents=True)
    assert Index.rebuild(tmp_path / "index").indexed == 3
    assert len(paths(open_index())) == 3
    assert not (tmp_path / "index.replaced").exists()


def test_an_index_is_rebuilt_from_within_its_folder(library, tmp_path, open_index, monkeypatch):
    open_index().add(library)
    monkeypatch.chdir(tmp_path / "index")
    assert Index.rebuild(".").indexed == 3


def test_a_server_that_is_away_does_not_empty_the_index(tmp_path, open_index):
    site = tmp_path / "site"
    site.mkdir()
    (site / "note.txt").write_text("a heron waits in the shallow river")
    index = open_index()
    with serve_folder(site) as address:
        source = f"{address}/note.txt"
        assert index.add(source).indexed == 1
    told = []
    summary = index.add(source, listeners=Listeners(failure=lambda name, reason: told.append(reason)))
    assert (summary.failed, index.status().pages) == (1, 1)
    assert "are kept" in told[0]
    assert index.status().failures[0].state == "partial"
    with pytest.raises(StoreError, match="stays as it was"):
        Index.rebuild(tmp_path / "index")
    assert open_index().search("heron river", count=1)[0].uri == source
    with serve_folder(site, int(address.rpartition(":")[2])):
        assert index.add(source).indexed == 1
    assert index.status().failures == []


def test_what_could_not_be_opened_is_tried_again_and_told_once(library, open_index):
    (library / "astray.pdf").symlink_to(library / "away")
    told = []
    index = open_index()
    listeners = Listeners(failure=lambda name, reason: told.append(reason))
    index.add(library, listeners=listeners)
    again = index.refresh(listeners)
    assert (again.unchanged, again.failed, again.still_failing, len(told)) == (4, 0, 1, 1)
    # Opened at last, with nothing about it changed that a walk could see.
    [row] = index.store.documents("state = 'failed'")
    write_pdf(library / "away", ["at last"])
    facts = (library / "away").stat()
    index.store.put_documents([type(row)(**{**vars(row), "size": facts.st_size, "mtime": facts.st_mtime_ns})])
    assert index.refresh(listeners).indexed == 1


def test_a_file_that_took_too_long_is_tried_again_with_more_time(tmp_path, open_index):
    folder = tmp_path / "slow"
    folder.mkdir()
    page = "<title>slow</title><script>for (const end = Date.now() + 3000; Date.now() < end;);</script><p>a page that takes its time"
    (folder / "slow.html").write_text(page)
    hasty = open_index(options=CaptureOptions(timeout=0.05))
    assert hasty.add(folder).failed == 1
    assert hasty.status().failures[0].state == "slow"
    again = hasty.refresh()
    assert (again.unchanged, again.still_failing) == (1, 1)
    hasty.close()
    assert open_index(options=CaptureOptions(timeout=60)).refresh().indexed == 1


def test_a_touched_file_that_is_still_read_in_part_is_counted(tmp_path, open_index):
    folder = tmp_path / "cut"
    write_pdf(folder / "three.pdf", ["one", "two", "three"])
    index = open_index(options=CaptureOptions(max_pages=2))
    assert index.add(folder).failed == 1
    os.utime(folder / "three.pdf", (5, 5))
    assert (index.refresh().still_failing, index.status().pages) == (1, 2)


def test_a_document_of_just_as_many_pages_as_are_read_is_whole(tmp_path, open_index):
    folder = tmp_path / "whole"
    write_pdf(folder / "two.pdf", ["one", "two"])
    (folder / "one.png").write_bytes(draw_png(["one picture"]))
    (folder / "short.txt").write_text("short")
    index = open_index(options=CaptureOptions(max_pages=2))
    summary = index.add(folder)
    assert (summary.indexed, summary.failed, summary.pages) == (3, 0, 4)


@pytest.mark.parametrize("when", [2**63 // 10**9 + 10**6, 253_402_300_800 + 86_400, 0, -3 * 10**9])
def test_a_file_of_any_time_is_indexed(library, open_index, when):
    (library / "note.txt").write_text("a note that tells no date of its own")
    try:
        os.utime(library / "note.txt", (when, when))
    except (OverflowError, OSError):
        pytest.skip("this system keeps no such time")
    index = open_index()
    assert index.add(library).indexed == 4
    assert index.refresh().unchanged == 4
    [date] = {row["date"] for row in index.store.scan_pages(["path", "date"]).to_pylist() if row["path"].endswith("note.txt")}
    # File systems have limits of their own, and the index those of 64 bits.
    kept = min((library / "note.txt").stat().st_mtime_ns, 2**63 - 1)
    assert date == datetime.fromtimestamp(kept / 1e9, UTC).date().isoformat()


def test_files_that_other_programs_leave_in_an_index_stop_nothing(library, open_index):
    index = open_index()
    index.add(library)
    for place in ("pictures/.DS_Store", "pictures/00/.DS_Store", "pictures/00/Thumbs.db", "writers/note.lock"):
        (index.store.folder / place).parent.mkdir(exist_ok=True)
        (index.store.folder / place).write_text("")
    assert index.refresh().unchanged == 3


def test_a_disk_that_is_full_is_one_clear_line(library, open_index):
    index = open_index()
    pictures = index.store.folder / "pictures"
    pictures.write_text("where a folder cannot be made, as on a full disk")
    with pytest.raises(StoreError, match="cannot be written"):
        index.add(library)
    pictures.unlink()
    assert index.add(library).indexed == 3


def test_an_index_finds_its_model_from_any_folder(library, tmp_path, open_index, monkeypatch):
    shutil.copytree(Path(__file__).parents[2] / "src/visir/unise/weights/text", tmp_path / "models" / "mine")
    monkeypatch.chdir(tmp_path)
    open_index(model="models/mine").add(library)
    assert open_index(model="models/mine").status().pages == 5
    monkeypatch.chdir(library)
    assert open_index().search("bread")


def test_names_that_are_not_utf8_lie_inside_their_folder(tmp_path, open_index):
    folder = tmp_path / "odd"
    folder.mkdir()
    name = os.path.join(os.fsencode(folder), b"caf\xe9.png")
    try:
        Path(os.fsdecode(name)).write_bytes(draw_png(["a heron waits in the river"]))
    except OSError:
        pytest.skip("this file system takes no such name")
    index = open_index()
    index.add(folder)
    assert len(index.search("heron river", where=index.inside(folder))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="rights are set as Linux does")
@pytest.mark.parametrize("mode", [0o000, 0o444, 0o311], ids=["locked", "names only", "entered only"])
def test_a_folder_that_cannot_be_looked_into_keeps_its_documents_and_stops_nothing(library, tmp_path, mode):
    for path in (tmp_path, library):
        path.chmod(0o777)
    (library / "inner").mkdir()
    (library / "bread.pdf").rename(library / "inner" / "bread.pdf")
    (library / "inner").chmod(0o777)

    # Without root's right to read everything, where the tests run as root.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if drop and subprocess.run([*drop, "true"], capture_output=True).returncode:
        pytest.skip("this root may not give rights away")

    def visir(*words):
        command = [*drop, sys.executable, "-m", "visir.cli.main", *words, "--index", str(tmp_path / "index")]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert visir("index", str(library)).returncode == 0
    (library / "chess.pdf").unlink()
    if os.geteuid() == 0:
        os.chown(library / "inner", 65534, 65534)
    (library / "inner").chmod(mode & 0o711 if mode == 0o311 else mode)
    told = visir("index")
    (library / "inner").chmod(0o777)
    assert told.returncode == 1
    assert "what the index holds of it stays" in told.stderr
    assert "removed 1" in told.stderr + told.stdout
    with Index.open(tmp_path / "index") as index:
        assert paths(index) == {"bread.pdf", "rainfall.pdf"}


def test_a_root_that_is_away_fails_the_run(library, open_index):
    index = open_index()
    index.add(library)
    library.rename(library.with_name("away"))
    assert index.refresh().failed == 1


def test_an_index_whose_settings_are_damaged_or_gone_is_not_written_over(library, tmp_path, open_index):
    open_index().add(library)
    settings = tmp_path / "index" / "index.json"
    settings.write_text("{")
    for create in (True, False):
        with pytest.raises(StoreError, match="is damaged"):
            Index.open(tmp_path / "index", create=create)
    settings.unlink()
    with pytest.raises(StoreError, match="holds pages"):
        Index.open(tmp_path / "index")


def test_damaged_tables_are_not_blamed_on_a_filter(library, tmp_path, open_index):
    index = open_index()
    index.add(library)
    for path in (tmp_path / "index" / "pages.lance" / "data").iterdir():
        path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(StoreError, match="index is damaged"):
        open_index().search("bread")
