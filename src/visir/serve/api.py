"""The API of the page and of programs: search, pages, documents, jobs, health."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from visir.index.paths import is_address, name_of, path_of
from visir.serve.gate import Gate
from visir.serve.guard import COOKIE, Keys
from visir.serve.jobs import Jobs
from visir.serve.library import Library, NotFoundError
from visir.serve.metrics import Metrics
from visir.serve.options import ServeOptions
from visir.serve.pictures import decode_picture
from visir.serve.schemas import (
    AddRequest,
    BoxModel,
    DocumentList,
    Filters,
    Health,
    Job,
    PageModel,
    PageNumber,
    Problem,
    Removed,
    SearchRequest,
    SearchResponse,
    StatusModel,
    Uri,
)
from visir.serve.uploads import keep_upload, media_type

_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}


class Server:
    """What the routes of one server share.

    Args:
        library: the index.
        jobs: indexing.
        options: limits.
        metrics: counters.
        searches: the way into a search.
        looks: the way to the reader of pictures.
    """

    def __init__(self, library: Library, jobs: Jobs, options: ServeOptions, metrics: Metrics, searches: Gate, looks: Gate) -> None:
        self.library = library
        self.jobs = jobs
        self.options = options
        self.metrics = metrics
        self.searches = searches
        self.looks = looks

    async def search(self, request: SearchRequest) -> SearchResponse:
        """Answer a search, behind those that came before."""
        if request.image:
            # Reading a picture may take a second: it must not keep a place that a text query needs a hundredth of that.
            await self.look(request.image)
        return await self.searches.run(partial(self.library.search, request))

    async def look(self, picture: str) -> None:
        """Read a picture that came as text, so that the library knows it."""
        await self.looks.run(lambda: self.library.read_picture(decode_picture(picture)))


def server_of(request: Request) -> Server:
    """Return the server that a request came to."""
    server: Server = request.app.state.server
    return server


Here = Annotated[Server, Depends(server_of)]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request makes no sense; the message says why."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "The request comes from another web page."},
    404: {"model": Problem, "description": "There is no such thing."},
    413: {"model": Problem, "description": "The request is too large."},
    422: {
        "model": Problem,
        "description": "A part of the request is not what it should be: the message, or a list of the parts, says which.",
    },
    503: {"model": Problem, "description": "Too much waits already; try again later."},
}
router, files = APIRouter(responses=PROBLEMS), APIRouter(responses=PROBLEMS)


@router.get("/health", tags=["server"])
async def health(server: Here) -> Health:
    """Say that the server is up."""
    from importlib.metadata import version

    return Health(version=version("visir"), model=server.library.embedder.name)


@router.get("/metrics", tags=["server"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(server: Here) -> Response:
    """Return counters for Prometheus."""
    text = await to_thread.run_sync(server.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/status", tags=["server"])
async def status(server: Here) -> StatusModel:
    """Say what the index holds."""
    library = server.library
    documents, pages, failures = await to_thread.run_sync(library.counts)
    return StatusModel(
        model=library.embedder.name,
        documents=documents,
        pages=pages,
        failures=failures,
        roots=await to_thread.run_sync(library.index.store.roots),
        facets=await to_thread.run_sync(library.facets),
        jobs=server.jobs.counts(),
    )


@router.post("/api/search", tags=["search"])
async def search(server: Here, request: SearchRequest) -> SearchResponse:
    """Find pages by text, by a picture, or by both."""
    return await server.search(request)


@router.get("/api/search", tags=["search"])
async def search_text(
    server: Here,
    q: Annotated[str, Query(max_length=10_000, description="What to look for.")],
    count: Annotated[int, Query(ge=1, le=200)] = 24,
    skip: Annotated[int, Query(ge=0, le=10_000)] = 0,
    words: bool = True,
    min_score: Annotated[float, Query(ge=0, le=100)] = 0,
    where: Annotated[str, Query(max_length=4000, description="A condition as in docs/search.md, without functions.")] = "",
) -> SearchResponse:
    """Find pages by text: the same as POST for a line of shell."""
    request = SearchRequest(text=q, count=count, skip=skip, words=words, min_score=min_score, filters=Filters(where=where))
    return await server.search(request)


@router.get("/api/page", tags=["pages"])
async def page(server: Here, uri: Annotated[Uri, Query()], page: Annotated[PageNumber, Query()] = 1) -> PageModel:
    """Return a page with its words, line by line, and its neighbours."""
    return await server.searches.run(partial(server.library.page, uri, page))


@router.get(
    "/api/pictures/{edition}/{page}",
    tags=["pages"],
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}},
)
async def picture(
    server: Here,
    edition: Annotated[str, InPath(pattern=r"^[0-9a-f]{1,16}$", description="A capture of a document, as hits name it.")],
    page: Annotated[PageNumber, InPath()],
    width: Annotated[int, Query(ge=1, le=10_000, description="Pixels; the next larger size that is kept is served.")] = 10_000,
    box: Annotated[str, Query(max_length=100, description="Only a part: left,top,right,bottom in fractions.")] = "",
) -> Response:
    """Return the picture of a page; it never changes, for a new capture has new addresses."""
    path = server.library.picture(int(edition, 16), page)
    part = _box(box)
    try:
        made = await server.searches.run(lambda: server.library.copies.get(path, width, part))
    except FileNotFoundError:
        raise NotFoundError("there is no such picture: its document was captured anew, or is gone") from None
    return Response(made, media_type="image/jpeg", headers=_FOREVER)


def _box(text: str) -> BoxModel | None:
    if not text:
        return None
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise HTTPException(400, "a box is four fractions: left,top,right,bottom") from None
    if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
        raise HTTPException(400, "a box lies within 0 and 1, left before right, top before bottom")
    return left, top, right, bottom


@router.get("/api/original", tags=["pages"], response_class=Response, responses={200: {"description": "The document's file."}})
async def original(server: Here, uri: Annotated[Uri, Query()]) -> Response:
    """Return the file of a document: PDF, pictures and text to be shown, others to be saved."""
    document = await to_thread.run_sync(server.library.document, uri)
    if is_address(uri):
        raise HTTPException(400, "the original of a web page is at its own address")
    path = path_of(uri)
    try:
        shown = await to_thread.run_sync(media_type, path, document.type)
    except OSError:
        raise NotFoundError(f"{uri} is no longer there") from None
    disposition = "inline" if shown else "attachment"
    name = path.name.encode("utf-8", "replace").decode()
    return FileResponse(path, media_type=shown or "application/octet-stream", filename=name, content_disposition_type=disposition)


@router.get("/api/documents", tags=["documents"])
async def documents(
    server: Here,
    skip: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
    count: Annotated[int, Query(ge=1, le=200)] = 50,
    name: Annotated[str, Query(max_length=500, description="Part of the path, address or title.")] = "",
    state: Annotated[
        str,
        Query(
            pattern="^(ok|partial|failed|slow|waiting|unread|problem|searchable|)$",
            description="Only those in this state; problem: not whole, searchable: with pages.",
        ),
    ] = "",
) -> DocumentList:
    """List documents, the newest first, failed ones included."""
    return await to_thread.run_sync(server.library.documents, skip, count, name, state)


@router.post("/api/documents", tags=["documents"], status_code=202)
async def add(server: Here, request: AddRequest) -> Job:
    """Capture web addresses and index them."""
    return await server.jobs.add("add", request.urls)


@files.post("/api/documents/files", tags=["documents"], status_code=202)
async def upload(server: Here, files: list[UploadFile]) -> Job:
    """Keep files and index them."""
    if len(files) > server.options.upload_files:
        raise HTTPException(413, f"at most {server.options.upload_files} files at once")
    folder = server.library.uploads
    kept: list[Path] = []
    server.jobs.check_room()  # a file that no job takes in would lie there for ever
    for file in files:
        kept.append(await to_thread.run_sync(keep_upload, folder, file.filename or "", file.file))
    return await server.jobs.add("add", [name_of(path) for path in kept], name_of(folder))


@router.delete("/api/documents", tags=["documents"])
async def remove(server: Here, uri: Annotated[list[Uri], Query(max_length=200)]) -> Removed:
    """Take documents out of the index; files stay where they are, uploaded ones are deleted."""
    return Removed(removed=await to_thread.run_sync(server.library.remove, uri))


@router.post("/api/refresh", tags=["documents"], status_code=202)
async def refresh(server: Here) -> Job:
    """Bring everything that was ever added up to date."""
    return await server.jobs.add("refresh")


@router.get("/api/jobs", tags=["jobs"])
async def jobs(server: Here) -> list[Job]:
    """List jobs, the newest first."""
    return server.jobs.all()


JobName = Annotated[str, InPath(max_length=100)]


@router.get("/api/jobs/{job}", tags=["jobs"])
async def job(server: Here, job: JobName) -> Job:
    """Return a job."""
    return _job(server, job)


@router.delete("/api/jobs/{job}", tags=["jobs"])
async def cancel(server: Here, job: JobName) -> Job:
    """Cancel a job; what it committed stays."""
    found = _job(server, job)
    await server.jobs.cancel(found)
    return found


def _known_job(server: Here, job: JobName) -> Job:
    # Found before the answer begins, which could not become a 404 any more.
    return _job(server, job)


@router.get("/api/jobs/{job}/events", tags=["jobs"], response_class=EventSourceResponse)
async def job_events(server: Here, job: Annotated[Job, Depends(_known_job)]) -> AsyncIterator[ServerSentEvent]:
    """Tell a job's progress until it is over, as server-sent events ``job``."""
    async for event in _events(server, job.id):
        yield event


