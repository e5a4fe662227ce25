"""Builders of damaged and hostile files; every one is made in a temporary folder, none is kept in the repository.

`CASES` is the table of what capture must make of each: a number of pages, or a reason, or both where some pages can be drawn.
"""

import hashlib
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

MAKES = Callable[[], bytes] | Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """A hostile file and what becomes of it.

    Args:
        name: its file name.
        make: returns its content, or makes it at a path.
        reason: pattern that the one-line reason of its failure holds; empty where it is captured whole.
        pages: number of pages that are captured, ``None`` where that does not matter.
        text: pattern that the first page's text holds.
        timeout: its time limit in seconds.
        max_pages: its limit of pages.
        sure: whether ``reason`` must come; a page captured whole is as good where it is not.
        slow: whether it takes long.
    """

    name: str
    make: MAKES
    reason: str = ""
    pages: int | None = None
    text: str = ""
    timeout: float = 30.0
    max_pages: int = 100
    sure: bool = True
    slow: bool = False

    def write(self, folder: Path) -> Path:
        """Make the file in a folder and return its path."""
        path = folder / self.name
        try:
            content = self.make()  # type: ignore[call-arg]
        except TypeError as error:
            if "positional argument" not in str(error):
                raise
            self.make(path)  # type: ignore[call-arg]
            return path
        path.write_bytes(content)
        return path


# ---- PDF

FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
SHOW = b"BT /F 24 Tf 72 700 Td (Pdfword) Tj ET"


def stream(data: bytes, entries: bytes = b"", length: int | None = None) -> bytes:
    """Return a stream object."""
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (entries, len(data) if length is None else length, data)


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a PDF of these objects, numbered from 1, the catalog first."""
    out = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        *(count, table, count, trailer),
        len(out),
    )


def page_pdf(
    content: bytes = stream(SHOW),
    *more: bytes,
    page: bytes = b"/MediaBox[0 0 612 792]",
    resources: bytes = b"",
    catalog: bytes = b"",
    kids: bytes = b"/Kids[3 0 R]/Count 1",
    trailer: bytes = b"",
) -> bytes:
    """Return a PDF of one page: 1 catalog, 2 page tree, 3 page, 4 content, 5 font, 6 and on whatever comes more."""
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        b"<</Type/Pages%s>>" % kids,
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>%s>>%s>>" % (resources, page),
        content,
        FONT,
        *more,
        trailer=trailer,
    )


def boxed(box: bytes) -> bytes:
    """Return a PDF whose page has this media box."""
    return page_pdf(page=b"/MediaBox[%s]" % box)


def drawing(entries: bytes, data: bytes) -> bytes:
    """Return a PDF that shows a picture."""
    image = stream(data, b"/Type/XObject/Subtype/Image" + entries)
    return page_pdf(stream(b"q 500 0 0 500 50 50 cm /X Do Q " + SHOW), image, resources=b"/XObject<</X 6 0 R>>")


def forms(*contents: bytes, depth: int = 1) -> bytes:
    """Return a PDF whose page draws form 0; each form may draw the others as /X0, /X1 and so on."""
    first = 6
    names = b"".join(b"/X%d %d 0 R" % (number, first + number) for number in range(len(contents)))
    resources = b"/XObject<<%s>>" % names
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<<%s>>" % resources
    return page_pdf(stream(b"/X0 Do " + SHOW), *(stream(content, entries) for content in contents), resources=resources)


def rc4(key: bytes, data: bytes) -> bytes:
    """Encrypt as PDF 1.4 does."""
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def encrypted_pdf(password: bytes) -> bytes:
    """Return a PDF that needs a password to be opened (RC4, 40 bits; PDF Reference 1.4, section 3.5)."""
    pad = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
    padded, name = (password + pad)[:32], bytes(16)
    owner = rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + struct.pack("<i", -4) + name).digest()[:5]
    user = rc4(key, pad)
    trailer = b"/ID[<%s><%s>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % tuple(
        part.hex().encode() for part in (name, name, owner, user)
    )
    content = rc4(hashlib.md5(key + bytes([4, 0, 0, 0, 0])).digest()[:10], SHOW)
    return page_pdf(stream(content), trailer=trailer)


def many_pages(count: int) -> bytes:
    """Return a PDF of empty pages."""
    kids = b" ".join(b"%d 0 R" % (3 + number) for number in range(count))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>"
    return pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count), *[page] * count)


def flated(block: bytes, times: int, layers: int = 1) -> bytes:
    """Return zlib's form of a block repeated: the block is packed once, so that bombs are quickly made. More layers pack it again."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    total = 1
    for _ in range(times):
        total = zlib.adler32(block, total)
    whole = head + packed * times + b"\3\0" + struct.pack(">I", total)
    for _ in range(layers - 1):
        whole = zlib.compress(whole, 9)
    return whole


