"""The application: routes, limits, errors as one line each."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from visir.errors import CaptureError, QueryError, VisirError
from visir.index import Index
from visir.serve import api, compatible
from visir.serve.gate import Gate
from visir.serve.guard import Guard, Keys
from visir.serve.jobs import BusyError, Jobs
from visir.serve.library import Library, NotFoundError
from visir.serve.metrics import Measured, Metrics
from visir.serve.options import ServeOptions
from visir.serve.uploads import drop_unfinished

_WEB = Path(__file__).parent / "web"
_STATUS: tuple[tuple[type[VisirError], int], ...] = (
    (NotFoundError, 404),
    (QueryError, 400),
    (CaptureError, 422),
    (BusyError, 503),
    (VisirError, 500),
)


def create_app(index: Index, options: ServeOptions, sources: Sequence[str] = ()) -> FastAPI:
    """Make the application for an index.

    Args:
        index: the index; stays the caller's to close.
        options: limits and the token.
        sources: what to index at the start, as names in the index.
    """
    metrics = Metrics()
    library = Library(index, options, metrics.batches.observe)
    jobs = Jobs(index.store.folder, library.state / "jobs", options.capture, options.queued_jobs, library.changed)
    server = api.Server(library, jobs, options, metrics, Gate(options.waiting), Gate(options.waiting // 4, 1))
    _show_numbers(server)

    agents, while_serving = _agents_routes(server)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        drop_unfinished(library.uploads)
        await jobs.start()
        if sources:
            await jobs.add("add", sources)
        async with while_serving():
            yield
        await jobs.stop()
        await to_thread.run_sync(library.close)

    app = FastAPI(title="visir", lifespan=lifespan, docs_url=None, redoc_url=None, max_body_size=options.image_bytes)
    app.state.server = server
    app.state.keys = Keys(options.token)
    app.include_router(api.router)
    app.include_router(compatible.router)
    app.include_router(api.files, max_body_size=options.upload_bytes)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_WEB / "index.html", headers={"cache-control": "no-cache"})

    app.router.routes.extend(agents)
    app.mount("/web", StaticFiles(directory=_WEB))
    app.add_exception_handler(VisirError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_parts)
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(Guard, keys=app.state.keys, host=options.host, patience=options.timeout)
    return app


def _agents_routes(server: api.Server) -> tuple[list[BaseRoute], Callable[[], Any]]:
    """Return the routes for agents, and what to keep entered while they serve; nothing where the SDK is not installed."""
    try:
        from visir.serve.mcp import http_routes
    except ImportError:
        return [], nullcontext
    options = server.options
    return http_routes(server.library, server.jobs, server.searches, options.is_local and not options.token)


def _show_numbers(server: api.Server) -> None:
    shown = server.metrics.gauge
    shown("visir_searches_inside", "Requests that search or wait to.", lambda: server.searches.inside)
    shown("visir_documents", "Documents with pages.", lambda: server.library.counts()[0])
    shown("visir_pages", "Pages.", lambda: server.library.counts()[1])
    shown("visir_jobs_queued", "Jobs that wait.", lambda: server.jobs.counts()["queued"])
    shown("visir_jobs_running", "Jobs at work.", lambda: server.jobs.counts()["running"])


async def _explain_parts(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if compatible.is_ours(request):
        first = error.errors()[0]
        return compatible.error_answer(400, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")
    # What was sent is not told back: it may be long, and hold halves of characters that no answer can.
    told = [{key: part[key] for key in ("type", "loc", "msg")} for part in error.errors()]
    return Response(json.dumps({"detail": told}), 422, media_type="application/json")


async def _explain(request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    # The reason alone: a capture error's own text names the temporary file of an upload.
    detail = error.reason if isinstance(error, CaptureError) else str(error)
    if compatible.is_ours(request):
        return compatible.error_answer(status, detail)
    return JSONResponse({"detail": detail}, status, headers={"retry-after": "1"} if status == 503 else None)
