"""How well and how fast pages are read: unise-mini against tesseract, on pages whose words are known.

Pages are of PDF files, whose text layer says what is written, or of a benchmark that `visir vira devset` made, of all its domains in turn.

Both get the same screenshots, page by page in turn. A word counts as read where it stands in what was read as often as on the page, letters
alone (case and punctuation at its ends do not matter), wherever it was seen. CPU seconds, tesseract's own process included, opening the
model not. A second row of the model adds what the page's vector takes, for which the page is read anyway.

    python benchmarks/reading.py FOLDER_OF_PDFS --pages 40
    python benchmarks/reading.py data/dev --pages 80
"""

import argparse
import json
import random
import resource
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from common import machine, table

from visir import Screenshot, load_embedder
from visir.capture import CaptureOptions, pdf
from visir.capture.ocr import read_words
from visir.unise.regions import RegionEmbedder
from visir.unise.words import fold_word

HEAD = ["reader", "words read (recall)", "right of what it read", "CPU s a page", "faster than tesseract"]


def benchmark_pages(folder: Path, count: int) -> Iterator[Screenshot]:
    """Yield pages of a development benchmark, of its domains in turn, in a random order."""
    rng = random.Random(0)
    lists = sorted(folder.glob("pages-*.jsonl"))
    drawn = [rng.sample(path.read_text(encoding="utf-8").splitlines(), -(-count // len(lists))) for path in lists]
    for number in range(count):
        page = json.loads(drawn[number % len(lists)][number // len(lists)])
        with zipfile.ZipFile(folder / f"Images-{page['domain']}.zip") as archive:
            yield Screenshot(archive.read(page["image"]), page["key"], text=page["text"])


def pdf_pages(folder: Path, count: int) -> Iterator[Screenshot]:
    """Yield pages with at least 30 words, one a file in a random order, over and over."""
    rng = random.Random(0)
    files = sorted(folder.rglob("*.pdf"))
    while count:
        path = rng.choice(files)
        pages = [page for page in pdf.render(path, CaptureOptions(max_pages=60)) if len(page.words) >= 30]
        if pages:
            count -= 1
            yield rng.choice(pages)


def cpu() -> float:
    """CPU seconds of this process and of those it started."""
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def counted(text: str) -> Counter[str]:
    """Count a text's words as they are compared."""
    return Counter(word for word in map(fold_word, text.split()) if word)


def compare(model: RegionEmbedder, pages: Iterable[Screenshot]) -> tuple[int, int, list[list[str]]]:
    """Let a model and tesseract read the same pages in turn; returns how many pages and words there are, and the rows below `HEAD`."""
    vector = f"{model.name}, with the vector"
    readers: dict[str, Callable[[Screenshot], Screenshot]] = {
        model.name: model.read,
        "tesseract": lambda page: read_words(page, "eng", 300.0),
    }
    right, said, seconds = Counter[str](), Counter[str](), Counter[str]()
    written, number = 0, 0
    for page in pages:
        truth = counted(page.text)
        written, number = written + truth.total(), number + 1
        bare = replace(page, text="", words=())
        if number == 1:  # opens the model, once for all; a page that it knows already would cost nothing
            model.read(Screenshot.from_image(page.image.reduce(2)))
        for name, read in readers.items():
            started = cpu()
            found = counted(read(bare).text)
            seconds[name] += cpu() - started  # type: ignore[assignment]
            right[name] += (found & truth).total()
            said[name] += found.total()
        started = cpu()
        model.encode_document([bare])  # it remembers what it has just read
        seconds[vector] += cpu() - started  # type: ignore[assignment]
    seconds[vector] += seconds[model.name]
    right[vector], said[vector] = right[model.name], said[model.name]
    rows = [
        [name, f"{right[name] / written:.3f}", f"{right[name] / max(1, said[name]):.3f}", f"{seconds[name] / number:.2f}",
         f"{seconds['tesseract'] / seconds[name]:.1f}"]
        for name in (model.name, vector, "tesseract")
    ]  # fmt: skip
    return number, written, rows


def main() -> None:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of PDF files, or a development benchmark")
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--model", default="unise-mini")
    parser.add_argument("--device", default="auto", help="where the model runs; openvino is another run time on the processor")
    options = parser.parse_args()
    model = load_embedder(options.model, device=options.device)
    assert isinstance(model, RegionEmbedder)
    pages_of = benchmark_pages if list(options.folder.glob("pages-*.jsonl")) else pdf_pages
    pages, words, rows = compare(model, pages_of(options.folder, options.pages))
    print(f"{pages} pages, {words:,} words\n")
    print(table(HEAD, rows), "\n")
    print(machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