def cut(content: bytes, part: float) -> bytes:
    """Keep the first part of a file."""
    return content[: int(len(content) * part)]


FLATE = b"/Filter/FlateDecode"
BITS = b"/ColorSpace/DeviceGray/BitsPerComponent 1"
TYPE3 = (
    b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 65/LastChar 65/Widths[1000]"
    b"/Encoding<</Differences[65/a]>>/CharProcs<</a 7 0 R>>/Resources<</Font<</T 6 0 R>>>>>>"
)
GOOD_PDF = page_pdf()

PDF = (
    Case("empty.pdf", lambda: b"", "is empty"),
    Case("header-only.pdf", lambda: b"%PDF-1.7\n", "is damaged"),
    Case("header-and-noise.pdf", lambda: b"%PDF-1.7\n" + random.Random(1).randbytes(9999), "is damaged"),
    Case("cut-in-first-object.pdf", lambda: GOOD_PDF[:30], "is damaged"),
    Case("cut-in-content.pdf", lambda: GOOD_PDF[: GOOD_PDF.index(b"Tj")], "is damaged"),
    Case("cut-before-trailer.pdf", lambda: GOOD_PDF[: GOOD_PDF.index(b"trailer")], "is damaged"),
    Case("cut-before-end.pdf", lambda: GOOD_PDF[: GOOD_PDF.index(b"startxref")], pages=1, text="Pdfword"),
    Case("encrypted.pdf", lambda: encrypted_pdf(b"secret"), "is encrypted: save a copy without"),
    Case("encrypted-for-nobody.pdf", lambda: encrypted_pdf(b""), pages=1, text="Pdfword"),
    Case("unknown-encryption.pdf", lambda: page_pdf(trailer=b"/Encrypt<</Filter/Mine/V 9>>"), "is encrypted in a way that cannot be read"),
    Case("no-pages.pdf", lambda: page_pdf(kids=b"/Kids[]/Count 0"), "is damaged or has no pages"),
    Case("tree-in-a-circle.pdf", lambda: page_pdf(kids=b"/Kids[2 0 R]/Count 1"), "1 of its pages cannot be drawn", pages=0),
    Case("tree-of-a-billion.pdf", lambda: page_pdf(kids=b"/Kids[3 0 R]/Count 1000000000"), pages=1, max_pages=20_000),
    Case("tree-of-minus-one.pdf", lambda: page_pdf(kids=b"/Kids[3 0 R]/Count -1"), pages=1),
    Case("catalog-in-a-circle.pdf", lambda: pdf(b"1 0 R"), "is damaged"),
    Case("box-zero.pdf", lambda: boxed(b"0 0 0 0"), pages=1),
    Case("box-backwards.pdf", lambda: boxed(b"612 792 0 0"), pages=1, text="Pdfword"),
    Case("box-nan.pdf", lambda: boxed(b"0 0 NaN NaN"), pages=1),
    Case("box-of-a-billion.pdf", lambda: boxed(b"0 0 1000000000 1000000000"), pages=1),
    Case("box-beyond-numbers.pdf", lambda: boxed(b"0 0 1" + b"0" * 99 + b" 1" + b"0" * 99), pages=1),
    Case("box-like-a-hair.pdf", lambda: boxed(b"0 0 0.01 14400"), pages=1),
    Case("box-like-a-line.pdf", lambda: boxed(b"0 0 1000000 1"), pages=1),
    Case("wrong-length.pdf", lambda: page_pdf(stream(SHOW, length=999_999)), pages=1, text="Pdfword"),
    Case("negative-length.pdf", lambda: page_pdf(stream(SHOW, length=-5)), pages=1),
    Case("length-of-itself.pdf", lambda: page_pdf(b"<</Length 4 0 R>>\nstream\n" + SHOW + b"\nendstream"), pages=1),
    Case(
        "deep-arrays.pdf", lambda: page_pdf(page=b"/MediaBox[0 0 612 792]/Deep" + b"[" * 100_000 + b"]" * 100_000), pages=1, text="Pdfword"
    ),
    Case("deep-arrays-drawn.pdf", lambda: page_pdf(stream(b"[" * 500_000 + b"]" * 500_000 + b" TJ " + SHOW)), pages=1),
    Case("deep-states.pdf", lambda: page_pdf(stream(b"q " * 500_000 + SHOW)), pages=1),
    Case("object-in-a-circle.pdf", lambda: page_pdf(b"4 0 R"), pages=1),
    Case("contents-in-a-circle.pdf", lambda: page_pdf(b"[4 0 R 4 0 R]"), pages=1),
    Case("form-in-itself.pdf", lambda: forms(b"/X0 Do"), pages=1, text="Pdfword"),
    Case("forms-in-a-circle.pdf", lambda: forms(b"/X1 Do", b"/X2 Do", b"/X0 Do"), pages=1, text="Pdfword"),
    Case(
        "forms-that-double.pdf",
        lambda: forms(*(b"/X%d Do " % (number + 1) * 8 for number in range(20)), b"0 0 9 9 re f"),
        "took longer|crashed its renderer|memory",
        timeout=4,
    ),
    Case(
        "type3-in-itself.pdf",
        lambda: page_pdf(
            stream(b"BT /T 24 Tf 72 600 Td (A) Tj ET " + SHOW),
            TYPE3,
            stream(b"1000 0 d0 BT /T 900 Tf (A) Tj ET"),
            resources=b"/Font<</T 6 0 R/F 5 0 R>>",
        ),
        pages=1,
    ),
    Case("dashes-without-end.pdf", lambda: page_pdf(stream(b"[.00001] 0 d 9 w 0 0 m 600 700 l S " + SHOW)), pages=1),
    Case(
        "script.pdf",
        lambda: page_pdf(catalog=b"/OpenAction<</S/JavaScript/JS(while\\(true\\){app.alert\\(1\\)})>>"),
        pages=1,
        text="Pdfword",
    ),
    Case("launch.pdf", lambda: page_pdf(catalog=b"/OpenAction<</S/Launch/F(/bin/touch)/Win<</F(calc.exe)>>>>"), pages=1, text="Pdfword"),
    Case(
        "bits-20000.pdf",
        lambda: drawing(b"/Width 20000/Height 20000" + BITS + FLATE, flated(bytes(50_000), 1000)),
        pages=1,
        text="Pdfword",
    ),
    Case(
        "colours-30000.pdf",
        lambda: drawing(b"/Width 30000/Height 30000/ColorSpace/DeviceRGB/BitsPerComponent 8" + FLATE, flated(bytes(2_700_000), 1000)),
        pages=1,
        text="Pdfword",
    ),
    Case(
        "content-bomb.pdf",
        lambda: page_pdf(stream(flated(b"q Q " * 250_000, 1000, 2), b"/Filter[/FlateDecode/FlateDecode]")),
        "took longer|memory",
        timeout=3,
    ),
    Case(
        "jbig2-huge.pdf",
        lambda: drawing(b"/Width 1000000/Height 1000000" + BITS + b"/Filter/JBIG2Decode", bytes(99)),
        pages=1,
        text="Pdfword",
    ),
    Case(
        "jbig2-page-huge.pdf",
        lambda: drawing(
            b"/Width 65000/Height 65000" + BITS + b"/Filter/JBIG2Decode",
            bytes.fromhex("00000000300001000000130000fde80000fde800000000000000000000000000"),
        ),
        pages=1,
        text="Pdfword",
    ),
    Case(
        "fax-huge.pdf",
        lambda: drawing(
            b"/Width 60000/Height 60000" + BITS + b"/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns 60000/Rows 60000>>", bytes(9999)
        ),
        pages=1,
        text="Pdfword",
    ),
    Case("letters-without-end.pdf", lambda: page_pdf(stream(b"BT /F 1 Tf 72 700 Td (%s) Tj ET" % (b"word " * 200_000))), pages=1),
    Case("picture.pdf", lambda: png(Image.new("RGB", (40, 40), "red")), pages=1),
    Case("page.png", lambda: GOOD_PDF, pages=1, text="Pdfword"),
    Case("page.pdf", lambda: b"<!doctype html><p>No PDF</p>", r"is named \.pdf but its content is something else"),
    Case("archive.pdf", lambda: zipped({"a.txt": b"x"}), "is a zip archive, not a document"),
    Case("program.docx", lambda: b"MZ\x90\0" + bytes(999), r"is named \.docx but its content is something else"),
)


