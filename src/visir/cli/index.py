"""`visir index`."""

from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import (
    IndexOption,
    JsonOption,
    ModelOption,
    OcrLanguageOption,
    OcrOption,
    TimeoutOption,
    capture_options,
    finish,
    index_folder,
    progress_on_stderr,
    say,
)


def index(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="PATH…", help="Files, folders, http(s) addresses; all known ones if left out.")
    ] = None,
    index: IndexOption = None,
    model: ModelOption = "",
    timeout: TimeoutOption = 60,
    ocr: OcrOption = False,
    ocr_language: OcrLanguageOption = "eng",
    as_json: JsonOption = False,
) -> None:
    """Index documents, or bring the index up to date.

    Unchanged files cost nothing; files that are gone are removed from the index.
    """
    place: Path = index_folder(index)
    say(f"indexing into {place}")
    from visir.index import Index

    for source in sources or []:
        Index.root_of(source)  # before an index is made for nothing
    with (
        Index.open(place, model, capture_options(timeout, ocr, ocr_language), create=bool(sources)) as opened,
        progress_on_stderr() as listeners,
    ):
        summary = opened.add(*sources, listeners=listeners) if sources else opened.refresh(listeners)
    finish(summary, as_json)
