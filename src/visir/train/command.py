"""The command line of the modules that turn one folder into another."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from visir.errors import VisirError


def run_on_folders(
    action: Callable[..., Any], text: str | None, folders: Sequence[tuple[str, str]], pack: bool = False, several: bool = False
) -> None:
    """Call an action with the folders that the command line names; an error of ours is one line.

    Args:
        action: takes the folders in their order, and the practice pack behind them if there is one.
        text: what ``--help`` says.
        folders: name and meaning of each.
        pack: whether it needs a practice pack.
        several: whether the last folder may be named again; the action gets a list of these.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for number, (name, meaning) in enumerate(folders, 1):
        parser.add_argument(name, type=Path, nargs="+" if several and number == len(folders) else None, help=meaning)
    if pack:
        parser.add_argument("--pack", type=Path, default=Path("data/practice.zip"), help="the practice pack")
    try:
        action(*vars(parser.parse_args()).values())
    except VisirError as error:
        sys.exit(str(error))
