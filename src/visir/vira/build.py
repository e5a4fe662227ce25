"""Run the whole pipeline: pages, rows, hard negatives, card. Each step leaves what an earlier run finished alone."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from visir.vira.answers import Answers
from visir.vira.capturing import capture
from visir.vira.card import write_card
from visir.vira.collection import capture_index
from visir.vira.config import Config
from visir.vira.leaks import Guard
from visir.vira.negatives import mine
from visir.vira.pairs import make_rows
from visir.vira.writing import estimate, write


def build(folder: Path, config: Config, say: Callable[[str], None], workers: int = 1, ask: bool = True) -> dict[str, int]:
    """Build a set, or go on with one that was broken off.

    Args:
        folder: of the set.
        config: its recipe.
        say: told how far it is.
        workers: processes that capture pages, and that mine.
        ask: without it the build stops before a language model is asked, and says what that would cost.

    Returns:
        What was kept and what was dropped, by step and reason; ``counts.json`` in the folder says the same.
    """
    counts: Counter[str] = Counter()
    if config.domains:
        counts.update(capture(folder, config, say, workers))
    if config.from_index is not None:
        counts.update(capture_index(folder, config.from_index, say, config.batch))
    near = lru_cache(lambda: _near_benchmark(folder, config, say))
    if config.writer is not None:
        if not ask:
            due = estimate(folder, config, config.writer, near())
            say(due.told(config.writer))
            counts.update(
                {"to write about": due.pages, "to write about: tokens in": due.tokens_in, "to write about: tokens out": due.tokens_out}
            )
            return dict(sorted(counts.items()))
        counts.update(write(folder, config, config.writer, say, near()))
    counts.update(_pair(folder, config, say, near))
    if config.negatives:
        counts.update(mine(folder, config, say, workers))
    told = dict(sorted(counts.items()))
    (folder / "counts.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    write_card(folder, config, told)
    return told


def _near_benchmark(folder: Path, config: Config, say: Callable[[str], None]) -> frozenset[str]:
    """Return the pictures that are near a page of the benchmark; ``leaks.json`` lists them."""
    if config.avoid is None:
        return frozenset()
    leaks = Guard(config.avoid).leaks(folder)
    (folder / "leaks.json").write_text(json.dumps([vars(leak) for leak in leaks], indent=1), "utf-8")
    drop = frozenset(leak.image for leak in leaks)
    say(f"{len(drop):,} pages are near a page of {config.avoid} and are left out")
    return drop


def _pair(folder: Path, config: Config, say: Callable[[str], None], near: Callable[[], frozenset[str]]) -> Counter[str]:
    """Write the rows, unless they were made of just these pictures and answers by just this recipe."""
    done = folder / "rows" / "done.json"
    shards = sorted((path.name, path.stat().st_size) for path in (folder / "images").glob("*.parquet"))
    digest = hashlib.blake2b(repr((config, shards, Answers(folder).size)).encode(), digest_size=8).hexdigest()
    if done.is_file() and (told := json.loads(done.read_text("utf-8")))["digest"] == digest:
        return Counter(told["counts"])
    counts: Counter[str] = Counter()
    if config.avoid is not None:
        counts["pages dropped: near a page of the benchmark"] = len(near())
    counts.update(make_rows(folder, config, say, near()))
    done.write_text(json.dumps({"digest": digest, "counts": counts}), "utf-8")
    return counts
