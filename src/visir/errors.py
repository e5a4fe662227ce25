"""The errors that visir raises on purpose; the server's own stand beside it, in `visir.serve`.

    VisirError
    ├── CaptureError            a source could not be turned into screenshots
    │   ├── UnsupportedError    no renderer knows this kind of file
    │   ├── MissingToolError    the renderer is not installed
    │   ├── PartialCaptureError some pages could not be drawn, the others were
    │   ├── NoPageError         a web address serves a file
    │   └── CaptureTimeout      the renderer took too long
    ├── StoreError              the index could not be opened or written
    │   └── ModelMismatchError  the index was built with another model
    ├── BenchmarkError          a benchmark's files are broken
    ├── DatasetError            a set of training data is broken or was asked for badly
    ├── ModelError              a model could not be loaded
    └── QueryError              a query or a filter makes no sense

Each message is one line that says what happened, to which file, and what to do.
"""


class VisirError(Exception):
    """Base of every error that visir raises on purpose."""


class CaptureError(VisirError):
    """A source could not be turned into screenshots.

    Args:
        uri: the file or address that failed.
        reason: one line saying what happened and what to do.
    """

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = uri
        self.reason = " ".join(reason.split())
        super().__init__(f"{uri}: {self.reason}")


class UnsupportedError(CaptureError):
    """No renderer knows this kind of file."""


class MissingToolError(CaptureError):
    """The renderer that this kind of file needs is not installed."""


class PartialCaptureError(CaptureError):
    """Some pages could not be drawn; it is raised after the others were delivered."""


class NoPageError(CaptureError):
    """A web address serves no web page but a file."""


class CaptureTimeout(CaptureError):
    """The renderer was given up on after its time limit."""


class StoreError(VisirError):
    """The index could not be opened or written."""


class ModelMismatchError(StoreError):
    """The index was built with another model than the one asked for."""


class BenchmarkError(VisirError):
    """A benchmark's files are broken or missing."""


class DatasetError(VisirError):
    """A set of training data is broken or missing, or its configuration makes no sense."""


class ModelError(VisirError):
    """A model could not be loaded."""


class QueryError(VisirError):
    """A query or a filter makes no sense."""
