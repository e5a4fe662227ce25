"""What runs below this process."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def processes() -> list[Path]:
    """Return the folder of each process in /proc; any of them may end before it is read.

    `Path.glob` looks at each, and fails where one has just ended.
    """
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def processes_with(word: str) -> Iterator[Path]:
    """Yield the folders of the processes whose command line holds a word."""
    for entry in processes():
        with contextlib.suppress(OSError):
            if word.encode() in (entry / "cmdline").read_bytes():
                yield entry


def children(pid: int) -> list[int]:
    """Return the processes below one, from /proc."""
    found = []
    for entry in processes():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return found + [lower for child in found for lower in children(child)]
