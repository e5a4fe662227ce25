"""How fast and how well an index is searched, beside exact search in numpy, on synthetic clustered vectors.

A real index is built through `Store.create`, `Store.add_pages`, `Store.put_documents` and `Store.optimise`: 20 pages a document, 40 words
a page out of a vocabulary with Zipf's law. Vectors are 384-d: points around cluster centres of unequal size, cosine within a cluster about
.73. Queries are fresh points of the same clusters. Every query is asked of all competitors in turn, so that whatever else the machine
does hits all alike.

* ``nearest``: `Store.nearest`, 10 neighbours, against numpy's matrix product with all vectors (in memory, all cores) and partial sort;
* ``date``, ``dates``, ``topic``, ``topics``: the same under filters that .5 % or 5 % of the pages pass, spread evenly (dates) or lying
  together, mostly far from the query (topics); against the product with those vectors alone, picked out
  beforehand: numpy's filter costs nothing;
* ``search``: `visir.index.search` as a user's query takes it: the text model, vectors, words, merging, snippets; against the same model
  and numpy's search. The model's cost is real, its vector is then exchanged for the synthetic query's.

    python benchmarks/search_speed.py --pages 1000 100000 1000000     # in full: see docs/performance.md for time and disk
    python benchmarks/search_speed.py --pages 1000 --queries 20       # tiny: seconds
    python benchmarks/search_speed.py --pages 100000 --grow           # as it grows in use: optimised after every 5,000 pages
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import cpu_seconds, folder_bytes, machine, memory_of, percentile, table, timed

from visir.index.search import SearchOptions, search
from visir.index.store import Document, Store, pack_boxes
from visir.screenshot import Query
from visir.unise.embedder import Embedder, load_embedder

DIM = 384
PER_DOCUMENT = 20
WORDS = 40
BLOCK = 20_000
PAUSE = 0.03
"""Seconds between two measurements: numpy's threads spin for a while after a product, and would slow whoever comes next."""
DATES = 200
FILTERS = {"date": "date = '2026-001'", "dates": "date <= '2026-010'", "topic": "language = 'nl'", "topics": "language = 'de'"}
"""One of 200 dates and ten of them, evenly mixed: .5 % and 5 % of the pages; one of 200 clusters and one of 20."""


