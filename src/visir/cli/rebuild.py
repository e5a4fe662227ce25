"""`visir rebuild`."""

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


def rebuild(
    index: IndexOption = None,
    model: ModelOption = "",
    timeout: TimeoutOption = 60,
    ocr: OcrOption = False,
    ocr_language: OcrLanguageOption = "eng",
    as_json: JsonOption = False,
) -> None:
    """Build the index anew, with another model.

    Everything that was indexed is captured again; the old index serves until the new one is whole. Where something that was indexed is
    not there any more, the old one stays.
    """
    from visir.index import Index

    place = index_folder(index)
    say(f"rebuilding {place}")
    with progress_on_stderr() as listeners:
        summary = Index.rebuild(place, model, capture_options(timeout, ocr, ocr_language), listeners)
    finish(summary, as_json)
