"""Single sheets: an invoice, a scanned letter, a page of a journal, a French menu."""

from collections.abc import Sequence
from math import cos, sin
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw, ImageFilter
from reportlab.lib.colors import HexColor, black, white
from reportlab.lib.pagesizes import A4, A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, FrameBreak, PageTemplate, Paragraph, Table, TableStyle

from making.tools import grain, page_picture

WIDTH, HEIGHT = A4

FIRM = ("Brandt & Osei Pump Engineers", "Unit 6, Old Tannery Yard · Ostermere · 0555 0178 · office@brandt-osei.example")
CUSTOMER = ("Mrs Ida Falk", "Mill Cottage", "Ford Lane", "Ostermere")
INVOICE_FACTS = (("Invoice", "2023-0417"), ("Date", "9 November 2023"), ("Visit", "6 November 2023"), ("Payable by", "23 November 2023"))
INVOICE_LINES = (
    ("Call-out within Ostermere", 1, 65.00),
    ("Finding the fault, hours", 1.5, 58.00),
    ("Mechanical seal kit SP-40", 1, 112.50),
    ("Start capacitor 40 µF", 1, 18.90),
    ("Pressure switch 1.4 to 2.8 bar", 1, 46.00),
    ("Labour, hours", 3, 58.00),
)
INVOICE_NOTE = (
    "Submersible pump of the garden well, 38 m deep: seal worn and motor not starting. Both parts replaced, pump tested for 40 minutes at "
    "2.6 bar. Guarantee on parts: 24 months. Please pay to account 55-0178-204, Ostermere Savings Bank."
)
LETTER = """\
OSTERMERE HARBOUR OFFICE
The Quay, Ostermere

                                         14 May 1987

Mr E. Falk
Mill Cottage, Ford Lane


Dear Mr Falk,

        Mooring No. 27, sloop "Kittiwake"

I am glad to tell you that the Harbour Board,
at its meeting of 11 May, has granted you the
mooring which Captain Hale gave up at Easter.

The fee is 38 pounds a year, payable each April
at this office. The chain was last lifted and
inspected in 1985; it is the owner's duty to have
this done every third year.

The key to the slipway gate may be fetched from
Mrs Dunne at the fish market, against a deposit
of two pounds. Please note that the gate is
locked from November to March.

Boats longer than 7.5 metres may not lie at this
mooring, whatever the state of the tide.

                    Yours sincerely,



                    H. Pettigrew
                    Harbour Master
"""

ARTICLE_TITLE = "North or South? Nest-box Choice of Common Swifts in a Small Town"
ARTICLE_AUTHORS = "Ida Falk and Tomas Reyes · Ostermere Field Club · <i>Notes of the Field Club</i> 31 (2023), page 12"
ARTICLE = (
    (
        "abstract",
        "<b>Abstract.</b> We hung 48 nest boxes for common swifts (<i>Apus apus</i>) below the eaves of twelve houses and watched them for "
        "nine summers. Boxes that face north or east were taken 2.3 times as often as boxes that face south or west. On the hottest days "
        "the air in south boxes was 9.4 °C warmer. We advise to hang new boxes in the shade.",
    ),
    ("head", "1 Introduction"),
    (
        "text",
        "Swifts return to the same hole year after year, and suffer when old roofs are sealed. Many towns now offer boxes, yet little is "
        "written about the side of the house that suits the birds. Box makers advise against full sun; the advice is rarely tested.",
    ),
    ("head", "2 Methods"),
    (
        "text",
        "From 2014 to 2022 each house carried four boxes, one on each side, between 5.2 and 8.9 m above the ground. We looked into every "
        "box with a camera on a pole in the third week of June. A box counts as taken if it held eggs or chicks. In 2021 and 2022 small "
        "loggers wrote down the temperature every ten minutes.",
    ),
    ("head", "3 Results"),
    (
        "text",
        "Over all summers 157 of 432 checks found a brood (Table 1). The birds found the north side first: in 2014 all three broods "
        "were there. From 2018 on, pairs also moved to the south side where the north box of the house was full (Fig. 1).",
    ),
    ("table", ""),
    ("text", "<b>Table 1.</b> Boxes taken in 108 checks of each side, and chicks that left the nest for each brood."),
    ("figure", ""),
    ("text", "<b>Fig. 1.</b> Broods in all boxes by year; the shaded part faced north or east."),
    ("text", "Boxes that face west lay between: they are cool until three in the afternoon and hot when the chicks are fed most."),
    ("head", "3.1 Temperature"),
    (
        "text",
        "Fig. 2 shows the hottest day of our loggers, 19 July 2022. At night both boxes of the chapel house were as warm as the air. The "
        "south box reached 43.1 °C at 15:00, the north box 33.7 °C at 17:00. Two chicks jumped from the south box and were raised by hand.",
    ),
    ("curves", ""),
    ("text", "<b>Fig. 2.</b> Air in two boxes of the chapel house on 19 July 2022, in °C, by the hour: south (black), north (grey)."),
    ("head", "4 Discussion"),
    (
        "text",
        "Swifts can use any side, but they choose the cool ones and raise more young there. With hotter summers the difference will "
        "grow. Where only a south wall is free, a white box with a gap below the lid kept the air 3.8 °C cooler in a trial of ours.",
    ),
    (
        "text",
        "Our town is small and the houses differ in more than the sun: the chapel house is the tallest, and house 7 has a cat. Counting "
        "each house as one, the cool side still won in ten of twelve.",
    ),
    ("head", "Thanks"),
    ("text", "We thank the twelve households, the school's workshop for the boxes, and the fire brigade for its ladder."),
    ("head", "Notes"),
    (
        "text",
        "The counts are kept in the club's cupboard at the library and may be copied. Boxes are made from larch, 34 by 16 by 14 cm, with "
        "an entrance of 6.5 by 3 cm; a plan is pinned to the board.",
    ),
)
ARTICLE_TABLE = (
    ("Side", "Taken", "Share", "Chicks"),
    ("North", "58", "54 %", "2.4"),
    ("East", "51", "47 %", "2.3"),
    ("South", "22", "20 %", "1.6"),
    ("West", "26", "24 %", "2.0"),
)
BROODS = {
    2014: (3, 3),
    2015: (6, 6),
    2016: (10, 9),
    2017: (13, 12),
    2018: (18, 13),
    2019: (22, 15),
    2020: (25, 16),
    2021: (29, 17),
    2022: (31, 18),
}
SOUTH = (21.4, 20.2, 19.8, 21.6, 26.9, 33.8, 39.2, 42.4, 42.7, 38.1, 31.0, 26.2, 23.0)
NORTH = (21.2, 20.1, 19.7, 21.0, 23.4, 26.3, 29.4, 32.0, 33.4, 33.0, 29.1, 25.4, 22.7)

