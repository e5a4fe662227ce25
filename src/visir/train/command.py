"""The command line of the modules that turn one folder into another."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from visir.errors import VisirError


def run_on_folders(action: Callable[..., Any], text: str | None, folders: Sequence[tuple[str, str]], pack: bool = False) -> None:
    """Call an action with the folders that the command line names; an error of ours is one line.

    Args:
        action: takes the folders in their order, and the practice pack behind them if there is one.
        text: what ``--help`` says.
        folders: name and meaning of each.
        pack: whether it needs a practice pack.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, meaning in folders:
        parser.add_argument(name, type=Path, help=meaning)
    if pack:
        parser.add_argument("--pack", type=Path, default=Path("data/practice.zip"), help="the practice pack")
    try:
        action(*vars(parser.parse_args()).values())
    except VisirError as error:
        sys.exit(str(error))
