"""Work that takes CPU time, done by a few threads; a bounded number of callers waits, the rest is turned away at once."""

import os
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from visir.serve.jobs import BusyError

_T = TypeVar("_T")


class Gate:
    """Let a few callers work and a few more wait.

    Args:
        waiting: callers that may wait.
        threads: callers that work at once; as many as there are cores, if left out, but 2 to 8.
    """

    def __init__(self, waiting: int, threads: int | None = None) -> None:
        threads = threads or max(2, min(8, os.cpu_count() or 2))
        self._limiter = CapacityLimiter(threads)
        self._most = threads + waiting
        self.inside = 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do the work in a thread.

        Raises:
            BusyError: too many wait already.
        """
        if self.inside >= self._most:
            raise BusyError("too many requests wait already: try again in a moment")
        self.inside += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self.inside -= 1
