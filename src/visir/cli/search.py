"""`visir search`, and how hits are shown."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visir.cli.common import IndexOption, JsonOption, open_index, print_json, say

if TYPE_CHECKING:
    from visir.index import Index
    from visir.screenshot import Hit, Query

CountOption = Annotated[int, typer.Option("-k", "--count", metavar="N", min=1, max=1000, help="Number of hits.")]
ImageOption = Annotated[
    str, typer.Option("--image", metavar="FILE", help="Search by a picture, a screenshot, or any document's first page.")
]
WhereOption = Annotated[
    str,
    typer.Option(
        "--where", metavar="FILTER", help="SQL condition over path, type, page, date, language, title, as in \"type = 'pdf' AND page < 9\"."
    ),
]
WordsOption = Annotated[bool, typer.Option("--words/--no-words", help="Also look for the exact words of the query.")]
MinScoreOption = Annotated[float, typer.Option("--min-score", metavar="0..100", min=0, max=100, help="Leave out hits below this score.")]
LEAST_SCORE = 20
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Save the hits' pictures there, with the words marked.")
]


def search(
    words: Annotated[list[str] | None, typer.Argument(metavar="QUERY…", help="What to look for; - reads it from standard input.")] = None,
    image: ImageOption = "",
    count: CountOption = 10,
    where: WhereOption = "",
    exact_words: WordsOption = True,
    min_score: MinScoreOption = LEAST_SCORE,
    output: OutputOption = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find pages by text, by a picture, or by both.

    A text beside a picture says what should differ from it.
    """
    text = " ".join(words or [])
    if text == "-":
        text = sys.stdin.read()
    from visir.index import SearchOptions

    with open_index(index) as opened:
        hits = opened.search(make_query(opened, text, image), SearchOptions(count, 0, where, exact_words, min_score))
    show(hits, as_json, output)


def make_query(index: "Index", text: str, image: str) -> "Query":
    """Make a query of a text and the name of a picture."""
    from visir.screenshot import Query

    return Query(text.strip(), index.capture(image) if image else None)


def show(hits: "list[Hit]", as_json: bool, output: Path | None) -> None:
    """Print hits, and save their pictures if a folder is named."""
    if output is not None:
        _save(hits, output)
    if as_json:
        print_json([asdict(hit) for hit in hits])
        return
    if not hits:
        say("nothing found")
    from rich.console import Console
    from rich.text import Text

    from visir.index.paths import printable

    console = Console(highlight=False, soft_wrap=True)
    for hit in hits:
        head = Text(f"{hit.score:5.1f}  ")
        head.append(printable(_near(hit.uri)), "bold").append(f"  page {hit.page}")
        console.print(head)
        if hit.title:
            console.print(Text(f"       {printable(hit.title)}", "cyan"))
        if hit.snippet:
            snippet = Text(printable(hit.snippet))
            for start, end in hit.marks:
                snippet.stylize("bold yellow", start, end)
            console.print(Text("       ").append(snippet))


def _near(name: str) -> str:
    """Return a path relative to the working folder if it lies in it."""
    here = os.getcwd().rstrip(os.sep) + os.sep
    return name.removeprefix(here)


def _save(hits: "list[Hit]", folder: Path) -> None:
    """Write the hits' pictures as NN-page.png, the query's words marked as with a highlighter."""
    from PIL import Image, ImageChops, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    for number, hit in enumerate(hits, 1):
        with Image.open(hit.picture) as picture:
            page = picture.convert("RGB")
        ink = Image.new("RGB", page.size, "white")
        draw = ImageDraw.Draw(ink)
        for left, top, right, bottom in hit.boxes:
            draw.rectangle(
                (left * page.width - 2, top * page.height - 1, right * page.width + 2, bottom * page.height + 1), fill=(255, 225, 80)
            )
        target = folder / f"{number:02d}-{Path(hit.uri).stem[:60] or 'page'}-{hit.page}.png"
        ImageChops.multiply(page, ink).save(target)
        say(f"saved {target}")
