"""`visir watch`."""

from typing import TYPE_CHECKING, Annotated

import typer

from visir.cli.common import IndexOption, Interrupted, TimeoutOption, capture_options, closing_line, index_folder, progress_on_stderr, say

if TYPE_CHECKING:
    from visir.index import Index


def watch(
    sources: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Folders to watch; all indexed ones if left out.")] = None,
    index: IndexOption = None,
    timeout: TimeoutOption = 60,
) -> None:
    """Keep the index up to date until Ctrl-C."""
    from watchfiles import watch as changes

    from visir.index import Index
    from visir.index.paths import is_address, path_of

    with Index.open(index_folder(index), options=capture_options(timeout, False, "eng"), create=bool(sources)) as opened:
        _bring_up_to_date(opened, sources)
        chosen = [opened.root_of(source) for source in sources or []] or opened.store.roots()
        folders = [path_of(root) for root in chosen if not is_address(root) and path_of(root).exists()]
        say(f"watching {len(folders)} folders; Ctrl-C ends it")
        for _ in changes(*folders, raise_interrupt=False):
            _bring_up_to_date(opened, sources)
        # It only ends on a signal, which it keeps to itself.
        raise Interrupted


def _bring_up_to_date(index: "Index", sources: list[str] | None) -> None:
    with progress_on_stderr() as listeners:
        summary = index.add(*sources, listeners=listeners) if sources else index.refresh(listeners)
    say(closing_line(summary))
