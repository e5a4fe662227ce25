"""A file that one process at a time holds; the system lets go of it when the process ends, however it ends."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import IO


class LockedFile:
    """Hold a lock on a file within a ``with`` block; the block's target says whether it was got.

    Args:
        path: the file; made if missing.
        wait: wait for whoever holds it; without, the target is ``False`` if somebody does.
    """

    def __init__(self, path: Path, wait: bool = True) -> None:
        self._path = path
        self._wait = wait
        self._file: IO[bytes] | None = None

    def __enter__(self) -> bool:
        self._file = self._path.open("ab")
        try:
            _lock(self._file, self._wait)
        except OSError:
            self._file.close()
            self._file = None
            return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @classmethod
    def is_held(cls, path: Path) -> bool:
        """Say whether some process holds the lock on a file."""
        with suppress(FileNotFoundError), path.open("rb+") as file:
            try:
                _lock(file, wait=False)
            except OSError:
                return True
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes], wait: bool) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes], wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
