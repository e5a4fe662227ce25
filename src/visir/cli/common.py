"""What several verbs share: options, the place of the index, progress, output."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visir.errors import VisirError

if TYPE_CHECKING:
    from visir.capture import CaptureOptions
    from visir.index import Index, Listeners, Summary

IndexOption = Annotated[
    Path | None, typer.Option("--index", metavar="DIR", help="Folder of the index (else $VISIR_INDEX, else your data folder).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ModelOption = Annotated[str, typer.Option("--model", metavar="NAME", help="Model of a new index: a name or a folder.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, help="Give a file up that keeps its renderer busy longer.")
]
OcrOption = Annotated[bool, typer.Option("--ocr", help="Read pages without text of their own with tesseract.")]
OcrLanguageOption = Annotated[str, typer.Option("--ocr-language", metavar="CODES", help="Languages that tesseract reads, as in eng+deu.")]

_LINE_SECONDS = 10.0


class Interrupted(BaseException):
    """Ctrl-C, or a service manager's stop; not KeyboardInterrupt, which the parser of the command line would swallow."""


def index_folder(named: Path | None) -> Path:
    """Return where the index is kept: as named, else ``VISIR_INDEX``, else the user's data folder."""
    if named is not None:
        return named
    if os.environ.get("VISIR_INDEX"):
        return Path(os.environ["VISIR_INDEX"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "visir"


def capture_options(timeout: float, ocr: bool, ocr_language: str) -> "CaptureOptions":
    """Make capture options of the command line's."""
    from visir.capture import CaptureOptions

    return CaptureOptions(timeout=timeout, ocr=ocr, ocr_language=ocr_language)


def open_index(named: Path | None) -> "Index":
    """Open the index that a verb works on; it must be there."""
    from visir.index import Index

    return Index.open(index_folder(named), create=False)


def missing_extra(extra: str, error: ImportError) -> VisirError:
    """Make the error that says which extra a verb needs."""
    return VisirError(f"this verb needs more than the base: pip install 'visir[{extra}]' ({error})")


def share_cores() -> None:
    """Give each call of the model one thread, unless told otherwise: many callers share the cores, and waiting threads would burn them."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def say(message: str) -> None:
    """Print a line for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a result for programs, on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def progress_on_stderr() -> Iterator["Listeners"]:
    """Show how far a refresh is, and each failure as one line: a live bar on a terminal, a line now and then elsewhere."""
    from visir.index import Listeners
    from visir.index.paths import printable

    if not sys.stderr.isatty():
        yield _Lines().listeners()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (BarColumn(24), MofNCompleteColumn(), TextColumn("files"), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[current]}", markup=False), console=console, transient=True) as bar:
        task = bar.add_task("", total=None, rate="", current="")
        started = time.monotonic()

        def progress(summary: "Summary") -> None:
            rate = f"{summary.pages / max(time.monotonic() - started, 0.1):.1f} pages/s"
            bar.update(task, total=summary.files, completed=summary.done, rate=rate, current=printable(Path(summary.current).name)[:40])

        def failure(name: str, reason: str) -> None:
            console.print(f"failed: {printable(name)}: {printable(reason)}", soft_wrap=True)

        yield Listeners(progress, failure)


class _Lines:
    """Progress where there is no terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._next = 0.0

    def listeners(self) -> "Listeners":
        from visir.index import Listeners
        from visir.index.paths import printable

        return Listeners(self._progress, lambda name, reason: say(f"failed: {printable(name)}: {printable(reason)}"))

    def _progress(self, summary: "Summary") -> None:
        elapsed = time.monotonic() - self._started
        if elapsed < self._next or summary.done == summary.files:
            return
        self._next = elapsed + _LINE_SECONDS
        left = f" · {elapsed / summary.done * (summary.files - summary.done):.0f} s left" if summary.done else ""
        say(f"{summary.done:,} of {summary.files:,} files · {summary.pages / max(elapsed, 0.1):.1f} pages/s{left}")


def closing_line(summary: "Summary") -> str:
    """Return the one line that says what a refresh did."""
    parts = [f"indexed {summary.indexed:,}", f"unchanged {summary.unchanged:,}"]
    if summary.renamed:
        parts.append(f"renamed {summary.renamed:,}")
    parts += [f"removed {summary.removed:,}", f"failed {summary.failed:,}"]
    if summary.still_failing:
        parts.append(f"still failing {summary.still_failing:,} (visir status says why)")
    if summary.skipped:
        parts.append(f"of other kinds {summary.skipped:,}")
    return " · ".join(parts) + f" · {counted(summary.pages, 'page')} in {summary.seconds:.1f} s"


def counted(number: int, what: str) -> str:
    """Return a number with what it counts, as in ``1 page`` and ``2 pages``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def finish(summary: "Summary", as_json: bool) -> None:
    """Print what a refresh did, and exit with 1 if files failed."""
    say(closing_line(summary))
    if as_json:
        print_json(asdict(summary))
    if summary.failed:
        raise typer.Exit(1)