@router.get("/api/events", tags=["jobs"], response_class=EventSourceResponse)
async def events(server: Here) -> AsyncIterator[ServerSentEvent]:
    """Tell every job's progress as server-sent events ``job``, for as long as somebody listens."""
    async for event in _events(server, ""):
        yield event


async def _events(server: Server, name: str) -> AsyncIterator[ServerSentEvent]:
    async for changed in server.jobs.watch(name):
        yield ServerSentEvent(data=changed, event="job") if changed else ServerSentEvent(comment="still here")


def _job(server: Server, name: str) -> Job:
    found = server.jobs.get(name)
    if found is None:
        raise NotFoundError(f"there is no job {name}")
    return found


@router.post("/api/session", tags=["server"], status_code=204, response_class=Response)
async def sign_in(request: Request, token: Annotated[str, Body(embed=True, max_length=500)]) -> Response:
    """Exchange the token for a cookie, for browsers."""
    keys: Keys = request.app.state.keys
    if not keys.needed or not keys.is_token(token):
        # Guessing costs half a second a try.
        await asyncio.sleep(0.5)
        raise HTTPException(401, "that is not the token")
    response = Response(status_code=204)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, keys.cookie, max_age=30 * 86400, httponly=True, samesite="strict", secure=secure)
    return response
