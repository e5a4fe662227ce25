"""Office files: slides, minutes, a budget, and house rules in German."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docx import Document
from docx.shared import Mm
from docx.shared import Pt as WordPt
from docx.shared import RGBColor as WordColour
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION
from pptx.enum.shapes import MSO_SHAPE
from pptx.util import Inches, Pt

from making.tools import settle

NIGHT, LAMP, MIST = RGBColor(0x1B, 0x26, 0x4A), RGBColor(0xF2, 0xB1, 0x34), RGBColor(0xF3, 0xF5, 0xFA)
SLIDES_TITLE = ("Night buses", "What the six-month trial told us", "Ostermere Town Council · Traffic Committee · 18 April 2024")
WHY = (
    "The last train arrives at 23:52; the last bus left at 22:30",
    "The hospital changes shifts at midnight: 140 people on the way home",
    "Taxis: eight in town, waiting time 45 minutes on Saturdays",
    "The trial: lines N1 (Quay, hospital, Tower Road) and N2 (station, Mill Lane, college)",
    "Friday and Saturday, every 40 minutes until 02:30, October 2023 to March 2024",
)
RIDERS = {"N1": (412, 468, 655, 530, 577, 702), "N2": (298, 305, 390, 342, 401, 466)}
RIDER_MONTHS = ("Oct", "Nov", "Dec", "Jan", "Feb", "Mar")
COSTS = (
    ("", "N1", "N2", "Both"),
    ("Nights driven", "52", "52", ""),
    ("Riders", "3,344", "2,202", "5,546"),
    ("Cost of drivers and fuel", "£ 17,900", "£ 15,600", "£ 33,500"),
    ("Fares", "£ 6,690", "£ 4,400", "£ 11,090"),
    ("Subsidy for each rider", "£ 3.35", "£ 5.09", "£ 4.04"),
)
ADVICE = (
    "Keep N1 all year; add one bus at 00:15 for the hospital's late shift",
    "Keep N2 until September, by way of the campsite in July and August",
    "One fare of £ 2.50 for all night lines; free for under-eighteens",
    "Ask riders again in October; decide on N2 on 21 November 2024",
)

MINUTES_TITLE = "Fen Lane Allotment Association"
MINUTES_FACTS = "Minutes of the committee meeting on Tuesday 12 March 2024, 19:30, in the tool shed"
PRESENT = (
    "Present: Olive Tran (chair), Samir Haddad (treasurer), Jo Whitlock (secretary), Bernd Maier, Priya Nair. Apologies: Colin Speight."
)
MINUTES = (
    (
        "1. Water",
        "The rain barrels by plot 14 leak again. Bernd has found a second-hand tank of 1,000 litres for £ 85; agreed unanimously. The "
        "standpipe is opened on 6 April. Hoses may be used before nine in the morning and after six in the evening only.",
    ),
    (
        "2. Waiting list",
        "Twenty-three names, the oldest from May 2021. Plot 31, empty since autumn, will be divided into 31a and 31b and "
        "offered to the first two on the list.",
    ),
    (
        "3. Badger",
        "Priya reported a badger below the hedge of plots 8 to 11. Badgers and their setts are protected; nobody may dig there. "
        "Samir will ask the Field Club for advice. Sweet corn on these plots is at everybody's own risk.",
    ),
    (
        "4. Accounts",
        "Balance on 29 February: £ 2,317.40. Rents for 2024 are paid for 44 of 47 plots. The rent stays at £ 36 for a full plot.",
    ),
    (
        "5. Summer fair",
        "Saturday 6 July, from two o'clock. Jo borrows the tea urn from the church hall. The longest runner bean wins a spade.",
    ),
)
ACTIONS = (
    ("What", "Who", "Until"),
    ("Buy and connect the tank", "Bernd Maier", "5 April"),
    ("Write to the waiting list", "Jo Whitlock", "22 March"),
    ("Ask about the badger", "Samir Haddad", "19 March"),
    ("Remind the three late payers", "Samir Haddad", "31 March"),
)
MINUTES_END = "The meeting closed at 20:50. Next meeting: Tuesday 14 May 2024."

BUDGET_TITLE = "Ostermere Players: The Tempest, summer 2024"
BUDGET = (
    (
        "Spending",
        (
            ("Stage timber and canvas", 640, 712.35),
            ("Costumes", 480, 455.10),
            ("Lights, hire for nine days", 720, 720.00),
            ("Thunder sheet and wind machine", 90, 64.00),
            ("Scripts and programmes", 210, 238.80),
            ("Insurance", 165, 165.00),
            ("Hall, three evenings", 450, 450.00),
        ),
    ),
    (
        "Income",
        (
            ("Tickets", 2100, 2379.00),
            ("Grant of the town council", 500, 500.00),
            ("Advertisements in the programme", 240, 190.00),
            ("Tea and cake", 180, 221.45),
        ),
    ),
)
TICKETS = (
    ("Evening", "Adults at £ 9", "Children at £ 4"),
    ("Thursday 20 June", 61, 24),
    ("Friday 21 June", 84, 18),
    ("Saturday 22 June", 86, 33),
)

RULES_TITLE = "Hausordnung Lindenhof 8"
RULES = (
    (
        "Ruhezeiten",
        "Von 13 bis 15 Uhr und von 22 bis 7 Uhr ist Ruhe. Das Klavier im ersten Stock darf bis 20 Uhr gespielt werden, sonntags nur am "
        "Nachmittag.",
    ),
    (
        "Waschküche",
        "Jede Wohnung hat zwei Waschtage im Monat; der Plan hängt neben der Kellertür. Die Wäscheleinen im Hof sind bis zum Abend frei zu "
        "machen.",
    ),
    (
        "Müll",
        "Die graue Tonne wird dienstags geleert, die Papiertonne an jedem zweiten Freitag. Glas gehört in die Container am Marktplatz, "
        "nicht vor 8 Uhr.",
    ),
    ("Fahrräder", "Fahrräder stehen im Schuppen, nicht im Treppenhaus. Der Schlüssel liegt bei Frau Arslan, Wohnung 3."),
    (
        "Winterdienst",
        "Bei Schnee räumt jede Partei eine Woche lang den Gehweg bis 7 Uhr. Streusand steht in der blauen Kiste unter der Treppe.",
    ),
)
RULES_END = "Lindenhof, den 1. Februar 2024 · Die Hausverwaltung, Tel. 0555 0166"


def slides(path: Path) -> None:
    """Five slides on a trial of night buses, with a chart and a table."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
    deck.core_properties.title = "Night buses: what the six-month trial told us"
    cover = _slide(deck, NIGHT)
    moon = cover.shapes.add_shape(MSO_SHAPE.MOON, Inches(11), Inches(0.8), Inches(0.9), Inches(1.7))
    _paint(moon, LAMP)
    _paint(cover.shapes.add_shape(MSO_SHAPE.ROUNDED_RECTANGLE, *map(Inches, (7.3, 4.9, 5.4, 1.75))), LAMP)
    for place in range(5):
        _paint(cover.shapes.add_shape(MSO_SHAPE.ROUNDED_RECTANGLE, *map(Inches, (7.55 + place, 5.15, 0.85, 0.65))), NIGHT)
    for left in (8.0, 11.2):
        _paint(cover.shapes.add_shape(MSO_SHAPE.OVAL, *map(Inches, (left, 6.25, 0.8, 0.8))), MIST)
    _text(cover, (SLIDES_TITLE[0],), (0.9, 1.6, 9, 1.3), 66, LAMP, bold=True)
    _text(cover, (SLIDES_TITLE[1],), (0.9, 2.9, 10, 0.9), 34, MIST)
    _text(cover, (SLIDES_TITLE[2],), (0.9, 4.1, 10, 0.6), 18, MIST)
    _text(_titled(deck, "Why a night bus?"), [f"•  {line}" for line in WHY], (0.9, 1.7, 11.5, 5), 25, NIGHT)
    _rider_chart(_titled(deck, "Riders each month"))
    _cost_table(_titled(deck, "What it cost"))
    _text(_titled(deck, "What we recommend"), [f"{place}.  {line}" for place, line in enumerate(ADVICE, 1)], (0.9, 1.7, 11.5, 5), 27, NIGHT)
    deck.save(str(path))
    settle(path)


