"""Web pages, local HTML files and SVG drawings, through an installed Chromium driven by playwright.

A page is loaded in a window of 1024 x 1280 pixels, brought to rest, and cut into window-high tiles that overlap by a tenth.

What a page may reach:

* A page from the web never reaches ``file:``; Chromium sees to that. With ``private_hosts=False`` its whole traffic (redirects,
  frames, workers, web sockets, popups) goes through a SOCKS proxy of this process, which resolves each name once, refuses every host
  with an address that is not public, and connects to the very address it checked, so that a name that changes its mind gains nothing.
  Not covered: what Chromium itself sends (it is told to send nothing), proxies set in the environment (not used then), and addresses
  that are public but lead home, such as a router's outer address.
* A local page reaches no network at all, and of the disk only ordinary files in its own folder and below, and in the folder one
  level up and below (manuals keep pictures in ``../img``). That level is left out where it is the root of a drive or holds the home
  folder; hidden files and folders are left out always. Links are resolved first.
"""

import base64
import contextlib
import email.utils
import glob
import ipaddress
import math
import os
import re
import select
import shutil
import socket
import socketserver
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from visir.capture.navigation import Navigations
from visir.capture.network import connect
from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, CaptureTimeout, MissingToolError, NoPageError
from visir.screenshot import Box, Screenshot, lay_out

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, CDPSession, Page, Response, Route

WIDTH, HEIGHT = 1024, 1280
STEP = HEIGHT * 9 // 10
SHORTEST = 320
QUALITY = 82

_FLAGS = (
    *("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--disable-background-networking"),
    *("--disable-component-update", "--disable-dev-shm-usage", "--disable-lcd-text", "--disable-checker-imaging", "--no-pings"),
    *("--dns-prefetch-disable", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp"),
    # Whoever is signed in, and what there is to update, Chromium asks of its makers whatever else it is told: here nobody answers.
    *("--gaia-url=https://127.0.0.1:9", "--component-updater=url-source=https://127.0.0.1:9"),
    "--blink-settings=imageAnimationPolicy=2,primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
)
_INSTALL = "install Chromium, Chrome or Edge, or set VISIR_CHROMIUM to the path of its program"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    *(
        f"{base}\\{program}.exe"
        for base in ("${ProgramFiles}", "${ProgramFiles(x86)}", "${LocalAppData}")
        for program in ("Google\\Chrome\\Application\\chrome", "Chromium\\Application\\chrome", "Microsoft\\Edge\\Application\\msedge")
    ),
    "~/.cache/ms-playwright/chromium-*/chrome-linux*/chrome",
    "~/Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
    "~/AppData/Local/ms-playwright/chromium-*/chrome-win*/chrome.exe",
)
_TROUBLES = (
    (r"ERR_NAME_NOT_RESOLVED|ERR_NAME_RESOLUTION_FAILED", "no such host: check the address and the network"),
    (r"ERR_CONNECTION_REFUSED", "the server refused the connection: check that it runs and the port"),
    (r"ERR_UNSAFE_PORT", "browsers refuse that port: it belongs to another service than web pages"),
    (r"ERR_CERT|ERR_SSL|ERR_BAD_SSL", "the server's certificate or encryption is not accepted: open the address in a browser to see why"),
    (r"ERR_TOO_MANY_REDIRECTS", "the address redirects in a circle"),
    (r"ERR_INTERNET_DISCONNECTED|ERR_ADDRESS_UNREACHABLE|ERR_NETWORK", "the network cannot be reached"),
    (r"TIMED_OUT|Timeout \d+ms exceeded", "the server did not answer in time: try again or raise the time limit"),
    (r"ERR_FILE_NOT_FOUND", "no such file"),
    (r"ERR_ABORTED", "the address sent no page"),
    (r"crash", "the page made the browser crash"),
    (r"has been closed", "the browser went away while it showed the page"),
    (r"Cannot find context|navigated or closed", "the page kept going elsewhere while it was captured"),
)
_PAGES = re.compile(r"text/(html|plain|xml)|(application|image)/([\w.-]+\+)?xml|application/json")


def find_chromium() -> str:
    """Path of an installed Chromium, Chrome or Edge: ``VISIR_CHROMIUM``, then the search path, then the usual places.

    Raises:
        MissingToolError: there is none.
    """
    wanted = os.environ.get("VISIR_CHROMIUM")
    if wanted:
        found = shutil.which(wanted)
        if found:
            return found
        raise MissingToolError("web capture", f"VISIR_CHROMIUM names {wanted}, which is no program: {_INSTALL}")
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return found
    for place in _PLACES:
        for path in sorted(glob.glob(os.path.expanduser(os.path.expandvars(place)))):
            if os.access(path, os.X_OK):
                return path
    raise MissingToolError("web capture", f"no browser found: {_INSTALL}")