MENU_TITLE = ("Auberge du Lac", "Menu de la Saint-Martin", "11 novembre 2023 · 34 € par personne, café compris")
MENU = (
    (
        "Entrées",
        ("Velouté de potiron aux châtaignes", "Terrine de brochet, crème au raifort", "Salade de mâche, noix et fromage de chèvre chaud"),
    ),
    (
        "Plats",
        (
            "Oie rôtie aux pommes, chou rouge braisé",
            "Filet de truite du lac au beurre d'amandes",
            "Gratin de cardons et pommes de terre (végétarien)",
        ),
    ),
    ("Desserts", ("Tarte aux coings, glace à la vanille", "Poire pochée au vin d'épices", "Assiette de trois fromages de la vallée")),
)
MENU_NOTE = "Réservation au 0555 0123 avant le 8 novembre. Nous vous prions de nous signaler toute allergie aux noix ou au gluten."


def invoice(path: Path) -> None:
    """Invoice for the repair of a pump."""
    canvas = Canvas(str(path), A4, invariant=1)
    canvas.setTitle("Invoice 2023-0417, Brandt & Osei Pump Engineers")
    green, pale = HexColor("#1f6f5c"), HexColor("#e6f1ee")
    canvas.setFillColor(green)
    canvas.rect(0, HEIGHT - 92, WIDTH, 92, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont("Helvetica-Bold", 24)
    canvas.drawString(56, HEIGHT - 52, FIRM[0])
    canvas.setFont("Helvetica", 10)
    canvas.drawString(56, HEIGHT - 72, FIRM[1])
    canvas.setFillColor(black)
    for place, line in enumerate(CUSTOMER):
        canvas.setFont("Helvetica", 12)
        canvas.drawString(56, 690 - 16 * place, line)
    for place, (name, value) in enumerate(INVOICE_FACTS):
        canvas.setFont("Helvetica", 11)
        canvas.drawString(350, 690 - 16 * place, name)
        canvas.setFont("Helvetica-Bold", 11)
        canvas.drawRightString(WIDTH - 56, 690 - 16 * place, value)
    canvas.setFillColor(green)
    canvas.setFont("Helvetica-Bold", 30)
    canvas.drawString(56, 580, "INVOICE")
    net = sum(count * price for _, count, price in INVOICE_LINES)
    rows = [["Description", "Quantity", "Price £", "Amount £"]]
    rows += [[what, f"{count:g}", f"{price:.2f}", f"{count * price:.2f}"] for what, count, price in INVOICE_LINES]
    rows += [["Net", "", "", f"{net:.2f}"], ["VAT 20 %", "", "", f"{net * 0.2:.2f}"], ["Total to pay", "", "", f"£ {net * 1.2:.2f}"]]
    table = Table(rows, colWidths=(263, 70, 70, 80), rowHeights=25)
    style = [
        ("FONT", (0, 0), (-1, -1), "Helvetica", 11),
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 11),
        ("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 13),
        ("BACKGROUND", (0, 0), (-1, 0), pale),
        ("BACKGROUND", (0, -1), (-1, -1), pale),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LINEBELOW", (0, 0), (-1, -5), 0.5, HexColor("#b9cfc9")),
        ("LINEABOVE", (0, -3), (-1, -3), 1, green),
    ]
    table.setStyle(TableStyle(style))
    table.wrapOn(canvas, WIDTH, HEIGHT)
    table.drawOn(canvas, 56, 305)
    note = Paragraph(INVOICE_NOTE, ParagraphStyle("note", fontName="Helvetica", fontSize=11, leading=16))
    note.wrap(WIDTH - 112, 200)
    note.drawOn(canvas, 56, 225)
    canvas.save()


def scanned_letter(path: Path) -> None:
    """A typed letter as an old scanner saw it: a picture without a text layer."""
    with TemporaryDirectory() as folder:
        typed = Path(folder, "typed.pdf")
        canvas = Canvas(str(typed), A4)
        text = canvas.beginText(78, HEIGHT - 90)
        text.setFont("Courier", 14)
        text.setLeading(17.5)
        text.textLines(LETTER, trim=0)
        canvas.drawText(text)
        canvas.save()
        sheet = page_picture(typed, 150 / 72).convert("L")
    draw = ImageDraw.Draw(sheet)
    strokes = [(425 + 1.7 * t + 17 * sin(t / 3.1), 1375 - 0.1 * t + (38 - 0.27 * t) * cos(t / 3.1)) for t in range(118)]
    draw.line([*strokes, (690, 1352)], fill=60, width=3, joint="curve")
    for hole in (560, 1200):
        draw.ellipse((28, hole, 62, hole + 34), fill=120)
    draw.line([(0, 872), (sheet.width, 868)], fill=214, width=2)
    sheet = sheet.rotate(-1.3, Image.Resampling.BICUBIC, fillcolor=225).filter(ImageFilter.GaussianBlur(0.7))
    sheet = sheet.point(lambda value: 34 + value * 0.80)
    scan = grain(sheet.convert("RGB"), 9, 1987).convert("L")
    canvas = Canvas(str(path), A4, invariant=1, pageCompression=1)
    canvas.setTitle("Scan0007")
    with TemporaryDirectory() as folder:
        jpeg = Path(folder, "scan.jpg")
        scan.save(jpeg, quality=45)
        canvas.drawImage(ImageReader(str(jpeg)), 0, 0, WIDTH, HEIGHT)
        canvas.save()


def article(path: Path) -> None:
    """A page of a field club's journal, in two columns."""
    document = BaseDocTemplate(str(path), pagesize=A4, invariant=1, title=ARTICLE_TITLE, author="Ida Falk and Tomas Reyes")
    column = (WIDTH - 112 - 18) / 2
    frames = [
        Frame(56, HEIGHT - 145, WIDTH - 112, 95, 0, 0, 0, 0),
        Frame(56, 50, column, HEIGHT - 210, 0, 0, 0, 0),
        Frame(56 + column + 18, 50, column, HEIGHT - 210, 0, 0, 0, 0),
    ]
    document.addPageTemplates(PageTemplate("page", frames))
    text = ParagraphStyle("text", fontName="Times-Roman", fontSize=10.4, leading=13, alignment=4, spaceAfter=5)
    styles = {
        "text": text,
        "abstract": ParagraphStyle("abstract", text, fontSize=10, leftIndent=10, rightIndent=10, spaceAfter=8),
        "head": ParagraphStyle("head", text, fontName="Times-Bold", fontSize=11.5, leading=14, spaceBefore=5, spaceAfter=3, alignment=0),
    }
    title = ParagraphStyle("title", fontName="Times-Bold", fontSize=19, leading=23, alignment=1, spaceAfter=8)
    story: list[Flowable] = [
        Paragraph(ARTICLE_TITLE, title),
        Paragraph(ARTICLE_AUTHORS, ParagraphStyle("by", text, alignment=1)),
        FrameBreak(),
    ]
    for kind, words in ARTICLE:
        if kind == "table":
            story.append(_article_table(column))
        elif kind == "figure":
            story.append(_Broods(column))
        elif kind == "curves":
            story.append(_Curves(column))
        else:
            story.append(Paragraph(words, styles[kind]))
    document.build(story)


def _article_table(width: float) -> Table:
    table = Table([list(row) for row in ARTICLE_TABLE], colWidths=[width / 4] * 4, rowHeights=15, spaceBefore=3, spaceAfter=5)
    rule = 0.8
    lines = [
        ("LINEABOVE", (0, 0), (-1, 0), rule, black),
        ("LINEBELOW", (0, 0), (-1, 0), rule / 2, black),
        ("LINEBELOW", (0, -1), (-1, -1), rule, black),
    ]
    fonts = [
        ("FONT", (0, 0), (-1, -1), "Times-Roman", 10),
        ("FONT", (0, 0), (-1, 0), "Times-Italic", 10),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
    ]
    table.setStyle(TableStyle(lines + fonts))
    return table


class _Broods(Flowable):
    """The article's figure: broods by year as bars, those of cool boxes shaded."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width, self.height = width, 100

    def draw(self) -> None:
        canvas = self.canv
        canvas.setFont("Times-Roman", 8)
        for level in range(0, 31, 10):
            y = 18 + level * 2.4
            canvas.setStrokeColor(HexColor("#bbbbbb"))
            canvas.line(18, y, self.width, y)
            canvas.drawRightString(14, y - 3, str(level))
        step = (self.width - 22) / len(BROODS)
        canvas.setStrokeColor(black)
        for place, (year, (broods, cool)) in enumerate(BROODS.items()):
            x = 22 + place * step
            canvas.setFillColor(white)
            canvas.rect(x + 3, 18, step - 6, broods * 2.4, stroke=1, fill=1)
            canvas.setFillColor(HexColor("#888888"))
            canvas.rect(x + 3, 18, step - 6, cool * 2.4, stroke=1, fill=1)
            canvas.setFillColor(black)
            canvas.drawCentredString(x + step / 2, 7, str(year))


class _Curves(Flowable):
    """The article's second figure: two boxes' temperatures through a day."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width, self.height = width, 120

    def draw(self) -> None:
        canvas = self.canv
        canvas.setFont("Times-Roman", 8)
        unit, step = 3.2, (self.width - 24) / (len(SOUTH) - 1)
        for level in range(20, 46, 5):
            y = 18 + (level - 15) * unit
            canvas.setStrokeColor(HexColor("#bbbbbb"))
            canvas.line(18, y, self.width, y)
            canvas.drawRightString(14, y - 3, str(level))
        for values, colour in ((NORTH, "#888888"), (SOUTH, "#000000")):
            path = canvas.beginPath()
            path.moveTo(20, 18 + (values[0] - 15) * unit)
            for place, value in enumerate(values[1:], 1):
                path.lineTo(20 + place * step, 18 + (value - 15) * unit)
            canvas.setStrokeColor(HexColor(colour))
            canvas.setLineWidth(1.6)
            canvas.drawPath(path)
        for place in range(0, len(SOUTH), 2):
            canvas.drawCentredString(20 + place * step, 7, str(2 * place))


def menu(path: Path) -> None:
    """A French inn's menu for one evening."""
    width, height = A5
    wine, gold = HexColor("#6d1f2f"), HexColor("#b08d45")
    canvas = Canvas(str(path), A5, invariant=1)
    canvas.setTitle("Auberge du Lac : menu de la Saint-Martin")
    canvas.setFillColor(HexColor("#fbf6ea"))
    canvas.rect(0, 0, width, height, stroke=0, fill=1)
    canvas.setStrokeColor(gold)
    for inset, line in ((16, 1.6), (21, 0.5)):
        canvas.setLineWidth(line)
        canvas.rect(inset, inset, width - 2 * inset, height - 2 * inset)
    _centred(canvas, width, height - 78, MENU_TITLE[:1], ("Times-BoldItalic", 30), wine)
    _centred(canvas, width, height - 106, MENU_TITLE[1:2], ("Times-Italic", 18), wine)
    _centred(canvas, width, height - 128, MENU_TITLE[2:], ("Times-Roman", 10.5), black)
    y = height - 178
    for course, dishes in MENU:
        _centred(canvas, width, y, (course,), ("Times-Bold", 15), wine)
        canvas.line(width / 2 - 30, y - 7, width / 2 + 30, y - 7)
        _centred(canvas, width, y - 27, dishes, ("Times-Roman", 12.5), black)
        y -= 112
    note = Paragraph(MENU_NOTE, ParagraphStyle("note", fontName="Times-Italic", fontSize=9.5, leading=12.5, alignment=1))
    note.wrap(width - 100, 60)
    note.drawOn(canvas, 50, 40)
    canvas.save()


def _centred(canvas: Canvas, width: float, y: float, lines: Sequence[str], face: tuple[str, float], colour: object) -> None:
    canvas.setFillColor(colour)
    canvas.setFont(*face)
    for place, line in enumerate(lines):
        canvas.drawCentredString(width / 2, y - place * face[1] * 1.6, line)
