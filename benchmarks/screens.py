"""How well screens and receipts are read: unise-mini against tesseract, on pages of kinds that the development benchmark lacks.

    python benchmarks/screens.py [--pages 12] [--keep FOLDER]

Drawn in Chromium from templates, with words of trade, computing and daily life and many numbers, signs and units: dashboards on light
and dark grounds, windows of settings, screens of phones (twice as many pixels), and receipts that were photographed: turned a little,
blurred, faded, shaded, noisy, compressed. Words count as in ``benchmarks/reading.py``.
"""

import argparse
import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import machine, table
from PIL import Image, ImageFilter
from playwright.sync_api import sync_playwright
from reading import HEAD, compare

from visir import Screenshot, load_embedder
from visir.capture.web import find_chromium
from visir.unise.regions import RegionEmbedder

_WORDS = (
    "revenue margin orders churn visitors sessions bounce conversion latency errors requests memory disk network uptime region "
    "product category customer invoice shipping returns forecast budget actual variance quarter weekly monthly target pipeline "
    "leads accounts active retention signups downloads installs crashes battery signal temperature humidity pressure wind solar "
    "demand supply inventory warehouse delivery driver route fuel mileage payroll headcount vacancy training safety incidents "
    "audits compliance risk severity backlog sprint velocity bugs deploys commits reviews coverage builds queue workers cache hits "
    "misses throughput bandwidth packets firewall alerts login failed blocked country tomato bread butter coffee sugar cheese "
    "onion lemon chicken shampoo towel candle pencil notebook envelope Germany France Brazil Japan Canada Norway Madrid Lisbon "
    "Oslo Chicago Denver Austin"
)
_MONTHS = "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"


