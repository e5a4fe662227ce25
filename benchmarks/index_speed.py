"""How many pages a second become searchable, from PDF files to an index, beside pdfium alone and beside tesseract with BM25.

Every contestant runs in a fresh process, one after the other, several rounds; ratios are taken within a round, medians over rounds, so
that whatever else the machine does hits all alike.

* ``render``: pypdfium2 draws the same pages, 1280 pixels on the long side, and Pillow encodes them as JPEG: the least that shows pages;
* ``capture``: visir's own drawing in one process: the above, and the words with their boxes;
* ``embed``: visir's default model alone on the same pages, which tell their words, in batches as the index sends them;
* ``visir``: `Index.add` into a fresh index, from the files to the last commit and the search structures;
* ``tesseract``: pages drawn 2200 pixels high, read by tesseract on one thread, indexed by bm25s; every n-th page, for it is slow.

The anatomy at the end replays visir's road step by step in one process and gives the CPU time of each step.

    python benchmarks/index_speed.py DIR…                              # in full: 400 pages, 3 rounds, some 6 minutes
    python benchmarks/index_speed.py DIR… --pages 20 --rounds 1        # tiny
"""

import argparse
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
from common import cpu_seconds, machine, table

LONG_SIDE, READABLE_SIDE = 1280, 2200
ROLES = ("render", "capture", "embed", "visir", "tesseract")


