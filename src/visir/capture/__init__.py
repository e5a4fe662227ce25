"""Anything into screenshots, page by page."""

from collections.abc import Iterator
from os import PathLike, fspath

from visir.capture.options import CaptureOptions
from visir.capture.worker import Worker
from visir.screenshot import Screenshot

__all__ = ["CaptureOptions", "Worker", "capture"]


def capture(source: str | PathLike[str], options: CaptureOptions | None = None) -> Iterator[Screenshot]:
    """Yield the screenshots of a document, one page in memory at a time.

    The document is drawn in a child process. For many documents use `Worker`, which keeps its process, browser and
    LibreOffice running from one to the next.

    Args:
        source: a file or an http(s) address.
        options: see `CaptureOptions`.

    Raises:
        CaptureError: the source cannot be captured; one line says why and what to do.
    """
    with Worker(options) as worker:
        yield from worker.capture(fspath(source))
