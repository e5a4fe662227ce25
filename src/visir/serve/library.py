"""An index as many callers use it at once: what the API, the page and the agents' tools are made of.

Every method may be called from any thread. Indexing is not done here but in a process of its own; see `visir.serve.jobs`.
"""

import hashlib
import io
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent

from visir.capture import Worker
from visir.errors import CaptureError, QueryError, VisirError
from visir.index import Index, SearchOptions
from visir.index.paths import is_address, is_below, name_of, path_of
from visir.index.search import search
from visir.index.store import Document, quote, unpack_boxes, without_page
from visir.screenshot import Box, Hit, Query, Screenshot, Word, encode_image
from visir.serve.batching import batched
from visir.serve.filters import condition
from visir.serve.options import ServeOptions, state_folder
from visir.serve.pictures import Copies, crop, decode_picture, size_of
from visir.serve.schemas import (
    DocumentList,
    DocumentModel,
    Facets,
    Like,
    Neighbour,
    PageHit,
    PageModel,
    Picture,
    SearchRequest,
    SearchResponse,
    WordModel,
)
from visir.serve.uploads import drop_upload

_QUERY_PICTURES = 64
_AROUND = 4
_LISTING_SECONDS = 2.0


class NotFoundError(VisirError):
    """There is no such document or page in the index."""


