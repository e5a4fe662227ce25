"""What a server allows, and where it keeps what is its own."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from visir.capture import CaptureOptions
from visir.errors import VisirError

TOKEN_VARIABLE = "VISIR_TOKEN"
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServeOptions:
    """Choices and limits of a server.

    Args:
        host: address to listen on.
        port: TCP port; 0 for any free one.
        token: what callers must show; empty for none, which only an address of this machine itself allows.
        private_hosts: let captures of web addresses reach loopback, private and link-local addresses.
        upload_bytes: size of one upload request, or of one document that is fetched, at most.
        upload_files: files in one upload request at most.
        image_bytes: size of a request that carries a query's picture at most.
        max_pages: pages after which an added document is cut off.
        timeout: seconds that capturing one document may keep its reader waiting, and that a client has for a request's body, with one
            more for each 16 KB of it.
        waiting: searches that may wait while others run; more are turned away with 503.
        queued_jobs: jobs that may wait; more are turned away with 503.
    """

    host: str = "127.0.0.1"
    port: int = 7333
    token: str = ""
    private_hosts: bool = False
    upload_bytes: int = 256 << 20
    upload_files: int = 200
    image_bytes: int = 32 << 20
    max_pages: int = 5_000
    timeout: float = 60.0
    waiting: int = 128
    queued_jobs: int = 500

    def __post_init__(self) -> None:
        if self.token and len(self.token) < _SHORTEST_TOKEN:
            raise ServeError(f"${TOKEN_VARIABLE} is shorter than {_SHORTEST_TOKEN} characters: `openssl rand -hex 16` makes a good one")
        if not self.token and not self.is_local:
            raise ServeError(
                f"{self.host} can be reached from other machines: set ${TOKEN_VARIABLE} to a secret that callers must show, "
                "or serve on 127.0.0.1"
            )

    @classmethod
    def from_environment(cls, **choices: object) -> "ServeOptions":
        """Make options with the token that the environment names."""
        return cls(token=os.environ.get(TOKEN_VARIABLE, "").strip(), **choices)  # type: ignore[arg-type]

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def capture(self) -> CaptureOptions:
        """How documents that callers add are captured."""
        return CaptureOptions(timeout=self.timeout, max_pages=self.max_pages, private_hosts=self.private_hosts, download=self.upload_bytes)


class ServeError(VisirError):
    """A server cannot be started as asked, or a request cannot be answered now."""


def state_folder(index: Path) -> Path:
    """Return where a server keeps uploaded files and its jobs: beside the index, which may be rebuilt or deleted at any time."""
    place = index.resolve()
    return place.with_name(place.name + ".serve")
