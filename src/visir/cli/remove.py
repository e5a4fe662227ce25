"""`visir remove`."""

from typing import Annotated

import typer

from visir.cli.common import IndexOption, JsonOption, open_index, print_json, say


def remove(
    sources: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders with all that is in them, addresses.")],
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take documents out of the index; files stay."""
    with open_index(index) as opened:
        count = opened.remove(*sources)
    say(f"removed {count:,}" if count else "nothing of that is in the index")
    if as_json:
        print_json({"removed": count})