class Library:
    """An index, its model shared by all callers, and a worker that reads the pictures they ask with.

    Args:
        index: the index; stays the caller's to close.
        options: limits.
        observe: told the size of each batch of query embeddings.
    """

    def __init__(self, index: Index, options: ServeOptions, observe: Callable[[int], None] = lambda size: None) -> None:
        self.index = index
        self.options = options
        self.state = state_folder(index.store.folder)
        self.uploads = self.state / "uploads"
        self.embedder = batched(index.embedder, observe)
        self.copies = Copies()
        self._reader = Worker(replace(options.capture, max_pages=1, ocr=self.embedder.reads == "text"))
        self._reading, self._remembering = threading.Lock(), threading.Lock()
        self._read: OrderedDict[str, Screenshot] = OrderedDict()
        self._listing: tuple[float, list[Document]] = (-1e9, [])
        self._languages: tuple[int, Counter[str]] = (-1, Counter())

    def close(self) -> None:
        """End the worker."""
        with self._reading:
            self._reader.close()

    # Searching

    def search(self, request: SearchRequest) -> SearchResponse:
        """Answer a search.

        Raises:
            QueryError: the query or its filter makes no sense.
            NotFoundError: the page to be alike is not in the index.
        """
        started = time.perf_counter()
        where = condition(request.filters)
        image = self.read_picture(decode_picture(request.image)) if request.image else None
        if request.like is not None:
            if image is not None:
                raise QueryError("give a picture or a page to be alike, not both")
            image = self.page_as_picture(request.like)
            where = without_page(where, request.like.uri, request.like.page)
        options = SearchOptions(request.count, request.skip, where, request.words, request.min_score)
        hits = search(self.index.store, self.embedder, Query(request.text.strip(), image), options)
        return SearchResponse(hits=[_page_hit(hit) for hit in hits], milliseconds=round(1000 * (time.perf_counter() - started), 1))

    def read_picture(self, encoded: bytes) -> Screenshot:
        """Return a query's picture as pages of the index are captured: decoded in a child process, its words read if the model needs them.

        Raises:
            CaptureError: it is no picture, damaged, or too large.
        """
        digest = hashlib.blake2b(encoded, digest_size=16).hexdigest()
        known = self._recall(digest)
        if known is not None:
            return known
        with self._reading, tempfile.TemporaryDirectory(prefix="visir-query-") as folder:
            # The ending is a promise that capture holds the content to: a picture, or an error.
            path = Path(folder, "the picture.png")
            path.write_bytes(encoded)
            try:
                pages = list(self._reader.capture(str(path)))
            except CaptureError as error:
                if not error.reason.startswith("is named"):
                    raise
                # Its sender has named nothing.
                raise CaptureError(str(path), "is no picture that visir reads: send PNG, JPEG, WebP, TIFF, GIF or BMP") from error
        shot = replace(pages[0], uri="", title="")
        with self._remembering:
            self._read[digest] = shot
            while len(self._read) > _QUERY_PICTURES:
                self._read.popitem(last=False)
        return shot

    def _recall(self, digest: str) -> Screenshot | None:
        with self._remembering:
            if digest in self._read:
                self._read.move_to_end(digest)
            return self._read.get(digest)

    def page_as_picture(self, like: Like) -> Screenshot:
        """Return a page of the index, or a part of it, as the picture of a query.

        Raises:
            NotFoundError: it is not in the index, or its picture is missing.
        """
        row = self._page_row(like.uri, like.page)
        try:
            encoded = self.index.store.picture(row["edition"], like.page).read_bytes()
        except OSError as error:
            raise NotFoundError(f"the picture of page {like.page} of {like.uri} is missing: `visir rebuild` makes it anew") from error
        lines = _lines(row)
        if like.box is None:
            words = tuple(Word(word.text, word.box) for line in lines for word in line)
            return Screenshot(encoded, like.uri, like.page, row["title"], row["text"], words)
        from PIL import Image

        kept = [[word for word in line if _middle_in(word.box, like.box)] for line in lines]
        text = "\n".join(" ".join(word.text for word in line) for line in kept if line)
        words = tuple(Word(word.text, word.box) for line in kept for word in line)
        with Image.open(io.BytesIO(encoded)) as image:
            part = encode_image(crop(image.convert("RGB"), like.box))
        return Screenshot(part, like.uri, like.page, row["title"], text, words)

    # Pages

    def page(self, uri: str, number: int) -> PageModel:
        """Return a page with its words and its neighbours.

        Raises:
            NotFoundError: it is not in the index.
        """
        row = self._page_row(uri, number)
        document = self.document(uri)
        around = range(max(1, number - _AROUND), number + _AROUND + 1)
        there = self.index.store.scan_pages(["page"], f"edition = {row['edition']} AND page >= {around[0]} AND page <= {around[-1]}")
        pages = sorted(set(there["page"].to_pylist()))
        return PageModel(
            uri=uri,
            page=number,
            pages=document.pages,
            title=row["title"],
            type=row["type"],
            date=row["date"],
            language=row["language"],
            text=row["text"],
            lines=_lines(row),
            picture=self._picture(row["edition"], number),
            neighbours=[Neighbour(page=page, picture=self._picture(row["edition"], page)) for page in pages],
            original=_original_link(uri, number, row["type"]),
        )

    def picture(self, edition: int, page: int) -> Path:
        """Return where the picture of a page is kept."""
        return self.index.store.picture(edition, page)

    def _page_row(self, uri: str, number: int) -> dict[str, Any]:
        document = self.document(uri)
        columns = ["title", "type", "date", "language", "text", "boxes"]
        # A document without pages has the edition 0, which no page has.
        rows = self.index.store.scan_pages(columns, f"edition = {document.edition} AND page = {number}").to_pylist()
        if not rows:
            raise NotFoundError(f"{uri} has no page {number} in the index")
        return dict(rows[0])

    # Documents

    def document(self, uri: str) -> Document:
        """Return a document.

        Raises:
            NotFoundError: it is not in the index.
        """
        found = self.index.store.documents(f"path = {quote(uri)}")
        if not found:
            raise NotFoundError(f"{uri} is not in the index")
        return found[0]

    def documents(self, skip: int, count: int, name: str = "", state: str = "") -> DocumentList:
        """List documents, the newest first.

        Args:
            skip: documents to pass over.
            count: documents to return.
            name: only those whose path, address or title holds this.
            state: only those in this state; ``problem`` for all that are not whole, ``searchable`` for all that have pages.
        """
        wanted = name.casefold()
        chosen = [
            document
            for document in self._all()
            if (not wanted or wanted in document.path.casefold() or wanted in document.title.casefold())
            and (
                not state
                or document.state == state
                or (state == "problem" and document.reason)
                or (state == "searchable" and document.pages)
            )
        ]
        chosen.sort(key=lambda document: (document.indexed, document.edition), reverse=True)
        return DocumentList(documents=[self._document_model(document) for document in chosen[skip : skip + count]], total=len(chosen))

    def remove(self, uris: Sequence[str]) -> int:
        """Take documents out of the index; files that were uploaded are deleted. Returns how many there were."""
        # `Index.remove` takes folders too, which is more than a caller who names a document means.
        known = [uri for uri in uris if self.index.store.documents(f"path = {quote(uri)}")]
        count = self.index.remove(*(uri if is_address(uri) else path_of(uri) for uri in known))
        for uri in known:
            if self.is_upload(uri):
                drop_upload(path_of(uri))
        self.changed()
        return count

    def is_upload(self, uri: str) -> bool:
        """Say whether a document is a file that was uploaded."""
        return not is_address(uri) and is_below(uri, name_of(self.uploads))

    def changed(self) -> None:
        """Forget what was kept of the list of documents."""
        self._listing = (-1e9, [])
        self._languages = (-1, Counter())

    def counts(self) -> tuple[int, int, int]:
        """Return the number of documents with pages, of pages, and of documents with a problem."""
        documents = self._all()
        return sum(1 for document in documents if document.pages), sum(document.pages for document in documents), _problems(documents)

    def facets(self) -> Facets:
        """Count documents by type and pages by language."""
        documents = self._all()
        pages = sum(document.pages for document in documents)
        if self._languages[0] != pages:
            column = self.index.store.scan_pages(["language"])["language"].to_pylist()
            self._languages = (pages, Counter(language for language in column if language))
        types = Counter(document.type for document in documents if document.pages)
        return Facets(types=dict(types.most_common()), languages=dict(self._languages[1].most_common(30)))

    def _all(self) -> list[Document]:
        taken, documents = self._listing
        if time.monotonic() - taken > _LISTING_SECONDS:
            documents = self.index.store.documents()
            self._listing = (time.monotonic(), documents)
        return documents

    def _document_model(self, document: Document) -> DocumentModel:
        return DocumentModel(
            uri=document.path,
            title=document.title,
            type=document.type,
            state=document.state,
            reason=document.reason,
            pages=document.pages,
            size=max(0, document.size),
            indexed=document.indexed,
            uploaded=self.is_upload(document.path),
            picture=self._picture(document.edition, 1) if document.edition else None,
        )

    def _picture(self, edition: int, page: int) -> Picture | None:
        return picture_of(self.index.store.picture(edition, page))


