"""Run the application in uvicorn, until it is told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from visir.serve.options import ServeError, ServeOptions

_HEAD_SECONDS = 15
_STOP_SECONDS = 10
_CONNECTIONS = 1000


class PatientProtocol(H11Protocol):
    """HTTP whose clients have some seconds to say what they want: uvicorn alone waits for a request's head for ever."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take in data; the clock stops when the head is whole."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Between requests uvicorn's own time for idle connections counts."""
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        super().connection_lost(exc)
        self._stop_clock()

    def _watch_head(self) -> None:
        unsaid = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        if not unsaid:
            self._stop_clock()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, lets watchers go before it waits for them, and leaves signals as it found them."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._watched = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._watched.state.server.jobs.close_watches()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again at the end, which would make an orderly stop look like an interrupted run.
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(options: ServeOptions, any_port: bool = False) -> socket.socket:
    """Open the socket.

    Args:
        options: address and port.
        any_port: where the port is taken, take any other.

    Raises:
        ServeError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        sock = socket.create_server((options.host, options.port), family=family, backlog=_CONNECTIONS)
    except OSError as error:
        if not any_port:
            raise ServeError(f"{options.host}:{options.port} cannot be listened on ({error.strerror}): name another with --port") from error
        sock = socket.create_server((options.host, 0), family=family, backlog=_CONNECTIONS)
    # Connections inherit it. Otherwise the body of an answer waits up to 40 ms until the client has confirmed the head, since asyncio
    # only sees to it on sockets that name their protocol.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def address_of(sock: socket.socket) -> str:
    """Return the address under which a browser on this machine finds the page."""
    host, port = sock.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    return f"http://{name}:{port}/"


def serve(app: FastAPI, sock: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM; requests at work are finished.

    Args:
        app: what `visir.serve.app.create_app` made.
        sock: where to listen.
        ready: called when requests are answered.
    """
    choices: dict[str, Any] = {
        "http": PatientProtocol,
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "log_level": "error",
        "server_header": False,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": _STOP_SECONDS,
        "limit_concurrency": _CONNECTIONS,
    }
    _Server(uvicorn.Config(app, **choices), app, ready).run(sockets=[sock])