def _slide(deck: Any, colour: RGBColor) -> Any:
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.background.fill.solid()
    slide.background.fill.fore_color.rgb = colour
    return slide


def _titled(deck: Any, title: str) -> Any:
    slide = _slide(deck, MIST)
    _paint(slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, 0, 0, Inches(0.35), Inches(7.5)), NIGHT)
    _text(slide, (title,), (0.9, 0.5, 11.5, 0.9), 40, NIGHT, bold=True)
    return slide


def _paint(shape: Any, colour: RGBColor) -> None:
    shape.fill.solid()
    shape.fill.fore_color.rgb = colour
    shape.line.fill.background()


def _text(slide: Any, lines: Sequence[str], box: tuple[float, ...], size: int, colour: RGBColor, bold: bool = False) -> None:
    frame = slide.shapes.add_textbox(*map(Inches, box)).text_frame
    frame.word_wrap = True
    for place, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if place == 0 else frame.add_paragraph()
        paragraph.space_after = Pt(size * 0.6)
        run = paragraph.add_run()
        run.text = line
        run.font.size, run.font.bold, run.font.color.rgb, run.font.name = Pt(size), bold, colour, "DejaVu Sans"


def _rider_chart(slide: Any) -> None:
    data = CategoryChartData()
    data.categories = RIDER_MONTHS
    for line, riders in RIDERS.items():
        data.add_series(f"Line {line}", riders)
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *map(Inches, (0.9, 1.5, 11.5, 5.2)), data).chart
    chart.has_legend = True
    chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    chart.font.size = Pt(16)
    for series, colour in zip(chart.plots[0].series, (NIGHT, LAMP), strict=True):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = colour
    chart.plots[0].has_data_labels = True
    chart.plots[0].gap_width = 60
    _text(slide, ("December: Christmas market. March: first month with the college's late library.",), (0.9, 6.75, 11.5, 0.5), 15, NIGHT)


