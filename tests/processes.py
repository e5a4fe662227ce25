"""What runs below this process."""

from pathlib import Path


def processes() -> list[Path]:
    """Return the folder of each process in /proc; any of them may end before it is read.

    `Path.glob` looks at each, and fails where one has just ended.
    """
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


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