class Browser:
    """One Chromium kept warm for many pages, to be used from one thread; a context manager.

    Args:
        options: choices for capture; read anew at each page.

    Raises:
        MissingToolError: playwright or a browser is not installed.
    """

    def __init__(self, options: CaptureOptions) -> None:
        self.options = options
        try:
            import playwright.sync_api as _  # noqa: F401
        except ImportError:
            raise MissingToolError("web capture", "playwright is not installed: pip install 'visir[web]'") from None
        self._program = find_chromium()
        self._exit = contextlib.ExitStack()
        self._browser: Any = None
        self._gates: dict[bool, _Gate] = {}
        self._working = False
        self._abandoned: list[BrowserContext] = []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End Chromium, all its processes, and remove its profile; the browser starts again if it is used again."""
        self._browser = None
        self._gates.clear()
        self._abandoned.clear()
        self._exit.close()

    def capture(self, address: str) -> Iterator[Screenshot]:
        """Capture one page, tile by tile.

        Args:
            address: an http or https address, or the path of a local HTML, XHTML or SVG file.

        Yields:
            JPEG screenshots 1024 pixels wide and 320 to 1280 high, ``page`` being the tile's number.

        Raises:
            CaptureError: the page could not be shown; the reason is one line.
            NoPageError: the address serves something else.
            CaptureTimeout: the server did not answer in time.
        """
        from playwright.sync_api import Error as PlaywrightError

        target = _Target.of(address)
        gate: _Gate | None = None
        context: BrowserContext | None = None
        ours = self._working = True
        try:
            browser = self._started()
            if target.file or not self.options.private_hosts:
                gate = self._gate(target.file is None)
            context = _context(browser, target, gate)
            page = context.new_page()
            context.on("page", lambda popup: popup.close())
            page.on("dialog", lambda dialog: dialog.dismiss())
            page.set_default_timeout(self.options.timeout * 1000 / 2)
            tab = _Tab(context, page, self.options)
            _open(page, target, self.options.timeout)
            for shot in tab.tiles(target):
                self._working = False
                yield shot
                self._working = True
        except GeneratorExit:
            # Python may drop an abandoned capture in the middle of another one's call to Chromium; a call of its own would hang there.
            if self._working and context:
                self._abandoned.append(context)
                ours = False
            raise
        except PlaywrightError as error:
            if "Download is starting" in error.message:
                raise NoPageError(address, "the address is a download, not a web page") from None
            timed_out = "Timeout" in error.message or "TIMED_OUT" in error.message
            raise (CaptureTimeout if timed_out else CaptureError)(address, _reason(error.message, gate)) from None
        finally:
            if ours:
                for unused in [*([context] if context else []), *self._abandoned]:
                    with contextlib.suppress(PlaywrightError):
                        unused.close()
                self._abandoned.clear()
                self._working = False

    def _started(self) -> Any:
        from playwright.sync_api import sync_playwright

        if self._browser and self._browser.is_connected():
            return self._browser
        self.close()
        driver = sync_playwright().start()
        self._exit.callback(driver.stop)
        root = sys.platform == "linux" and os.geteuid() == 0  # Chromium's sandbox refuses to start for root
        self._browser = driver.chromium.launch(executable_path=self._program, args=_FLAGS, chromium_sandbox=not root)
        self._exit.callback(self._browser.close)
        return self._browser

    def _gate(self, public: bool) -> "_Gate":
        if public not in self._gates:
            self._gates[public] = self._exit.enter_context(_Gate(public))
        self._gates[public].refused.clear()
        return self._gates[public]


@dataclass(frozen=True)
class _Target:
    """What is captured: the address as given, as Chromium wants it, and the file where it is one."""

    address: str
    url: str
    file: Path | None

    @classmethod
    def of(cls, address: str) -> "_Target":
        if re.match(r"https?://", address, re.IGNORECASE):
            return cls(address, address, None)
        path = Path(address)
        if not path.is_file():
            raise CaptureError(address, "no such file; an address of the web starts with http:// or https://")
        real = path.resolve()
        return cls(address, real.as_uri(), real)

    @property
    def name(self) -> str:
        """The file's name, or the last part of the address."""
        if self.file:
            return Path(self.address).name
        parts = urllib.parse.urlsplit(self.address)
        return urllib.parse.unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc


