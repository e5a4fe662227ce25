"""Indexing on request: a queue on disk, worked off one job after the other by a process of its own.

A job is written down before the caller hears of it and again when it is over, so a server that is stopped or killed goes on
with it at its next start; indexing twice costs nothing. Whoever watches is told about changes, not about every step:
a slow watcher misses steps in between instead of filling the memory.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from visir.capture import CaptureOptions
from visir.serve.options import ServeError
from visir.serve.schemas import Failure, Job, JobState

_KEPT = 50
_FAILURES = 200
_IDLE_SECONDS = 60.0
_STOP_SECONDS = 20.0
_PING_SECONDS = 15.0
_LINE_BYTES = 1 << 20
_OVER: tuple[JobState, ...] = ("done", "failed", "cancelled")


class BusyError(ServeError):
    """So much waits already that more is turned away; try again later."""


class Jobs:
    """The jobs of one server; to be used from its event loop.

    Args:
        index: folder of the index.
        folder: where jobs are written down; ``None`` keeps them in memory.
        options: how documents are captured.
        limit: jobs that may wait.
        changed: called after a job changed the index.
    """

    def __init__(
        self, index: Path, folder: Path | None, options: CaptureOptions, limit: int = 500, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._index = index
        self._folder = folder
        self._options = options
        self._limit = limit
        self._changed = changed
        self._jobs: dict[str, Job] = {}
        self._folders: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._version = 0
        self._condition = asyncio.Condition()
        self._wake = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._current = ""
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what a former server left, and begin."""
        for path in sorted(self._folder.glob("*.json")) if self._folder and self._folder.exists() else ():
            with contextlib.suppress(ValueError, OSError, KeyError):
                kept = json.loads(path.read_text(encoding="utf-8"))
                job = Job(**kept["job"])
                if job.state == "running":
                    job.state = "queued"
                self._jobs[job.id] = job
                self._folders[job.id] = kept["folder"]
                self._touch(job)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the work at hand; it is taken up at the next start."""
        self._closing = True
        self._wake.set()
        await self._stop_process()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._tell()

    # What callers do

    async def add(self, kind: Literal["add", "refresh"], sources: Sequence[str] = (), folder: str = "") -> Job:
        """Queue a job.

        Args:
            kind: ``add`` sources, or ``refresh`` all that was ever added.
            sources: absolute paths and addresses.
            folder: a folder to remember in place of the sources, which lie in it.

        Raises:
            BusyError: too many wait, or it cannot be written down.
        """
        self.check_room()
        # Names in the order of time: the queue is read back in it.
        job = Job(id=f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(3)}", kind=kind, sources=list(sources), created=_now())
        try:
            self._write(job, folder)
        except OSError as error:
            raise BusyError(f"the job cannot be written down ({error.strerror or error}): make room and try again") from error
        self._jobs[job.id] = job
        self._folders[job.id] = folder
        self._forget_old()
        self._touch(job)
        self._wake.set()
        await self._tell()
        return job

    def check_room(self) -> None:
        """Make sure that another job may wait.

        Raises:
            BusyError: too many wait.
        """
        if sum(job.state == "queued" for job in self._jobs.values()) >= self._limit:
            raise BusyError(f"{self._limit} jobs wait already: try again when some are done")

    def unfinished(self) -> Job | None:
        """Return the job that is at work, or else the next, or ``None``."""
        waiting = [job for job in self.all() if job.state in ("running", "queued")]
        return waiting[-1] if waiting else None

    async def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or end it; what it committed stays."""
        if job.state == "queued":
            await self._finish(job, "cancelled", "cancelled before it began")
        elif job.state == "running":
            job.message = "cancelled; what was committed stays"
            job.state = "cancelled"
            await self._stop_process()

    def get(self, name: str) -> Job | None:
        """Return a job, or ``None``."""
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        """Return the jobs, the newest first."""
        return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)

    def counts(self) -> dict[str, int]:
        """Count jobs by state."""
        counts = dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 0)
        for job in self._jobs.values():
            counts[job.state] += 1
        return counts

    async def watch(self, name: str = "") -> AsyncIterator[Job | None]:
        """Yield jobs as they change, and ``None`` now and then so that a dead connection is noticed; ends when the server stops.

        Args:
            name: watch this job alone, until it is over.
        """
        seen: dict[str, int] = {}
        while True:
            version = self._version  # before looking: what changes while a job is handed out must not be waited for
            for job in reversed(self.all()):
                if (not name or job.id == name) and self._versions[job.id] > seen.get(job.id, 0):
                    seen[job.id] = self._versions[job.id]
                    told = job.model_copy(deep=True)
                    yield told
                    # The job itself may be over by now; whoever watches has not been told so yet.
                    if name and told.state in _OVER:
                        return
            if self._closing:
                return
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    async with self._condition:
                        while self._version == version and not self._closing:
                            await self._condition.wait()
            except TimeoutError:
                yield None

    async def close_watches(self) -> None:
        """Let everybody who watches go; the jobs themselves run on until `stop`."""
        self._closing = True
        await self._tell()

    # The work

    async def _run(self) -> None:
        while not self._closing:
            job = next((job for job in reversed(self.all()) if job.state == "queued"), None)
            if job is not None:
                try:
                    await self._work(job)
                except (OSError, ValueError) as error:
                    # Whatever it was, it is this job's failure and not the queue's.
                    await self._stop_process()
                    await self._finish(job, "failed", f"it could not be worked on ({error}); what was committed stays")
                continue
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), _IDLE_SECONDS)
            except TimeoutError:
                await self._stop_process()

    async def _work(self, job: Job) -> None:
        job.state, job.started, self._current = "running", _now(), job.id
        job.failures, job.failed = [], 0
        self._note(job)
        self._touch(job)
        await self._tell()
        request = {"kind": job.kind, "sources": job.sources, "folder": self._folders[job.id]}
        process = await self._running()
        if self._jobs[job.id].state == "cancelled":
            # While the process began.
            await self._finish(job, "cancelled", job.message)
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
        while True:
            line = await process.stdout.readline()
            if not line:
                await self._died(job)
                return
            if await self._heard(job, json.loads(line)):
                return

    async def _heard(self, job: Job, message: dict[str, Any]) -> bool:
        """Take in what the process tells; returns whether the job is over."""
        if "error" in message:
            await self._finish(job, "failed", message["error"])
            return True
        if "failure" in message:
            if len(job.failures) < _FAILURES:
                job.failures.append(Failure(**message["failure"]))
        else:
            summary = message.get("progress") or message["done"]
            for name in ("files", "done", "indexed", "unchanged", "removed", "failed", "pages", "current"):
                setattr(job, name, summary[name])
        if "done" in message:
            await self._finish(job, "done", "")
            return True
        self._touch(job)
        await self._tell()
        return False

    async def _died(self, job: Job) -> None:
        self._process = None
        if job.state == "cancelled":
            await self._finish(job, "cancelled", job.message)
        elif self._closing:
            job.state = "queued"
            self._note(job)
        else:
            await self._finish(job, "failed", "the process that indexes ended unexpectedly; what was committed stays")

    async def _finish(self, job: Job, state: JobState, message: str) -> None:
        job.state, job.message, job.finished, job.current = state, message, _now(), ""
        self._current = ""
        self._note(job)
        self._changed()
        self._touch(job)
        await self._tell()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            options = json.dumps(asdict(self._options))
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "visir.serve.indexer", str(self._index), options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None if os.environ.get("VISIR_DEBUG") else asyncio.subprocess.DEVNULL,
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C is the server's to handle
            )
        return self._process

    async def _stop_process(self) -> None:
        # The next job gets a process of its own: this one may be asked to end a moment after it finished.
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    # Writing down and telling

    def _note(self, job: Job) -> None:
        """Write down how far a job is; where that fails it is done again at the next start, which costs nothing."""
        with contextlib.suppress(OSError):
            self._write(job, self._folders[job.id])

    def _write(self, job: Job, folder: str) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{job.id}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"job": job.model_dump(), "folder": folder}), encoding="utf-8")
        os.replace(fresh, path)

    def _forget_old(self) -> None:
        for job in [job for job in self.all() if job.state in _OVER][_KEPT:]:
            del self._jobs[job.id], self._versions[job.id], self._folders[job.id]
            if self._folder is not None:
                (self._folder / f"{job.id}.json").unlink(missing_ok=True)

    def _touch(self, job: Job) -> None:
        self._version += 1
        self._versions[job.id] = self._version

    async def _tell(self) -> None:
        async with self._condition:
            self._condition.notify_all()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