def _cost_table(slide: Any) -> None:
    table = slide.shapes.add_table(len(COSTS), len(COSTS[0]), *map(Inches, (0.9, 1.7, 11.5, 4.2))).table
    table.columns[0].width = Inches(5.2)
    for column in (1, 2, 3):
        table.columns[column].width = Inches(2.1)
    for down, row in enumerate(COSTS):
        for across, words in enumerate(row):
            cell = table.cell(down, across)
            cell.text = words
            cell.fill.solid()
            cell.fill.fore_color.rgb = NIGHT if down == 0 else MIST if down % 2 else RGBColor(0xE1, 0xE6, 0xF2)
            font = cell.text_frame.paragraphs[0].font
            font.size, font.bold, font.color.rgb = Pt(20), down in (0, len(COSTS) - 1), LAMP if down == 0 else NIGHT
    _text(slide, ("A taxi from the station to the hospital costs £ 11.40 at night.",), (0.9, 6.2, 11.5, 0.6), 18, NIGHT)


def minutes(path: Path) -> None:
    """Minutes of an allotment association's committee."""
    document = Document()
    document.core_properties.title = f"{MINUTES_TITLE}: minutes of 12 March 2024"
    normal = document.styles["Normal"].font
    normal.name, normal.size = "DejaVu Serif", WordPt(10.5)
    page = document.sections[0]
    page.page_width, page.page_height, page.left_margin, page.right_margin = Mm(210), Mm(297), Mm(25), Mm(25)
    for level in (1, 2):
        heading = document.styles[f"Heading {level}"].font
        heading.name, heading.color.rgb = "DejaVu Sans", WordColour(0x3B, 0x6B, 0x2E)
    document.add_heading(MINUTES_TITLE, 1)
    document.add_paragraph().add_run(MINUTES_FACTS).bold = True
    document.add_paragraph(PRESENT)
    for title, text in MINUTES:
        document.add_heading(title, 2)
        document.add_paragraph(text)
    document.add_heading("What is to be done", 2)
    table = document.add_table(len(ACTIONS), 3, "Light Grid Accent 3")
    table.autofit = False
    for row, action in zip(table.rows, ACTIONS, strict=True):
        for cell, words, wide in zip(row.cells, action, (80, 45, 35), strict=True):
            cell.text, cell.width = words, Mm(wide)
    document.add_paragraph()
    document.add_paragraph().add_run(MINUTES_END).italic = True
    document.save(str(path))
    settle(path)


def budget(path: Path) -> None:
    """Budget of an amateur theatre: two sheets with formulas and a chart."""
    book = Workbook()
    book.properties.title = BUDGET_TITLE
    sheet = book.active
    sheet.title = "Budget"
    sheet["A1"] = BUDGET_TITLE
    sheet["A1"].font = Font("DejaVu Sans", size=16, bold=True, color="7A1F3D")
    row = 3
    totals = []
    for part, lines in BUDGET:
        _shade(sheet, row, (part, "Planned £", "Actual £", "Difference £"))
        for name, planned, actual in lines:
            row += 1
            _fill(sheet, row, (name, planned, actual, f"=C{row}-B{row}"))
        row += 1
        first = row - len(lines)
        _fill(sheet, row, (f"{part} in all", *(f"=SUM({column}{first}:{column}{row - 1})" for column in "BCD")), bold=True)
        totals.append(row)
        row += 2
    _fill(sheet, row, ("Left over", *(f"={column}{totals[1]}-{column}{totals[0]}" for column in "BC")), bold=True)
    sheet.column_dimensions["A"].width = 36
    for column in "BCD":
        sheet.column_dimensions[column].width = 14
    _ticket_sheet(book.create_sheet("Tickets"))
    for page in book.worksheets:
        page.page_setup.paperSize = page.PAPERSIZE_A4
        page.page_setup.fitToHeight = 0
        page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    book.save(path)
    settle(path)


