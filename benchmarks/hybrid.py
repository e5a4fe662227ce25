"""Does the default search find more than the exact words alone, where documents tell their words?

    python benchmarks/hybrid.py data/dev [--task SR/]

The pages of the development benchmark are put into a real index, each with the words that its source told, as a PDF with a text layer has
them. Every text query then goes three ways: exact words alone, meaning alone, and `Index.search` as users meet it. Recall@1 in percent, the
difference between the last and the first with its 95 % bootstrap interval, and the p-value of a paired randomisation test.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import machine, table

from visir.capture import CaptureOptions
from visir.index import Index
from visir.index.search import SearchOptions, tokens_of
from visir.mvrb.data import Benchmark, TaskData
from visir.mvrb.measures import interval_of, paired_p
from visir.screenshot import Query, Screenshot, Word

_DRAWS = 2000


class TextLayers:
    """Stands where an index's capturing stands; gives each picture with the words that its source told."""

    options = CaptureOptions()
    cut = False

    def __init__(self, told: dict[str, str]) -> None:
        self._told = told

    def capture(self, source: str) -> Iterator[Screenshot]:
        """Yield the one page of a picture file."""
        path = Path(source)
        text = self._told[path.name]
        words = tuple(Word(word, (0.0, 0.0, 0.0, 0.0)) for word in text.split())
        yield Screenshot(path.read_bytes(), source, 1, "", text, words)

    def close(self) -> None:
        """Nothing is open."""


def ask(task: TaskData, told: dict[str, str], folder: Path) -> dict[str, np.ndarray]:
    """Return for each way of asking which queries found a right page first."""
    pictures = folder / "pages"
    pictures.mkdir()
    for row in task.candidates:
        (pictures / Path(row.picture).name).write_bytes(row.screenshot().encoded)
    found: dict[str, list[bool]] = {"words": [], "meaning": [], "both": []}
    with Index.open(folder / "index") as index:
        index.__dict__["_worker"] = TextLayers(told)
        index.add(pictures)
        for row, targets in zip(task.queries, task.targets, strict=True):
            right = {Path(task.candidates[target].picture).name for target in targets}
            matching = index.store.matching(" ".join(tokens_of(row.text)), 1)
            near = index.store.nearest(index.embedder.encode_query([Query(row.text)])[0], 1)
            for way, pages in (("words", matching), ("meaning", near)):
                found[way].append(bool(pages.num_rows) and Path(pages["path"][0].as_py()).name in right)
            hits = index.search(row.text, SearchOptions(count=1))
            found["both"].append(bool(hits) and Path(hits[0].uri).name in right)
    return {way: np.array(values, np.float64) for way, values in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--task", default="SR/", help="only tasks whose names begin so")
    options = parser.parse_args()
    lines = (line for path in options.benchmark.glob("pages-*.jsonl") for line in path.read_text(encoding="utf-8").splitlines())
    told = {Path(page["image"]).name: page["text"] for page in map(json.loads, lines)}
    benchmark = Benchmark(options.benchmark)
    rows, differences = [], []
    for name in benchmark.names:
        if not name.startswith(options.task):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = ask(benchmark.task(name), told, Path(scratch))
        difference = found["both"] - found["words"]
        differences.append(difference)
        rng = np.random.default_rng(1)
        low, high = interval_of(rng.choice(difference, (_DRAWS, len(difference))).mean(1))
        shares = [f"{100 * found[way].mean():.1f}" for way in ("words", "meaning", "both")]
        gain = f"{100 * difference.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        rows.append([name, *shares, gain, f"{paired_p([difference]):.4f}"])
        print(rows[-1], flush=True)
    print(f"{machine()}\n")
    print(table(["task", "words alone", "meaning alone", "both", "both - words", "p"], rows))
    print(f"\nall: {100 * np.mean([d.mean() for d in differences]):+.1f}, p = {paired_p(differences):.4f}")


if __name__ == "__main__":
    main()
