"""The annual report: four pages with a drawing, charts and tables."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table, TableStyle

WIDTH, HEIGHT = A4
LEFT, RIGHT = 56.0, WIDTH - 56.0
DEEP, WATER, PALE, SAND, INK, GREY = map(HexColor, ("#0b3c5d", "#2a7fb8", "#dcebf5", "#e0a458", "#22303a", "#6b7a85"))
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.2, leading=15, textColor=INK, spaceAfter=7)

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DELIVERED = (104, 96, 101, 99, 106, 118, 127, 124, 109, 101, 93, 92)
LEAKAGE = {2015: 24.6, 2016: 23.8, 2017: 24.1, 2018: 22.3, 2019: 21.0, 2020: 20.2, 2021: 19.1, 2022: 17.9, 2023: 14.2}
USES = (
    ("Households", 58.3),
    ("Lost through leaks", 14.2),
    ("Farms and nurseries", 11.9),
    ("Shops and workshops", 8.4),
    ("School, hospital, baths", 7.2),
)
KEY_FIGURES = (
    ("1.27", "million cubic metres", "delivered to 18,400 people"),
    ("14.2 %", "lost through leaks", "down from 17.9 % in 2022"),
    ("23", "burst mains", "repaired within 4 h 10 min"),
    ("99.94 %", "of 3,212 samples", "met every legal limit"),
)
FOREWORD = (
    "Dear neighbours, 2023 was the wettest year at the Hallow Fell reservoir since our records began in 1894, and yet July asked more of "
    "our pumps than any month before it: 127,000 cubic metres in thirty-one days, as the regatta filled every spare bed in town.",
    "Our largest work was underground. Between March and October we replaced 2.4 kilometres of cast-iron main below Harbour Street, laid "
    "in 1931. Thank you for bearing with the diversions, and to the bakery for keeping our crews in rolls. The new pipe alone saves about "
    "130 cubic metres a day.",
    "In the coming year the filter hall gets its new ultraviolet lamps, and the first 1,500 households will receive meters that can be "
    "read from the street.",
)
LEAKS_TEXT = (
    "Ten years ago one litre in four never reached a tap. Since 2019 a crew of two has walked the town between two and four in the "
    "morning, when taps are closed and a leak can be heard through the pavement. In 2023 they found 61 leaks, the largest of them below "
    "the cattle market: 0.9 litres a second, unnoticed for at least a year.",
    "Our aim for 2026 is ten per cent. The next stretches to be renewed are Mill Lane (780 metres) and the steep part of Tower Road (410 "
    "metres).",
)
QUALITY = (
    ("Measured in tap water", "Unit", "Legal limit", "Mean", "Highest"),
    ("Nitrate", "mg/l", "50", "8.1", "12.4"),
    ("Lead", "µg/l", "10", "0.7", "4.2"),
    ("Free chlorine", "mg/l", "0.5", "0.18", "0.31"),
    ("Turbidity", "NTU", "1.0", "0.12", "0.44"),
    ("Hardness (as CaCO3)", "mg/l", "none", "96", "104"),
    ("E. coli", "in 100 ml", "0", "0", "0"),
)
MONEY = (
    ("Income and spending", "2022", "2023"),
    ("Water charges", "£ 2,418,000", "£ 2,506,000"),
    ("Connection fees and other income", "£ 161,000", "£ 148,000"),
    ("Staff (31 posts)", "£ -1,102,000", "£ -1,147,000"),
    ("Energy for pumps", "£ -388,000", "£ -341,000"),
    ("Renewal of mains", "£ -640,000", "£ -872,000"),
    ("Treatment, laboratory, vehicles", "£ -297,000", "£ -305,000"),
    ("Result", "£ 152,000", "£ -11,000"),
)


def annual_report(path: Path) -> None:
    """Annual report 2023 of a town's water works."""
    canvas = Canvas(str(path), A4, invariant=1)
    canvas.setTitle("Ostermere Water Works: Annual Report 2023")
    canvas.setAuthor("Ostermere Water Works")
    _cover(canvas)
    _year_in_short(canvas)
    _leaks(canvas)
    _quality_and_money(canvas)
    canvas.save()


