"""What an index keeps on disk: two LanceDB tables, and the pictures of the pages beside them.

    INDEX/index.json             model, version of this layout, the folders that were indexed
    INDEX/documents.lance        a row a document: where it is, what it looked like, how capturing it went
    INDEX/pages.lance            a row a page: words, boxes, vector, and regions where the words were read off the picture
    INDEX/pictures/EDITION/N.jpg the picture of page N
    INDEX/writers/               a locked file for each process that is indexing
    INDEX/upkeep.json            how many vectors came since the vector index was built

Every capture of a document is an *edition* with a number of its own. Pages carry their edition; a document's row names the
edition that counts. So writing that row is the one moment at which a document appears or is replaced, whole: pages
of an edition that no document names are invisible, whether their writer is still at work or was killed.
"""

import asyncio
import json
import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

# LanceDB's engine prints warnings of its own on stderr, which is for people.
os.environ.setdefault("LANCEDB_LOG", "error")

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, Bitmap, BTree, HnswSq
from lancedb.query import AsyncFTSQuery, AsyncVectorQuery, MultiMatchQuery
from numpy.typing import NDArray

from visir.errors import StoreError
from visir.index.filters import filter_errors, in_words
from visir.index.locks import LockedFile
from visir.screenshot import Box, Screenshot

LAYOUT = 2
VECTOR_INDEX_ROWS = 10_000
_KEEP_VERSIONS = timedelta(minutes=5)
# An index that grows gets a part for what is new at every upkeep, which costs a query 0.3 ms where it is small and 1.3 ms where it
# holds 5,000 rows; building a million rows anew takes 27 CPU minutes. So that waits for some parts and a tenth of new rows, or for very
# many parts.
_MAX_INDEX_PARTS = 8
_MOST_INDEX_PARTS = 64
_NEW_SHARE = 0.1
_UNKNOWN_ROWS = 256
_SAMPLED = 500
_MAX_PIECES = 64
# All partitions of an index up to two million pages: it is the graph within them that saves time.
_PROBES = 20
_PLACE = ("edition", "path", "page")
_WHOLE = (*_PLACE, "title", "text", "boxes", "regions", "vector")
_TRIES = 8
_EDITION = re.compile("[0-9a-f]{1,16}")
_T = TypeVar("_T")
_Question: TypeAlias = AsyncVectorQuery | AsyncFTSQuery | None
_log = logging.getLogger(__name__)
_last_edition = 0
_numbering = threading.Lock()

