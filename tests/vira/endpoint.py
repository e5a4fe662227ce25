"""A language model's server: it speaks OpenAI's chat completions over HTTP, and misbehaves as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@dataclass
class Served:
    """One request as it came.

    Args:
        body: its JSON.
        headers: its headers, names in small letters.
        when: seconds on a steady clock.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    when: float

    @property
    def page(self) -> str:
        """What was said of the page."""
        content = self.body["messages"][1]["content"]
        return content if isinstance(content, str) else content[0]["text"]

    @property
    def title(self) -> str:
        return self.page.splitlines()[0].removeprefix("Title: ")


@dataclass
class Endpoint:
    """The server.

    Args:
        url: its address.
        reply: what it answers to a request, and the how manieth it is for its page, from 0.
        served: what came, in order.
    """

    url: str
    reply: Callable[[Served, int], Answer]
    served: list[Served] = field(default_factory=list)


def completion(said: str, finish: str = "stop", tokens: tuple[int, int] = (1000, 100)) -> Answer:
    """Return a chat completion."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": said}}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "local", "choices": [choice], "usage": usage}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def trouble(status: int, **headers: str) -> Answer:
    """Return an error as OpenAI writes it."""
    body = {"error": {"message": f"trouble {status}", "type": "error", "code": status}}
    return (
        status,
        {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}},
        json.dumps(body).encode(),
    )


def good(served: Served, _: int = 0) -> Answer:
    """Answer well: about the title, with the fifth to seventh word of the page as the answer."""
    words = served.page.partition("Text of the page:")[2].split() or ["nothing"] * 7
    said = {
        "captions": [f"Here one learns what the people of the place think of {served.title} and why"],
        "questions": [f"What is to be known of {' '.join(words[3:5])} and of {served.title} in the town?"],
        "answers": [{"question": f"What comes after {words[3]} on it?", "answer": " ".join(words[4:7])}],
    }
    return completion(json.dumps(said))


@contextmanager
def endpoint(reply: Callable[[Served, int], Answer] = good) -> Iterator[Endpoint]:
    """Run a server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = Served(body, {name.lower(): value for name, value in self.headers.items()}, time.monotonic())
            with lock:
                before = sum(other.body == body for other in running.served)
                running.served.append(request)
            status, headers, answer = running.reply(request, before) if self.path == "/v1/chat/completions" else trouble(404)
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                self.close_connection = True  # the client was killed, or has given up

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    lock = threading.Lock()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", reply)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
