"""What the benchmarks share: percentiles, memory of processes, Markdown tables."""

import os
import platform
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

_T = TypeVar("_T")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are set to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return a percentile of durations, in milliseconds."""
    return 1000 * float(np.percentile(np.asarray(seconds), share))


def timed(action: Callable[[], _T], into: list[float]) -> _T:
    """Run an action and note its wall time in seconds."""
    started = time.perf_counter()
    done = action()
    into.append(time.perf_counter() - started)
    return done


def memory_of(pid: int | str = "self") -> dict[str, float]:
    """Return what Linux says of a process's memory in MB: ``VmHWM`` (peak), ``VmRSS`` and ``RssAnon`` among others."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if value.endswith("kB"):
            found[name] = int(value.split()[0]) / 1024
    return found


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine(packages: Sequence[str] = ("lancedb", "onnxruntime", "pypdfium2", "numpy")) -> str:
    """Describe the machine in a line, load by others and the versions of packages included."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    total = next((int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0.0)
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return f"{model}, {os.cpu_count()} cores, {total:.0f} GB, load {os.getloadavg()[0]:.1f} at the end; {versions}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _version(name: str) -> Any:
    from importlib.metadata import version

    return version(name)
