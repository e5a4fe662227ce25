"""What runs below this process."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the processes below one, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found + [lower for child in found for lower in children(child)]
