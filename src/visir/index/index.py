"""One index, from outside: open it, add to it, search it."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from visir.capture import CaptureOptions, Worker
from visir.errors import ModelMismatchError, StoreError
from visir.index import refresh as refreshing
from visir.index.paths import is_address, is_below, name_of, path_of
from visir.index.refresh import Listeners, Summary
from visir.index.search import SearchOptions, search
from visir.index.store import Document, Store, quote, replaced_place
from visir.screenshot import Hit, Query, Screenshot
from visir.unise.embedder import DEFAULT_MODEL, Embedder, load_embedder, shipped_models


@dataclass(frozen=True)
class Status:
    """What an index holds.

    Args:
        folder: where it is.
        model: name of its model.
        documents: number of documents with pages.
        pages: number of pages.
        by_type: documents by type.
        roots: the folders, files and addresses that were indexed.
        failures: documents that failed, wholly or in part, with their reasons.
        bytes: size on disk; an estimate where there are many documents.
        being_written: whether a process is indexing now.
    """

    folder: str
    model: str
    documents: int
    pages: int
    by_type: dict[str, int]
    roots: list[str]
    failures: list[Document]
    bytes: int
    being_written: bool


class Index:
    """Pages of documents, kept in a folder, found by text, by pictures, or by both.

    ::

        index = Index.open("my-index")
        index.add("papers/", "https://example.org/")
        for hit in index.search("chart of rainfall"):
            print(hit.score, hit.uri, hit.page)

    Use `Index.open`; the index closes its worker process at the end of a ``with`` block or by `close`.
    """

    def __init__(self, store: Store, model: str, options: CaptureOptions | None = None) -> None:
        self.store = store
        self._model = model
        self._options = options or CaptureOptions()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], model: str = "", options: CaptureOptions | None = None, create: bool = True) -> "Index":
        """Open an index, or make one.

        Args:
            folder: where the index is kept.
            model: name or folder of the model; the index's own, or visir's default for a new one, where empty.
            options: how documents are captured.
            create: make the index if there is none.

        Raises:
            StoreError: there is no index, or it is damaged.
            ModelMismatchError: the index was built with another model.
        """
        place = Path(folder)
        if not create or (place / "index.json").exists() or replaced_place(place).exists():
            store = Store(place)
            named = store.settings["model"]["source"]
            index = cls(store, model or named, options)
            if model and _lasting(model) != named:
                index._check_model()
            return index
        model = _lasting(model or DEFAULT_MODEL)
        embedder = load_embedder(model)
        store = Store.create(place, {"source": model, "name": embedder.name, "revision": embedder.revision, "dim": embedder.dim})
        index = cls(store, model, options)
        index.__dict__["embedder"] = embedder
        return index

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process that captures documents."""
        worker = self.__dict__.pop("_worker", None)
        if worker is not None:
            worker.close()

    @cached_property
    def embedder(self) -> Embedder:
        """The model, loaded when first needed.

        Raises:
            ModelMismatchError: it is not the one that the index was built with.
        """
        return self._check_model()

    def _check_model(self) -> Embedder:
        embedder = load_embedder(self._model)
        built = self.store.settings["model"]
        if (embedder.name, embedder.revision) != (built["name"], built["revision"]):
            raise ModelMismatchError(
                f"{self.store.folder} was built with {built['name']} ({built['revision']}), not {embedder.name} ({embedder.revision}): "
                f"vectors of different models cannot be compared; `visir rebuild --model {self._model}` builds it anew"
            )
        return embedder

    @cached_property
    def _worker(self) -> Worker:
        # Words matter to a model that cannot see; one that can is not worth a second of reading a page.
        reads_text = self.embedder.reads == "text"
        return Worker(replace(self._options, ocr=self._options.ocr or reads_text))

    def capture(self, source: str | os.PathLike[str]) -> Screenshot:
        """Capture the first page of a source as this index's documents are captured, to search with it.

        Raises:
            CaptureError: the source cannot be captured.
        """
        named = os.fspath(source)
        if not is_address(named):
            named = os.path.abspath(named)  # the process that captures may stand in another folder
        pages = self._worker.capture(named)
        try:
            return replace(next(pages), uri=named if is_address(named) else name_of(Path(named)))
        finally:
            pages.close()  # type: ignore[attr-defined]

    def add(self, *sources: str | os.PathLike[str], listeners: Listeners | None = None, remember: bool = True) -> Summary:
        """Index files, folders and web addresses, and remember them for `refresh`.

        Unchanged files cost nothing; documents whose files are gone from these folders are removed.

        Args:
            sources: what to index.
            listeners: told about progress and failures.
            remember: without it `refresh` does not know the sources; for files that lie in a folder that was added.

        Raises:
            StoreError: a source does not exist.
        """
        roots = [self.root_of(source) for source in sources]
        for root in roots if remember else ():
            self.store.add_root(root)
        return refreshing.refresh(self.store, self.embedder, self._worker, roots, listeners or Listeners())

    @staticmethod
    def root_of(source: str | os.PathLike[str]) -> str:
        """Return the name of a source as the index keeps it.

        Raises:
            StoreError: it does not exist.
        """
        named = os.fspath(source)
        if is_address(named):
            return named
        if not os.path.lexists(named):
            raise StoreError(f"{named} does not exist: nothing was changed; what the index holds of it, `visir remove` takes out")
        return name_of(Path(named))

    def inside(self, source: str | os.PathLike[str]) -> str:
        """Return the filter that holds for the documents in a source."""
        root = self.root_of(source)
        if is_address(root):
            return f"path = {quote(root)} OR starts_with(path, {quote(root)})"
        # Names that are not UTF-8 stand in the index as addresses.
        below = {root.rstrip(os.sep) + os.sep, path_of(root).as_uri().rstrip("/") + "/"}
        return " OR ".join([f"path = {quote(root)}", *(f"starts_with(path, {quote(top)})" for top in sorted(below))])

    @classmethod
    def rebuild(
        cls, folder: str | os.PathLike[str], model: str = "", options: CaptureOptions | None = None, listeners: Listeners | None = None
    ) -> Summary:
        """Build an index anew beside the old one, from all that was ever added, and put it in its place when it is whole.

        Args:
            folder: the index.
            model: name or folder of the model for the new one; the old one's where empty.
            options: how documents are captured.
            listeners: told about progress and failures.

        Raises:
            StoreError: something that was added is not there any more, or an address cannot be captured anew; the old index stays.
        """
        place = Path(os.path.abspath(folder))
        fresh_place, old_place = place.with_name(place.name + ".rebuilt"), replaced_place(place)
        if old_place.exists():
            # A rebuild was killed at its end: between the two renames, or while the old index was deleted.
            if (place / "index.json").exists():
                shutil.rmtree(old_place)
            else:
                old_place.rename(place)
        old = Store(place)
        roots = old.roots()
        for root in roots:
            if not is_address(root) and not path_of(root).exists():
                raise StoreError(f"{root} is not there, and its documents would be lost: nothing was changed; `visir remove` takes it out")
        with cls.open(fresh_place, model or old.settings["model"]["source"], options) as fresh:
            summary = fresh.add(*(root if is_address(root) else path_of(root) for root in roots), listeners=listeners)
            held = {document.path for document in old.documents() if document.pages}
            lost = [
                document for document in fresh.documents() if not document.pages and is_address(document.path) and document.path in held
            ]
        if lost:
            raise StoreError(
                f"{lost[0].path} {lost[0].reason}: the index stays as it was, and the next rebuild goes on; `visir remove` takes it out"
            )
        place.rename(old_place)
        fresh_place.rename(place)
        shutil.rmtree(old_place)
        return summary

    def refresh(self, listeners: Listeners | None = None, named: Sequence[str] | None = None) -> Summary:
        """Bring everything that was ever added up to date; web addresses are left as they were captured.

        Args:
            listeners: told about progress and failures.
            named: only these, by the names that `root_of` gives.
        """
        roots = [root for root in (self.store.roots() if named is None else named) if not is_address(root)]
        present = [root for root in roots if path_of(root).exists()]
        listeners = listeners or Listeners()
        for root in roots:
            if root not in present:
                # A drive that is not mounted must not empty the index.
                listeners.failure(root, "is not there: its documents stay in the index; `visir remove` takes them out")
        summary = refreshing.refresh(self.store, self.embedder, self._worker, present, listeners)
        summary.failed += len(roots) - len(present)
        return summary

    def remove(self, *sources: str | os.PathLike[str]) -> int:
        """Take documents out of the index; their files stay. Returns how many there were.

        Args:
            sources: files, folders with all that is in them, and web addresses.
        """
        tops = [named if is_address(named) else name_of(Path(named)) for named in (os.fspath(source) for source in sources)]
        gone = [document for document in self.store.documents() if any(is_below(document.path, top) for top in tops)]
        refreshing.remove(self.store, gone)
        self.store.remove_roots(lambda root: any(is_below(root, top) for top in tops))
        return len(gone)

    def search(self, query: "Query | str", options: SearchOptions | None = None, **choices: Any) -> list[Hit]:
        """Return the pages that answer a query, best first.

        Args:
            query: text, or a `Query` with text, a picture, or both.
            options: see `SearchOptions`; its fields may be given as keywords instead.
            choices: fields of `SearchOptions`.

        Raises:
            QueryError: the query is empty, or the filter makes no sense.
        """
        asked = Query(query) if isinstance(query, str) else query
        return search(self.store, self.embedder, asked, options or SearchOptions(**choices))

    def status(self) -> Status:
        """Say what the index holds and what failed."""
        documents = self.store.documents()
        whole = [document for document in documents if document.pages]
        return Status(
            folder=str(self.store.folder),
            model=self.store.settings["model"]["name"],
            documents=len(whole),
            pages=sum(document.pages for document in whole),
            by_type=dict(Counter(document.type for document in whole).most_common()),
            roots=self.store.roots(),
            failures=[document for document in documents if document.reason],
            bytes=self.store.bytes_on_disk(documents),
            being_written=self.store.is_being_written(),
        )

    def documents(self) -> Sequence[Document]:
        """Return the documents, failed ones included."""
        return self.store.documents()


def _lasting(model: str) -> str:
    """Return a name for a model that means the same in any folder."""
    return os.path.abspath(model) if model not in shipped_models() and os.path.isdir(model) else model
