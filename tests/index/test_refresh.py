import os
import shutil
from pathlib import Path

import docx
import pytest
from documents import TOPICS, write_pdf
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from visir.errors import ModelMismatchError, StoreError
from visir.index import Index, Listeners
from visir.index.store import new_edition


class Counting:
    """A real embedder that says how many pages went through it."""

    def __init__(self, embedder):
        self._embedder = embedder
        self.pages = 0

    def __getattr__(self, name):
        return getattr(self._embedder, name)

    def encode_document(self, documents):
        self.pages += len(documents)
        return self._embedder.encode_document(documents)


def contents(index: Index) -> set[tuple]:
    """What a searcher can see: name, page, text, and a picture on disk."""
    rows = index.store.scan_pages(["path", "page", "text", "edition"]).to_pylist()
    return {(Path(row["path"]).name, row["page"], row["text"], index.store.picture(row["edition"], row["page"]).exists()) for row in rows}


def expected(folder: Path) -> set[tuple]:
    return {
        (path.name, number, text, True) for path in folder.rglob("*.pdf") for number, text in enumerate(TOPICS[path.stem.split("-")[0]], 1)
    }


def test_a_folder_is_indexed_and_the_second_time_costs_nothing(library, open_index):
    index = open_index()
    counting = index.__dict__["embedder"] = Counting(index.embedder)
    summary = index.add(library)
    assert (summary.indexed, summary.unchanged, summary.removed, summary.failed, summary.pages) == (3, 0, 0, 0, 5)
    assert contents(index) == expected(library)
    again = index.add(library)
    assert (again.indexed, again.unchanged, again.pages) == (0, 3, 0)
    assert counting.pages == 5


def test_touched_renamed_changed_and_deleted_files(library, open_index):
    index = open_index()
    index.add(library)
    counting = index.__dict__["embedder"] = Counting(index.embedder)
    os.utime(library / "bread.pdf", (1, 1))
    (library / "sub").mkdir()
    (library / "rainfall.pdf").rename(library / "sub" / "rainfall-2.pdf")
    (library / "chess.pdf").unlink()
    summary = index.refresh()
    assert (summary.indexed, summary.unchanged, summary.renamed, summary.removed) == (0, 1, 1, 1)
    assert counting.pages == 0
    assert contents(index) == expected(library)
    write_pdf(library / "bread.pdf", TOPICS["chess"])
    assert index.refresh().indexed == 1
    assert ("bread.pdf", 1, TOPICS["chess"][0], True) in contents(index)
    assert not any(text in TOPICS["bread"] for _, _, text, _ in contents(index))