def _cover(canvas: Canvas) -> None:
    for step in range(60):
        share = step / 60
        canvas.setFillColor(Color(0.98 - 0.30 * share, 0.93 - 0.10 * share, 0.84 + 0.10 * share))
        canvas.rect(0, 250 + step * 10, WIDTH, 11, stroke=0, fill=1)
    canvas.setFillColor(HexColor("#f6d58a"))
    canvas.circle(430, 520, 44, stroke=0, fill=1)
    for colour, points in (
        ("#9fb7c4", (0, 430, 110, 520, 190, 455, 300, 560, 420, 450, 510, 500, WIDTH, 440)),
        ("#6f93a6", (0, 380, 90, 420, 210, 390, 330, 450, 470, 385, WIDTH, 425)),
        ("#3f6b82", (0, 340, 150, 372, 280, 335, 430, 370, WIDTH, 330)),
    ):
        _land(canvas, colour, points)
    canvas.setFillColor(WATER)
    canvas.rect(0, 0, WIDTH, 310, stroke=0, fill=1)
    canvas.setStrokeColor(HexColor("#7fb4d6"))
    canvas.setLineWidth(2)
    for row in range(9):
        for place in range(4):
            x, y = (place * 170 + row * 63) % WIDTH - 30, 290 - row * 17
            canvas.bezier(x, y, x + 20, y + 6, x + 40, y - 6, x + 70, y)
    _shore(canvas)
    _tower(canvas, 120, 330)
    canvas.setFillColor(DEEP)
    canvas.setFont("Helvetica-Bold", 44)
    canvas.drawString(LEFT, 740, "Annual Report 2023")
    canvas.setFont("Helvetica", 20)
    canvas.drawString(LEFT, 708, "Ostermere Water Works")
    canvas.setFillColor(white)
    canvas.setFont("Helvetica-Oblique", 16)
    canvas.drawString(LEFT, 60, "Clean water for 18,400 people, every hour of the year")
    canvas.showPage()


def _land(canvas: Canvas, colour: str, points: Sequence[float]) -> None:
    outline = canvas.beginPath()
    outline.moveTo(0, 250)
    for x, y in zip(points[::2], points[1::2], strict=True):
        outline.lineTo(x, y)
    outline.lineTo(WIDTH, 250)
    outline.close()
    canvas.setFillColor(HexColor(colour))
    canvas.drawPath(outline, stroke=0, fill=1)


def _shore(canvas: Canvas) -> None:
    bank = canvas.beginPath()
    bank.moveTo(0, 285)
    bank.curveTo(60, 350, 190, 345, 275, 288)
    bank.close()
    canvas.setFillColor(HexColor("#5d7a4a"))
    canvas.drawPath(bank, stroke=0, fill=1)


def _tower(canvas: Canvas, x: float, y: float) -> None:
    canvas.setStrokeColor(DEEP)
    canvas.setLineWidth(5)
    for foot, top in ((-38, -24), (-13, -9), (13, 9), (38, 24)):
        canvas.line(x + foot, y, x + top, y + 150)
    canvas.setLineWidth(2)
    for low in (10, 55, 100):
        canvas.line(x - 36 + low / 12, y + low, x + 33 - low / 12, y + low + 40)
        canvas.line(x + 36 - low / 12, y + low, x - 33 + low / 12, y + low + 40)
    canvas.setFillColor(HexColor("#c9553d"))
    canvas.roundRect(x - 48, y + 148, 96, 70, 14, stroke=0, fill=1)
    roof = canvas.beginPath()
    roof.moveTo(x - 54, y + 214)
    roof.lineTo(x, y + 250)
    roof.lineTo(x + 54, y + 214)
    roof.close()
    canvas.setFillColor(DEEP)
    canvas.drawPath(roof, stroke=0, fill=1)