class Templates:
    """Pages as HTML, each with the size of its window; the same seed gives the same pages."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def words(self, count: int) -> str:
        """Some words, the first with a capital."""
        return " ".join(self._rng.choices(_WORDS.split(" "), k=count)).capitalize()

    def number(self) -> str:
        """A number as dashboards show them."""
        of = self._rng.randint
        signed = f"{self._rng.choice('+-')}{of(1, 40)}.{of(0, 9)}%"
        plain = f"{of(1, 999)},{of(100, 999)}", f"{of(1, 99)}.{of(0, 9)}%", f"${of(1, 99)}.{of(1, 9)}M", str(of(1, 9999))
        return self._rng.choice([*plain, signed, f"{of(1, 12)}h {of(1, 59)}m"])

    def dashboard(self, dark: bool) -> tuple[str, tuple[int, int]]:
        """Cards, a chart and a table beside a list of names."""
        ground, card, ink, pale = ("#0f172a", "#1e293b", "#e2e8f0", "#94a3b8") if dark else ("#f3f4f6", "#ffffff", "#111827", "#6b7280")
        accent = self._rng.choice(["#38bdf8", "#a78bfa", "#34d399"] if dark else ["#2563eb", "#db2777", "#059669"])
        font = self._rng.choice(["DejaVu Sans", "Noto Sans", "Liberation Sans"])
        cards = "".join(
            f'<div style="background:{card};padding:12px"><div style="color:{pale};font-size:12px">{self.words(2)}</div>'
            f'<div style="font-size:26px;font-weight:600">{self.number()}</div>'
            f'<div style="color:{accent};font-size:11px">{self.number()} vs {self.words(1)}</div></div>'
            for _ in range(4)
        )
        cell = f'style="padding:4px 10px;border-bottom:1px solid {pale}44"'
        rows = "".join(
            "<tr>" + "".join(f"<td {cell}>{text}</td>" for text in (self.words(2), *(self.number() for _ in range(3)))) + "</tr>"
            for _ in range(8)
        )
        bars = "".join(
            f'<div style="width:30px"><div style="height:{self._rng.randint(20, 120)}px;background:{accent}"></div>'
            f'<div style="color:{pale};font-size:10px">{month}</div></div>'
            for month in _MONTHS
        )
        names = "".join(f'<div style="padding:8px 14px;color:{pale}">{self.words(1)}</div>' for _ in range(8))
        return (
            f'<body style="margin:0;background:{ground};color:{ink};font:13px {font};display:flex">'
            f'<div style="width:150px;background:{card}">{names}</div><div style="flex:1;padding:16px"><h2>{self.words(2)}</h2>'
            f'<div style="display:grid;grid-template-columns:repeat(4,1fr);gap:12px">{cards}</div>'
            f'<div style="display:flex;gap:12px;margin-top:12px"><div style="background:{card};padding:10px">{self.words(3)}'
            f'<div style="display:flex;gap:16px;align-items:flex-end;margin-top:12px">{bars}</div></div>'
            f'<table style="background:{card};font-size:12px;border-collapse:collapse">{rows}</table></div></div>'
        ), (1280, 720)

    def window(self) -> tuple[str, tuple[int, int]]:
        """A program's settings on a coloured desktop."""

        def field() -> str:
            kinds = (
                f"<label><input type=checkbox> {self.words(self._rng.randint(2, 5))}</label>",
                f"{self.words(2)}: <select><option>{self.words(1)}</option></select>",
                f'{self.words(2)}: <span style="border:1px solid #aaa;padding:2px 40px 2px 4px;background:#fff">{self.number()}</span>',
                f'<fieldset style="border:1px solid #ccc"><legend>{self.words(2)}</legend>{self.words(5)}</fieldset>',
            )
            return f'<div style="margin:7px">{self._rng.choice(kinds)}</div>'

        font = self._rng.choice(["DejaVu Sans", "Liberation Sans", "Noto Sans"])
        bar = self._rng.choice(["#2c3e50", "#4a4a4a", "#0054a6"])
        tabs = "".join(f'<span style="padding:6px 14px;border:1px solid #bbb;background:#fff">{self.words(1)}</span>' for _ in range(5))
        fields = "".join(field() for _ in range(9))
        return (
            f'<body style="margin:0;background:#3b6ea5;font:12px {font}"><div style="margin:24px;background:#efefef;width:640px">'
            f'<div style="background:{bar};color:#fff;padding:5px 8px">{self.words(3)}</div>'
            f'<div style="padding:3px 8px">File &nbsp; Edit &nbsp; View &nbsp; Tools &nbsp; Help</div><div style="padding:10px">{tabs}'
            f'<div style="background:#fafafa;padding:8px">{fields}</div><p><button>Apply</button> <button>Cancel</button></p></div></div>'
        ), (700, 560)

    def phone(self) -> tuple[str, tuple[int, int]]:
        """A list on a phone, dark or light."""
        ground, ink, pale = self._rng.choice([("#121212", "#ffffff", "#aaaaaa"), ("#ffffff", "#111111", "#777777")])
        items = "".join(
            f'<div style="padding:12px 16px;border-bottom:1px solid {pale}33"><div style="font-size:16px">{self.words(3)}</div>'
            f'<div style="font-size:13px;color:{pale}">{self.words(5)} {self.number()}</div></div>'
            for _ in range(9)
        )
        hour, minute, charge = self._rng.randint(1, 12), self._rng.randint(10, 59), self._rng.randint(10, 99)
        return (
            f'<body style="margin:0;background:{ground};color:{ink};font-family:Noto Sans">'
            f'<div style="display:flex;justify-content:space-between;padding:6px 16px;font-size:12px"><b>{hour}:{minute}</b>'
            f'<span>LTE {charge}%</span></div><div style="padding:14px 16px;font-size:24px"><b>{self.words(2)}</b></div>{items}'
        ), (390, 844)

    def receipt(self) -> tuple[str, tuple[int, int]]:
        """A shop's receipt, before it is photographed."""
        of, total = self._rng.randint, 0
        lines = [
            self._rng.choice(["SUPER MART", "CITY PHARMACY", "BOOK CORNER", "HARDWARE DEPOT", "CAFE AURORA"]),
            f"{of(1, 99)} {self.words(1)} Street",
            f"TEL {of(10, 99)}-{of(1000000, 9999999)}",
            f"INVOICE NO {of(10000, 99999)}",
            f"DATE {of(1, 28):02}/{of(1, 12):02}/2018 {of(10, 19)}:{of(10, 59)}",
        ]
        for _ in range(of(4, 9)):
            count, price = of(1, 4), of(100, 4000)
            total += count * price
            lines += [f"{self.words(2).upper():<22}{count:>3} x {price / 100:>6.2f}", f"{'':<24}{count * price / 100:>12.2f}"]
        tax = round(total * 0.06)
        sums = {"SUBTOTAL": total, "GST 6%": tax, "TOTAL": total + tax, "CASH": total + tax + 500, "CHANGE": 500}
        lines += [f"{name:<22}{amount / 100:>14.2f}" for name, amount in sums.items()]
        lines += ["GOODS SOLD ARE NOT RETURNABLE", "THANK YOU PLEASE COME AGAIN"]
        font, size = self._rng.choice(["DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono"]), of(14, 16)
        return f'<pre style="margin:18px;font:{size}px {font};color:#333">' + "\n".join(lines) + "</pre>", (420, 200)


