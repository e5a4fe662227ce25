"""`visir watch`."""

import os
from typing import Annotated

import typer

from visir.cli.common import (
    IndexOption,
    Interrupted,
    OcrLanguageOption,
    OcrOption,
    TimeoutOption,
    capture_options,
    closing_line,
    index_folder,
    progress_on_stderr,
    say,
)

_PULSE_MILLISECONDS = 300


def watch(
    sources: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Folders to watch; all indexed ones if left out.")] = None,
    index: IndexOption = None,
    timeout: TimeoutOption = 60,
    ocr: OcrOption = False,
    ocr_language: OcrLanguageOption = "eng",
) -> None:
    """Keep the index up to date until Ctrl-C."""
    from watchfiles import watch as changes

    from visir.errors import StoreError
    from visir.index import Index
    from visir.index.paths import is_address, is_below, path_of, printable

    asked = [Index.root_of(source) for source in sources or []]
    with Index.open(index_folder(index), options=capture_options(timeout, ocr, ocr_language), create=bool(sources)) as opened:
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
            with progress_on_stderr() as listeners:
                summary = opened.add(*sources, listeners=listeners) if sources else opened.refresh(listeners)
            say(closing_line(summary))
            say(f"watching {', '.join(printable(str(folder)) for folder in folders)}; Ctrl-C ends it")
            for changed in pulse:
                if changed:
                    # Not by adding: a folder that is away for a moment must not end the watch.
                    with progress_on_stderr() as listeners:
                        summary = opened.refresh(listeners, asked or None)
                    say(closing_line(summary))
        except KeyboardInterrupt:
            raise Interrupted from None
