"""Real documents made on the spot."""

import io
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visir.capture import fonts


def _escape(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def write_pdf(path: Path, pages: list[str], title: str = "", size: tuple[int, int] = (595, 842), rotate: int = 0, author: str = "") -> Path:
    """Write a real PDF by hand: Helvetica, one text a page, lines as given."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        lines = [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, 80) or [""]]
        shown = " T* ".join(f"({_escape(line)}) Tj" for line in lines)
        stream = f"BT /F1 12 Tf 16 TL 60 {size[1] - 60} Td {shown} ET".encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Rotate %d /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % (*size, rotate, len(objects))
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    facts = (title.encode("latin-1"), author.encode("latin-1"))
    objects.append(b"<< /Title (%s) /Author (%s) /ModDate (D:20240131120000Z) >>" % facts)
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(objects), start)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)
    return path


TOPICS = {
    "rainfall": [
        "Annual rainfall in coastal towns\nMeasured with gauges in March.",
        "Drought years\nReservoirs fell to a quarter of their volume.",
    ],
    "bread": ["Sourdough bread at home\nFeed the starter with rye flour every morning.", "Baking\nSteam makes the crust crackle."],
    "chess": ["The Sicilian defence\nBlack answers e4 with the c pawn."],
}


def draw_png(lines: list[str], size: int = 26, colours: tuple[str, str] = ("white", "black")) -> bytes:
    """Draw a page 900 pixels wide, as a scan without words of its own, with a line of text every 1.6 times its size."""
    page = Image.new("RGB", (900, 1200), colours[0])
    pen = ImageDraw.Draw(page)
    font = ImageFont.truetype(str(Path(fonts.__file__).parent / "DejaVuSans.ttf"), size)
    for number, line in enumerate(lines):
        pen.text((60, 80 + number * 1.6 * size), line, colours[1], font)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def scene(number: int) -> Image.Image:
    """A picture without words: blots of colour, others for each number."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (480, 320), tuple(int(value) for value in rng.integers(0, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, size = (int(value) for value in (rng.integers(480), rng.integers(320), rng.integers(60, 200)))
        draw.ellipse((x, y, x + size, y + size), fill=tuple(int(value) for value in rng.integers(0, 255, 3)))
    return image
