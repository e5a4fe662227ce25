"""`visir remove`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import IndexOption, JsonOption, open_index, print_json, say


def remove(
    sources: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders with all that is in them, addresses.")],
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take documents out of the index; files stay."""
    from visir.index.paths import is_address, is_below, name_of, printable

    with open_index(index) as opened:
        count = opened.remove(*sources)
        roots = opened.store.roots()
    say(f"removed {count:,}" if count else "nothing of that is in the index")
    for source in sources:
        name = source if is_address(source) else name_of(Path(source))
        above = [root for root in roots if is_below(name, root)]
        if above and os.path.exists(source):
            say(f"{printable(source)} lies in {printable(above[0])}, which is kept up to date: the next `visir index` takes it in again")
    if as_json:
        print_json({"removed": count})
