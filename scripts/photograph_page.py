"""Take the README's pictures of the page: ``python scripts/photograph_page.py``; needs `visir[serve,web]` and Chromium."""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from visir.capture.web import find_chromium
from visir.index import Index

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
QUERY = "water lost through leaks"


def photograph(browser: Browser, address: str, size: tuple[int, int], scheme: str, open_page: bool = False) -> Image.Image:
    """Return a picture of the hits for a query, or of the first of them opened."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, device_scale_factor=1.2)
    page = context.new_page()
    page.goto(f"{address}?q={QUERY.replace(' ', '+')}")
    page.locator(".score").first.wait_for()
    page.wait_for_load_state("networkidle")
    if open_page:
        page.locator(".frame").first.click()
        page.locator(".words span").first.wait_for(state="attached")
        page.wait_for_load_state("networkidle")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(300)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return shot


def main() -> None:
    """Index the samples, serve them, take the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        documents = Path(scratch, "documents")
        shutil.copytree(ROOT / "samples" / "documents", documents)
        with Index.open(Path(scratch, "index")) as index:
            index.add(documents)
        command = [sys.executable, "-m", "visir.cli.main", "serve", "--index", f"{scratch}/index", "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=find_chromium(), args=["--disable-gpu"], chromium_sandbox=False)
            photograph(browser, address, (1440, 900), "light").save(PICTURES / "page-hits.jpg", quality=80, optimize=True, progressive=True)
            wide = photograph(browser, address, (1100, 800), "dark", open_page=True)
            phone = photograph(browser, address, (390, 800), "light")
            both = Image.new("RGB", (wide.width + 30 + phone.width, wide.height), "white")
            both.paste(wide, (0, 0))
            both.paste(phone, (wide.width + 30, 0))
            both.save(PICTURES / "page-open.jpg", quality=80, optimize=True, progressive=True)
            browser.close()
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