def _context(browser: Any, target: _Target, gate: "_Gate | None") -> "BrowserContext":
    """A fresh profile that reaches no more than the target may."""
    context: BrowserContext = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=1,
        accept_downloads=False,
        service_workers="block",
        reduced_motion="reduce",
        color_scheme="light",
        proxy={"server": f"socks5://127.0.0.1:{gate.port}", "bypass": "<-loopback>"} if gate else None,
    )
    context.add_init_script(script=_script("guard.js"))
    if target.file:
        home = target.file.parent

        def decide(route: "Route") -> None:
            request = route.request
            if _may_read(request.url, home):
                route.continue_()
            elif not request.is_navigation_request():
                route.abort("accessdenied")
            elif request.frame.parent_frame:  # an aborted frame would keep the page from ever being loaded
                route.fulfill(body="", content_type="text/html")
            else:  # a page that leaves for elsewhere stays where it is
                route.abort("aborted")

        context.route(lambda _: True, decide)
    return context


def _path_of(quoted: str) -> Path:
    """Return the file of a ``file:`` address's path; names that are not UTF-8 come through."""
    if sys.platform == "win32":
        return Path(urllib.request.url2pathname(quoted))
    return Path(os.fsdecode(urllib.parse.unquote_to_bytes(quoted)))


def _may_read(url: str, home: Path) -> bool:
    """Whether a page in the folder ``home`` may load ``url``."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("data", "blob", "about"):
        return True
    if parts.scheme != "file" or parts.netloc:
        return False
    try:
        path = _path_of(parts.path).resolve()
        above = home.parent
        if above == above.parent or Path.home().is_relative_to(above):
            above = home
        root = home if path.is_relative_to(home) else above
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        return not hidden and path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _open(page: "Page", target: _Target, timeout: float) -> None:
    """Load the page and wait, within bounds, until it says that it is loaded."""
    from playwright.sync_api import TimeoutError as Late

    # A page that never stops loading is captured as it is; the waits together stay below the time limit.
    response = page.goto(target.url, wait_until="commit", timeout=timeout * 1000 / 2)
    _check(response, target)
    with contextlib.suppress(Late):
        page.wait_for_load_state("domcontentloaded", timeout=timeout * 1000 / 4)
        page.wait_for_load_state("load", timeout=min(10.0, timeout / 8) * 1000)
        if not target.file and page.locator("script, iframe").count():
            page.wait_for_load_state("networkidle", timeout=min(3.0, timeout / 16) * 1000)


def _check(response: "Response | None", target: _Target) -> None:
    if target.file or response is None:
        return
    if response.status >= 400:
        raise CaptureError(target.address, f"the server answered {response.status} {response.status_text}")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and not _PAGES.fullmatch(kind):
        raise NoPageError(target.address, f"the address serves {kind}, not a web page")


class _Tab:
    """A page, read through the DevTools protocol; made before it is opened."""

    def __init__(self, context: "BrowserContext", page: "Page", options: CaptureOptions) -> None:
        self.page = page
        self.options = options
        self.devtools: CDPSession = context.new_cdp_session(page)
        self.navigations = Navigations(self.devtools)
        self.world = 0

    def run(self, expression: str) -> Any:
        """The value of an expression in visir's own world of the page."""
        order = {"expression": expression, "contextId": self.world, "awaitPromise": True, "returnByValue": True}
        answer = self.devtools.send("Runtime.evaluate", order)
        if "exceptionDetails" in answer:
            raise CaptureError(self.page.url, f"the page could not be read: {answer['result'].get('description', 'script error')}")
        return answer["result"].get("value")

    def tiles(self, target: _Target) -> Iterator[Screenshot]:
        """Bring the page to rest and photograph it from top to bottom."""
        facts = self._rest(target)
        height = max(1, facts["height"])
        title = " ".join(facts["title"].split())[:300] or target.name
        when = next(filter(None, map(_iso_date, facts["dates"])), "")
        seen = HEIGHT if height > HEIGHT else max(SHORTEST, height)
        count = 1 + max(0, math.ceil((height - HEIGHT) / STEP))
        for number in range(min(count, self.options.max_pages)):
            top = min(number * STEP, max(0, height - HEIGHT))
            lines = self.run(f"visir.tile({top}, {seen})")
            text, words = lay_out(((word, _fraction(box, facts["width"], seen)) for word, *box in line) for line in lines)
            yield Screenshot(self._photograph(seen), target.address, number + 1, title, text, words, when)

    def _rest(self, target: _Target) -> dict[str, Any]:
        """Let the page finish, stop its scripts, and survey it; anew where it goes elsewhere meanwhile."""
        from playwright.sync_api import Error as PlaywrightError

        budget = min(10.0, self.options.timeout / 6) * 1000
        for attempt in (1, 2, 3):
            if attempt == 3:
                self.navigations.hold()
            try:
                frame = self.devtools.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
                self.world = self.devtools.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "visir"})["executionContextId"]
                self.run(_script("page.js"))
                self.run(f"visir.settle({budget})")
                self.navigations.hold()
                self.devtools.send("Emulation.setScriptExecutionDisabled", {"value": True})
                self.run("visir.still()")
                facts: dict[str, Any] = self.run("visir.survey()")
                break
            except PlaywrightError:
                if attempt == 3:
                    raise
                self.devtools.send("Emulation.setScriptExecutionDisabled", {"value": False})
                self.page.wait_for_load_state("domcontentloaded")
        if facts["broken"]:
            raise CaptureError(target.address, "the page went on to an address that could not be loaded or is refused")
        return facts

    def _photograph(self, height: int) -> bytes:
        from playwright.sync_api import Error as PlaywrightError

        order: dict[str, Any] = {"format": "jpeg", "quality": QUALITY, "optimizeForSpeed": True}
        if height != HEIGHT:
            order["clip"] = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
        # Chromium refuses a picture now and then when it is busy, and takes it when it is asked again.
        for pause in (100, 400, 0):
            try:
                return base64.b64decode(self.devtools.send("Page.captureScreenshot", order)["data"])
            except PlaywrightError as error:
                if not pause or "Unable to capture screenshot" not in error.message:
                    raise
            self.page.wait_for_timeout(pause)
        raise AssertionError("unreachable")