DOCUMENTS = pa.schema(
    [
        ("path", pa.string()),
        ("edition", pa.int64()),
        ("type", pa.string()),
        ("size", pa.int64()),
        ("mtime", pa.int64()),
        ("content", pa.string()),
        ("pages", pa.int32()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("title", pa.string()),
        ("indexed", pa.string()),
    ]
)


_NOTHING = pa.schema([("edition", pa.int64()), ("path", pa.string()), ("page", pa.int32()), ("_score", pa.float32())]).empty_table()


def page_schema(dim: int) -> pa.Schema:
    """Return the columns of the table of pages, for vectors of length ``dim``."""
    return pa.schema(
        [
            ("edition", pa.int64()),
            ("path", pa.string()),
            ("page", pa.int32()),
            ("type", pa.string()),
            ("date", pa.string()),
            ("language", pa.string()),
            ("title", pa.string()),
            ("text", pa.string()),
            ("boxes", pa.binary()),
            ("regions", pa.binary()),
            ("vector", pa.list_(pa.float32(), dim)),
        ]
    )


@dataclass(frozen=True)
class Document:
    """A row of the table of documents.

    Args:
        path: absolute path or address; see `visir.index.paths`.
        edition: number of the capture whose pages count; 0 where there are none.
        type: kind of document, as in `visir.capture.kinds`.
        size: bytes.
        mtime: time of the last change in nanoseconds.
        content: digest of the file's bytes.
        pages: number of pages.
        state: ``"ok"``, ``"partial"`` (some pages failed, or a web address could not be captured anew), ``"failed"``, ``"slow"`` (given up
            at the time limit), ``"waiting"`` (for a program to be installed) or ``"unread"`` (its pages are kept, but tesseract is
            missing to read words on them).
        reason: why it is not ``"ok"``.
        title: title of the document.
        indexed: when, as ISO time in UTC.
    """

    path: str
    edition: int
    type: str
    size: int
    mtime: int
    content: str
    pages: int
    state: str
    reason: str
    title: str
    indexed: str


def new_edition() -> int:
    """Return a number that no other capture has; within a process each is greater than those before."""
    global _last_edition
    with _numbering:
        _last_edition = max(_last_edition + 1, time.time_ns() // 1_000_000 << 20 | random.getrandbits(20))
        return _last_edition


def pack_boxes(boxes: Sequence[Box]) -> bytes:
    """Pack boxes at a resolution of 1/65535 of the page, 8 bytes each."""
    return np.rint(np.asarray(boxes, np.float64).reshape(-1, 4) * 65535).astype("<u2").tobytes()


def unpack_boxes(packed: bytes) -> NDArray[np.float64]:
    """Return packed boxes as an array of shape (n, 4), in fractions of the page."""
    return np.frombuffer(packed, "<u2").reshape(-1, 4) / 65535


def quote(text: str) -> str:
    """Write a text as a literal of a filter."""
    return "'" + text.replace("'", "''") + "'"


def without_page(where: str, uri: str, page: int) -> str:
    """Return a filter that holds where another does, or everywhere if that is empty, but for one page."""
    others = f"NOT (path = {quote(uri)} AND page = {page})"
    return f"({where}) AND {others}" if where else others


def one_of(column: str, values: Iterable[str | int]) -> str:
    """Write the filter ``column IN (values)``; true for nothing where there are none."""
    listed = ", ".join(quote(value) if isinstance(value, str) else str(value) for value in values)
    return f"{column} IN ({listed})" if listed else "false"


class Store:
    """The tables and pictures of one index. Several processes may read and write at once.

    Args:
        folder: an index folder that `Store.create` made.

    Raises:
        StoreError: the folder is not an index, or one of a newer visir.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.settings: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise StoreError(f"{folder / 'index.json'} is damaged: delete {folder} and index again") from error
        except OSError as error:
            if replaced_place(folder).exists():
                raise StoreError(f"a rebuild of {folder} was broken off at its end: `visir rebuild` ends it") from error
            raise StoreError(f"there is no index in {folder}: make one with `visir index PATH`") from error
        if self.settings.get("layout") != LAYOUT:
            raise StoreError(f"{folder} was written by another version of visir: update visir, or delete the folder and index again")
        try:
            latest: dict[str, Any] = {"read_consistency_interval": timedelta(0), "session": lancedb.Session()}
            database = lancedb.connect(str(folder), **latest)
            self._documents = database.open_table("documents")
            self._pages = database.open_table("pages")
            # A search asks several things at once, which the blocking tables cannot.
            searched = _run(lancedb.connect_async(str(folder), **latest))
            self._searched_documents = _run(searched.open_table("documents"))
            self._searched_pages = _run(searched.open_table("pages"))
        except (ValueError, OSError, RuntimeError) as error:
            raise StoreError(f"{folder} is damaged ({str(error).splitlines()[0][:120]}): delete the folder and index again") from error
        self._live: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))
        self._indexed: frozenset[str] = frozenset()

    @classmethod
    def create(cls, folder: Path, model: dict[str, Any]) -> "Store":
        """Make an empty index for the vectors of a model, or open the one that is there."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with LockedFile(folder / "create.lock"):
                if not (folder / "index.json").exists():
                    database = lancedb.connect(str(folder))
                    with suppress(ValueError, RuntimeError):
                        if database.open_table("pages").count_rows():
                            raise StoreError(
                                f"{folder} holds pages, but its index.json, which says what model made them, is gone: delete the folder"
                            )
                    database.create_table("documents", schema=DOCUMENTS, mode="overwrite")
                    database.create_table("pages", schema=page_schema(model["dim"]), mode="overwrite")
                    # Written last: a folder without it is not an index, and is made anew.
                    _write_json(folder / "index.json", {"layout": LAYOUT, "model": model, "roots": []})
        except OSError as error:
            raise StoreError(f"no index can be kept in {folder}: {error.strerror or error}; name another folder with --index") from error
        return cls(folder)

    def roots(self) -> list[str]:
        """Return the folders, files and addresses that were indexed on request, by any process."""
        roots: list[str] = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))["roots"]
        return roots

    def add_root(self, root: str) -> None:
        """Remember a folder or file that was indexed on request."""
        with LockedFile(self.folder / "create.lock"):
            settings = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
            if root not in settings["roots"]:
                settings["roots"].append(root)
                _write_json(self.folder / "index.json", settings)
        self.settings = settings

    def remove_roots(self, gone: Callable[[str], bool]) -> None:
        """Forget roots."""
        with LockedFile(self.folder / "create.lock"):
            settings = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
            settings["roots"] = [root for root in settings["roots"] if not gone(root)]
            _write_json(self.folder / "index.json", settings)
        self.settings = settings

    # Documents

    def documents(self, where: str | None = None) -> list[Document]:
        """Return the rows of the table of documents."""
        query = self._documents.search()
        if where:
            query = query.where(where)
        return [Document(**row) for row in query.limit(self._documents.count_rows() + 1_000_000).to_arrow().to_pylist()]

    def put_documents(self, documents: Sequence[Document]) -> None:
        """Insert or replace documents by path: the moment at which their pages appear and those of before vanish."""
        if not documents:
            return
        rows = pa.Table.from_pylist([vars(document) for document in documents], schema=DOCUMENTS)
        merge = self._documents.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
        # Two merges at once would each insert a document that is new to both: LanceDB sees no conflict in that.
        with LockedFile(self.folder / "documents.lock"):
            self._documents.checkout_latest()
            _persist(lambda: merge.execute(rows))

    def remove_documents(self, paths: Sequence[str]) -> None:
        """Forget documents by path; their pages vanish with them."""
        for start in range(0, len(paths), 500):
            chosen = one_of("path", paths[start : start + 500])
            _persist(lambda chosen=chosen: self._documents.delete(chosen))  # type: ignore[misc]

    def rename_pages(self, edition: int, path: str) -> None:
        """Give the pages of an edition another path."""
        _persist(lambda: self._pages.update(where=f"edition = {edition}", values={"path": path}))

    # Pages

    def add_pages(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append pages; they stay invisible until a document names their edition."""
        if rows:
            table = pa.Table.from_pylist(list(rows), schema=self._pages.schema)
            _persist(lambda: self._pages.add(table))

    def drop_editions(self, editions: Sequence[int]) -> None:
        """Delete the pages and pictures of editions."""
        for start in range(0, len(editions), 500):
            chosen = one_of("edition", editions[start : start + 500])
            _persist(lambda chosen=chosen: self._pages.delete(chosen))  # type: ignore[misc]
        for edition in editions:
            shutil.rmtree(self._picture_folder(edition), ignore_errors=True)

    def live_editions(self) -> NDArray[np.int64]:
        """Return the editions whose pages count, sorted."""
        return _run(self._live_editions())

    async def _live_editions(self) -> NDArray[np.int64]:
        version = await self._searched_documents.version()
        if self._live[0] != version:
            column = (await self._searched_documents.query().select(["edition"]).to_arrow())["edition"]
            self._live = (version, np.unique(column.to_numpy()))
        return self._live[1]

    def is_live(self, editions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of each edition whether its pages count."""
        return np.isin(editions, self.live_editions())

    def count_pages(self, where: str | None = None) -> int:
        """Count the rows of the table of pages, those that do not count included.

        Raises:
            QueryError: the filter makes no sense.
        """
        with filter_errors(where):
            return int(self._pages.count_rows(where))

    def find(self, vector: NDArray[np.float32], words: str, count: int, where: str = "") -> tuple[pa.Table, pa.Table]:
        """Return the pages that count: those nearest to a vector, and those that hold most of some words.

        The columns are what a search needs of a page, and ``_distance`` (1 - cosine), or ``_score`` (BM25 over text and title). A document
        that is replaced meanwhile is found in one edition.

        Args:
            vector: of length 1.
            words: with blanks between them; none where empty.
            count: pages wanted of each kind.
            where: an SQL condition, or empty.

        Raises:
            QueryError: the filter makes no sense.
        """
        met = excluded = np.zeros(0, np.int64)
        while True:
            # Pages of unfinished or replaced editions are asked away once they were met.
            away = f"NOT ({one_of('edition', excluded.tolist())})" if len(excluded) else ""
            condition = " AND ".join(part for part in (f"({where})" if where else "", away) if part)
            (near, matching), live = self._ask(
                where, self._nearest(vector, count, condition, _WHOLE), self._matching(words, count, condition, _WHOLE)
            )
            found = np.concatenate([near["edition"].to_numpy(), matching["edition"].to_numpy()])
            # One look at what counts judges both: what was found, and what was not looked at since it did not count before.
            if np.isin(found, live).all() and not np.isin(excluded, live).any():
                return near, matching
            met = np.union1d(met, found)
            excluded = np.setdiff1d(met, live)

    def nearest(self, vector: NDArray[np.float32], count: int, where: str = "") -> pa.Table:
        """Return the places of the nearest pages, those that do not count included: edition, path, page, ``_distance``; see `find`."""
        return self._ask(where, self._nearest(vector, count, where, _PLACE))[0][0]

    def matching(self, words: str, count: int, where: str = "") -> pa.Table:
        """Return the places of the pages that hold most of the words, as `nearest` does, with ``_score``."""
        return self._ask(where, self._matching(words, count, where, _PLACE))[0][0]

    def _nearest(self, vector: NDArray[np.float32], count: int, where: str, columns: Sequence[str]) -> _Question:
        query = self._searched_pages.query().nearest_to(vector).column("vector").distance_type("cosine")
        query = query.select([*columns, "_distance"]).limit(count)
        if self._has_index("vector"):
            # LanceDB searches a small set that passes a filter exactly by itself, and 20 times faster than without the index.
            query = query.nprobes(_PROBES).ef(max(200, 4 * count))
            # The index keeps vectors in 8 bits. Whoever takes the vectors along compares them exactly.
            query = query if "vector" in columns else query.refine_factor(4)
        return query.where(where) if where else query

    def _matching(self, words: str, count: int, where: str, columns: Sequence[str]) -> _Question:
        if not words or not self._has_index("text"):
            return None
        query = self._searched_pages.query().nearest_to_text(MultiMatchQuery(words, ["text", "title"]))
        query = query.select([*columns, "_score"]).limit(count)
        return query.where(where) if where else query

    def _ask(self, where: str, *questions: _Question) -> tuple[list[pa.Table], NDArray[np.int64]]:
        """Ask everything at once; return the answers, and the editions that count meanwhile."""

        async def ask() -> list[Any]:
            asked = [self._live_editions(), *(question.to_arrow() for question in questions if question)]
            # All are waited for, also when one fails: a process that ends while LanceDB still works on another is killed by a signal.
            told = await asyncio.gather(*asked, return_exceptions=True)
            for answer in told:
                if isinstance(answer, BaseException):
                    raise answer
            return told

        with filter_errors(where):
            live, *told = _run(ask())
        answers = iter(told)
        return [next(answers) if question else _NOTHING for question in questions], live

    def scan_pages(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Return columns of all pages that count, each document's of one edition."""
        wanted = list(dict.fromkeys([*columns, "edition"]))
        while True:
            # What counted before has all its pages in the table, except those of a document that was replaced and swept meanwhile.
            live = self.live_editions()
            query = self._pages.search().select(wanted)
            if where:
                query = query.where(where)
            with filter_errors(where):
                table = query.limit(self._pages.count_rows() + 1_000_000).to_arrow()
            editions = table["edition"].to_numpy()
            if self.is_live(np.setdiff1d(live, editions)).all():
                return table.filter(pa.array(np.isin(editions, live)))

    # Pictures

    def _picture_folder(self, edition: int) -> Path:
        # Two levels: a file system dislikes a hundred thousand folders in one.
        return Path(f"{self.folder}/pictures/{edition % 256:02x}/{edition:x}")

    def picture(self, edition: int, page: int) -> Path:
        """Return where the picture of a page is kept."""
        return Path(f"{self._picture_folder(edition)}/{page}.jpg")

    def put_picture(self, edition: int, shot: Screenshot) -> None:
        """Keep the picture of a page."""
        path = self.picture(edition, shot.page)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(shot.encoded)
        except OSError as error:
            raise StoreError(f"the index cannot be written: {path}: {error.strerror or error}") from error

    def bytes_on_disk(self, documents: Sequence[Document]) -> int:
        """Return the size of the index; the pictures of many documents are estimated by those of some.

        Args:
            documents: those that the index holds.
        """
        drawn = [document for document in documents if document.pages]
        some = drawn[:: max(1, len(drawn) // _SAMPLED)]
        pictures = sum(_bytes_in(self._picture_folder(document.edition)) for document in some)
        seen = sum(document.pages for document in some)
        every = sum(document.pages for document in drawn)
        return sum(map(_bytes_in, self.folder.glob("*.lance"))) + (pictures * every // seen if seen else 0)

    # Upkeep

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Announce a writer for as long as the block runs, so that nobody sweeps its unfinished pages away."""
        folder = self.folder / "writers"
        folder.mkdir(exist_ok=True)
        mark = folder / f"{new_edition():x}.lock"
        with LockedFile(mark):
            # A sweep between its making and its locking takes it for a dead writer's.
            if not mark.exists():
                with self.writing():
                    yield
                return
            yield
        with suppress(OSError):
            mark.unlink()

    def is_being_written(self) -> bool:
        """Say whether a process is indexing into this index now."""
        return any(LockedFile.is_held(mark) for mark in (self.folder / "writers").glob("*.lock"))

    def sweep(self) -> int:
        """Delete what killed writers left behind: pages and pictures of editions that no document names.

        Editions younger than the oldest writer at work are left alone. Returns the number of editions deleted.
        """
        oldest = new_edition()
        for mark in (self.folder / "writers").glob("*.lock"):
            if LockedFile.is_held(mark):
                oldest = min([oldest, *_editions([mark])])
            else:
                with suppress(OSError):
                    mark.unlink()
        rows = self._pages.search().select(["edition"]).limit(self._pages.count_rows() + 1_000_000).to_arrow()
        kept = set(np.unique(rows["edition"].to_numpy()).tolist())
        drawn = set(_editions((self.folder / "pictures").glob("*/*")))
        live = set(self.live_editions().tolist())
        dead = [edition for edition in (kept | drawn) - live if edition < oldest]
        self.drop_editions(dead)
        return len(dead)

    def optimise(self) -> None:
        """Bring the search structures up to date, merge small files, and drop versions older than five minutes.

        Does nothing where little has changed: pages that the structures do not know yet are searched one by one.
        """
        if self._pages.count_rows() == 0:
            return
        with LockedFile(self.folder / "optimise.lock", wait=False) as mine:
            if not mine:
                return
            for column, config in (
                ("text", _words_index()),
                ("title", _words_index()),
                ("edition", BTree()),
                ("path", BTree()),
                ("type", Bitmap()),
                ("date", BTree()),
                ("language", Bitmap()),
            ):
                if not self._has_index(column):
                    self._create_index(column, config)
            if not self._is_upkeep_due():
                return
            new = self._new_vectors()
            for table in (self._pages, self._documents):
                with suppress(RuntimeError, ValueError, OSError):  # another process's commit came between; the next time will do
                    table.optimize(cleanup_older_than=_KEEP_VERSIONS)
            # Last: an index that is there while files are merged has to be made anew with them.
            if self._is_vector_index_due(new):
                partitions = max(1, self._pages.count_rows() // 100_000)
                config = HnswSq(distance_type="cosine", num_partitions=partitions, m=16, ef_construction=150)
                self._create_index("vector", config)
                new = 0
            _write_json(self.folder / "upkeep.json", {"new_vectors": new})

    def _is_upkeep_due(self) -> bool:
        if self._pages.count_rows() >= VECTOR_INDEX_ROWS and not self._has_index("vector"):
            return True
        unknown = self._pages.index_stats("edition_idx").num_unindexed_rows
        pieces = max(table.stats()["fragment_stats"]["num_fragments"] for table in (self._pages, self._documents))
        return bool(unknown > max(_UNKNOWN_ROWS, self._pages.count_rows() // 200) or pieces > _MAX_PIECES)

    def _is_vector_index_due(self, new: int) -> bool:
        rows, parts = int(self._pages.count_rows()), self._vector_index_parts()
        if rows < VECTOR_INDEX_ROWS or not parts:
            return rows >= VECTOR_INDEX_ROWS
        return parts > _MOST_INDEX_PARTS or (parts > _MAX_INDEX_PARTS and new >= _NEW_SHARE * rows)

    def _new_vectors(self) -> int:
        """Count the vectors that came since the vector index was built: those in its later parts, and those in none yet."""
        try:
            known = int(json.loads((self.folder / "upkeep.json").read_text(encoding="utf-8"))["new_vectors"])
        except (OSError, ValueError, KeyError):
            known = 0
        stats = self._vector_index()
        return known + (int(stats.num_unindexed_rows) if stats else 0)

    def _vector_index_parts(self) -> int:
        stats = self._vector_index()
        return int(stats.num_indices or 1) if stats else 0

    def _vector_index(self) -> Any:
        """Return what LanceDB tells of the vector index, or ``None`` where there is none."""
        names = [index.name for index in self._pages.list_indices() if "vector" in index.columns]
        return self._pages.index_stats(names[0]) if names else None

    def _create_index(self, column: str, config: Any) -> None:
        _persist(lambda: self._pages.create_index(column, config=config, replace=True))

    def _has_index(self, column: str) -> bool:
        # An index that was made is only ever replaced, so that its being there need not be asked twice.
        if column not in self._indexed:
            self._indexed = frozenset(name for index in self._pages.list_indices() for name in index.columns)
        return column in self._indexed


def _words_index() -> FTS:
    return FTS(with_position=False, stem=False, remove_stop_words=False, ascii_folding=True, lower_case=True)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="index", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Do what is written for an event loop, from any thread that is none."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


def _persist(commit: Callable[[], _T]) -> _T:
    """Try a commit again when another process's came between."""
    for attempt in range(_TRIES):
        try:
            return commit()
        except (RuntimeError, OSError, ValueError) as error:
            message = str(error)
            if "onflict" not in message or attempt == _TRIES - 1:
                if isinstance(error, ValueError):
                    raise
                raise StoreError(f"the index cannot be written: {in_words(error)}") from error
            _log.debug("commit conflict, attempt %d", attempt)
            time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))
    raise AssertionError("unreachable")


def replaced_place(folder: Path) -> Path:
    """Return where an index stands while a rebuilt one takes its place."""
    place = Path(os.path.abspath(folder))
    return place.with_name(place.name + ".replaced")


def _editions(paths: Iterable[Path]) -> Iterator[int]:
    """Yield the editions that names stand for; other programs may leave files of their own beside them."""
    for path in paths:
        if _EDITION.fullmatch(path.stem):
            yield int(path.stem, 16)


def _bytes_in(folder: Path) -> int:
    """Return the size of the files in a folder and below; some may vanish meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def _write_json(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(fresh, path)
