"""Vectors and texts that were computed once, on disk, by model and content."""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from visir.errors import StoreError


class Cache:
    """Keeps bytes by key; safe against kills, shared by processes.

    Args:
        path: an SQLite file, made if missing.

    Attributes:
        computed: how many values were not there and had to be computed.
    """

    def __init__(self, path: Path) -> None:
        self.computed = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=60)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the cache {path} cannot be opened: {error}; delete it or name another place with --cache") from error

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def through(self, keys: Sequence[bytes], compute: Callable[[list[int]], Sequence[bytes]], batch: int = 32) -> list[bytes]:
        """Return the value of every key; those that are missing are computed in batches, each kept as soon as it is done.

        Args:
            keys: as `key_of` makes them.
            compute: given positions in ``keys``, returns their values.
            batch: how many are computed at a time.
        """
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            found.update(self._base.execute(f"SELECT key, value FROM entries WHERE key IN ({marks})", part).fetchall())
        first = {key: position for position, key in reversed(list(enumerate(keys))) if key not in found}
        missing = sorted(first.values())
        self.computed += len(missing)
        for start in range(0, len(missing), batch):
            positions = missing[start : start + batch]
            fresh = list(zip((keys[position] for position in positions), compute(positions), strict=True))
            with self._base:
                self._base.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", fresh)
            found.update(fresh)
        return [found[key] for key in keys]


def key_of(*parts: bytes | str) -> bytes:
    """Return the key of something that these parts determine."""
    state = hashlib.blake2b(digest_size=20)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        state.update(len(raw).to_bytes(8, "little") + raw)
    return state.digest()
