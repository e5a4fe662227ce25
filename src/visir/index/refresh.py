"""Bring an index up to date with what is on disk: what is new, changed, renamed or gone."""

import contextlib
import errno
import hashlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from visir.capture import Worker
from visir.capture.kinds import kind_of_name
from visir.capture.ocr import find_tesseract
from visir.capture.worker import too_slow
from visir.errors import CaptureError, MissingToolError, PartialCaptureError
from visir.index.paths import is_address, is_below, name_of, path_of
from visir.index.store import Document, Store, new_edition, pack_boxes
from visir.language import guess_language
from visir.screenshot import Screenshot
from visir.unise.embedder import Embedder
from visir.unise.regions import RegionEmbedder

_EMBED_PAGES = 16
_COMMIT_PAGES = 256
_COMMIT_SECONDS = 5.0
_OPTIMISE_PAGES = 5_000
_MOST_TIME = 2**63 - 1


@dataclass
class Summary:
    """What a refresh did, and how far it is while it runs.

    Args:
        files: files found.
        done: files dealt with.
        indexed: files captured and embedded.
        unchanged: files left as they are.
        renamed: files known under another name, not embedded again.
        removed: documents whose files are gone.
        failed: files that could not be captured, or not whole.
        still_failing: files left as they are that failed before; `visir status` lists them.
        skipped: files of kinds that visir does not read.
        pages: pages embedded.
        current: the file at work.
        seconds: time taken.
        unreadable: folders that could not be looked into; what the index holds of them stays.
    """

    files: int = 0
    done: int = 0
    indexed: int = 0
    unchanged: int = 0
    renamed: int = 0
    removed: int = 0
    failed: int = 0
    still_failing: int = 0
    skipped: int = 0
    pages: int = 0
    current: str = ""
    seconds: float = 0.0
    unreadable: list[str] = field(default_factory=list)


@dataclass
class Listeners:
    """Functions that a refresh calls as it goes.

    Args:
        progress: called with the summary after every page and file.
        failure: called with a document's name and the reason for its failure.
    """

    progress: Callable[[Summary], None] = lambda summary: None
    failure: Callable[[str, str], None] = lambda name, reason: None


@dataclass(frozen=True)
class _Found:
    """A file as the walk found it."""

    name: str
    path: Path
    size: int = 0
    mtime: int = 0


