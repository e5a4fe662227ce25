"""Make the sample documents that are drawn or composed by a program; the texts and web pages are written by hand.

Run it from anywhere; it writes into the folders beside it, and the same files every time::

    pip install matplotlib reportlab python-docx python-pptx openpyxl pillow pypdfium2
    python samples/make_samples.py
"""

from pathlib import Path

from making import office, paper, pictures, report

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Make all files."""
    documents, queries = HERE / "documents", HERE / "queries"
    report.annual_report(documents / "water-works-annual-report-2023.pdf")
    paper.invoice(documents / "invoice-2023-0417.pdf")
    paper.scanned_letter(documents / "letter-1987-scanned.pdf")
    paper.article(documents / "swift-nest-boxes.pdf")
    paper.menu(documents / "menu-auberge-du-lac.pdf")
    office.slides(documents / "night-bus-trial.pptx")
    office.minutes(documents / "allotment-minutes-2024-03.docx")
    office.budget(documents / "summer-play-budget.xlsx")
    office.house_rules(documents / "hausordnung.odt")
    for year in pictures.RAINFALL:
        pictures.rainfall(documents / f"rainfall-{year}.png", year)
    pictures.receipt(documents / "receipt-hardware-shop.jpg")
    pictures.settings_dialog(documents / "backup-settings.png")
    pictures.lighthouse(documents / "museum" / "lighthouse.jpg")
    pictures.rainfall_screenshot(queries / "rainfall-chart.png")
    pictures.photographed(documents / "invoice-2023-0417.pdf", queries / "invoice-photo.jpg")


if __name__ == "__main__":
    main()
