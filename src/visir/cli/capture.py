"""`visir capture`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import JsonOption, OcrLanguageOption, OcrOption, TimeoutOption, capture_options, counted, print_json, say


def capture(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="Files or http(s) addresses.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the screenshots go.")],
    timeout: TimeoutOption = 60,
    ocr: OcrOption = False,
    ocr_language: OcrLanguageOption = "eng",
    as_json: JsonOption = False,
) -> None:
    """Turn documents into screenshots.

    Writes NAME-0001.jpg and, beside it, NAME-0001.json with title, text, and words with their boxes.
    """
    from visir.capture import Worker
    from visir.errors import CaptureError
    from visir.index.paths import printable

    output.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    failed = 0
    with Worker(capture_options(timeout, ocr, ocr_language)) as worker:
        for source in sources:
            stem = _free_stem(output, source)
            try:
                for shot in worker.capture(source):
                    target = output / f"{stem}-{shot.page:04d}.jpg"
                    target.write_bytes(shot.encoded)
                    facts = asdict(shot)
                    del facts["encoded"]
                    target.with_suffix(".json").write_text(
                        json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace"
                    )
                    written.append(str(target))
                    if not as_json:
                        print(target)
            except CaptureError as error:
                say(f"failed: {printable(error.uri)}: {printable(error.reason)}")
                failed += 1
    say(f"captured {counted(len(written), 'page')} of {counted(len(sources) - failed, 'source')} · failed {failed:,}")
    if as_json:
        print_json(written)
    if failed:
        raise typer.Exit(1)


def _free_stem(folder: Path, source: str) -> str:
    """Return a name for a source's screenshots that no other source has taken."""
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in Path(source.rstrip("/")).stem)[:80] or "page"
    number = 1
    free = stem
    while (folder / f"{free}-0001.jpg").exists():
        number += 1
        free = f"{stem}-{number}"
    return free