def sample(paths: list[Path], pages: int) -> list[Path]:
    """Choose PDF files until they have enough pages; none makes up more than an eighth of them."""
    files = [file for path in paths for file in (sorted(path.rglob("*.pdf")) if path.is_dir() else [path])]
    random.Random(1).shuffle(files)
    chosen, total = [], 0
    for file in files:
        try:
            with pdfium.PdfDocument(file) as document:
                count = len(document)
        except pdfium.PdfiumError:
            continue
        if total < pages and count <= max(pages // 8, 1 if total else count):
            chosen.append(file)
            total += count
    return chosen


def drawn(files: list[Path], side: int, every: int = 1) -> Iterator[Any]:
    """Yield every n-th page as a Pillow picture."""
    number = 0
    for file in files:
        with pdfium.PdfDocument(file) as document:
            for page in document:
                if number % every == 0:
                    yield page.render(scale=side / max(page.get_size())).to_pil()
                page.close()
                number += 1


# The contestants: each returns the number of pages it did


def render(files: list[Path], scratch: Path, every: int) -> int:
    """Draw and encode with pypdfium2 and Pillow."""
    count = 0
    for picture in drawn(files, LONG_SIDE):
        picture.convert("RGB").save(io.BytesIO(), "JPEG", quality=82)
        count += 1
    return count


def capture(files: list[Path], scratch: Path, every: int) -> int:
    """Draw and read with visir, without its child process."""
    from visir.capture import CaptureOptions, pdf

    return sum(1 for file in files for _ in pdf.render(file, CaptureOptions()))


def index(files: list[Path], scratch: Path, every: int) -> int:
    """Index with visir: model and child process are started within."""
    from visir import Index

    with Index.open(scratch / "index") as opened:
        return opened.add(*files).pages


def tesseract(files: list[Path], scratch: Path, every: int) -> int:
    """Read every n-th page with tesseract and index the words with bm25s."""
    import bm25s

    texts = []
    for picture in drawn(files, READABLE_SIDE, every):
        buffer = io.BytesIO()
        picture.convert("L").save(buffer, "PPM")
        command = ["tesseract", "stdin", "stdout", "-l", "eng", "--psm", "3"]
        done = subprocess.run(
            command, input=buffer.getvalue(), capture_output=True, env={**os.environ, "OMP_THREAD_LIMIT": "1"}, check=True
        )
        texts.append(done.stdout.decode())
    bm25s.BM25().index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    return len(texts)


def contend(role: str, files: list[Path], every: int) -> dict[str, float]:
    """Run one contestant in this process and say what it took, without the imports."""
    import bm25s  # noqa: F401

    import visir.capture.pdf
    import visir.index  # noqa: F401

    with tempfile.TemporaryDirectory(prefix="visir-bench-") as scratch:
        if role == "embed":
            return embed(files)
        wall, cpu = time.perf_counter(), cpu_seconds()
        pages = {"render": render, "capture": capture, "visir": index, "tesseract": tesseract}[role](files, Path(scratch), every)
        return {"pages": pages, "wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}


def embed(files: list[Path]) -> dict[str, float]:
    """Embed with visir's default model what was captured beforehand."""
    from visir import load_embedder
    from visir.capture import CaptureOptions, pdf

    shots = [shot for file in files for shot in pdf.render(file, CaptureOptions())]
    model = load_embedder()
    wall, cpu = time.perf_counter(), cpu_seconds()
    for start in range(0, len(shots), 16):
        model.encode_document(shots[start : start + 16])
    return {"pages": len(shots), "wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}


# The anatomy


class Clock:
    """CPU seconds by step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Add what the block takes to a step."""
        started = time.process_time()
        yield
        self.spent[step] += time.process_time() - started


def dissect(files: list[Path], scratch: Path) -> dict[str, float]:
    """Go visir's road step by step, one page at a time, and return CPU milliseconds a page by step."""
    from visir.capture import worker
    from visir.index.store import Store, pack_boxes
    from visir.language import guess_language
    from visir.screenshot import Screenshot
    from visir.unise.embedder import load_embedder

    clock, model = Clock(), load_embedder()
    store = Store.create(scratch / "index", {"source": model.name, "name": model.name, "revision": model.revision, "dim": model.dim})
    shots: list[Screenshot] = []
    for edition, file in enumerate(files, 1):
        for shot in dissect_capture(file, clock):
            with clock("to the parent: JSON out and in"):
                header = json.loads(json.dumps(worker._page_header(shot)).encode())
                words = tuple(worker.Word(text, tuple(box)) for text, box in header.pop("words"))
                shot = Screenshot(shot.encoded, words=words, **header)
            with clock("guess the language"):
                guess_language(shot.text)
            with clock("write the picture"):
                store.put_picture(edition, shot)
            shots.append(shot)
    rows = []
    for start in range(0, len(shots), 16):
        batch = shots[start : start + 16]
        with clock("embed"):
            vectors = model.encode_document(batch)
        for shot, vector in zip(batch, vectors, strict=True):
            with clock("pack the boxes"):
                boxes = pack_boxes([word.box for word in shot.words])
            more = {"path": shot.uri, "type": "pdf", "date": shot.date, "language": "en"}
            rows.append({"edition": 1, "page": shot.page, "title": shot.title, "text": shot.text, "boxes": boxes, "vector": vector, **more})
    for start in range(0, len(rows), 256):
        with clock("commit"):
            store.add_pages(rows[start : start + 256])
    with clock("build search structures"):
        store.optimise()
    return {"pages": len(rows), **{step: 1000 * spent / len(rows) for step, spent in clock.spent.items()}}


def dissect_capture(file: Path, clock: Clock) -> Iterator[Any]:
    """Yield a file's screenshots as `visir.capture.pdf.render` makes them, timed."""
    from visir.capture import pdf
    from visir.screenshot import Screenshot, encode_image

    with clock("open the file"):
        document = pdfium.PdfDocument(file)
    for number in range(len(document)):
        with clock("draw"):
            page = document[number]
            picture = page.render(scale=LONG_SIDE / max(page.get_size()), rev_byteorder=True, limit_image_cache=True).to_pil()
        with clock("encode as JPEG"):
            encoded = encode_image(picture)
        with clock("read words and boxes"):
            text, words = pdf._words(page)
        page.close()
        yield Screenshot(encoded, str(file), number + 1, file.stem, text, words, "2026-01-01")
    document.close()


def report(results: dict[str, list[dict[str, float]]], anatomy: dict[str, float]) -> None:
    """Print the tables."""

    def middle(role: str, of: str) -> float:
        return statistics.median(run[of] / run["pages"] for run in results[role])

    def ratio(role: str, of: str) -> float:
        return statistics.median(
            (mine[of] / mine["pages"]) / (bare[of] / bare["pages"]) for mine, bare in zip(results[role], results["render"], strict=True)
        )

    rows = [
        [
            role,
            f"{results[role][0]['pages']:.0f}",
            f"{1 / middle(role, 'wall'):.1f}",
            f"{ratio(role, 'wall'):.2f}",
            f"{1000 * middle(role, 'cpu'):.1f}",
            f"{ratio(role, 'cpu'):.2f}",
        ]
        for role in results
    ]
    print(table(["contestant", "pages", "pages/s", "time / render", "CPU ms a page", "CPU / render"], rows), "\n")
    floor = middle("capture", "cpu") + middle("embed", "cpu")
    print(
        f"Floor: capture and embed alone cost {1000 * floor:.1f} CPU ms a page; visir takes {1000 * middle('visir', 'cpu'):.1f}, "
        f"{middle('visir', 'cpu') / floor:.2f} times as much. On {os.cpu_count()} cores shared evenly the floor is "
        f"{os.cpu_count() / floor:.1f} pages/s; visir reaches {1 / middle('visir', 'wall'):.1f}.\n"  # type: ignore[operator]
    )
    steps = {step: value for step, value in anatomy.items() if step != "pages"}
    total = sum(steps.values())
    print(
        table(
            ["step", "CPU ms a page", "share"],
            [[step, f"{value:.2f}", f"{value / total:.0%}"] for step, value in steps.items()] + [["sum", f"{total:.1f}", ""]],
        ),
        "\n",
    )
    print(machine(), time.strftime("%Y-%m-%d"))


def main() -> None:
    """Run every contestant in every round, then the anatomy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", help="PDF files, or folders of them")
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=20, help="tesseract reads every n-th page")
    parser.add_argument("--role", choices=[*ROLES, "dissect"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        if options.role == "dissect":
            with tempfile.TemporaryDirectory(prefix="visir-bench-") as scratch:
                print(json.dumps(dissect(options.paths, Path(scratch))))
        else:
            print(json.dumps(contend(options.role, options.paths, options.every)))
        return
    files = sample(options.paths, options.pages)

    def run(role: str) -> dict[str, float]:
        command = [sys.executable, __file__, *map(str, files), "--role", role, "--every", str(options.every)]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    roles = [role for role in ROLES if role != "tesseract" or shutil.which("tesseract")]
    results: dict[str, list[dict[str, float]]] = {role: [] for role in roles}
    for number in range(options.rounds):
        for role in roles:
            results[role].append(run(role))
            print(f"round {number + 1}: {role} {results[role][-1]}", file=sys.stderr)
    print(f"{len(files)} files, {results['render'][0]['pages']:.0f} pages\n")
    report(results, run("dissect"))


if __name__ == "__main__":
    main()