@dataclass
class _Batch:
    """Pages and documents on their way into the store; documents become visible with their last page."""

    store: Store
    embedder: Embedder
    pages: list[tuple[int, Screenshot, dict[str, Any]]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    committed: float = field(default_factory=time.monotonic)

    def add(self, edition: int, shot: Screenshot, columns: dict[str, Any]) -> None:
        self.pages.append((edition, shot, columns))
        if len(self.pages) >= _EMBED_PAGES:
            self.embed()
        if len(self.rows) >= _COMMIT_PAGES:
            self.commit()

    def finish(self, document: Document, before: Document | None) -> None:
        self.documents.append(document)
        if before is not None and before.edition and before.edition != document.edition:
            self.replaced.append(before.edition)
        if time.monotonic() - self.committed > _COMMIT_SECONDS:
            self.commit()

    def forget(self, edition: int) -> None:
        self.pages = [page for page in self.pages if page[0] != edition]
        self.rows = [row for row in self.rows if row["edition"] != edition]
        self.replaced.append(edition)

    def embed(self) -> None:
        if not self.pages:
            return
        # A page whose words were read off its picture is embedded by its picture.
        shown = [replace(shot, text="", words=()) if columns["regions"] else shot for _, shot, columns in self.pages]
        vectors = self.embedder.encode_document(shown)
        rows = []
        for (edition, shot, columns), vector in zip(self.pages, vectors, strict=True):
            self.store.put_picture(edition, shot)
            boxes = pack_boxes([word.box for word in shot.words])
            row = {"edition": edition, "page": shot.page, "title": shot.title, "text": shot.text, "boxes": boxes, "vector": vector}
            rows.append(row | columns)
        # Both at once: Ctrl-C before this embeds the pages again, and no page must become two rows.
        self.rows, self.pages = self.rows + rows, []

    def commit(self) -> None:
        with _unbroken():
            self.embed()
            self.store.add_pages(self.rows)
            self.rows = []
            self.store.put_documents(self.documents)
            self.documents = []
            if self.replaced:
                self.store.drop_editions(self.replaced)
                self.replaced = []
            self.committed = time.monotonic()


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """Let Ctrl-C and a wish to end wait for a commit: the store writes on in its own threads, and would be given the same pages again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {number: signal.signal(number, lambda number, _: held.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if held:
        signal.raise_signal(held[0])


def refresh(store: Store, embedder: Embedder, worker: Worker, roots: Sequence[str], listeners: Listeners) -> Summary:
    """Make the index hold what is in the roots now.

    What was committed stays, whatever ends the refresh: an interrupt, an error or a kill; the next refresh goes on.

    Args:
        store: the index.
        embedder: the index's model.
        worker: captures the files.
        roots: names of files, folders and addresses.
        listeners: told about progress and failures.
    """
    started = time.monotonic()
    summary = Summary()
    with store.writing():
        store.sweep()
        known = {document.path: document for document in store.documents()}
        found = list(_walk(roots, summary, listeners))
        summary.files = len(found)
        listeners.progress(summary)
        batch = _Batch(store, embedder)
        run = _Run(store, worker, batch, known, {file.name for file in found}, summary, listeners)
        try:
            for file in found:
                run.file(file)
            _remove_gone(run, roots)
        finally:
            # Also on Ctrl-C: documents that are whole are kept.
            batch.commit()
            summary.seconds = time.monotonic() - started
        store.optimise()
    summary.current = ""
    summary.seconds = time.monotonic() - started
    return summary


@dataclass
class _Run:
    """One refresh: what is known, what was found, and what becomes of each file."""

    store: Store
    worker: Worker
    batch: _Batch
    known: dict[str, Document]
    present: set[str]
    summary: Summary
    listeners: Listeners

    since_optimised: int = 0

    @cached_property
    def gone(self) -> dict[str, list[Document]]:
        """Documents whose files are no longer there, by their content: a new file with that content is one of them renamed."""
        gone: dict[str, list[Document]] = {}
        # A rename that was broken off leaves its pages with two names, of which the new one counts.
        named = Counter(document.edition for document in self.known.values())
        for document in self.known.values():
            if (
                document.edition
                and named[document.edition] == 1
                and document.path not in self.present
                and not is_address(document.path)
                and not path_of(document.path).exists()
            ):
                gone.setdefault(document.content, []).append(document)
        return gone

    def file(self, file: _Found) -> None:
        self.summary.current = file.name
        before = self.known.get(file.name)
        if before is not None and not is_address(file.name) and self._same(before, file):
            self.summary.unchanged += 1
            self.summary.still_failing += before.state in ("failed", "slow", "partial")
        else:
            self._changed(file, before)
        self.summary.done += 1
        self.listeners.progress(self.summary)

    def _same(self, before: Document, file: _Found) -> bool:
        if before.state == "unread" and find_tesseract() is not None:
            return False
        if before.state == "slow" and before.reason != too_slow(self.worker.options.timeout):
            return False
        # What could not even be opened is tried again: its rights may have changed, which neither its size nor its time tells.
        tried = before.state != "waiting" and (before.state != "failed" or before.content != "")
        return tried and (before.size, before.mtime) == (file.size, file.mtime)

    def _changed(self, file: _Found, before: Document | None) -> None:
        try:
            content = "" if is_address(file.name) else _digest(file.path)
        except OSError as error:
            astray = isinstance(error, FileNotFoundError) and file.path.is_symlink()
            reason = "is a link that leads nowhere: mend or delete it" if astray else f"cannot be read: {error.strerror or error}"
            self._fail(file, before, "", CaptureError(file.name, reason))
            return
        if before is not None and content and before.content == content and before.state in ("ok", "partial"):
            self.batch.finish(replace(before, size=file.size, mtime=file.mtime), before)
            self.summary.unchanged += 1
            self.summary.still_failing += before.state == "partial"
        elif before is None and self.gone.get(content):
            self._rename(file, self.gone[content].pop())
        else:
            self._capture(file, before, content)

    def _rename(self, file: _Found, old: Document) -> None:
        self.batch.commit()
        with _unbroken():
            self.store.rename_pages(old.edition, file.name)
            self.store.put_documents([replace(old, path=file.name, size=file.size, mtime=file.mtime)])
            self.store.remove_documents([old.path])
        self.known.pop(old.path, None)
        self.summary.renamed += 1

    def _capture(self, file: _Found, before: Document | None, content: str) -> None:
        edition = new_edition()
        kind = _kind(file)
        changed = datetime.fromtimestamp(time.time() if is_address(file.name) else file.mtime / 1e9, UTC).date().isoformat()
        pages, wordless, title, reason = 0, 0, "", ""
        source = file.name if is_address(file.name) else str(file.path)
        try:
            for shot in self.worker.capture(source):
                pages, wordless, title = pages + 1, wordless + (not shot.words), title or shot.title
                shot, regions = self._read(shot)
                columns = {"path": file.name, "type": kind, "date": shot.date or changed, "language": guess_language(shot.text)}
                self.batch.add(edition, shot, {**columns, "regions": regions})
                self.summary.pages += 1
                self.listeners.progress(self.summary)
        except PartialCaptureError as error:
            reason = error.reason
        except CaptureError as error:
            self.batch.forget(edition)
            self._fail(file, before, content, error)
            return
        if not reason and self.worker.cut:
            reason = f"it was read no further than page {self.worker.options.max_pages:,}, which is the limit"
        if reason:
            self.listeners.failure(file.name, reason)
            self.summary.failed += 1
        else:
            self.summary.indexed += 1
        state = "partial" if reason else "ok"
        if state == "ok" and wordless and self.worker.options.ocr and find_tesseract() is None and not self._reader:
            # Not a failure: its pictures are kept, and it is read as soon as there is something to read it with.
            state, reason = (
                "unread",
                f"{wordless} of its pages have no words of their own: install tesseract (tesseract-ocr) and index again",
            )
        self.batch.finish(Document(file.name, edition, kind, file.size, file.mtime, content, pages, state, reason, title, _now()), before)
        self._optimise_now_and_then(pages)

    @property
    def _reader(self) -> RegionEmbedder | None:
        """The model, if it reads pictures by itself."""
        embedder = self.batch.embedder
        return embedder if isinstance(embedder, RegionEmbedder) else None

    def _read(self, shot: Screenshot) -> tuple[Screenshot, bytes]:
        """Have the model read a page whose source tells no words; returns the page with its words, and its regions packed."""
        if shot.words or self._reader is None:
            return shot, b""
        return self._reader.read(shot), self._reader.encode_regions([shot])[0].pack()

    def _fail(self, file: _Found, before: Document | None, content: str, error: CaptureError) -> None:
        if before is not None and before.state == "failed" and not content and before.reason == error.reason and not is_address(file.name):
            self.summary.unchanged += 1
            self.summary.still_failing += 1
            return
        if before is not None and before.edition and is_address(file.name):
            # A server that is away for a while must not empty the index.
            reason = f"{error.reason}; its pages of {before.indexed[:10]} are kept"
            self.listeners.failure(file.name, reason)
            self.summary.failed += 1
            self.batch.finish(replace(before, state="partial", reason=reason), before)
            return
        self.listeners.failure(file.name, error.reason)
        self.summary.failed += 1
        state = "slow" if error.reason == too_slow(self.worker.options.timeout) else "failed"
        state = "waiting" if isinstance(error, MissingToolError) else state
        kind = _kind(file)
        self.batch.finish(Document(file.name, 0, kind, file.size, file.mtime, content, 0, state, error.reason, "", _now()), before)

    def _optimise_now_and_then(self, pages: int) -> None:
        self.since_optimised += pages
        if self.since_optimised >= max(_OPTIMISE_PAGES, self.store.count_pages() // 20):
            self.batch.commit()
            self.store.optimise()
            self.since_optimised = 0


def _remove_gone(run: _Run, roots: Sequence[str]) -> None:
    folders = [root for root in roots if not is_address(root)]
    gone = [
        document
        for name, document in run.known.items()
        if name not in run.present
        and not is_address(name)
        and any(is_below(name, root) for root in folders)
        and not any(is_below(name, folder) for folder in run.summary.unreadable)
    ]
    remove(run.store, gone)
    run.summary.removed += len(gone)


def remove(store: Store, documents: Sequence[Document]) -> None:
    """Take documents out of the index, with their pages and pictures."""
    store.remove_documents([document.path for document in documents])
    # A rename that was broken off leaves an edition with two names: it stays as long as one of them does.
    live = set(store.live_editions().tolist())
    store.drop_editions([document.edition for document in documents if document.edition and document.edition not in live])


def _walk(roots: Iterable[str], summary: Summary, listeners: Listeners) -> Iterator[_Found]:
    """Yield the files in the roots, each once, folders in order of their names; links to folders are not followed."""
    seen: set[str] = set()
    for root in roots:
        if is_address(root):
            files: Iterable[Path] = ()
            if root not in seen:
                seen.add(root)
                yield _Found(root, Path())
        elif path_of(root).is_dir():
            files = _files(path_of(root), summary, listeners)
        else:
            files = (path_of(root),)
        for path in files:
            name = name_of(path)
            if name in seen:
                continue
            seen.add(name)
            try:
                facts = path.stat()
            except OSError as error:
                # Also a link that leads nowhere or in a circle: capturing it will say so.
                yield _Found(name, path, -1, error.errno or 0)
                continue
            # A file may be of a time that no table holds.
            yield _Found(name, path, facts.st_size, max(-_MOST_TIME, min(facts.st_mtime_ns, _MOST_TIME)))


def _files(folder: Path, summary: Summary, listeners: Listeners) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        summary.failed += 1
        summary.unreadable.append(name_of(Path(os.fsdecode(error.filename))))
        reason = f"this folder cannot be read: {error.strerror}; what the index holds of it stays"
        listeners.failure(summary.unreadable[-1], reason)

    for here, folders, files in os.walk(folder, onerror=refused):
        if not os.access(here, os.X_OK):
            # It tells names, and lets nobody look at what they stand for.
            refused(PermissionError(errno.EACCES, os.strerror(errno.EACCES), here))
            folders[:] = []
            continue
        # Hidden folders hold caches and histories, and an index does not index itself.
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not os.path.exists(os.path.join(here, name, "documents.lance"))
        )
        for name in sorted(files):
            path = Path(here, name)
            if name.startswith(".") or not kind_of_name(path):
                summary.skipped += 1
            elif path.is_file() or path.is_symlink():
                yield path
            else:
                summary.skipped += 1


def _digest(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise OSError("it is not a regular file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _kind(file: _Found) -> str:
    """Return a document's kind by its name; an address that promises no other kind leads to a web page."""
    if is_address(file.name):
        return kind_of_name(Path(urlsplit(file.name).path)) or "web"
    return kind_of_name(file.path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
