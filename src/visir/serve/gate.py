"""Work that takes CPU time, done by a few threads; a bounded number of callers waits, the rest is turned away at once."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from visir.serve.jobs import BusyError

_T = TypeVar("_T")


class Gate:
    """Let a few callers work and a few more wait.

    Args:
        threads: callers that work at once.
        waiting: callers that may wait.
    """

    def __init__(self, threads: int, waiting: int) -> None:
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