# ---- pictures


def png(image: Image.Image, **options: object) -> bytes:
    """Return a picture as PNG."""
    return saved(image, "PNG", **options)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file of a kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def painting(width: int = 400, height: int = 300) -> Image.Image:
    """Return a picture whose upper left quarter is red, on noise, so that it does not compress."""
    image = Image.frombytes("RGB", (width, height), random.Random(2).randbytes(width * height * 3))
    ImageDraw.Draw(image).rectangle((0, 0, width // 2, height // 2), "red")
    return image


def chunk(kind: bytes, data: bytes, crc: int = 0) -> bytes:
    """Return a chunk of a PNG; ``crc`` is added to the right sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ crc)


def raw_png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 2, crc: int = 0) -> bytes:
    """Return a PNG of these sizes around any compressed data."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head, crc) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_with_text_bomb() -> bytes:
    """Return a PNG with a compressed comment of 200 MB."""
    comment = b"c\0\0" + flated(bytes(1 << 20), 200)
    whole = png(Image.new("RGB", (40, 40), "red"))
    return whole[:33] + chunk(b"zTXt", comment) + whole[33:]


def tiff(frames: int, loop: bool = False, width: int = 1, height: int = 1) -> bytes:
    """Return a TIFF of one grey pixel a frame; with ``loop`` the last frame's successor is the first."""
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 1))
    size = 2 + 12 * len(tags) + 4
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    nexts = [12 + size * number for number in range(1, frames)] + [12 if loop else 0]
    return b"II*\0" + struct.pack("<I", 12) + bytes(4) + b"".join(directory + struct.pack("<I", following) for following in nexts)


