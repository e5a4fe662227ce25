"""What goes over the wire; the OpenAPI description and the client are made of these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
BoxModel = tuple[Fraction, Fraction, Fraction, Fraction]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]

Uri = Annotated[str, Field(min_length=1, max_length=8192, description="The document: its absolute path or its address.")]
PageNumber = Annotated[int, Field(ge=1, le=10_000_000, description="Page, from 1.")]


class Strict(BaseModel):
    """A request: names that it does not know are errors, not silence."""

    model_config = ConfigDict(extra="forbid")


class Filters(Strict):
    """Which pages may be found; all that is given must hold.

    Args:
        types: kinds of document, as ``pdf``.
        languages: ISO codes, as ``en``.
        after: earliest date, as ``2024`` or ``2024-01-31``.
        before: dates must lie before it.
        name: part of the document's path, address or title.
        where: a condition over path, type, page, date, language and title, as in docs/search.md, without functions.
    """

    types: list[Annotated[str, Field(max_length=20)]] = Field(default=[], max_length=20)
    languages: list[Annotated[str, Field(max_length=20)]] = Field(default=[], max_length=50)
    after: str = Field(default="", max_length=10, pattern=r"^[0-9-]*$")
    before: str = Field(default="", max_length=10, pattern=r"^[0-9-]*$")
    name: str = Field(default="", max_length=500)
    where: str = Field(default="", max_length=4000)


class Like(Strict):
    """A page of the index as the picture of a query, or a part of that page."""

    uri: Uri
    page: PageNumber = 1
    box: BoxModel | None = Field(default=None, description="Only this part of the page: left, top, right, bottom in fractions.")


class SearchRequest(Strict):
    """A search: by text, by a picture (sent, or a page of the index), or by a picture with a text that says what should differ."""

    text: str = Field(default="", max_length=10_000)
    image: str = Field(default="", description="A picture as a data URL or in base64.")
    like: Like | None = None
    filters: Filters = Filters()
    count: int = Field(default=24, ge=1, le=200)
    skip: int = Field(default=0, ge=0, le=10_000)
    words: bool = Field(default=True, description="Also look for the exact words of the text.")
    min_score: float = Field(default=0, ge=0, le=100)


class Picture(BaseModel):
    """Where the picture of a page is to be had, and its size; add ``?width=`` for a smaller one, ``?box=l,t,r,b`` for a part."""

    url: str
    width: int
    height: int


class PageHit(BaseModel):
    """One page that answers; fields as in `visir.Hit`."""

    uri: str
    page: int
    score: float
    title: str
    snippet: str
    marks: list[tuple[int, int]]
    boxes: list[BoxModel]
    picture: Picture | None


class SearchResponse(BaseModel):
    """Hits, best first, and how long finding them took."""

    hits: list[PageHit]
    milliseconds: float


class WordModel(BaseModel):
    """A word and where it stands."""

    text: str
    box: BoxModel


class Neighbour(BaseModel):
    """Another page of the same document."""

    page: int
    picture: Picture | None


class PageModel(BaseModel):
    """One page: what it is, its words, and the pages around it."""

    uri: str
    page: int
    pages: int
    title: str
    type: str
    date: str
    language: str
    text: str
    lines: list[list[WordModel]]
    picture: Picture | None
    neighbours: list[Neighbour]
    original: str = Field(description="Where the document itself is to be had, at this page if it can be told; empty if nowhere.")


class DocumentModel(BaseModel):
    """One document, or a file that could not be one.

    ``state`` is ``ok``, ``partial``, ``failed``, ``waiting`` (for a program to be installed) or ``unread``.
    """

    uri: str
    title: str
    type: str
    state: str
    reason: str
    pages: int
    size: int
    indexed: str
    uploaded: bool
    picture: Picture | None


class DocumentList(BaseModel):
    """Documents, the newest first, and how many there are in all."""

    documents: list[DocumentModel]
    total: int


class AddRequest(Strict):
    """Web addresses to capture."""

    urls: list[Annotated[str, Field(max_length=4096, pattern=r"^https?://[^\s]+$")]] = Field(min_length=1, max_length=100)


class Failure(BaseModel):
    """A document that failed, and why."""

    uri: str
    reason: str


class Job(BaseModel):
    """Indexing that is waiting, going on, or over."""

    id: str
    kind: Literal["add", "refresh"]
    sources: list[str]
    state: JobState = "queued"
    created: str = ""
    started: str = ""
    finished: str = ""
    files: int = 0
    done: int = 0
    indexed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    pages: int = 0
    current: str = ""
    failures: list[Failure] = []
    message: str = ""


class Removed(BaseModel):
    """How many documents were taken out."""

    removed: int


class Facets(BaseModel):
    """How many documents there are of each type, and how many pages in each language."""

    types: dict[str, int]
    languages: dict[str, int]


class StatusModel(BaseModel):
    """What the index holds."""

    model: str
    documents: int
    pages: int
    failures: int
    roots: list[str]
    facets: Facets
    jobs: dict[str, int]


class Health(BaseModel):
    """The server is up."""

    status: Literal["ok"] = "ok"
    version: str
    model: str


class Problem(BaseModel):
    """What went wrong, in one line."""

    detail: Any
