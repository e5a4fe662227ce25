"""Find pages of a training set that are near a page of a benchmark."""

import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from visir.errors import BenchmarkError
from visir.vira.likeness import Hashes, distances, picture_hash, share_within, shingles

SAME_TEXT = 0.5
"""A page that shares so much of its runs of words with the benchmark's pages is near."""

SAME_PICTURE = 10
"""So is one whose picture's hash differs in at most so many of 256 bits, if its text does not speak against it."""

_FEW_WORDS = 25
_SOME_TEXT = 0.15
# What stands on the pages of so many documents is a template or a licence.
_COMMON = 4


@dataclass(frozen=True)
class Leak:
    """A page of training that is near one of the benchmark.

    Args:
        image: its id; ``key`` its name.
        text: share of its runs of words that the benchmark has; ``bits`` in how many its picture differs from the nearest.
        near: the benchmark's picture that is nearest.
    """

    image: str
    key: str
    text: float
    bits: int
    near: str


class Guard:
    """The pages of a benchmark, to compare others with.

    Args:
        folder: a benchmark built by `visir.vira.devset`.

    Raises:
        BenchmarkError: the folder does not say what its pages are.
    """

    def __init__(self, folder: Path) -> None:
        lists = sorted(folder.glob("pages-*.jsonl"))
        if not lists:
            raise BenchmarkError(
                f"{folder} holds no pages-*.jsonl: only benchmarks made by `visir vira devset` can be kept out of training"
            )
        self.documents: set[tuple[str, str]] = set()
        documents_of: Counter[int] = Counter()
        self.pictures: list[str] = []
        hashes: list[bytes] = []
        runs: list[Hashes] = []
        for path in lists:
            domain = path.stem.removeprefix("pages-")
            last = ("", np.empty(0, np.uint64))
            with path.open(encoding="utf-8") as file, zipfile.ZipFile(folder / f"Images-{domain}.zip") as archive:
                for line in file:
                    page = json.loads(line)
                    self.documents.add((domain, page["document"]))
                    self.pictures.append(page["image"])
                    hashes.append(picture_hash(archive.read(page["image"])))
                    runs.append(shingles(page["text"]))
                    if page["document"] != last[0]:
                        documents_of.update(last[1].tolist())
                        last = (page["document"], runs[-1])
                    else:
                        last = (last[0], np.union1d(last[1], runs[-1]))
            documents_of.update(last[1].tolist())
        self._common = np.array(sorted(run for run, count in documents_of.items() if count >= _COMMON), np.uint64)
        self._runs = np.unique(np.concatenate(runs))
        self._runs = self._runs[~np.isin(self._runs, self._common)]
        self._hashes = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)

    def compare(self, text: str) -> float:
        """Return the share of a text's runs of words that the benchmark has, templates apart."""
        own = shingles(text)
        return share_within(own[~np.isin(own, self._common)], self._runs)

    def nearest(self, hashes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.uint16]]:
        """Return for each hash the benchmark's nearest picture and in how many bits it differs."""
        apart = distances(hashes, self._hashes)
        best = apart.argmin(1)
        return best, apart[np.arange(len(best)), best]

    def leaks(self, folder: Path) -> list[Leak]:
        """Return the pages of a training set that are near a page of the benchmark."""
        found: list[Leak] = []
        for path in sorted((folder / "images").glob("*.parquet")):
            table = pq.read_table(path, columns=["id", "key", "text", "phash"]).to_pylist()
            if not table:
                continue
            best, bits = self.nearest(np.frombuffer(b"".join(row["phash"] for row in table), np.uint8).reshape(-1, 32))
            for row, near, apart in zip(table, best, bits, strict=True):
                share = self.compare(row["text"])
                alike = apart <= SAME_PICTURE and (share >= _SOME_TEXT or len(row["text"].split()) < _FEW_WORDS)
                if alike or (share >= SAME_TEXT and len(row["text"].split()) >= _FEW_WORDS):
                    found.append(Leak(row["id"], row["key"], round(share, 3), int(apart), self.pictures[near]))
        return found
