"""Fetch what a web address serves where it is no web page: a PDF, a picture, an Office file.

Every connection, that of a redirect too, goes to the very address that was checked. What is fetched is told by its bytes, not by what the
server calls it.
"""

import email.message
import http.client
import mimetypes
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from visir.capture.kinds import kind_of_name
from visir.capture.network import connect
from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, CaptureTimeout

_PIECE = 1 << 16
_MARKUP = re.compile(rb"\s*(<!doctype html|<html|<\?xml)", re.IGNORECASE)


def promises_file(address: str) -> bool:
    """Whether an address ends like a document that is no web page, as in ``…/report.pdf``."""
    return kind_of_name(Path(urllib.parse.urlsplit(address).path)) not in ("", "web")


def download(address: str, folder: Path, options: CaptureOptions) -> Path | None:
    """Fetch a document into a folder.

    Args:
        address: http or https.
        folder: where the file goes, under the name that the address gives it.
        options: its limits.

    Returns:
        The file; ``None`` if the address serves a web page.

    Raises:
        CaptureError: it cannot be fetched, is too large, or leads where it may not.
        CaptureTimeout: the server did not go on in time.
    """
    # No proxies of the environment, no other schemes: a redirect to file: or ftp: finds no handler.
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Http(options.private_hosts),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers={"User-Agent": f"visir/{version('visir')}", "Accept-Encoding": "identity"})
    try:
        with opener.open(request, timeout=options.timeout / 2) as answer:
            head = answer.read(_PIECE)
            if _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
                return None
            path = folder / _name(answer.url, answer.headers)
            with path.open("wb") as file:
                size = 0
                while head:
                    size += len(head)
                    if size > options.download:
                        raise CaptureError(address, f"serves more than {options.download >> 20} MB: download it and index the file")
                    file.write(head)
                    head = answer.read(_PIECE)
            return path
    except urllib.error.HTTPError as error:
        raise CaptureError(address, f"the server answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _told(address, error.reason if isinstance(error, urllib.error.URLError) else error) from None


def _told(address: str, error: object) -> CaptureError:
    if isinstance(error, PermissionError):
        return CaptureError(address, str(error))
    if isinstance(error, TimeoutError):
        return CaptureTimeout(address, "the server did not answer in time: try again or raise the time limit")
    if isinstance(error, socket.gaierror):
        return CaptureError(address, "no such host: check the address and the network")
    if isinstance(error, ConnectionError):
        return CaptureError(address, "the server refused or broke the connection: check that it runs and the port")
    if isinstance(error, ssl.SSLError):
        return CaptureError(address, "the server's certificate or encryption is not accepted: open the address in a browser to see why")
    return CaptureError(address, f"cannot be fetched: {str(error)[:200] or type(error).__name__}")


def _name(address: str, headers: email.message.Message) -> str:
    """Return a name for the file: what the server calls it, or the address's last part, with an ending that tells its kind."""
    given = headers.get_filename() or urllib.parse.unquote(urllib.parse.urlsplit(address).path)
    name = re.sub(r'[\x00-\x1f"*:<>?|]', "_", re.split(r"[/\\]", given.rstrip("/"))[-1])[-100:].lstrip(".") or "document"
    ending = mimetypes.guess_extension(headers.get_content_type()) or ""
    return name if kind_of_name(Path(name)) else name + ending


class _Http(urllib.request.HTTPHandler):
    """http and https over connections that are checked."""

    def __init__(self, private_hosts: bool) -> None:
        super().__init__()
        self._private_hosts = private_hosts

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Plain, private_hosts=self._private_hosts), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Secure, private_hosts=self._private_hosts), request)

    https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Plain(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, private_hosts: bool, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._private_hosts = private_hosts

    def connect(self) -> None:
        self.sock = connect(self.host, self.port, self._private_hosts)
        self.sock.settimeout(self.timeout)


class _Secure(_Plain):
    default_port = 443

    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