def photographed(picture: bytes, seed: int) -> bytes:
    """Make a clean picture look photographed; returns a JPEG."""
    rng = np.random.default_rng(seed)
    scale, turn = float(rng.uniform(1.1, 1.8)), float(rng.uniform(-1.2, 1.2))
    image = Image.open(io.BytesIO(picture)).convert("L")
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
    image = image.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=245)
    grey = 255 - np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.1)))), np.float64)
    high, wide = grey.shape
    faded = np.clip(0.55 + 0.72 * np.convolve(rng.random(high + 40), np.ones(41) / 41, "valid")[:, None], 0.5, 1)
    light = 1 - 0.25 * rng.random() * np.linspace(0, 1, wide)[None] - 0.2 * rng.random() * np.linspace(0, 1, high)[:, None]
    seen = (255 - grey * faded) * light + rng.normal(0, 8, grey.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)).convert("RGB").save(buffer, "JPEG", quality=int(rng.integers(45, 80)))
    return buffer.getvalue()


def screens(count: int, seed: int = 0) -> dict[str, list[Screenshot]]:
    """Draw ``count`` pages of each kind, with what stands on them as their text."""
    made = Templates(seed)
    kinds: dict[str, Callable[[], tuple[str, tuple[int, int]]]] = {
        "dashboards, dark": lambda: made.dashboard(dark=True),
        "dashboards, light": lambda: made.dashboard(dark=False),
        "windows": made.window,
        "phones": made.phone,
        "receipts": made.receipt,
    }
    found: dict[str, list[Screenshot]] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        for kind, draw in kinds.items():
            found[kind] = []
            for number in range(count):
                html, (width, height) = draw()
                scale = 2 if kind == "phones" else 1
                page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
                page.set_content(f"<!doctype html><meta charset=utf-8>{html}")
                picture, text = page.screenshot(full_page=True), page.inner_text("body")
                page.close()
                picture = photographed(picture, number) if kind == "receipts" else picture
                found[kind].append(Screenshot(picture, f"{kind} {number}", text=text))
        browser.close()
    return found


def main() -> None:
    """Draw, read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=12, help="pages of each kind")
    parser.add_argument("--model", default="unise-mini")
    parser.add_argument("--keep", type=Path, help="a folder for the pages, to look at")
    options = parser.parse_args()
    model = load_embedder(options.model)
    assert isinstance(model, RegionEmbedder)
    rows = []
    for kind, pages in screens(options.pages).items():
        rows += [[kind, *row] for row in compare(model, pages)[2]]
        for number, page in enumerate(pages if options.keep else []):
            options.keep.mkdir(parents=True, exist_ok=True)
            page.image.save(options.keep / f"{kind.replace(', ', '-')}-{number}.png")
    print(table(["pages", *HEAD], rows), "\n")
    print(machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