class Points:
    """Clustered points of length 1, the same for the same seed."""

    def __init__(self, pages: int) -> None:
        rng = np.random.default_rng(7)
        clusters = max(10, pages // 100)
        self.centres = rng.standard_normal((clusters, DIM), np.float32)
        self.centres /= np.linalg.norm(self.centres, axis=1, keepdims=True)
        share = rng.lognormal(0, 1, clusters)
        self.share = share / share.sum()

    def draw(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return fresh points, shape (count, DIM), and the number of each one's cluster."""
        rng = np.random.default_rng(seed)
        clusters = rng.choice(len(self.centres), count, p=self.share)
        points = self.centres[clusters] + rng.standard_normal((count, DIM), np.float32) * np.float32(0.6 / DIM**0.5)
        return points / np.linalg.norm(points, axis=1, keepdims=True), clusters


def vocabulary() -> tuple[np.ndarray, np.ndarray]:
    """Return 30,000 made-up words, and how likely each is by Zipf's law."""
    rng = np.random.default_rng(3)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
    words = sorted({"".join(rng.choice(syllables, rng.integers(2, 5))) for _ in range(32_000)})
    rng.shuffle(words)
    chances = 1 / np.arange(3, len(words) + 3)
    return np.array(words), chances / chances.sum()


def dates(first: int, count: int) -> np.ndarray:
    """Return the number of the date of each page: evenly mixed, the same for all runs."""
    return (np.arange(first, first + count, dtype=np.uint64) * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(DATES)


# Building: in a process of its own, whose memory is measured


def build(folder: Path, pages: int, grow: int) -> None:
    """Fill an index and write what it cost to ``built.json``; the vectors go to a file that numpy maps."""
    store = Store.create(folder / "index", {"source": "text", "name": "synthetic", "revision": "0", "dim": DIM})
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (pages, DIM))
    chosen = np.lib.format.open_memmap(folder / "clusters.npy", "w+", np.int32, (pages,))
    points, times = Points(pages), {"add": [], "optimise": []}
    for first in range(0, pages, grow or BLOCK):
        count = min(grow or BLOCK, pages - first)
        block, clusters = points.draw(count, 1000 + first)
        vectors[first : first + count], chosen[first : first + count] = block, clusters
        rows, documents = list(page_rows(first, block, clusters)), list(document_rows(first, count))
        timed(lambda rows=rows: store.add_pages(rows), times["add"])
        timed(lambda documents=documents: store.put_documents(documents), times["add"])
        if grow:
            timed(store.optimise, times["optimise"])
    if not grow:
        timed(store.optimise, times["optimise"])
    vectors.flush()
    chosen.flush()
    facts = {
        "add": sum(times["add"]),
        "optimise": sum(times["optimise"]),
        "longest": max(times["optimise"]),
        "cpu": cpu_seconds(),
        "peak": memory_of()["VmHWM"] - memory_of()["RssFile"],
        "disk": folder_bytes(folder / "index") / 2**20,
        "raw": pages * DIM * 4 / 2**20,
    }
    (folder / "built.json").write_text(json.dumps(facts))


def page_rows(first: int, vectors: np.ndarray, clusters: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield the rows of pages first, first + 1, …"""
    rng = np.random.default_rng(first)
    words, chances = vocabulary()
    chosen = rng.choice(words, (len(vectors), WORDS), p=chances)
    boxes = pack_boxes([(0.1, 0.1, 0.2, 0.2)] * WORDS)
    for number, date in enumerate(dates(first, len(vectors))):
        document, page = divmod(first + number, PER_DOCUMENT)
        yield {
            "edition": document + 1,
            "path": path(document),
            "page": page + 1,
            "type": "pdf",
            "date": f"2026-{date + 1:03d}",
            "language": {0: "de", 1: "nl"}.get(clusters[number] % 200 if clusters[number] % 20 else 0, "en"),
            "title": f"{chosen[number, 0]} {document}",
            "text": " ".join(chosen[number]),
            "boxes": boxes,
            "vector": vectors[number],
        }


def document_rows(first: int, count: int) -> Iterator[Document]:
    """Yield the documents whose last page is among pages first … first + count - 1."""
    for number in range(first // PER_DOCUMENT, -(-(first + count) // PER_DOCUMENT)):
        yield Document(path(number), number + 1, "pdf", 1, 1, str(number), PER_DOCUMENT, "ok", "", "", "")


def path(document: int) -> str:
    """Return the path of a document: a thousand of them a folder."""
    return f"/archive/{document // 1000:04d}/{document:07d}.pdf"


# Searching


class Planted:
    """The text model, at its real cost, whose query vectors are exchanged for synthetic ones."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self.calibration = model.calibration
        self.vector = np.zeros(DIM, np.float32)

    def encode_query(self, queries: Sequence[Query | str]) -> np.ndarray:
        """Run the model and return the planted vector."""
        self._model.encode_query(queries)
        return self.vector[None]


def exact(vectors: np.ndarray, query: np.ndarray, count: int = 10) -> np.ndarray:
    """Return the nearest rows by a product with all."""
    scores = vectors @ query
    count = min(count, len(scores))
    best = np.argpartition(scores, -count)[-count:]
    return best[np.argsort(-scores[best])]


def found(result: Any) -> set[int]:
    """Return the numbers of the pages that the store found."""
    editions, pages = result["edition"].to_pylist(), result["page"].to_pylist()
    return {(edition - 1) * PER_DOCUMENT + page - 1 for edition, page in zip(editions, pages, strict=True)}


def passing(folder: Path, pages: int) -> dict[str, np.ndarray]:
    """Return the numbers of the pages that pass each filter."""
    date, cluster = dates(0, pages), np.load(folder / "clusters.npy")
    masks = {"date": date == 0, "dates": date < 10, "topic": cluster % 200 == 1, "topics": cluster % 20 == 0}
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}


def measure(folder: Path, pages: int, queries: int) -> tuple[list[list[str]], float]:
    """Ask queries of every competitor in turn and return the table's rows, and the memory in use in MB."""
    store, model = Store(folder / "index"), Planted(load_embedder())
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    subsets = passing(folder, pages)
    picked = {name: np.ascontiguousarray(vectors[rows]) for name, rows in subsets.items()}
    words, chances = vocabulary()
    rng = np.random.default_rng(5)
    asked, _ = Points(pages).draw(queries + 10, 99)
    ours: dict[str, list[float]] = {}
    peer: dict[str, list[float]] = {}
    recall: dict[str, list[float]] = {}
    spent: dict[str, float] = {}

    def compare(name: str, mine: Any, theirs: Any, rows: np.ndarray | None = None) -> None:
        time.sleep(PAUSE)
        before = cpu_seconds()
        got = timed(mine, ours.setdefault(name, []))
        spent[name] = spent.get(name, 0.0) + cpu_seconds() - before
        true = timed(theirs, peer.setdefault(name, []))
        if got is not None:
            true = true if rows is None else rows[true]
            recall.setdefault(name, []).append(len(found(got) & set(true.tolist())) / len(true))

    def full(text: str, where: str, vector: np.ndarray) -> None:
        model.vector = vector
        search(store, model, Query(text), SearchOptions(where=where))  # type: ignore[arg-type]

    def peer_full(text: str, vector: np.ndarray, among: np.ndarray) -> np.ndarray:
        model.encode_query([Query(text)])
        return exact(among, vector)

    for number, query in enumerate(asked):
        text = " ".join(rng.choice(words, 3, p=chances))
        if number == 10:  # the first ten warm everything up
            for times in (ours, peer, recall, spent):
                times.clear()
        compare("nearest", partial(store.nearest, query, 10), partial(exact, vectors, query))
        for name, where in FILTERS.items():
            compare(name, partial(store.nearest, query, 10, where), partial(exact, picked[name], query), subsets[name])
        compare("search", partial(full, text, "", query), partial(peer_full, text, query, vectors))
        compare("search, date", partial(full, text, FILTERS["date"], query), partial(peer_full, text, query, picked["date"]))
    anonymous = memory_of()["RssAnon"] - sum(block.nbytes for block in picked.values()) / 2**20
    print(f"{pages:,} pages: {anonymous:,.0f} MB of anonymous memory after {queries} queries of each kind", file=sys.stderr)
    return [
        [
            f"{pages:,}",
            name,
            f"{percentile(ours[name], 50):.1f}",
            f"{percentile(ours[name], 95):.1f}",
            f"{1000 * min(ours[name]):.1f}",
            f"{1000 * spent[name] / len(ours[name]):.1f}",
            f"{percentile(peer[name], 50):.1f}",
            f"{percentile(peer[name], 95):.1f}",
            f"{1000 * min(peer[name]):.1f}",
            f"{np.median(np.array(ours[name]) / np.array(peer[name])):.2f}",
            f"{np.mean(recall[name]):.3f}" if name in recall else "",
        ]
        for name in ours
    ], anonymous


def main() -> None:
    """Build, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[1000, 100_000], help="sizes of the indexes")
    parser.add_argument("--queries", type=int, default=200, help="queries of each kind")
    parser.add_argument("--grow", action="store_true", help="optimise after every 5,000 pages, as `visir index` does")
    parser.add_argument("--keep", type=Path, help="folder for the indexes, kept and used again")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        build(options.build, options.pages[0], 5000 if options.grow else 0)
        return
    place = options.keep or Path(tempfile.mkdtemp(prefix="visir-bench-"))
    speeds, builds = [], []
    for pages in options.pages:
        folder = place / f"{pages}{'-grown' if options.grow else ''}"
        if not (folder / "built.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            command = [sys.executable, __file__, "--pages", str(pages), "--build", str(folder), *(["--grow"] if options.grow else [])]
            subprocess.run(command, check=True)
        facts = json.loads((folder / "built.json").read_text())
        rows, anonymous = measure(folder, pages, options.queries)
        speeds += rows
        builds.append(
            [
                f"{pages:,}",
                f"{facts['add']:.1f}",
                f"{facts['optimise']:.1f}",
                f"{facts['longest']:.1f}",
                f"{facts['cpu']:.0f}",
                f"{pages / (facts['add'] + facts['optimise']):,.0f}",
                f"{facts['peak']:,.0f}",
                f"{facts['disk']:,.0f} ({facts['disk'] / facts['raw']:.2f})",
                f"{anonymous:,.0f}",
            ]
        )
    if not options.keep:
        shutil.rmtree(place)
    head = ["pages", "what", "visir p50 ms", "p95", "least", "CPU", "numpy p50 ms", "p95", "least", "visir / numpy", "recall@10"]
    print(table(head, speeds), "\n")
    head = ["pages", "add s", "optimise s", "longest", "CPU s", "pages/s", "peak MB building", "disk MB (x vectors)", "MB searching"]
    print(table(head, builds), "\n")
    print(machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
