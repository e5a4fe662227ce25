"""Clients that send slowly, without end, or too much together."""

import contextlib
import socket
import time

import anyio
import pytest

from visir.serve.guard import Guard, Keys
from visir.serve.options import ServeOptions
from visir.serve.run import listen


def test_a_body_that_grows_without_end_is_cut_off(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall(b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 200:
                raw.sendall(piece)
                sent += 1
        assert 30 < sent < 200, "a body may have 32 MB"


def test_the_body_of_an_answer_does_not_wait_for_the_client_to_confirm_its_head():
    with listen(ServeOptions(port=0)) as door, socket.create_connection(door.getsockname()[:2]), door.accept()[0] as ours:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.slow
def test_slow_heads_and_slow_bodies_are_let_go_and_stop_nobody(server, client):
    heads = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for raw in heads:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: local")
    assert client.search("rainfall").hits
    end = time.monotonic() + 25
    while heads and time.monotonic() < end:
        for raw in heads[:]:
            try:
                raw.sendall(b"h")
                raw.setblocking(False)
                gone = raw.recv(1) == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            raw.setblocking(True)
            if gone:
                raw.close()
                heads.remove(raw)
        time.sleep(0.5)
    assert not heads, f"{len(heads)} connections that never say what they want are still open"


def test_a_body_that_stops_coming_and_an_answer_that_is_not_taken_are_given_up():
    async def whole(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def call(receive, send):
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
        await Guard(whole, Keys(""), patience=0.1)(scope, receive, send)

    async def main():
        told = []
        pieces = iter([{"type": "http.request", "body": b"x", "more_body": True}])

        async def stalls():
            return next(pieces, None) or await anyio.sleep_forever()

        async def comes():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def takes(message):
            told.append(message)

        async def takes_nothing(message):
            await anyio.sleep_forever()

        await call(stalls, takes)
        assert told[0]["status"] == 408
        with pytest.raises(TimeoutError):
            await call(comes, takes_nothing)

    anyio.run(main)


def test_a_body_that_drips_in_has_an_end_and_a_long_one_that_flows_has_not():
    async def call(pieces, seconds):
        async def whole(scope, receive, send):
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def comes():
            await anyio.sleep(seconds)
            return {"type": "http.request", "body": next(pieces), "more_body": True}

        async def takes(message):
            told.append(message.get("status"))

        told = []
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
        with anyio.move_on_after(1.5) as limit:
            await Guard(whole, Keys(""), patience=0.2)(scope, comes, takes)
        return None if limit.cancelled_caught else told[0]

    async def main():
        # Each piece comes within the patience, yet all of them together are next to nothing.
        assert await call(iter(lambda: b"x", None), 0.02) == 408
        assert await call(iter(lambda: bytes(100_000), None), 0.02) is None

    anyio.run(main)


def test_bodies_that_are_held_in_memory_have_a_limit_together():
    async def main():
        release, told = anyio.Event(), []

        async def holds(scope, receive, send):
            while (await receive()).get("more_body"):
                pass
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        guard = Guard(holds, Keys(""), patience=5, held_bytes=3 << 20)

        async def call(path):
            pieces = iter([(1 << 19, True), (1 << 19, False)])

            async def receive():
                size, more = next(pieces)
                return {"type": "http.request", "body": bytes(size), "more_body": more}

            async def send(message):
                if message["type"] == "http.response.start":
                    told.append((path, message["status"], dict(message["headers"]).get(b"retry-after")))

            await guard({"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost")]}, receive, send)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(call, "/api/search")
                tasks.start_soon(call, "/api/documents/files")  # goes to disk
            await anyio.wait_all_tasks_blocked()
            assert told == [("/api/search", 503, b"1")] * 2
            release.set()
        assert [status for path, status, _ in told].count(200) == 8
        await call("/api/search")
        assert told[-1][1] == 200, "what is answered holds nothing"

    anyio.run(main)
