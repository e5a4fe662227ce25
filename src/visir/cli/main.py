"""The `visir` command: verbs, the default verb, and what becomes of errors."""

import difflib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import FrameType
from typing import Annotated, NoReturn

import typer

from visir.cli import ask, capture, eval, experiment, export, index, mcp, rebuild, remove, report, search, serve, status, train, vira, watch
from visir.cli.common import Interrupted
from visir.errors import VisirError
from visir.heap import share_heap

_VERBS: dict[str, Callable[..., None]] = {
    "ask": ask.ask,
    "capture": capture.capture,
    "eval": eval.eval,
    "experiment": experiment.experiment,
    "export": export.export,
    "index": index.index,
    "mcp": mcp.mcp,
    "rebuild": rebuild.rebuild,
    "remove": remove.remove,
    "report": report.report,
    "search": search.search,
    "serve": serve.serve,
    "status": status.status,
    "train": train.train,
    "watch": watch.watch,
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help='Search everything by how it looks. `visir PATH "query"` indexes what changed in PATH, then answers.',
)


def _tell_version(asked: bool) -> None:
    if asked:
        from visir.version import code_version

        print(f"visir {version('visir')} ({code_version()})")
        raise typer.Exit


@app.callback()
def _root(
    asked: Annotated[bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version and exit.")] = False,
) -> None:
    pass


for _name, _function in _VERBS.items():
    app.command(_name)(_function)
app.add_typer(vira.app, name="vira")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `visir` and exit: 0 all well, 1 some files failed, 2 usage, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] not in {*_VERBS, "vira"} and not words[0].startswith("-") and _is_path(words):
        words.insert(0, "ask")
    if words[:1] not in (["mcp"], ["serve"]):  # they leave indexing to a process of its own
        share_heap()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=words, prog_name="visir")
    except VisirError as error:
        print(f"visir: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # What the system refuses: a file where a folder is wanted, rights, a full disk.
        if os.environ.get("VISIR_DEBUG"):
            raise
        from visir.index.paths import printable

        named = f"{printable(str(error.filename))}: " if error.filename else ""
        print(f"visir: {named}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted:
        print("visir: interrupted; what was committed stays, the next run goes on", file=sys.stderr)
        sys.exit(130)


def _is_path(words: Sequence[str]) -> bool:
    """Say whether a command line without a verb begins with where to look, rather than with a verb that was mistyped."""
    first = words[0]
    if os.path.lexists(first) or first.startswith(("http://", "https://")):
        return True
    return len(words) > 1 and not difflib.get_close_matches(first, _VERBS, cutoff=0.7)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


if __name__ == "__main__":
    main()
