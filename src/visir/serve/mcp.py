"""Tools for agents, by the Model Context Protocol: search, look, read, add.

An agent that is given these can look things up in a folder of documents: find pages, look at them as pictures, read their words.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

from anyio import to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, Field
from starlette.routing import BaseRoute

from visir.errors import VisirError
from visir.index import Index
from visir.index.paths import is_address, name_of
from visir.serve.gate import Gate
from visir.serve.jobs import Jobs
from visir.serve.library import Library
from visir.serve.options import ServeOptions
from visir.serve.schemas import Filters, Job, Like, SearchRequest

_INSTRUCTIONS = (
    "Documents of every kind, kept as pictures of their pages. `search` finds pages by words or by likeness to a page; `look` shows a "
    "page as a picture (charts, tables, layout); `read` gives its words; `add` indexes more. Name document and page in your answers."
)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_MOST_READ = 20
_PICTURE_WIDTH = 1280
_LOOKS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
Document = Annotated[str, Field(description="The document, as `search` names it: its path or its address.")]
Part = Annotated[
    list[float] | None,
    Field(min_length=4, max_length=4, description="Only this part of the page: left, top, right, bottom as fractions, 0 at left and top."),
]


class FoundPage(BaseModel):
    """A page that answers."""

    document: str
    page: int
    score: float
    title: str
    passage: str


class Found(BaseModel):
    """Pages that answer, best first; ``note`` says where more may come."""

    pages: list[FoundPage]
    note: str = ""


class Tools:
    """The tools on one library.

    Args:
        library: the index.
        jobs: indexing.
        searches: the way into a search, which other callers of the same server take, too.
        local: callers are on this machine: they may add paths, not only web addresses.
    """

    def __init__(self, library: Library, jobs: Jobs, searches: Gate, local: bool) -> None:
        self._library = library
        self._jobs = jobs
        self._searches = searches
        self._local = local

    def register(self, server: MCPServer[Any]) -> None:
        """Offer the tools."""
        server.add_tool(_explained(self.search), title="Search pages", annotations=_LOOKS_ONLY)
        server.add_tool(_explained(self.look), title="Look at a page", annotations=_LOOKS_ONLY, structured_output=False)
        server.add_tool(_explained(self.read), title="Read pages", annotations=_LOOKS_ONLY, structured_output=False)
        additive = ToolAnnotations(destructive_hint=False, idempotent_hint=True)
        server.add_tool(_explained(self.add), title="Add documents", annotations=additive, structured_output=False)

    async def search(
        self,
        query: Annotated[str, Field(max_length=10_000, description="Words to look for, or what should differ from `like_document`.")] = "",
        like_document: Annotated[str, Field(description="Find pages that look like a page of this document.")] = "",
        like_page: Annotated[int, Field(ge=1, description="The page of `like_document`.")] = 1,
        like_part: Part = None,
        types: Annotated[list[str] | None, Field(description="Only pdf, image, web, office, markdown, csv or text.")] = None,
        name: Annotated[str, Field(description="Only documents whose path or title holds this.")] = "",
        count: Annotated[int, Field(ge=1, le=50)] = 8,
    ) -> Found:
        """Find pages by words, by likeness to a page, or by both together. Scores go from 0 to 100; below 30 is weak."""
        like = Like(uri=like_document, page=like_page, box=_box(like_part)) if like_document else None
        request = SearchRequest(text=query, like=like, filters=Filters(types=types or [], name=name), count=count)
        answer = await self._searches.run(partial(self._library.search, request))
        pages = [FoundPage(document=hit.uri, page=hit.page, score=hit.score, title=hit.title, passage=hit.snippet) for hit in answer.hits]
        return Found(pages=pages, note=self._unfinished())

    def _unfinished(self) -> str:
        job = self._jobs.unfinished()
        if job is None:
            return ""
        far = f"{job.done} of {job.files} files" if job.files else "it has just begun"
        return f"Documents are still being indexed ({far}): search again later for what is missing here."

    async def look(self, document: Document, page: Annotated[int, Field(ge=1)] = 1, part: Part = None) -> list[TextContent | ImageContent]:
        """Look at a page as a picture: for charts, tables, drawings, layout. Name a part to see it closer."""
        found = await self._searches.run(partial(self._library.page, document, page))
        if found.picture is None:
            raise VisirError(f"the picture of page {page} of {document} is missing")
        edition = int(found.picture.url.split("/")[-2], 16)
        path = self._library.picture(edition, page)
        encoded = await self._searches.run(partial(self._library.copies.get, path, _PICTURE_WIDTH, _box(part)))
        caption = TextContent(type="text", text=f"{document}, page {page} of {found.pages}: {found.title}")
        return [caption, ImageContent(type="image", data=base64.b64encode(encoded).decode(), mime_type="image/jpeg")]

    async def read(
        self,
        document: Document,
        page: Annotated[int, Field(ge=1)] = 1,
        last_page: Annotated[int | None, Field(ge=1, description=f"Read on to this page, {_MOST_READ} pages at most.")] = None,
    ) -> str:
        """Read the words of a page, or of several."""
        last = min(last_page or page, page + _MOST_READ - 1)
        texts = []
        for number in range(page, max(page, last) + 1):
            found = await self._searches.run(partial(self._library.page, document, number))
            texts.append(f"--- {found.title}, page {number} of {found.pages} ---\n{found.text or '(no words on this page: look at it)'}")
            if number >= found.pages:
                break
        return "\n\n".join(texts)

    async def add(
        self,
        sources: Annotated[list[str], Field(min_length=1, max_length=100, description="Files, folders, http(s) addresses.")],
        context: Context[Any, Any],
    ) -> str:
        """Index documents and wait until they can be searched; says what failed and why."""
        names = [source if is_address(source) else self._path(source) for source in sources]
        job = await self._jobs.add("add", names)
        async for step in self._jobs.watch(job.id):
            if step is not None:
                job = step
                await context.report_progress(step.done, step.files or None, step.current or None)
        return _told(job)

    def _path(self, source: str) -> str:
        if not self._local:
            raise VisirError(f"{source} is no web address: only those can be added from afar")
        path = Path(source).expanduser()
        if not path.exists():
            raise VisirError(f"{source} does not exist: give an absolute path")
        return name_of(path)


def _explained(tool: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """Let an agent read why a tool failed; the SDK keeps the text of errors that it does not know to itself."""

    @wraps(tool)
    async def explained(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await tool(*args, **kwargs)
        except VisirError as error:
            raise ToolError(str(error)) from error

    return explained


def _box(part: Sequence[float] | None) -> tuple[float, float, float, float] | None:
    if part is None:
        return None
    left, top, right, bottom = part
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise VisirError("a part lies within 0 and 1, left before right, top before bottom")
    return left, top, right, bottom


def _told(job: Job) -> str:
    counts = f"indexed {job.indexed}, unchanged {job.unchanged}, failed {job.failed}; {job.pages} pages"
    lines = [counts if job.state == "done" else f"{job.state}: {job.message or counts}"]
    return "\n".join([*lines, *(f"failed: {failure.uri}: {failure.reason}" for failure in job.failures)])


def make_server(tools: Tools, **choices: Any) -> MCPServer[Any]:
    """Make a server that offers the tools."""
    from importlib.metadata import version

    server = MCPServer[Any]("visir", instructions=_INSTRUCTIONS, version=version("visir"), log_level="ERROR", **choices)
    tools.register(server)
    return server


def http_routes(library: Library, jobs: Jobs, searches: Gate, local: bool) -> tuple[list[BaseRoute], Any]:
    """Return the routes that serve the tools over streamable HTTP at ``/mcp``, and what to keep entered while they serve.

    Each request stands for itself: no session is kept, so none can be filled up or stolen.
    """
    server = make_server(Tools(library, jobs, searches, local))
    # Host and Origin are checked before every request of the whole application already.
    unguarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(stateless_http=True, transport_security=unguarded)
    return app.routes, server.session_manager.run


def run_stdio(index: Index, options: ServeOptions, sources: Sequence[str]) -> None:
    """Serve the tools on standard input and output until it ends.

    Args:
        index: the index.
        options: limits.
        sources: what to index at the start, as names in the index.
    """
    import anyio

    async def main() -> None:
        library = Library(index, options)
        # In memory: a server may run on the same index, and the queue on disk is its.
        jobs = Jobs(index.store.folder, None, options.capture, options.queued_jobs, library.changed)

        @asynccontextmanager
        async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
            await jobs.start()
            if sources:
                await jobs.add("add", sources)
            try:
                yield
            finally:
                await jobs.stop()
                await to_thread.run_sync(library.close)

        await make_server(Tools(library, jobs, Gate(options.waiting), local=True), lifespan=lifespan).run_stdio_async()

    anyio.run(main)
