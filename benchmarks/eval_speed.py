"""How long `visir eval` takes from cached vectors: 5,000 candidates, 2,000 queries.

    python benchmarks/eval_speed.py

It writes a set of that size (pictures in a zip file), fills the cache with random vectors of the shipped model's length through the
evaluator itself, and measures two more runs, each in a process of its own. Prints seconds, CPU
seconds (what a machine without other work takes), and the most memory held.
"""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from common import machine, table
from PIL import Image

CANDIDATES, QUERIES, DIM = 5_000, 2_000, 384
RUN = """
import json, sys, time, zlib
from pathlib import Path
import numpy as np
started = time.perf_counter()
from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark
from visir.mvrb.evaluate import evaluate, peak_memory, prepare

class Drawn:
    name, revision, dim, reads = "drawn", "1", int(sys.argv[3]), "pixels"
    def encode_query(self, queries, instruction=""):
        return self._draw([query.text.encode() for query in queries])
    def encode_document(self, documents):
        return self._draw([page.encoded[-2000:] for page in documents])
    def similarity(self, queries, documents):
        return queries @ documents.T
    def _draw(self, contents):
        found = np.stack([np.random.default_rng(zlib.crc32(one)).normal(size=self.dim) for one in contents]).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

cache = Cache(Path(sys.argv[2]))
data = Benchmark(Path(sys.argv[1]), cache)
found = evaluate(prepare(data, data.names), EmbeddingRetriever(Drawn(), cache))
print(json.dumps([time.perf_counter() - started, time.process_time(), found.computed, peak_memory() / 2**20]))
"""


def write_set(folder: Path) -> None:
    """Write a set of one task with as many candidates and queries."""
    place = folder / "SR" / "drawn"
    place.mkdir(parents=True)
    rng = np.random.default_rng(1)
    with zipfile.ZipFile(folder / "Images.zip", "w") as archive:
        for number in range(CANDIDATES):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (160, 160, 3), np.uint8)).save(buffer, "JPEG", quality=90)
            archive.writestr(f"{number}.jpg", buffer.getvalue())
    rows = ({"text": "", "image": f"{number}.jpg", "content": ""} for number in range(CANDIDATES))
    (place / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ({"q_text": f"page {number}", "q_image": "", "target": number} for number in range(QUERIES))
    (place / "query.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))


def main() -> None:
    """Run it."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_set(folder / "set")
        for run in ("first", "second", "third"):
            command = [sys.executable, "-c", RUN, str(folder / "set"), str(folder / "cache.sqlite"), str(DIM)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, busy, computed, memory = json.loads(told)
            rows.append((run, f"{computed:,}", f"{seconds:.1f}", f"{busy:.1f}", f"{memory:.0f}"))
    print(table(("run", "vectors computed", "seconds, start included", "CPU seconds", "peak MB"), rows))
    print(machine())


if __name__ == "__main__":
    main()
