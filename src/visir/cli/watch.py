"""`visir watch`."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from visir.cli.common import IndexOption, Interrupted, TimeoutOption, capture_options, closing_line, index_folder, progress_on_stderr, say

if TYPE_CHECKING:
    from visir.index import Index

_PULSE_MILLISECONDS = 300


def watch(
    sources: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Folders to watch; all indexed ones if left out.")] = None,
    index: IndexOption = None,
    timeout: TimeoutOption = 60,
) -> None:
    """Keep the index up to date until Ctrl-C."""
    from watchfiles import watch as changes

    from visir.errors import StoreError
    from visir.index import Index
    from visir.index.paths import is_address, is_below, path_of, printable

    asked = [Index.root_of(source) for source in sources or []]
    with Index.open(index_folder(index), options=capture_options(timeout, False, "eng"), create=bool(sources)) as opened:
        roots = asked or opened.store.roots()
        folders = [path_of(root) for root in roots if not is_address(root) and path_of(root).exists()]
        if not folders:
            raise StoreError("there is nothing to watch: name a folder, as in `visir watch PATH`")
        own = os.path.abspath(opened.store.folder)
        pulse = changes(
            *folders,
            # An index that lies in a watched folder must not wake itself.
            watch_filter=lambda _, path: not is_below(path, own),
            rust_timeout=_PULSE_MILLISECONDS,
            yield_on_timeout=True,
        )
        try:
            # From its first beat on no change is missed, those during the first refresh included.
            next(pulse)
            _bring_up_to_date(opened, sources)
            say(f"watching {', '.join(printable(str(folder)) for folder in folders)}; Ctrl-C ends it")
            for changed in pulse:
                if changed:
                    _bring_up_to_date(opened, sources)
        except KeyboardInterrupt:
            raise Interrupted from None


def _bring_up_to_date(index: "Index", sources: list[str] | None) -> None:
    with progress_on_stderr() as listeners:
        summary = index.add(*sources, listeners=listeners) if sources else index.refresh(listeners)
    say(closing_line(summary))
