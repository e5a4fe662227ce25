"""`visir report`."""

from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import missing_extra, say
from visir.cli.eval import CacheOption, default_cache


def report(
    results: Annotated[list[Path], typer.Argument(metavar="OUT…", help="Folders or files that `visir eval -o` wrote.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where report.html and report.md go.", file_okay=False)
    ] = Path("report"),
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Whose wins and losses are shown (else the best one's).")] = "",
    benchmark: Annotated[
        Path | None, typer.Option("--benchmark", metavar="DIR", help="The benchmark, where it is no longer where it was measured.")
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Write measurements as a page to look at, and as Markdown."""
    from visir.errors import BenchmarkError
    from visir.mvrb.cache import Cache

    try:
        from visir.mvrb.report import write
    except ImportError as error:
        raise missing_extra("eval", error) from error

    for place in results:
        if not place.exists():
            raise BenchmarkError(f"there is no {place}: name what `visir eval DIR -o OUT` wrote")
    files = [file for place in results for file in (sorted(place.glob("*.json")) if place.is_dir() else [place])]
    if not files:
        raise BenchmarkError(f"no measurements in {', '.join(map(str, results))}: make some with `visir eval DIR -o OUT`")
    seen = Cache(cache or default_cache())
    for path in write(files, output, model, benchmark, seen):
        say(f"wrote {path}")
    seen.close()
