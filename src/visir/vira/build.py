"""Run the whole pipeline: pages, rows, hard negatives, audit, card."""

import json
from collections.abc import Callable
from pathlib import Path

from visir.vira.capturing import capture
from visir.vira.config import Config
from visir.vira.leaks import Guard
from visir.vira.pairs import make_rows


def build(folder: Path, config: Config, say: Callable[[str], None], workers: int = 1) -> dict[str, int]:
    """Build a set, or go on with one that was broken off.

    Args:
        folder: of the set.
        config: its recipe.
        say: told how far it is.
        workers: processes that capture pages.

    Returns:
        What was kept and what was dropped, by step and reason; ``counts.json`` in the folder says the same.
    """
    counts = capture(folder, config, say, workers)
    drop: frozenset[str] = frozenset()
    if config.avoid is not None:
        leaks = Guard(config.avoid).leaks(folder)
        drop = frozenset(leak.image for leak in leaks)
        counts["pages dropped: near a page of the benchmark"] = len(drop)
        (folder / "leaks.json").write_text(json.dumps([vars(leak) for leak in leaks], indent=1), "utf-8")
        say(f"{len(drop):,} pages are near a page of {config.avoid} and are left out")
    counts.update(make_rows(folder, config, say, drop))
    told = dict(sorted(counts.items()))
    (folder / "counts.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return told