def _head(canvas: Canvas, title: str) -> None:
    canvas.setFillColor(DEEP)
    canvas.rect(0, HEIGHT - 34, WIDTH, 34, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont("Helvetica", 10)
    canvas.drawString(LEFT, HEIGHT - 22, "Ostermere Water Works · Annual Report 2023")
    canvas.drawRightString(RIGHT, HEIGHT - 22, str(canvas.getPageNumber()))
    canvas.setFillColor(DEEP)
    canvas.setFont("Helvetica-Bold", 24)
    canvas.drawString(LEFT, HEIGHT - 84, title)


def _flow(canvas: Canvas, texts: Sequence[str], top: float, left: float = LEFT, right: float = RIGHT) -> float:
    """Set paragraphs below each other and return where they end."""
    for text in texts:
        paragraph = Paragraph(text, BODY)
        _, high = paragraph.wrap(right - left, top)
        top -= high
        paragraph.drawOn(canvas, left, top)
        top -= BODY.spaceAfter
    return top


def _year_in_short(canvas: Canvas) -> None:
    _head(canvas, "The year in short")
    wide = (RIGHT - LEFT - 3 * 12) / 4
    for place, (figure, what, more) in enumerate(KEY_FIGURES):
        x = LEFT + place * (wide + 12)
        canvas.setFillColor(PALE)
        canvas.roundRect(x, 640, wide, 88, 8, stroke=0, fill=1)
        canvas.setFillColor(WATER)
        canvas.setFont("Helvetica-Bold", 23)
        canvas.drawCentredString(x + wide / 2, 694, figure)
        canvas.setFillColor(INK)
        canvas.setFont("Helvetica-Bold", 9)
        canvas.drawCentredString(x + wide / 2, 674, what)
        canvas.setFont("Helvetica", 7.4)
        canvas.drawCentredString(x + wide / 2, 659, more)
    end = _flow(canvas, FOREWORD, 616)
    canvas.setFont("Helvetica-Oblique", 10.2)
    canvas.drawString(LEFT, end - 12, "Ruth Calloway, manager")
    _chart_title(canvas, 372, "Water delivered in 2023, thousand cubic metres a month")
    _bars(canvas, (LEFT, 110, RIGHT, 350), MONTHS, DELIVERED)
    canvas.showPage()


def _chart_title(canvas: Canvas, y: float, title: str) -> None:
    canvas.setFillColor(DEEP)
    canvas.setFont("Helvetica-Bold", 12)
    canvas.drawString(LEFT, y, title)


def _bars(canvas: Canvas, box: tuple[float, float, float, float], labels: Sequence[str], values: Sequence[float]) -> None:
    left, bottom, right, top = box
    unit = (top - bottom) / 140
    canvas.setFont("Helvetica", 8.5)
    for level in range(0, 141, 20):
        y = bottom + level * unit
        canvas.setStrokeColor(PALE)
        canvas.setLineWidth(1)
        canvas.line(left + 26, y, right, y)
        canvas.setFillColor(GREY)
        canvas.drawRightString(left + 20, y - 3, str(level))
    step = (right - left - 30) / len(values)
    for place, (label, value) in enumerate(zip(labels, values, strict=True)):
        x = left + 30 + place * step
        canvas.setFillColor(SAND if value == max(values) else WATER)
        canvas.rect(x + step * 0.16, bottom, step * 0.68, value * unit, stroke=0, fill=1)
        canvas.setFillColor(INK)
        canvas.drawCentredString(x + step / 2, bottom + value * unit + 4, str(value))
        canvas.drawCentredString(x + step / 2, bottom - 14, label)


def _leaks(canvas: Canvas) -> None:
    _head(canvas, "Where the water goes")
    _flow(canvas, LEAKS_TEXT, HEIGHT - 108)
    _chart_title(canvas, 600, "Share of water lost through leaks, 2015 to 2023")
    _curve(canvas, (LEFT, 385, RIGHT, 580))
    _chart_title(canvas, 322, "Who used the water in 2023")
    canvas.setFont("Helvetica", 10)
    for place, (name, share) in enumerate(USES):
        y = 284 - place * 34
        canvas.setFillColor(INK)
        canvas.drawString(LEFT, y + 6, name)
        canvas.setFillColor(SAND if "leaks" in name else WATER)
        canvas.rect(LEFT + 130, y, share * 5, 20, stroke=0, fill=1)
        canvas.setFillColor(INK)
        canvas.drawString(LEFT + 138 + share * 5, y + 6, f"{share} %")
    canvas.showPage()


def _curve(canvas: Canvas, box: tuple[float, float, float, float]) -> None:
    left, bottom, right, top = box
    unit = (top - bottom) / 30
    step = (right - left - 60) / (len(LEAKAGE) - 1)
    canvas.setFont("Helvetica", 8.5)
    for level in range(0, 31, 5):
        canvas.setStrokeColor(PALE)
        canvas.setLineWidth(1)
        canvas.line(left + 30, bottom + level * unit, right, bottom + level * unit)
        canvas.setFillColor(GREY)
        canvas.drawRightString(left + 24, bottom + level * unit - 3, f"{level} %")
    points = [(left + 45 + place * step, bottom + share * unit) for place, share in enumerate(LEAKAGE.values())]
    canvas.setStrokeColor(WATER)
    canvas.setLineWidth(2.5)
    for start, end in pairwise(points):
        canvas.line(*start, *end)
    for (x, y), (year, share) in zip(points, LEAKAGE.items(), strict=True):
        canvas.setFillColor(WATER)
        canvas.circle(x, y, 4, stroke=0, fill=1)
        canvas.setFillColor(INK)
        canvas.drawCentredString(x, y + 9, str(share))
        canvas.drawCentredString(x, bottom - 14, str(year))


def _quality_and_money(canvas: Canvas) -> None:
    _head(canvas, "Quality and money")
    intro = (
        "Our laboratory takes samples at 44 taps, from the school kitchen to the harbour office. Two of 3,212 samples in 2023 were too "
        "cloudy, both on the day after the main at Chapel Steps burst; the street was told within the hour."
    )
    end = _flow(canvas, (intro,), HEIGHT - 108)
    end = _table(canvas, QUALITY, (170, 70, 81, 81, 81), end - 14)
    text = (
        "Renewing Harbour Street cost £ 614,000. It was paid from the renewal reserve, which now stands at £ 1.93 million. A household of "
        "three paid £ 268 for its water in 2023, nine pounds more than the year before; the price of a cubic metre rises to £ 1.94 in "
        "April 2024."
    )
    end = _flow(canvas, (text,), end - 22)
    end = _table(canvas, MONEY, (263, 110, 110), end - 14, last_bold=True)
    contact = "<b>Burst pipe?</b> Ring 0555 0142 at any hour. Office: 3 Tower Road, Ostermere, weekdays 9 to 4."
    _flow(canvas, (contact,), end - 24)
    canvas.showPage()


def _table(canvas: Canvas, rows: Sequence[Sequence[str]], widths: Sequence[float], top: float, last_bold: bool = False) -> float:
    table = Table([list(row) for row in rows], colWidths=widths, rowHeights=21)
    style = [
        ("FONT", (0, 0), (-1, -1), "Helvetica", 9.6),
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 9.6),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("TEXTCOLOR", (0, 0), (-1, 0), white),
        ("BACKGROUND", (0, 0), (-1, 0), DEEP),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), (white, PALE)),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]
    if last_bold:
        style += [("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 9.6), ("LINEABOVE", (0, -1), (-1, -1), 1, DEEP)]
    table.setStyle(TableStyle(style))
    _, high = table.wrap(RIGHT - LEFT, top)
    table.drawOn(canvas, LEFT, top - high)
    return top - high
