"""Run the whole pipeline: pages, rows, hard negatives, audit, card."""

from collections.abc import Callable
from pathlib import Path

from visir.vira.capturing import capture
from visir.vira.config import Config
from visir.vira.pairs import make_rows


def build(folder: Path, config: Config, say: Callable[[str], None], workers: int = 1) -> dict[str, int]:
    """Build a set, or go on with one that was broken off.

    Args:
        folder: of the set.
        config: its recipe.
        say: told how far it is.
        workers: processes that capture pages.

    Returns:
        What was kept and what was dropped, by step and reason.
    """
    counts = capture(folder, config, say, workers)
    counts.update(make_rows(folder, config, say))
    return dict(sorted(counts.items()))
