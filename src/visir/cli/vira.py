"""`visir vira`: training data and benchmarks out of documents."""

from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import IndexOption, JsonOption, index_folder, print_json, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make training data and benchmarks out of documents.")

CorporaOption = Annotated[Path, typer.Option("--corpora", metavar="DIR", help="Where sources are kept once they were fetched.")]


@app.command()
def devset(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the benchmark goes.")],
    corpora: CorporaOption = Path("data/corpora"),
    small: Annotated[bool, typer.Option("--small", help="Build a set of some 200 pages, for tests.")] = False,
    domain: Annotated[list[str] | None, typer.Option("--domain", metavar="NAME", help="Capture only this; may be given again.")] = None,
) -> None:
    """Build the development benchmark, in MVRB's layout, from documents that training never sees.

    Sources are fetched with apt-get and pip. A run that was broken off goes on.
    """
    from visir.vira.corpora import Corpora
    from visir.vira.devset import SIZES, SMALL, build, capture

    sizes = SMALL if small else SIZES
    sources = Corpora(corpora, say)
    if domain:
        for name in domain:
            output.mkdir(parents=True, exist_ok=True)
            say(f"{name}: {len(capture(output, sources, name, sizes[name], say))} pages")
        return
    build(output, sources, sizes, say)


@app.command()
def build(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the set goes.")],
    recipe: Annotated[Path | None, typer.Argument(metavar="CONFIG.toml", help="What the set is made of: a file, or full or small.")] = None,
    from_index: Annotated[bool, typer.Option("--from-index", help="Take the pages of an index; it needs no recipe.")] = False,
    index: IndexOption = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what the recipe's language model would cost, and stop.")] = False,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes that capture pages, and that mine.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Build training data: pages, captions, questions, hard negatives, a data card.

    Sources are fetched with apt-get and pip; nothing is fetched for the pages of an index. A run that was broken off goes on.
    A language model is asked only where the recipe has a [writer].
    """
    from visir.vira.build import build as run
    from visir.vira.config import Config, read_config

    place = index_folder(index) if from_index or index else None
    if recipe is None and place is None:
        raise typer.BadParameter("name a recipe, or ask for --from-index", param_hint="CONFIG.toml")
    config = read_config(recipe, place) if recipe else Config(from_index=place)
    if estimate and config.writer is None:
        raise typer.BadParameter("the recipe has no [writer], so nothing is to be paid", param_hint="--estimate")
    counts = run(output, config, say, workers, not estimate)
    if as_json:
        print_json(counts)
        return
    for name, count in counts.items():
        print(f"{count:9,}  {name}")


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A set built by `visir vira build`.")],
    corpora: CorporaOption = Path("data/corpora"),
    count: Annotated[int, typer.Option("-k", "--count", metavar="N", min=1, help="Negatives to judge.")] = 300,
    as_json: JsonOption = False,
) -> None:
    """Estimate how many mined negatives are right after all.

    A cross-encoder and the question's words judge a sample. Writes audit.json and audit.html, a sheet of pictures, into the set.
    """
    from visir.vira.audit import audit as run
    from visir.vira.corpora import Corpora

    told = run(folder, Corpora(corpora, say), count)
    if as_json:
        print_json(told)
        return
    print(f"{told['suspect']} of {told['judged']} are suspect: {told['share']:.1%} (95 % interval {told['low']:.1%} to {told['high']:.1%})")