def turned(orientation: int) -> bytes:
    """Return a JPEG stored so that an EXIF orientation makes it upright."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    image = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 100, 100), "red")
    if orientation in back:
        image = image.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[274] = orientation
    return saved(image, "JPEG", exif=exif, quality=95)


def animated(kind: str) -> bytes:
    """Return a moving picture that begins red."""
    first, *others = (Image.new("RGB", (50, 50), colour) for colour in ("red", "blue", "lime"))
    return saved(first, kind, save_all=True, append_images=others, duration=50)


def jpeg_of_size(width: int, height: int) -> bytes:
    """Return a small JPEG that claims another size."""
    whole = saved(Image.new("L", (16, 16)), "JPEG")
    place = whole.index(b"\xff\xc0") + 5
    return whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]


def floats(*values: float) -> bytes:
    """Return a TIFF of floating point numbers, repeated over 40 x 40 pixels."""
    image = Image.frombytes("F", (40, 40), struct.pack(f"{len(values)}f", *values) * (1600 // len(values)))
    return saved(image, "TIFF")


def see_through() -> bytes:
    """Return a PNG with a palette whose red is transparent."""
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (20, 0, 40, 40))
    return png(image, transparency=0)


IMAGES = (
    Case("empty.png", lambda: b"", "is empty"),
    Case("cut-at-name.png", lambda: png(painting())[:8], "not a picture that can be read"),
    Case("cut.png", lambda: cut(png(painting()), 0.5), "is a damaged picture"),
    Case("cut.jpg", lambda: cut(saved(painting(), "JPEG"), 0.5), "is a damaged picture"),
    Case("cut.webp", lambda: cut(saved(painting(), "WEBP"), 0.5), "picture"),
    Case("cut.gif", lambda: cut(saved(painting(), "GIF"), 0.5), "is a damaged picture"),
    Case("cut.tif", lambda: cut(saved(painting(), "TIFF"), 0.5), "picture"),
    Case("cut.bmp", lambda: cut(saved(painting(), "BMP"), 0.5), "is a damaged picture"),
    Case("claims-100000.png", lambda: raw_png(100_000, 100_000, zlib.compress(b"")), "larger than 178 million pixels"),
    Case("claims-4-billion.png", lambda: raw_png((1 << 31) - 1, (1 << 31) - 1, b""), "picture|larger than 178 million pixels"),
    Case("claims-65500.jpg", lambda: jpeg_of_size(65_500, 65_500), "larger than 178 million pixels"),
    Case("claims-13000.jpg", lambda: jpeg_of_size(13_000, 13_000), pages=1),
    Case("bomb.png", lambda: raw_png(13_000, 13_000, flated(bytes(39_001), 13_000)), pages=1),
    Case("bomb-see-through.png", lambda: raw_png(13_000, 13_000, flated(bytes(52_001), 13_000), colour=6), pages=1, slow=True),
    Case("comment-bomb.png", png_with_text_bomb, "is a damaged picture|picture"),
    Case("bad-sum.png", lambda: raw_png(40, 40, zlib.compress(bytes(121 * 40)), crc=1), "picture"),
    Case("zero-wide.png", lambda: raw_png(0, 40, zlib.compress(bytes(40))), "picture"),
    Case("short-data.png", lambda: raw_png(400, 400, zlib.compress(bytes(50))), "is a damaged picture"),
    Case("zero.bmp", lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 0, 0, 1, 24, 0, 0, 0, 0, 0, 0), "picture"),
    Case("circle.tif", lambda: tiff(3, loop=True), pages=3),
    Case("100000-frames.tif", lambda: tiff(100_000), pages=50, max_pages=50),
    Case("huge-frame.tif", lambda: tiff(1, width=60_000, height=60_000), "larger than 178 million pixels"),
    Case("hair.png", lambda: png(Image.new("RGB", (1, 100_000), "red")), pages=1),
    Case("line.png", lambda: png(Image.new("RGB", (100_000, 1), "red")), pages=1),
    Case("tall.png", lambda: png(Image.new("1", (300, 100_000))), pages=100),
    Case("ink.jpg", lambda: saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG"), pages=1),
    Case("grey-16.png", lambda: png(Image.new("I;16", (40, 40), 65_535)), pages=1),
    Case("nan.tif", lambda: floats(float("nan"), 0.0, 1.0, -1e38), pages=1),
    Case("nan-only.tif", lambda: floats(float("nan")), pages=1),
    Case("infinite.tif", lambda: floats(float("inf"), float("-inf")), pages=1),
    Case("see-through.png", see_through, pages=1),
    *(Case(f"moving.{kind.lower()}", lambda kind=kind: animated(kind), pages=1) for kind in ("GIF", "WEBP", "PNG")),
    Case("two-eyes.jpg", lambda: saved(painting(), "MPO", save_all=True, append_images=[painting()]), pages=1),
    *(Case(f"turned-{number}.jpg", lambda number=number: turned(number), pages=1) for number in range(1, 9)),
    Case("noise.jpg", lambda: b"\xff\xd8\xff" + random.Random(3).randbytes(5000), "picture"),
    Case("page-in.jpg", lambda: b"<html><p>Not found</p></html>", r"is named \.jpg but its content is something else"),
)


# ---- Office


def zipped(members: dict[str, bytes | str]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = f'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="{RELATIONS}"'


def docx(body: str = "", links: str = "", more: dict[str, bytes | str] | None = None, kind: str = "document.main") -> bytes:
    """Return a Word file of a paragraph "Officeword" and whatever comes more."""
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="bin" '
        'ContentType="application/vnd.ms-office.vbaProject"/><Override PartName="/word/document.xml" '
        f'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml"/></Types>'
    )
    package = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    return zipped(
        {
            "[Content_Types].xml": XML + types,
            "_rels/.rels": f'{XML}{package}<Relationship Id="r1" Type="{RELATIONS}/officeDocument" Target="word/document.xml"/></Relationships>',
            "word/_rels/document.xml.rels": f"{XML}{package}{links}</Relationships>",
            "word/document.xml": f"{XML}<w:document {WORD}><w:body><w:p><w:r><w:t>Officeword</w:t></w:r></w:p>{body}</w:body></w:document>",
            **(more or {}),
        }
    )


def calling_docx(address: str) -> bytes:
    """Return a Word file with a picture, a template and a field that lie at a web address."""
    picture = (
        '<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        '<wp:extent cx="990000" cy="990000"/><wp:docPr id="1" name="p"/><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic '
        'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/></pic:nvPicPr>'
        '<pic:blipFill><a:blip r:link="r5"/></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="990000" cy="990000"/></a:xfrm>'
        '<a:prstGeom prst="rect"/></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>'
    )
    fields = "".join(
        f'<w:p><w:fldSimple w:instr="{order}"><w:r><w:t>field</w:t></w:r></w:fldSimple></w:p>'
        for order in (
            f"INCLUDEPICTURE &quot;{address}/field.png&quot; \\d",
            f"INCLUDETEXT &quot;{address}/field.docx&quot;",
            "DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe &quot;/k calc.exe&quot;",
        )
    )
    links = f'<Relationship Id="r5" Type="{RELATIONS}/image" Target="{address}/linked.png" TargetMode="External"/>' + (
        f'<Relationship Id="r6" Type="{RELATIONS}/attachedTemplate" Target="{address}/template.dotm" TargetMode="External"/>'
    )
    return docx(picture + fields, links)


def odt(body: str) -> bytes:
    """Return an OpenDocument text."""
    spaces = " ".join(
        f'xmlns:{name}="{address}"'
        for name, address in {
            **{part: f"urn:oasis:names:tc:opendocument:xmlns:{part}:1.0" for part in ("office", "text", "table", "script")},
            "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
            "xlink": "http://www.w3.org/1999/xlink",
            "svg": "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0",
        }.items()
    )
    content = f'{XML}<office:document-content {spaces} office:version="1.2"><office:body><office:text>{body}</office:text></office:body></office:document-content>'
    manifest = (
        f'{XML}<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry '
        'manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.text"/><manifest:file-entry '
        'manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "META-INF/manifest.xml": manifest})


def calling_odt(address: str, secret: Path) -> bytes:
    """Return a text with a picture at a web address, and sections that hold another file of the disk and a page of the web."""
    return odt(
        f'<text:p>Officeword<draw:frame svg:width="3cm" svg:height="3cm" text:anchor-type="as-char"><draw:image xlink:href="{address}/odt.png" '
        'xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/></draw:frame></text:p>'
        + "".join(
            f'<text:section text:name="s{number}"><text:section-source xlink:href="{target}" xlink:type="simple" xlink:show="embed" '
            'xlink:actuate="onLoad"/><text:p>section</text:p></text:section>'
            for number, target in enumerate((f"{address}/section.html", secret.as_uri()))
        )
    )


def calling_xlsx(address: str) -> bytes:
    """Return a sheet whose cells ask the web and another sheet there."""
    return sheet(
        f'<row r="1"><c r="A1" t="str"><f>WEBSERVICE("{address}/cell")</f></c><c r="B1" t="str"><f>HYPERLINK("{address}/link")</f></c></row>'
    )


def sheet(rows: str) -> bytes:
    """Return an Excel file."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    package = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    return zipped(
        {
            "[Content_Types].xml": f'{XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
            f'ContentType="{kind}.sheet.main+xml"/><Override PartName="/xl/sheet.xml" ContentType="{kind}.worksheet+xml"/></Types>',
            "_rels/.rels": f'{XML}{package}<Relationship Id="r1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/_rels/workbook.xml.rels": f'{XML}{package}<Relationship Id="r1" Type="{RELATIONS}/worksheet" Target="sheet.xml"/></Relationships>',
            "xl/workbook.xml": f'{XML}<workbook xmlns="{main}" xmlns:r="{RELATIONS}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/sheet.xml": f'{XML}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
        }
    )