def test_a_bad_file_is_told_kept_with_its_reason_and_stops_nothing(library, open_index):
    (library / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    told = []
    index = open_index()
    summary = index.add(library, listeners=Listeners(failure=lambda name, reason: told.append((Path(name).name, reason))))
    assert (summary.indexed, summary.failed) == (3, 1)
    assert told == [("broken.pdf", "is damaged or has no pages: download it again, or open it in a PDF reader and save it anew")]
    [failure] = index.status().failures
    assert (Path(failure.path).name, failure.state, failure.reason) == ("broken.pdf", "failed", told[0][1])
    again = index.refresh()
    assert (again.unchanged, again.failed, again.still_failing) == (4, 0, 1)
    write_pdf(library / "broken.pdf", ["mended"])
    assert index.refresh().indexed == 1
    assert index.status().failures == []


def test_a_link_that_leads_nowhere_is_told(library, open_index):
    (library / "astray.pdf").symlink_to("nowhere")
    with open_index() as index:
        index.add(library)
        [failure] = index.status().failures
    assert failure.reason == "is a link that leads nowhere: mend or delete it"


def test_status_tells_the_size_and_estimates_it_where_there_are_many_documents(library, open_index, monkeypatch):
    with open_index() as index:
        index.add(library)
        size = index.status().bytes
        whole = sum(path.stat().st_size for path in index.store.folder.rglob("*") if path.is_file())
        assert 0.99 * whole < size <= whole
        monkeypatch.setattr("visir.index.store._SAMPLED", 1)
        asked = []
        folder = index.store._picture_folder
        monkeypatch.setattr(index.store, "_picture_folder", lambda edition: asked.append(edition) or folder(edition))
        assert 0.5 * whole < index.status().bytes < 2 * whole
    assert len(asked) == 1


def test_a_file_that_became_damaged_takes_its_old_pages_along(library, open_index):
    index = open_index()
    index.add(library)
    (library / "bread.pdf").write_bytes(b"%PDF-1.7 nothing")
    assert index.refresh().failed == 1
    assert not any(name == "bread.pdf" for name, *_ in contents(index))


def test_a_missing_tool_is_asked_for_again_at_every_refresh(library, open_index, monkeypatch):
    docx.Document().save(str(library / "a.docx"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("VISIR_SOFFICE", "")
    index = open_index()
    index.add(library)
    [failure] = index.status().failures
    assert failure.state == "waiting"
    assert "install" in failure.reason
    assert index.refresh().failed == 1


def test_roots_that_are_gone_keep_their_documents(library, open_index):
    index = open_index()
    index.add(library)
    shutil.move(library, library.with_name("away"))
    told = []
    summary = index.refresh(Listeners(failure=lambda name, reason: told.append(reason)))
    assert summary.removed == 0
    assert "is not there" in told[0]
    assert len(contents(index)) == 5


def test_adding_one_folder_leaves_others_alone(library, tmp_path, open_index):
    other = tmp_path / "library-too"
    write_pdf(other / "chess.pdf", TOPICS["chess"])
    index = open_index()
    index.add(library, other)
    (library / "bread.pdf").unlink()
    assert index.add(other).removed == 0
    assert index.add(library).removed == 1


def test_what_does_not_exist_is_refused_and_nothing_changes(library, open_index):
    index = open_index()
    index.add(library)
    with pytest.raises(StoreError, match="does not exist"):
        index.add(library / "nonsense")
    assert len(contents(index)) == 5


def test_remove_takes_files_and_folders_out_with_their_pictures(library, open_index):
    index = open_index()
    index.add(library)
    assert index.remove(library / "bread.pdf") == 1
    assert index.remove(library) == 2
    assert contents(index) == set()
    assert not list((index.store.folder / "pictures").rglob("*.jpg"))
    assert index.status().roots == []


def test_an_index_remembers_its_model_and_refuses_another(library, open_index, tmp_path):
    index = open_index()
    index.add(library)
    index.store.settings["model"]["revision"] = "another"
    with pytest.raises(ModelMismatchError, match="visir rebuild"):
        index._check_model()


def test_rebuild_makes_the_same_index_anew(library, open_index, tmp_path):
    before = open_index()
    before.add(library)
    seen = contents(before)
    before.close()
    summary = Index.rebuild(tmp_path / "index")
    assert summary.indexed == 3
    assert contents(open_index()) == seen
    assert not (tmp_path / "index.replaced").exists()


def test_an_index_does_not_index_itself(library, open_index, tmp_path):
    index = Index.open(library / "visir")
    with index:
        index.add(library)
        assert index.add(library).files == 3


def test_what_killed_writers_left_is_swept_unless_a_writer_lives(library, open_index):
    index = open_index()
    index.add(library)
    row = index.store._pages.search().limit(1).to_arrow().to_pylist()[0]
    orphan = new_edition()
    index.store.add_pages([{**row, "edition": orphan}])
    assert len(contents(index)) == 5
    with index.store.writing():
        younger = new_edition()
        index.store.add_pages([{**row, "edition": younger}])
        index.store.sweep()
        assert index.store.count_pages(f"edition = {younger}") == 1
        assert index.store.count_pages(f"edition = {orphan}") == 0
    index.store.sweep()
    assert index.store.count_pages() == 5


class AnySequenceOfChanges(RuleBasedStateMachine):
    """After any changes and a refresh, the index holds what a fresh one would."""

    names = st.sampled_from(["rainfall", "rainfall-2", "bread", "bread-x/bread-2", "chess"])

    def __init__(self):
        super().__init__()
        import tempfile

        self.place = Path(tempfile.mkdtemp())
        self.folder = self.place / "library"
        self.folder.mkdir()
        self.index = Index.open(self.place / "index")
        self.clock = 1_000_000_000

    @rule(name=names, salt=st.integers(0, 2))
    def write(self, name, salt):
        path = write_pdf(self.folder / f"{name}.pdf", [*TOPICS[Path(name).name.split("-")[0]]], title="x" * salt)
        self.clock += 1
        os.utime(path, (self.clock, self.clock))

    @rule(name=names)
    def delete(self, name):
        (self.folder / f"{name}.pdf").unlink(missing_ok=True)

    @rule(name=names, target_name=st.sampled_from(["1", "2", "3"]))
    def rename(self, name, target_name):
        path = self.folder / f"{name}.pdf"
        if path.exists():
            path.rename(self.folder / f"{Path(name).name.split('-')[0]}-{target_name}.pdf")

    @rule()
    def refresh(self):
        self.index.add(self.folder)
        assert contents(self.index) == expected(self.folder)
        assert {Path(document.path).name for document in self.index.documents()} == {path.name for path in self.folder.rglob("*.pdf")}

    @invariant()
    def documents_and_pages_agree(self):
        counted = {}
        for name, page, *_ in contents(self.index):
            counted.setdefault(name, []).append(page)
        documents = {Path(document.path).name: document.pages for document in self.index.documents()}
        assert {name: len(pages) for name, pages in counted.items()} == documents

    def teardown(self):
        self.refresh()
        self.index.close()
        shutil.rmtree(self.place)


AnySequenceOfChanges.TestCase.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestAnySequenceOfChanges = AnySequenceOfChanges.TestCase


def test_pictures_are_kept_unread_without_tesseract_and_read_once_it_is_there(tmp_path, open_index, monkeypatch):
    import io

    from documents import TOPICS as topics
    from PIL import Image, ImageDraw, ImageFont

    from visir.capture.ocr import find_tesseract

    picture = Image.new("RGB", (700, 300), "white")
    ImageDraw.Draw(picture).text((20, 40), topics["chess"][0], "black", font=ImageFont.load_default(30))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    (tmp_path / "board.png").write_bytes(buffer.getvalue())
    index = open_index(model="text")
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "/nowhere")
    find_tesseract.cache_clear()
    assert index.add(tmp_path / "board.png").indexed == 1
    assert "install tesseract" in index.status().failures[0].reason
    assert index.refresh().unchanged == 1
    monkeypatch.setenv("PATH", path)
    find_tesseract.cache_clear()
    index.close()
    assert index.refresh().indexed == 1
    assert index.status().failures == []
    assert "Sicilian" in index.search("sicilian defence")[0].snippet
