"""The process that indexes for a server, so that searches never wait for it: ``python -m visir.serve.indexer INDEX OPTIONS``.

Requests come in on standard input and progress goes out on standard output, each a line of JSON. It gives way to every other
process, and ends when its server does, however that ends; what was committed stays.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from visir.capture import CaptureOptions
from visir.errors import VisirError
from visir.heap import share_heap
from visir.index import Index, Listeners, Summary
from visir.index.paths import is_address

_REPORT_SECONDS = 0.2
_POLITENESS = 10


class _Stopped(BaseException):
    """The server ends, or somebody cancelled the job."""


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped


def _read_requests(requests: "queue.Queue[dict[str, Any]]") -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)


class _Reporter:
    """Tells the server how far a job is, not more often than anybody can read."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._next = 0.0

    def send(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def progress(self, summary: Summary) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _REPORT_SECONDS
            self.send({"progress": asdict(summary)})

    def failure(self, name: str, reason: str) -> None:
        self.send({"failure": {"uri": name, "reason": reason}})


def _work(index: Index, request: dict[str, Any], reporter: _Reporter) -> None:
    listeners = Listeners(reporter.progress, reporter.failure)
    try:
        if request["kind"] == "refresh":
            summary = index.refresh(listeners)
        else:
            if request["folder"]:
                index.store.add_root(request["folder"])
            # What went while it waited is told, and the others are added all the same.
            there = [source for source in request["sources"] if is_address(source) or os.path.lexists(source)]
            summary = index.add(*there, listeners=listeners, remember=not request["folder"])
            for source in set(request["sources"]) - set(there):
                summary.failed += 1
                reporter.failure(source, "is not there any more")
    except VisirError as error:
        reporter.send({"error": str(error)})
    else:
        reporter.send({"done": asdict(summary)})


def main() -> None:
    """Serve indexing jobs until the server ends."""
    share_heap()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError, OSError):
        os.nice(_POLITENESS)
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    options = CaptureOptions(**json.loads(sys.argv[2]))
    reporter = _Reporter(out)
    with Index.open(Path(sys.argv[1]), options=options, create=False) as index:
        signal.signal(signal.SIGTERM, _stop)
        threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
        try:
            while True:
                _work(index, requests.get(), reporter)
        except _Stopped:
            return


if __name__ == "__main__":
    main()