def full_sheet() -> bytes:
    """Return a sheet with something in each of its 1,048,576 rows."""
    return sheet("".join(f'<row r="{row}"><c r="A{row}"><v>{row}</v></c></row>' for row in range(1, 1_048_577)))


def laughing_docx() -> bytes:
    """Return a Word file whose XML holds a billion laughs."""
    entities = "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
    whole = docx()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    text = archive_text(members["word/document.xml"])
    members["word/document.xml"] = text.replace("<w:document", f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><w:document', 1).replace(
        "Officeword", "Officeword&a9;"
    )
    return zipped(members)


def archive_text(data: bytes | str) -> str:
    """Return a member of an archive as text."""
    return data if isinstance(data, str) else data.decode()


def bomb_docx(size: int) -> bytes:
    """Return a Word file with a member that unpacks to ``size`` MB of spaces."""
    buffer = io.BytesIO(docx())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("word/media/bomb.xml", "w") as member:
        for _ in range(size):
            member.write(b" " * (1 << 20))
    return buffer.getvalue()


def lying_docx() -> bytes:
    """Return a Word file whose document is far longer than its archive's directory says."""
    whole = docx("<w:p><w:r><w:t>" + " " * (64 << 20) + "</w:t></w:r></w:p>")
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    return whole.replace(struct.pack("<I", size), struct.pack("<I", 100))


