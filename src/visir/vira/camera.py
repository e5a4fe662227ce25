"""Take pictures of composed and of real HTML pages, in any size, zoom and colour scheme, through one warm Chromium."""

import base64
import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from visir.capture.web import find_chromium
from visir.screenshot import Word, lay_out

_FLAGS = (
    *("--headless=new", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-background-networking", "--disable-lcd-text"),
    *("--disable-component-update", "--disable-dev-shm-usage", "--disable-checker-imaging", "--hide-scrollbars"),
)
# A tab that is given one document after another keeps something of each: after 1,000 of them a page took half as long again.
_TAB = 200


@dataclass(frozen=True)
class Look:
    """How a page is shown.

    Args:
        width: pixels of the picture.
        height: pixels of the picture at most; a shorter page gives a shorter picture.
        zoom: picture pixels for one CSS pixel.
        shortest: a page is never cut shorter than so many picture pixels.
        quality: of the JPEG.
    """

    width: int = 640
    height: int = 896
    zoom: float = 1.0
    shortest: int = 320
    quality: int = 78


@dataclass(frozen=True)
class Shot:
    """A picture with the words on it."""

    encoded: bytes
    text: str
    words: tuple[Word, ...]
    title: str


class Camera:
    """A Chromium for many pages, started at the first; a context manager, to be used from one thread.

    Args:
        fonts: folders of fonts, beside those of the system.
    """

    def __init__(self, fonts: tuple[Path, ...] = ()) -> None:
        self._fonts = fonts
        self._exit = contextlib.ExitStack()
        self._context: Any = None
        self._page: Any = None
        self._devtools: Any = None
        self._taken = 0
        self._script = resources.files("visir.capture").joinpath("page.js").read_text("utf-8")

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser; it starts again if it is used again."""
        self._context = self._page = self._devtools = None
        self._exit.close()

    def html(self, content: str, look: Look, dark: bool = False) -> Shot:
        """Return the top of a page given as HTML."""
        page = self._prepared(look, dark)
        page.set_content(content, wait_until="load")
        return self._shots(look, 1)[0]

    def file(self, path: Path, look: Look, most: int = 1, dark: bool = False, style: str = "") -> list[Shot]:
        """Return the first ``most`` windows of an HTML file, from the top, without overlap.

        Args:
            path: the file; it reaches the disk but no network, and its scripts are not loaded.
            look: size and zoom.
            most: windows at most; a rest of less than a third of a window is left out.
            dark: ask for the page's dark colours.
            style: CSS that is added.
        """
        page = self._prepared(look, dark)
        page.goto(path.resolve().as_uri(), wait_until="load")
        if style:
            page.add_style_tag(content=style)
        return self._shots(look, most)

    def _prepared(self, look: Look, dark: bool) -> Any:
        if self._page is None:
            self._start()
        elif self._taken >= _TAB:
            self._open_tab()
        self._taken += 1
        width, height = round(look.width / look.zoom), round(look.height / look.zoom)
        size = {"width": width, "height": height, "deviceScaleFactor": look.zoom, "mobile": False}
        self._devtools.send("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._devtools.send("Emulation.setEmulatedMedia", {"features": features})
        return self._page

    def _shots(self, look: Look, most: int) -> list[Shot]:
        page, shots = self._page, []
        page.evaluate(self._script + ";visir.still()")
        facts = page.evaluate("visir.survey()")
        width, window = round(look.width / look.zoom), round(look.height / look.zoom)
        for number in range(most):
            top = number * window
            left = facts["height"] - top
            if number and left < window / 3:
                break
            seen = min(window, max(round(look.shortest / look.zoom), left))
            # Words are told in the window's own coordinates, so the window goes where the picture is taken.
            lines = page.evaluate(f"document.documentElement.style.minHeight='{top + window}px'; visir.tile({top}, {seen})")
            text, words = lay_out(
                ((word, (box[0] / width, box[1] / seen, box[2] / width, box[3] / seen)) for word, *box in line) for line in lines
            )
            clip = {"x": 0, "y": 0 if number == 0 else top, "width": width, "height": seen, "scale": 1}
            order = {"format": "jpeg", "quality": look.quality, "optimizeForSpeed": True, "clip": clip}
            encoded = base64.b64decode(self._devtools.send("Page.captureScreenshot", order)["data"])
            shots.append(Shot(encoded, text, words, facts["title"].strip()))
        return shots

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="visir-camera-"))
        environment = {**os.environ, **self._font_settings(Path(folder))}
        driver = sync_playwright().start()
        self._exit.callback(driver.stop)
        root = sys.platform == "linux" and os.geteuid() == 0  # Chromium's sandbox refuses to start for root
        browser = driver.chromium.launch(executable_path=find_chromium(), args=_FLAGS, chromium_sandbox=not root, env=dict(environment))
        self._exit.callback(browser.close)
        self._context = browser.new_context(offline=True, reduced_motion="reduce")
        self._open_tab()

    def _open_tab(self) -> None:
        if self._page is not None:
            self._page.close()
        self._page, self._taken = self._context.new_page(), 0
        self._devtools = self._context.new_cdp_session(self._page)
        # By the browser itself: playwright would ask this process about every file that a page loads, which took a third of the time.
        self._devtools.send("Network.enable")
        self._devtools.send("Network.setBlockedURLs", {"urls": ["*.js"]})

    def _font_settings(self, folder: Path) -> dict[str, str]:
        if not self._fonts:
            return {}
        folders = "".join(f"<dir>{path.resolve()}</dir>" for path in self._fonts)
        settings = folder / "fonts.conf"
        settings.write_text(
            '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
            f'<include ignore_missing="yes">/etc/fonts/fonts.conf</include>{folders}<cachedir>{folder}/cache</cachedir></fontconfig>'
        )
        return {"FONTCONFIG_FILE": str(settings)}
