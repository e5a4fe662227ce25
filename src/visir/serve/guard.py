"""Who may call, how slowly, and what every answer says to the browser.

Three checks stand before every request, each of which refuses by itself:

* **Host**: a server without a token answers to names of this machine only. A web page elsewhere can point a name of its own at
  127.0.0.1 (DNS rebinding), but cannot change the name that the browser sends.
* **Origin**: a browser says which page a request comes from; another page's requests are refused, so that no page elsewhere can upload
  or delete (cross-site request forgery).
* **Token**, where one is set: in ``Authorization: Bearer``, or in the cookie that signing in sets. The cookie holds a digest of the
  token, not the token.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "visir"
_OPEN_PATHS = ("/", "/health", "/api/session")
_OPEN_FOLDERS = ("/web/",)
_TO_DISK = ("/api/documents/files",)
_SLOWEST = 16_384
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class _TooSlowError(Exception):
    """A client that sends its request too slowly."""


class _FullError(Exception):
    """So many requests are being received that their bodies fill the memory that they may."""


class Keys:
    """The token, and how a caller shows it.

    Args:
        token: the secret; empty if none is asked for.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self.needed = bool(token)
        # What a browser keeps stands for the token and does not tell it.
        self.cookie = hmac.new(self._token, b"visir session", hashlib.sha256).hexdigest()

    def is_token(self, shown: str) -> bool:
        """Say whether it is the token, in a time that tells nothing about it."""
        return hmac.compare_digest(hashlib.sha256(shown.encode("utf-8", "surrogatepass")).digest(), hashlib.sha256(self._token).digest())

    def are_shown(self, headers: Headers) -> bool:
        """Say whether a request shows the token or the cookie."""
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(shown.strip())
        return any(hmac.compare_digest(value.encode(), self.cookie.encode()) for value in _cookies(headers.getlist("cookie")))


class Guard:
    """The outermost layer of the application.

    Args:
        app: what is guarded.
        keys: the token.
        host: name that is listened on; without a token, requests to it and to the names of this machine are answered.
        patience: seconds that a client may take for its request, one more for each 16 KB of it, and to take a piece of its answer.
        held_bytes: size of all bodies together that are held in memory at most; uploads, which go to disk, are not counted.
    """

    def __init__(self, app: ASGIApp, keys: Keys, host: str = "localhost", *, patience: float, held_bytes: int = 512 << 20) -> None:
        self._app = app
        self._names = {*_LOCAL_NAMES, host}
        self._keys = keys
        self._patience = patience
        self._held_bytes = held_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if message["status"] == 413:
                    headers["connection"] = "close"  # else the rest of the body would be read, to be thrown away
            # A client that does not take its answer is let go; it would hold it in memory for ever.
            async with asyncio.timeout(self._patience):
                await send(message)

        refused = self._refusal(scope)
        if refused is not None:
            await _answer(watched_send, *refused)
            return
        body = _Body(receive, self._patience, None if scope["path"] in _TO_DISK else self._hold)
        try:
            await self._app(scope, body.receive, watched_send)
        except _TooSlowError:
            if not started:
                await _answer(watched_send, 408, "the request came in too slowly", {})
        except _FullError:
            if not started:
                await _answer(watched_send, 503, "too many large requests at once: try again in a moment", {"retry-after": "1"})
        finally:
            self._held -= body.held

    def _hold(self, size: int) -> None:
        if self._held + size > self._held_bytes:
            raise _FullError
        self._held += size

    def _refusal(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._keys.needed and _name_of(host) not in self._names:
            return 421, f"this server answers to {' and '.join(sorted(self._names - {'::1'}))} only", {}
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"
        if foreign or (origin is not None and urlsplit(origin).netloc != host):
            return 403, "requests from other web pages are refused", {}
        path = scope["path"]
        if not self._keys.needed or path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS) or self._keys.are_shown(headers):
            return None
        return 401, "show the token: Authorization: Bearer …", {"www-authenticate": "Bearer"}


def _cookies(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        try:
            found = SimpleCookie(line).get(COOKIE)
        except CookieError:
            continue
        if found is not None:
            yield found.value


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class _Body:
    """Receives a request's body at a least speed; what comes after it (that the client went) may take forever.

    Args:
        receive: brings the pieces.
        patience: seconds for the whole body, and one more for each 16 KB that came: a client that drips is let go.
        hold: told the size of each piece that stays in memory; ``None`` if none does.
    """

    def __init__(self, receive: Receive, patience: float, hold: Callable[[int], None] | None) -> None:
        self.held = 0
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + patience
        self._hold = hold
        self._whole = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise _TooSlowError from None
        size = len(message.get("body", b""))
        self._deadline += size / _SLOWEST
        if self._hold is not None:
            self._hold(size)
            self.held += size
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message


async def _answer(send: Send, status: int, detail: str, headers: dict[str, str]) -> None:
    body = json.dumps({"detail": detail}).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **headers}
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in fields.items()]})
    await send({"type": "http.response.body", "body": body})
