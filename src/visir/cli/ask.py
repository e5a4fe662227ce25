"""`visir PATH "query"`: refresh what changed, then answer."""

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
    closing_line,
    index_folder,
    progress_on_stderr,
    say,
)
from visir.cli.search import LEAST_SCORE, CountOption, ImageOption, MinScoreOption, OutputOption, WhereOption, WordsOption, make_query, show
from visir.errors import QueryError


def ask(
    source: Annotated[str, typer.Argument(metavar="PATH", help="File, folder or http(s) address to look in.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="QUERY…", help="What to look for.")] = None,
    image: ImageOption = "",
    count: CountOption = 10,
    where: WhereOption = "",
    exact_words: WordsOption = True,
    min_score: MinScoreOption = LEAST_SCORE,
    output: OutputOption = None,
    index: IndexOption = None,
    model: ModelOption = "",
    timeout: TimeoutOption = 60,
    ocr: OcrOption = False,
    ocr_language: OcrLanguageOption = "eng",
    as_json: JsonOption = False,
) -> None:
    """Index what changed in PATH, then answer.

    `visir PATH QUERY` is short for `visir ask PATH QUERY`.
    """
    text = " ".join(words or []).strip()
    if not text and not image:
        raise QueryError(f'nothing to look for is named: `visir {source} "some words"` answers, `visir index {source}` only indexes')
    place = index_folder(index)
    say(f"indexing {source} into {place}")
    from visir.index import Index, SearchOptions

    Index.root_of(source)  # before an index is made for nothing
    with Index.open(place, model, capture_options(timeout, ocr, ocr_language)) as opened:
        with progress_on_stderr() as listeners:
            summary = opened.add(source, listeners=listeners)
        say(closing_line(summary))
        inside = opened.inside(source)
        hits = opened.search(
            make_query(opened, text, image),
            SearchOptions(count, 0, f"({inside}) AND ({where})" if where else inside, exact_words, min_score),
        )
    show(hits, as_json, output)
    if summary.failed:
        raise typer.Exit(1)
