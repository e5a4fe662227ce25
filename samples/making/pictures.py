"""Pictures: charts, a receipt, a dialog, a lighthouse, and the pictures to search with."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from PIL import Image, ImageDraw, ImageFilter

from making.tools import font, grain, lay_on, page_picture, uneven_light, wood

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
RAINFALL = {
    2022: (71, 96, 38, 44, 52, 47, 19, 24, 83, 102, 121, 88),
    2023: (93, 31, 104, 76, 48, 29, 132, 98, 74, 141, 118, 154),
}
EXTREMES = {2022: "July was the driest month", 2023: "December was the wettest month"}

RECEIPT_HEAD = ("GREEN'S HARDWARE", "14 Market Square, Ostermere", "Saturday 21 October 2023   10:47")
RECEIPT_LINES = (
    ("Wood glue 500 ml", "7.95"),
    ("Brass hinges, pair", "4.60"),
    ("Paintbrush 50 mm", "5.25"),
    ("Linseed oil 1 l", "11.90"),
    ("Sandpaper 120, 5 sheets", "3.40"),
    ("Picture hooks, 20", "2.15"),
)
RECEIPT_END = ("TOTAL", "35.25"), ("Cash", "40.00"), ("Change", "4.75")
RECEIPT_FOOT = ("Goods may be returned", "within 28 days with this receipt.", "THANK YOU")

TABS = ("General", "Schedule", "Folders", "Encryption", "Network")
SWITCHES = (
    ("Back up automatically", True),
    ("Pause while on battery", True),
    ("Pause on mobile networks", True),
    ("Verify every backup after writing", False),
)
FIELDS = (("Repeat", "Every day"), ("At", "03:30"), ("Keep old versions for", "90 days"), ("Target", "Harbour NAS / backups"))


def rainfall(path: Path, year: int) -> None:
    """Bar chart of a year's rainfall; every year has the same design."""
    figure, axes = plt.subplots(figsize=(10, 6.4), dpi=100)
    _rain_bars(axes, year, "#3a86c8", "#d1495b", 11)
    axes.set_title(f"Rainfall in Ostermere, {year}", fontsize=20, fontweight="bold", loc="left", pad=34)
    total = sum(RAINFALL[year])
    subtitle = f"{total} mm in the year, {total / 12:.0f} mm in a mean month (dashed). {EXTREMES[year]}."
    axes.text(0, 1.03, subtitle, transform=axes.transAxes, fontsize=13, color="#44505a")
    axes.grid(axis="y", color="#dde4ea")
    figure.text(0.99, 0.012, "Source: rain gauge at Hallow Fell reservoir", ha="right", fontsize=10, color="#66727c")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def _rain_bars(axes: Axes, year: int, colour: str, line: str, size: int) -> None:
    values = RAINFALL[year]
    axes.bar(MONTHS, values, color=colour, width=0.7, zorder=2)
    for place, value in enumerate(values):
        axes.text(place, value + 2, str(value), ha="center", fontsize=size)
    axes.axhline(sum(values) / 12, color=line, linestyle="--", zorder=3)
    axes.set_ylim(0, 165)
    axes.set_ylabel("Rainfall (mm)", fontsize=size + 2)
    axes.set_xlabel("Month", fontsize=size + 2)
    axes.tick_params(labelsize=size, length=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def rainfall_screenshot(path: Path) -> None:
    """The chart of 2022 as somebody else's report might show it: other colours, another size, a caption below."""
    figure, axes = plt.subplots(figsize=(7.6, 4.3), dpi=100, facecolor="#fff8ec")
    axes.set_facecolor("#fff8ec")
    _rain_bars(axes, 2022, "#e08e45", "#33658a", 9)
    axes.set_title("Rainfall in Ostermere, 2022", fontsize=15, pad=10, family="DejaVu Serif")
    figure.tight_layout()
    figure.canvas.draw()
    chart = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    plt.close(figure)
    shot = Image.new("RGB", (chart.width + 46, chart.height + 70), "white")
    shot.paste(chart, (23, 14))
    ImageDraw.Draw(shot).rectangle((22, 13, chart.width + 23, chart.height + 14), outline="#c9bda6")
    ImageDraw.Draw(shot).text(
        (23, chart.height + 32),
        "Figure 3. Monthly rainfall 2022: a dry July.",
        "#444444",
        font("DejaVuSerif", 16),
    )
    shot.save(path, optimize=True)


def receipt(path: Path) -> None:
    """A till receipt, photographed on a table."""
    paper = Image.new("RGB", (560, 900), "#f8f7f2")
    draw = ImageDraw.Draw(paper)
    plain, strong, big = font("DejaVuSansMono", 24), font("DejaVuSansMono-Bold", 26), font("DejaVuSans-Bold", 40)
    draw.text((280, 66), RECEIPT_HEAD[0], "#222222", big, anchor="mm")
    for place, line in enumerate(RECEIPT_HEAD[1:]):
        draw.text((280, 120 + 36 * place), line, "#333333", font("DejaVuSans", 23), anchor="mm")
    y = 214
    draw.line((30, y, 530, y), "#555555", 2)
    for name, price in RECEIPT_LINES:
        y += 44
        draw.text((34, y), name, "#2a2a2a", plain, anchor="ls")
        draw.text((526, y), price, "#2a2a2a", plain, anchor="rs")
    y += 26
    draw.line((30, y, 530, y), "#555555", 2)
    for name, price in RECEIPT_END:
        y += 46
        draw.text((34, y), name, "#111111", strong, anchor="ls")
        draw.text((526, y), price, "#111111", strong, anchor="rs")
    for place, line in enumerate(RECEIPT_FOOT):
        draw.text((280, y + 62 + 34 * place), line, "#333333", font("DejaVuSans", 22), anchor="mm")
    for place in range(68):
        width = 2 + (place * place * 7 + place) % 5
        draw.rectangle((78 + place * 6, 812, 78 + place * 6 + width, 868), "#222222" if place % 2 else "#f8f7f2")
    photo = lay_on(wood(1000, 1150, (150, 108, 70), 3), paper, ((238, 84), (790, 112), (774, 1070), (182, 1040)))
    photo = uneven_light(photo.filter(ImageFilter.GaussianBlur(0.8)), 0.3)
    grain(photo, 4, 21).save(path, quality=78)


def photographed(pdf: Path, path: Path) -> None:
    """A document's first page as a telephone's camera sees it on a desk."""
    sheet = page_picture(pdf, 2.2)
    photo = lay_on(wood(1200, 1600, (96, 104, 112), 5), sheet, ((142, 96), (1098, 128), (1150, 1500), (72, 1478)))
    photo = uneven_light(photo.filter(ImageFilter.GaussianBlur(0.7)), 0.34)
    grain(photo, 5, 8).save(path, quality=74)


def settings_dialog(path: Path) -> None:
    """Screenshot of a program's settings."""
    shot = Image.new("RGB", (960, 640), "#ffffff")
    draw = ImageDraw.Draw(shot)
    blue, line, text = "#2563c9", "#d4d9e0", "#1f2933"
    draw.rectangle((0, 0, 960, 44), "#e9ecf1")
    draw.text((22, 22), "Backup settings", text, font("DejaVuSans-Bold", 17), anchor="lm")
    draw.text((934, 22), "×", text, font("DejaVuSans", 24), anchor="mm")
    draw.rectangle((0, 44, 210, 640), "#f5f7fa")
    for place, name in enumerate(TABS):
        y = 74 + 48 * place
        chosen = name == "Schedule"
        if chosen:
            draw.rounded_rectangle((12, y - 8, 198, y + 32), 8, "#dbe7fb")
        draw.ellipse((26, y + 5, 40, y + 19), blue if chosen else "#9aa5b1")
        draw.text((54, y + 12), name, blue if chosen else text, font("DejaVuSans", 16), anchor="lm")
    draw.text((246, 84), "Schedule", text, font("DejaVuSans-Bold", 24), anchor="lm")
    draw.text((246, 118), "Last backup: today at 03:41, 2.7 GB in 11 minutes", "#52606d", font("DejaVuSans", 15), anchor="lm")
    for place, (name, on) in enumerate(SWITCHES):
        y = 164 + 46 * place
        draw.text((246, y), name, text, font("DejaVuSans", 16), anchor="lm")
        draw.rounded_rectangle((866, y - 13, 916, y + 13), 13, blue if on else "#b8c0ca")
        knob = 892 if on else 869
        draw.ellipse((knob, y - 10, knob + 21, y + 11), "#ffffff")
        draw.line((246, y + 23, 916, y + 23), line)
    for place, (name, value) in enumerate(FIELDS):
        y = 368 + 48 * place
        draw.text((246, y), name, text, font("DejaVuSans", 16), anchor="lm")
        draw.rounded_rectangle((600, y - 18, 916, y + 18), 6, "#ffffff", line, 2)
        draw.text((616, y), value, text, font("DejaVuSans", 16), anchor="lm")
        draw.line((888, y - 4, 895, y + 4, 902, y - 4), "#52606d", 2)
    _buttons(draw, (("Restore files…", 246, False), ("Cancel", 640, False), ("Save", 784, True)), blue)
    shot.save(path, optimize=True)


def _buttons(draw: ImageDraw.ImageDraw, buttons: Sequence[tuple[str, int, bool]], blue: str) -> None:
    for name, x, main in buttons:
        draw.rounded_rectangle(
            (x, 572, x + (150 if x < 300 else 132), 612), 8, blue if main else "#ffffff", "#b8c0ca" if not main else blue, 2
        )
        draw.text((x + (75 if x < 300 else 66), 592), name, "#ffffff" if main else "#1f2933", font("DejaVuSans", 16), anchor="mm")


def lighthouse(path: Path) -> None:
    """Painting of a lighthouse in the evening, for the museum's page."""
    width, height = 1200, 700
    down = np.linspace(0, 1, height)[:, None, None]
    sky = np.array((38, 50, 94)) * (1 - down) + np.array((244, 164, 96)) * down
    picture = Image.fromarray(np.broadcast_to(sky, (height, width, 3)).astype(np.uint8).copy())
    beam = Image.new("L", (width, height))
    ImageDraw.Draw(beam).polygon([(842, 172), (0, 20), (0, 230)], 120)
    picture.paste("#fff3c4", (0, 0), beam.filter(ImageFilter.GaussianBlur(14)))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 520, width, height), "#2d5f7c")
    for row in range(14):
        for place in range(9):
            x, y = (place * 157 + row * 71) % width, 532 + row * 13
            draw.line((x, y, x + 36 + row * 4, y), "#5d8ea8", 2)
    draw.polygon([(560, 560), (640, 500), (720, 508), (790, 470), (900, 474), (990, 510), (1200, 488), (1200, 700), (520, 700)], "#2b2a33")
    for step in range(5):
        top, left, right = 210 + step * 54, 800 - step * 7, 884 + step * 7
        draw.polygon([(left, top), (right, top), (right + 7, top + 54), (left - 7, top + 54)], "#f4efe6" if step % 2 else "#c8443a")
    draw.rectangle((788, 200, 896, 212), "#22222a")
    draw.rectangle((814, 146, 870, 200), "#ffe9a8")
    draw.polygon([(804, 146), (842, 106), (880, 146)], "#c8443a")
    for x in (814, 832, 851, 870):
        draw.line((x, 146, x, 200), "#22222a", 3)
    draw.polygon([(960, 515), (960, 450), (1000, 420), (1040, 450), (1040, 515)], "#3a3844")
    draw.rectangle((985, 462, 1005, 482), "#ffd27a")
    picture.filter(ImageFilter.GaussianBlur(0.6)).save(path, quality=82)