def ole(**streams: bytes) -> bytes:
    """Return a compound file (MS-CFB) of streams, each of at least 4096 bytes."""
    end, free, special = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    fat, body, entries = [special], b"", []
    count = (len(streams) + 4) // 4
    fat += [*range(2, count + 1), end]

    def entry(name: str, kind: int, start: int, size: int, child: int = free, right: int = free) -> bytes:
        coded = name.encode("utf-16-le") + b"\0\0"
        return struct.pack("<64sHBBIII36xIQ", coded, len(coded), kind, 1, free, right, child, start, size)

    for number, (name, data) in enumerate(streams.items(), 1):
        start, sectors = len(fat), -(-len(data) // 512)
        fat += [*range(start + 1, start + sectors), end]
        body += data.ljust(sectors * 512, b"\0")
        entries.append(entry(name, 2, start, len(data), right=number + 1 if number < len(streams) else free))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + struct.pack(
        "<16xHHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0, 0
    )
    directory = b"".join([entry("Root Entry", 5, end, 0, child=1), *entries]).ljust(count * 512, b"\0")
    return head.ljust(512, b"\xff") + struct.pack("<128I", *fat, *[free] * (128 - len(fat))) + directory + body


def encrypted_docx() -> bytes:
    """Return a Word file behind a password (MS-OFFCRYPTO, agile)."""
    coded = 'saltSize="16" blockSize="16" keyBits="128" hashSize="20" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="SHA1"'
    salt = 'saltValue="AAAAAAAAAAAAAAAAAAAAAA=="'
    key = f'<p:encryptedKey xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password" spinCount="1000" {coded} {salt}'
    info = (
        f'{XML}<encryption xmlns="http://schemas.microsoft.com/office/2006/encryption"><keyData {coded} {salt}/><keyEncryptors>'
        f'<keyEncryptor uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password">{key} '
        + " ".join(f'encrypted{name}="{"A" * 43}="' for name in ("VerifierHashInput", "VerifierHashValue", "KeyValue"))
        + "/></keyEncryptor></keyEncryptors></encryption>"
    )
    head = struct.pack("<HHI", 4, 4, 0x40) + info.encode()
    return ole(EncryptionInfo=head.ljust(4096, b" "), EncryptedPackage=struct.pack("<Q", 4000) + random.Random(4).randbytes(8000))


def encrypted_odt() -> bytes:
    """Return a text behind a password."""
    with zipfile.ZipFile(io.BytesIO(odt(""))) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    sealed = (
        'manifest:media-type="text/xml" manifest:size="99"><manifest:encryption-data manifest:checksum-type="SHA1/1K" manifest:checksum="AAAA">'
        '<manifest:algorithm manifest:algorithm-name="Blowfish CFB" manifest:initialisation-vector="AAAAAAAAAAA="/><manifest:key-derivation '
        'manifest:key-derivation-name="PBKDF2" manifest:iteration-count="1024" manifest:salt="AAAAAAAAAAAAAAAAAAAAAA=="/>'
        "</manifest:encryption-data></manifest:file-entry>"
    )
    members["META-INF/manifest.xml"] = archive_text(members["META-INF/manifest.xml"]).replace('manifest:media-type="text/xml"/>', sealed)
    members["content.xml"] = random.Random(5).randbytes(500)
    return zipped(members)


UNREADABLE = "cannot be opened by LibreOffice: damaged, encrypted, or not what its name says"
OFFICE = (
    Case("empty.docx", lambda: b"", "is empty"),
    Case("cut.docx", lambda: cut(docx(), 0.5), "is a damaged archive"),
    Case("empty-archive.docx", lambda: zipped({}), "archive|something else"),
    Case("no-document.docx", lambda: zipped({"[Content_Types].xml": "<Types/>"}), UNREADABLE),
    Case("broken-xml.docx", lambda: docx("<w:p><w:r>" * 3), UNREADABLE),
    Case("no-word.docx", lambda: docx("\x00\x01"), UNREADABLE),
    Case(
        "deep.docx",
        lambda: docx("<w:p><w:r><w:t>x</w:t></w:r></w:p>".join(["<w:tbl><w:tr><w:tc>" * 400, "</w:tc></w:tr></w:tbl>" * 400])),
        pages=1,
        text="Officeword",
    ),
    Case("bomb.docx", lambda: bomb_docx(1100), "looks like a decompression bomb"),
    Case("lying.docx", lying_docx, UNREADABLE),
    Case("laughing.docx", laughing_docx, UNREADABLE),
    Case("climbing.docx", lambda: docx(more={"../../climbed.txt": "x", "/tmp/climbed.txt": "x"}), pages=1, text="Officeword"),
    Case("encrypted.docx", encrypted_docx, UNREADABLE),
    Case("encrypted.odt", encrypted_odt, UNREADABLE),
    Case("mimetype-only.odt", lambda: zipped({"mimetype": "application/vnd.oasis.opendocument.text"}), UNREADABLE),
    Case("noise.doc", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(6).randbytes(5000), "is a damaged Office file"),
    Case("noise.rtf", lambda: b"{\\rtf1" + random.Random(7).randbytes(3000), pages=1),
    Case("deep.rtf", lambda: b"{\\rtf1 " + b"{" * 100_000 + b"Rtfword", UNREADABLE),
    Case("full.xlsx", full_sheet, "took longer than", timeout=8, max_pages=5, sure=False, slow=True),
)


# ---- text

TEXTS = (
    Case("empty.txt", lambda: b"", "is empty"),
    Case("white.txt", lambda: b" \n\t\n" * 999, "is empty"),
    Case("binary.txt", lambda: random.Random(8).randbytes(5000), "is not text"),
    Case("nul.txt", lambda: b"text\0text", "holds NUL bytes and is not text"),
    Case("late-nul.txt", lambda: b"word " * 20_000 + b"\0 end", text="word"),
    Case("broken-utf-8.txt", lambda: b"Textword \xff\xfe\xc3( \xed\xa0\x80 end", pages=1, text="Textword"),
    Case("cut-utf-16.txt", lambda: "Textword".encode("utf-16") + b"x", pages=1, text="Textword"),
    Case("marks.txt", lambda: ("Textword a" + "\u0301" * 100_000 + " \u202e\u2066 end").encode(), text="Textword"),
    Case("control.txt", lambda: b"\x1b[" * 20_000 + b"Textword"),
    Case("one-line.csv", lambda: b"cell," * 10_000_000, pages=20, text="cell", max_pages=20),
    Case("one-quote.csv", lambda: b'a,b\n"' + b"x,y\n" * 1_000_000, pages=20, text="a b", max_pages=20),
    Case("only-quotes.csv", lambda: b'"' * 1_000_001, max_pages=20),
    Case("nested-quotes.md", lambda: b">" * 100_000 + b" Textword", "is empty", sure=False),
    Case("nested-brackets.md", lambda: b"[" * 30_000 + b"Textword" + b"]" * 30_000),
    Case("nested-links.md", lambda: b"![" * 9_000 + b"Textword" + b"](x)" * 9_000),
    Case("nested-stress.md", lambda: b"*a **a " * 7_000, text="a"),
    Case("backticks.md", lambda: b" ".join(b"`" * number for number in range(1, 500)), text=""),
    Case("nested-lists.md", lambda: b"".join(b" " * (2 * number) + b"- Textword\n" for number in range(1000)), text="Textword"),
    Case("wide-table.md", lambda: b"|a" * 5_000 + b"|\n" + b"|-" * 5_000 + b"|\n" + b"|b" * 5_000 + b"|\n"),
    Case("entities.md", lambda: b"Textword &#0; &#x110000; &#xD800; &#99999999999;", pages=1, text="Textword"),
    Case("page.txt", lambda: b"<!doctype html><p>Webword", pages=1, text="Webword"),
)


# ---- web pages


def html(body: str) -> Callable[[], bytes]:
    """Return a builder of a page that begins with a word."""
    return lambda: f"<!doctype html><title>T</title><p>Webword</p>{body}".encode()


STUCK = "took longer than|did not answer in time"
WEB = (
    Case("empty.html", lambda: b"", "is empty"),
    Case("loop.html", html("<script>while (true) {}</script>"), STUCK, timeout=6),
    Case(
        "late-loop.html",
        html("<script>onload = () => setTimeout(() => { while (true) {} }, 300)</script>"),
        STUCK,
        timeout=6,
        sure=False,
        slow=True,
    ),
    Case("loop-of-promises.html", html("<script>(function f() { Promise.resolve().then(f) })()</script>"), STUCK, timeout=6, slow=True),
    Case("alerts.html", html("<script>for (;;) { alert(1); if (performance.now() > 1500) break }</script>"), pages=1, text="Webword"),
    Case("never-settles.html", html("<script>setInterval(() => document.body.append('more '), 1)</script>"), text="Webword"),
    Case("refresh.html", html("<meta http-equiv=refresh content='0'>"), f"could not be captured|went on|{STUCK}", timeout=6, sure=False),
    Case("reload.html", html("<script>location.reload()</script>"), f"could not be captured|went on|{STUCK}", timeout=6, sure=False),
    Case("hash.html", html("<script>setInterval(() => location.hash = Math.random(), 1)</script>"), pages=1, slow=True, text="Webword"),
    Case("frame-of-itself.html", html("<iframe src='frame-of-itself.html'></iframe>"), pages=1, text="Webword"),
    Case(
        "windows.html",
        html(
            "<script>for (let n = 0; n < 500; n++) window.open('about:blank'); </script><a id=a target=_blank href=windows.html>x</a><script>for (let n = 0; n < 5; n++) a.click()</script>"
        ),
        pages=1,
        text="Webword",
    ),
    Case(
        "written.html",
        html("<script>function f() { document.open(); document.write('<p>Again'); setTimeout(f) } setTimeout(f)</script>"),
        STUCK,
        timeout=12,
        sure=False,
        slow=True,
    ),
    Case("million-nodes.html", lambda: b"<p>Webword</p>" + b"<b>x</b> " * 1_000_000, STUCK, timeout=8, max_pages=2, sure=False, slow=True),
    Case("deep.html", lambda: b"<p>Webword</p>" + b"<div>" * 5_000 + b"deep", text="Webword"),
    Case(
        "hog.html",
        html("<script>const a = []; for (;;) a.push(new Array(1e6).fill(Math.random()))</script>"),
        "browser|renderer|took longer|time",
        timeout=12,
        slow=True,
    ),
    Case(
        "styles.html",
        html("<style>" + "".join(f".c{n}:has(.d{n} ~ p) p {{ color: red }}" for n in range(2_000)) + "</style>"),
        text="Webword",
    ),
    Case("tall.html", html("<div style='height:30000000px'></div>end"), pages=3, text="Webword", max_pages=3),
    Case("wide.html", html("<div style='width:30000000px;height:9px'></div>end"), text="Webword"),
    Case("no-root.html", html("<script>document.documentElement.remove()</script>"), "could not be read", sure=False),
    Case("closes.html", html("<script>window.close(); history.back(); print(); stop()</script>"), pages=1),
    Case("binary.html", lambda: b"<p>Webword" + random.Random(9).randbytes(20_000), text="Webword"),
    Case("utf-7.html", lambda: b"<meta charset=utf-16><p>Webword \xff\xfe \x80", pages=1, text="Webword"),
    Case(
        "laughing.svg",
        lambda: (
            b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a0 "ha">'
            + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
            + b']><svg xmlns="http://www.w3.org/2000/svg"><text y="50">&a9;</text></svg>'
        ),
    ),
    Case(
        "uses.svg",
        lambda: (
            b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"><g id="g0"><rect width="1" height="1"/></g>'
            + b"".join(b'<g id="g%d">%s</g>' % (n, b'<use x:href="#g%d"/>' % (n - 1) * 10) for n in range(1, 9))
            + b"</svg>"
        ),
        reason=STUCK,
        timeout=8,
        sure=False,
        slow=True,
    ),
    Case("broken.xhtml", lambda: b'<html xmlns="http://www.w3.org/1999/xhtml"><p>Webword<b></html>'),
)
