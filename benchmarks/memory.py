"""Whether memory stays flat as a document, or the number of documents, grows. Linux only: it reads /proc.

Peak resident memory (VmHWM) of the indexing process and of the child process that draws, each measured in fresh processes:

* one document of 10, 100, 1,000, 10,000 pages through the real `Index.add` with the text model, set up as `visir` is;
* the same through the child process alone (``--capture-only`` does no more than this);
* 10, 100, 1,000 documents of 10 pages;
* 5,000 pages captured with 700 MB of address space in the child (`CaptureOptions.memory`, set by RLIMIT_AS).

The PDFs are generated: pages of made-up words with a picture on each; or, with ``--from``, the pages of a real PDF over and over. What
takes the time is the text model, so the pages that are indexed have few words (``--words``); the captured ones have 400.

    python benchmarks/memory.py                                    # in full: some 15 minutes
    python benchmarks/memory.py --capture-only                     # some 4 minutes
    python benchmarks/memory.py --pages 10 100 --documents 2 10 --limited 100      # tiny
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import pypdfium2 as pdfium
from common import machine, memory_of, table

LIMIT = 700 << 20


def write_pdf(target: Path, pages: int, words: int, seed: int = 0) -> None:
    """Write a PDF of made-up words, every page with a grey picture of its own, one page in memory at a time."""
    rng = random.Random(seed)
    offsets: dict[int, int] = {}
    with target.open("wb") as out:
        out.write(b"%PDF-1.5\n")

        def put(number: int, body: bytes) -> None:
            offsets[number] = out.tell()
            out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))

        put(1, b"<</Type/Catalog/Pages 2 0 R>>")
        kids = b" ".join(b"%d 0 R" % (4 + 3 * page) for page in range(pages))
        put(2, b"<</Type/Pages/Count %d/Kids[%b]>>" % (pages, kids))
        put(3, b"<</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>")
        for page in range(pages):
            first = 4 + 3 * page
            text = b"q 200 0 0 200 200 60 cm /P Do Q BT /F 11 Tf 50 780 Td 13 TL " + _lines(rng, words) + b" ET"
            used = b"<</Font<</F 3 0 R>>/XObject<</P %d 0 R>>>>" % (first + 2)
            put(first, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources%b>>" % (first + 1, used))
            put(first + 1, b"<</Length %d>>stream\n%b\nendstream" % (len(text), text))
            grey = zlib.compress(rng.randbytes(50) * 3200)
            head = b"/Type/XObject/Subtype/Image/Width 400/Height 400/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode"
            put(first + 2, b"<<%b/Length %d>>stream\n%b\nendstream" % (head, len(grey), grey))
        start = out.tell()
        out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1))
        out.writelines(b"%010d 00000 n \n" % offsets[number] for number in sorted(offsets))
        out.write(b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, start))


def _lines(rng: random.Random, words: int) -> bytes:
    """Return the drawing commands for lines of ten made-up words."""
    made = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 4))) for _ in range(words)]
    return b" ".join(b"(%b) '" % " ".join(made[start : start + 10]).encode() for start in range(0, words, 10))


def repeat_pdf(source: Path, target: Path, pages: int) -> None:
    """Write a PDF of a real one's pages, over and over."""
    with pdfium.PdfDocument(source) as original, pdfium.PdfDocument.new() as joined:
        while len(joined) < pages:
            joined.import_pages(original, list(range(min(len(original), pages - len(joined)))))
        joined.save(target)


# What runs in fresh processes


def index_all(folder: Path) -> dict[str, float]:
    """Index a folder and return pages, seconds and peaks in MB."""
    from visir import Index
    from visir.heap import share_heap

    share_heap()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="visir-bench-") as scratch, Index.open(Path(scratch) / "index") as index:
        index.embedder.encode_query(["warm"])
        before = memory_of()["VmRSS"]
        pages = index.add(folder).pages
        child = memory_of(index._worker._process.pid)["VmHWM"]  # type: ignore[union-attr]
        return {"pages": pages, "seconds": time.perf_counter() - started, "before": before, "parent": memory_of()["VmHWM"], "child": child}


def capture_all(folder: Path, limit: int) -> dict[str, float]:
    """Capture a folder through the child process and return pages, seconds and peaks in MB."""
    from visir.capture import CaptureOptions, Worker

    started, pages, space = time.perf_counter(), 0, 0.0
    with Worker(CaptureOptions(**({"memory": limit} if limit else {}))) as worker:
        before = memory_of()["VmRSS"]
        for file in sorted(folder.iterdir()):
            for _ in worker.capture(str(file)):
                pages += 1
                if pages % 100 == 0:
                    space = max(space, memory_of(worker._process.pid)["VmPeak"])  # type: ignore[union-attr]
        child = memory_of(worker._process.pid)  # type: ignore[union-attr]
    seconds = time.perf_counter() - started
    return {
        "pages": pages,
        "seconds": seconds,
        "before": before,
        "parent": memory_of()["VmHWM"],
        "child": child["VmHWM"],
        "space": max(space, child["VmPeak"]),
    }


def fresh(role: str, folder: Path, limit: int = 0) -> dict[str, float]:
    """Run one of the above in a fresh process."""
    command = [sys.executable, __file__, "--role", role, "--folder", str(folder), "--limit", str(limit)]
    found = dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"{role} {found}", file=sys.stderr)
    return found


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--documents", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--limited", type=int, default=5000, help="pages to capture within 700 MB of address space")
    parser.add_argument("--words", type=int, default=40, help="words on a page that is indexed")
    parser.add_argument("--from", type=Path, dest="source", help="a PDF whose pages are used over and over")
    parser.add_argument("--capture-only", action="store_true")
    parser.add_argument("--role", choices=["index", "capture"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        print(json.dumps(index_all(options.folder) if options.role == "index" else capture_all(options.folder, options.limit)))
        return
    rows = []

    def run(name: str, role: str, sizes: list[int], words: int, limit: int = 0) -> None:
        with tempfile.TemporaryDirectory(prefix="visir-bench-") as scratch:
            for number, pages in enumerate(sizes):
                target = Path(scratch, f"{number:05}.pdf")
                if options.source:
                    repeat_pdf(options.source, target, pages)
                else:
                    write_pdf(target, pages, words, number)
            got = fresh(role, Path(scratch), limit)
        peaks = [f"{got[key]:,.0f}" for key in ("before", "parent", "child")]
        rows.append(
            [name, f"{got['pages']:,.0f}", *peaks, f"{got['space']:,.0f}" if "space" in got else "", f"{got['pages'] / got['seconds']:.0f}"]
        )

    for pages in options.pages:
        run("capture, one document", "capture", [pages], 400)
    run(f"capture, {LIMIT >> 20} MB of address space", "capture", [options.limited], 400, LIMIT)
    if not options.capture_only:
        for pages in options.pages:
            run("index, one document", "index", [pages], options.words)
        for documents in options.documents:
            run(f"index, {documents:,} documents", "index", [10] * documents, options.words)
    head = ["what", "pages", "parent at first MB", "parent peak MB", "child peak MB", "child address space MB", "pages/s"]
    print(table(head, rows), "\n")
    print(machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