def _shade(sheet: Worksheet, row: int, cells: Sequence[Any]) -> None:
    for column, value in enumerate(cells, 1):
        cell = sheet.cell(row, column, value)
        cell.font = Font("DejaVu Sans", bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor="7A1F3D")
        cell.alignment = Alignment(horizontal="left" if column == 1 else "right")


def _fill(sheet: Worksheet, row: int, cells: Sequence[Any], bold: bool = False) -> None:
    for column, value in enumerate(cells, 1):
        cell = sheet.cell(row, column, value)
        cell.font = Font("DejaVu Sans", bold=bold)
        cell.border = Border(bottom=Side("thin", color="D8C3CB"))
        if column > 1:
            cell.number_format = "#,##0.00"


def _ticket_sheet(sheet: Worksheet) -> None:
    sheet["A1"] = "Tickets sold"
    sheet["A1"].font = Font("DejaVu Sans", size=16, bold=True, color="7A1F3D")
    _shade(sheet, 3, (*TICKETS[0], "Income £"))
    for row, line in enumerate(TICKETS[1:], 4):
        _fill(sheet, row, (*line, f"=B{row}*9+C{row}*4"))
        for column in (2, 3):
            sheet.cell(row, column).number_format = "0"
    sheet.column_dimensions["A"].width = 24
    for column in "BCD":
        sheet.column_dimensions[column].width = 17
    chart = BarChart()
    chart.title, chart.y_axis.title, chart.height, chart.width = "Tickets each evening", "Tickets", 8, 15
    chart.y_axis.delete = chart.x_axis.delete = False
    chart.add_data(Reference(sheet, min_col=2, max_col=3, min_row=3, max_row=6), titles_from_data=True)
    chart.set_categories(Reference(sheet, min_col=1, min_row=4, max_row=6))
    sheet.add_chart(chart, "A9")


_ODT_TYPE = "application/vnd.oasis.opendocument.text"
_ODT_SPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in (("office", "office"), ("style", "style"), ("text", "text"), ("fo", "xsl-fo-compatible"))
)
_ODT_STYLES = """\
<office:automatic-styles>
<style:style style:name="Title" style:family="paragraph"><style:paragraph-properties fo:text-align="center" fo:margin-bottom="0.6cm"
 fo:padding="0.3cm" fo:border="0.06cm solid #5b4a8a"/><style:text-properties fo:font-family="DejaVu Serif" fo:font-size="24pt"
 fo:font-weight="bold" fo:color="#5b4a8a"/></style:style>
<style:style style:name="Head" style:family="paragraph"><style:paragraph-properties fo:margin-top="0.5cm" fo:margin-bottom="0.1cm"/>
<style:text-properties fo:font-family="DejaVu Sans" fo:font-size="14pt" fo:font-weight="bold" fo:color="#5b4a8a"/></style:style>
<style:style style:name="Body" style:family="paragraph"><style:paragraph-properties fo:line-height="140%"/>
<style:text-properties fo:font-family="DejaVu Serif" fo:font-size="12pt" fo:language="de" fo:country="DE"/></style:style>
</office:automatic-styles>"""


def house_rules(path: Path) -> None:
    """House rules of a block of flats, in German, as OpenDocument text."""
    body = "".join(
        f'<text:h text:style-name="Head">{escape(head)}</text:h><text:p text:style-name="Body">{escape(text)}</text:p>'
        for head, text in RULES
    )
    end = f'<text:p text:style-name="Body"/><text:p text:style-name="Body">{escape(RULES_END)}</text:p>'
    title = f'<text:p text:style-name="Title">{escape(RULES_TITLE)}</text:p>'
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    inside = f"{_ODT_STYLES}<office:body><office:text>{title}{body}{end}</office:text></office:body>"
    content = f'{head}<office:document-content {_ODT_SPACES} office:version="1.2">{inside}</office:document-content>'
    listing = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    files = f'<m:file-entry m:full-path="/" m:media-type="{_ODT_TYPE}"/><m:file-entry m:full-path="content.xml" m:media-type="text/xml"/>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", _ODT_TYPE)
        archive.writestr(
            "META-INF/manifest.xml", f'{head}<m:manifest xmlns:m="{listing}" m:version="1.2">{files}</m:manifest>', zipfile.ZIP_DEFLATED
        )
        archive.writestr("content.xml", content, zipfile.ZIP_DEFLATED)
    settle(path)