def _fraction(box: list[float], width: float, height: float) -> Box:
    left, top, right, bottom = box
    return (left / width, top / height, right / width, bottom / height)


def _iso_date(text: str) -> str:
    """The day that a date in ISO or mail form names, as YYYY-MM-DD, or an empty text."""
    text = (text or "").strip()
    try:
        if re.match(r"\d{4}-\d{2}-\d{2}(\D|$)", text):
            return date.fromisoformat(text[:10]).isoformat()
        return email.utils.parsedate_to_datetime(text).date().isoformat()
    except (ValueError, TypeError, IndexError):
        return ""


def _script(name: str) -> str:
    return resources.files("visir.capture").joinpath(name).read_text("utf-8")


def _reason(message: str, gate: "_Gate | None") -> str:
    """One line for people, out of playwright's message."""
    if "BrowserType.launch" in message:
        cause = re.search(r"FATAL:[^\]\n]*\] ?(.*)", message)
        return "the browser does not start: " + (cause[1] if cause else "run it by hand with --headless=new to see why")
    if gate and gate.refused and "SOCKS" in message:
        return gate.refused[-1]
    for pattern, reason in _TROUBLES:
        if re.search(pattern, message):
            return reason
    return "the page could not be captured: " + message.partition("\n")[0].partition("Call log")[0]


class _Gate(socketserver.ThreadingTCPServer):
    """A SOCKS5 proxy on the loopback that leads to public hosts only, or, with ``public`` false, nowhere."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, public: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.public = public
        self.refused: list[str] = []
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A connection that breaks is the browser's to report."""

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to a public host; OSError where there is none, PermissionError where it is refused."""
        if not self.public:
            raise PermissionError("a local page may not reach the network")
        try:
            return connect(host, port, private_hosts=False)
        except PermissionError as error:
            self.refused.append(str(error))
            raise


class _Tunnel(socketserver.StreamRequestHandler):
    """One connection through the gate."""

    def handle(self) -> None:
        gate = cast(_Gate, self.server)
        _, methods = self.rfile.read(2)
        self.rfile.read(methods)
        self.wfile.write(b"\5\0")
        _, command, _, kind = self.rfile.read(4)
        read: Callable[[int], bytes] = self.rfile.read
        host = read(read(1)[0]).decode("ascii") if kind == 3 else str(ipaddress.ip_address(read(4 if kind == 1 else 16)))
        port = int.from_bytes(read(2), "big")
        try:
            if command != 1:
                raise PermissionError("only connections are made")
            upstream = gate.connect(host, port)
        except OSError as error:
            if isinstance(error, socket.gaierror):
                gate.refused.append("no such host: check the address and the network")
            elif not isinstance(error, PermissionError):
                gate.refused.append("the server refused the connection or did not answer: check that it runs and the port")
            self.wfile.write(b"\5\2\0\1" + bytes(6))
            return
        with upstream:
            self.wfile.write(b"\5\0\0\1" + bytes(6))
            self._relay(upstream)

    def _relay(self, upstream: socket.socket) -> None:
        """Carry bytes both ways until one side ends."""
        upstream.settimeout(None)
        other = {self.connection: upstream, upstream: self.connection}
        while True:
            for side in select.select(list(other), [], [])[0]:
                data = side.recv(65536)
                if not data:
                    return
                other[side].sendall(data)
