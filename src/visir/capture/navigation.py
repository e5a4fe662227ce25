"""How often a page may load itself anew or go elsewhere while it is captured."""

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

_MOST_LOADS = 3
_MOST_PAGES = 10


class Navigations:
    """Lets a page go on to others, as a door page or a page that sets a cookie first does, and holds it where it goes round in circles.

    A load that is refused leaves the page that is shown as it is.

    Args:
        devtools: of the page, before it goes to its first address.
    """

    def __init__(self, devtools: "CDPSession") -> None:
        self._devtools = devtools
        self._frame = devtools.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self._loads: Counter[str] = Counter()
        self._held = False
        devtools.on("Fetch.requestPaused", self._decide)
        devtools.send("Fetch.enable", {"patterns": [{"resourceType": "Document"}]})

    def hold(self) -> None:
        """Keep the page from going anywhere from now on."""
        self._held = True

    def _decide(self, paused: dict[str, Any]) -> None:
        from playwright.sync_api import Error as PlaywrightError

        request = {"requestId": paused["requestId"]}
        with contextlib.suppress(PlaywrightError):  # the page may be closed by now
            # A server's redirects belong to the load that they answer; the browser itself ends those that go in a circle.
            if paused["frameId"] != self._frame or paused.get("redirectedRequestId") or self._may_load(paused["request"]["url"]):
                self._devtools.send("Fetch.continueRequest", request)
            else:
                self._devtools.send("Fetch.failRequest", {**request, "errorReason": "Aborted"})

    def _may_load(self, url: str) -> bool:
        if self._held or self._loads[url] >= _MOST_LOADS or self._loads.total() >= _MOST_PAGES:
            return False
        self._loads[url] += 1
        return True