def picture_of(path: Path) -> Picture | None:
    """Return the address and the size of a stored picture: the store keeps it as ``…/EDITION/PAGE.jpg``."""
    size = size_of(path)
    return Picture(url=f"/api/pictures/{path.parent.name}/{path.stem}", width=size[0], height=size[1]) if size else None


def _page_hit(hit: Hit) -> PageHit:
    return PageHit(
        uri=hit.uri,
        page=hit.page,
        score=hit.score,
        title=hit.title,
        snippet=hit.snippet,
        marks=list(hit.marks),
        boxes=list(hit.boxes),
        picture=picture_of(Path(hit.picture)),
    )


def _lines(row: dict[str, Any]) -> list[list[WordModel]]:
    """Return the words of a page with their boxes, line by line; none where the page's words have no place."""
    boxes = unpack_boxes(row["boxes"])
    if len(boxes) != len(row["text"].split()):
        return []
    places: Iterator[Any] = iter(boxes.round(4).tolist())
    return [[WordModel(text=word, box=tuple(next(places))) for word in line.split()] for line in row["text"].splitlines()]


def _middle_in(box: Box, outer: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _problems(documents: Sequence[Document]) -> int:
    return sum(1 for document in documents if document.reason)


def _original_link(uri: str, page: int, kind: str) -> str:
    if is_address(uri):
        return uri
    link = f"/api/original?uri={percent(uri, safe='')}"
    return f"{link}#page={page}" if kind == "pdf" else link
