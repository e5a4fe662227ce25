"""Real servers in processes of their own."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from visir.serve.client import Client


@dataclass
class Running:
    """A server that runs."""

    address: str
    process: subprocess.Popen[str]
    index: Path
    token: str = ""
    clients: list[Client] = field(default_factory=list)

    def client(self, token: str | None = None) -> Client:
        self.clients.append(Client(self.address, self.token if token is None else token))
        return self.clients[-1]

    @property
    def port(self) -> int:
        return int(self.address.rstrip("/").rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> int:
        for client in self.clients:
            client.close()
        self.process.send_signal(number)
        code = self.process.wait(60)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return code


def start(index: Path, *words: str, token: str = "", **environment: str) -> Running:
    """Start `visir serve` and wait until it answers."""
    command = [sys.executable, "-m", "visir.cli.main", "serve", *words, "--index", str(index), "--port", "0"]
    env = {**os.environ, "VISIR_TOKEN": token, **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 100)
    told = process.stdout.readline() if ready else ""
    if not re.fullmatch(r"http://.*/\n", told):
        process.kill()
        raise AssertionError(f"no address but {told!r}: {process.communicate()[1]}")
    return Running(told.strip(), process, index, token)


@contextmanager
def running(index: Path, *words: str, **choices: str) -> Iterator[Running]:
    server = start(index, *words, **choices)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
