"""How a server stands up to many clients, by wrk (Debian's package `wrk`), beside the same searches in one process.

An index of synthetic pages (as in search_speed.py, under the text model's name) is served by `visir serve`. Each request is three
made-up words. Loads:

* ``one``: a client, one request after the other;
* ``people``: 16 clients that pause up to four seconds after each answer, two on average: 16 people who do nothing but search;
* ``hurried``: the same, but twice as fast;
* ``flat out``: 16 clients, one request after the other, which asks for more than the machine can do.

Each is run on a quiet server, then while the server indexes a folder of PDFs (``+ indexing``): 100 documents of 10 pages.
`in process` is `Index.search` in a Python loop, before the server starts and after it has ended; ``ratio`` is a load's p95 by its p50,
the model's time included.

    python benchmarks/serve_load.py                                # in full: 10,000 pages, 10,000 requests a load
    python benchmarks/serve_load.py --loads people                 # only that load, quiet and while indexing
    python benchmarks/serve_load.py --pages 1000 --requests 300    # tiny
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import machine, percentile, table, timed
from memory import write_pdf
from search_speed import Points, document_rows, page_rows, vocabulary

from visir.index import Index
from visir.index.store import Store
from visir.serve.client import Client
from visir.unise.embedder import DEFAULT_MODEL, load_embedder

CLIENTS = 16
DOCUMENTS, PAGES_EACH = 100, 10
LOADS = {"one": (1, 0), "people": (CLIENTS, 2000), "hurried": (CLIENTS, 1000), "flat out": (CLIENTS, 0)}
SCRIPT = """
local queries = {%s}
local at = %d
function request()
  at = at %% #queries + 1
  return wrk.format("GET", "/api/search?count=24&q=" .. queries[at])
end
%s
function done(summary, latency, requests)
  local wrong = summary.errors
  io.write(string.format('{"p50":%%f,"p95":%%f,"p99":%%f,"most":%%f,"requests":%%d,"seconds":%%f,"errors":%%d}',
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000, latency.max / 1000, summary.requests,
    summary.duration / 1e6, wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout))
end
"""


def build(folder: Path, pages: int) -> None:
    """Make an index that opens with the text model."""
    model = load_embedder()
    settings = {"source": DEFAULT_MODEL, "name": model.name, "revision": model.revision, "dim": model.dim}
    store = Store.create(folder, settings)
    vectors, clusters = Points(pages).draw(pages, 1)
    store.add_pages(list(page_rows(0, vectors, clusters)))
    store.put_documents(list(document_rows(0, pages)))
    store.optimise()


def write_documents(folder: Path) -> Path:
    """Write the PDFs that are indexed while others search."""
    folder.mkdir()
    for number in range(DOCUMENTS):
        write_pdf(folder / f"{number:03d}.pdf", PAGES_EACH, 300, number)
    return folder


def made_up(count: int) -> list[str]:
    """Return queries of three words."""
    words, chances = vocabulary()
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(words, 3, p=chances)) for _ in range(count)]


def in_process(folder: Path, queries: list[str]) -> tuple[list[float], list[float]]:
    """Return the seconds of each search, and of embedding each query."""
    searches: list[float] = []
    embeddings: list[float] = []
    with Index.open(folder) as index:
        for query in queries[:20]:
            index.search(query, count=24)
        for query in queries:
            timed(lambda query=query: index.search(query, count=24), searches)
            timed(lambda query=query: index.embedder.encode_query([query]), embeddings)
    return searches, embeddings


def load(address: str, queries: list[str], clients: int, pause: int, seconds: float, script: Path) -> dict[str, float]:
    """Run wrk and return what it measured, times in milliseconds."""
    listed = ",".join(f'"{query.replace(" ", "+")}"' for query in queries)
    # Of any length: pauses of equal length would keep clients that once came together together for ever.
    delay = f"function delay() return math.random(0, {2 * pause}) end" if pause else ""
    script.write_text(SCRIPT % (listed, int(time.time()) % len(queries), delay))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{max(2, round(seconds))}s", "--timeout", "30s", "-s", str(script), address]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(told[told.rindex("{") :])
    return found


def main() -> None:
    """Build, serve, load, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=10_000, help="about so many requests a load")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk")
    place = Path(tempfile.mkdtemp(prefix="visir-load-"))
    queries = made_up(2000)
    build(place / "index", options.pages)
    searches, embeddings = in_process(place / "index", queries[: min(500, options.requests)])
    guess = percentile(searches, 50)
    measured: list[tuple[str, int, dict[str, float]]] = []
    folder = write_documents(place / "documents")
    command = [sys.executable, "-m", "visir.cli.main", "serve", "--index", str(place / "index"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    with Client(address) as client:
        load(address, queries, CLIENTS, 0, 2, place / "load.lua")
        for indexing in (False, True):
            for name in options.loads:
                clients, pause = LOADS[name]
                rate = 1000 * clients / (pause + guess * (1 if clients == 1 or pause else clients / 2))
                if indexing:
                    job = client.upload(*sorted(folder.glob("*.pdf")))
                    wait_for_work(client, job.id)
                found = load(address, queries, clients, pause, options.requests / rate, place / "load.lua")
                label = f"{name} + indexing" if indexing else name
                if indexing:
                    state = client.job(job.id)
                    label += f" ({state.pages} pages)" if state.state == "running" else f" (over after {state.pages} pages)"
                    client.cancel(job.id)
                    client.wait(job.id)
                    client.remove(*(document.uri for document in client.documents(count=200).documents if document.uploaded))
                print(label, found, file=sys.stderr, flush=True)
                measured.append((label, clients, found))
    process.terminate()
    process.wait()
    # Other work on the machine comes and goes: half of the measure is taken afterwards.
    for kept, more in zip((searches, embeddings), in_process(place / "index", queries[: len(searches)]), strict=True):
        kept += more
    report(searches, measured)
    print(f"{options.pages:,} pages; embedding a query {percentile(embeddings, 50):.1f} ms of the search in process")
    print(machine(), time.strftime("%Y-%m-%d"))
    shutil.rmtree(place)


def report(searches: list[float], measured: list[tuple[str, int, dict[str, float]]]) -> None:
    """Print the table."""
    base = percentile(searches, 50)
    rows: list[list[object]] = [
        ["in process", 1, len(searches), "", *(f"{percentile(searches, share):.1f}" for share in (50, 95, 99)), "", ""]
    ]
    for label, clients, found in measured:
        times = [f"{found[name]:.1f}" for name in ("p50", "p95", "p99")]
        rate = f"{found['requests'] / found['seconds']:.0f}"
        rows.append([label, clients, int(found["requests"]), rate, *times, f"{found['p95'] / base:.2f}", int(found["errors"])])
    head = ["load", "clients", "requests", "requests/s", "p50 ms", "p95 ms", "p99 ms", "ratio", "errors"]
    print(table(head, rows), "\n")


def wait_for_work(client: Client, job: str) -> None:
    """Wait until a job has begun in earnest: its process loads the model first."""
    while client.job(job).pages < 1 and client.job(job).state in ("queued", "running"):
        time.sleep(0.1)


if __name__ == "__main__":
    main()
