"""The table that negatives are mined in: a text vector and a picture vector of every page, in LanceDB, on disk.

A batch of questions is compared with all pages of a domain, block by block as they come from disk: exact, in memory that does not grow with
the set, and many times faster than one search of the table for each question.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCEDB_LOG", "error")

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from visir.errors import DatasetError
from visir.screenshot import Screenshot
from visir.unise.embedder import Embedder, load_embedder
from visir.vira.likeness import Hashes, shingles

Vectors = NDArray[np.float32]

THUMBNAIL = "thumbnail"
"""Name of the picture embedder that needs no model: a page's colours on a grid of 12 x 12."""

_GRID = 12
_BATCH = 64
_BLOCK = 8192
_FETCHED = 1000
# Some 2 kB each; more than a domain has pages, or every batch of rows would read thousands anew.
_REMEMBERED = 100_000
_COLUMNS = ["id", "image", "key", "document", "title", "text", "phash"]


@dataclass(frozen=True)
class Likeness:
    """What tells whether two pages are the same.

    Args:
        runs: of its words, see `visir.vira.likeness.shingles`.
        words: how many words it has.
        look: (1, 32) its perceptual hash.
    """

    runs: Hashes
    words: int
    look: NDArray[np.uint8]


class Table:
    """Pages with their vectors.

    Args:
        folder: of the set.
        text: name of the text embedder.
        picture: name of the picture embedder, or `THUMBNAIL`.
    """

    def __init__(self, folder: Path, text: str, picture: str) -> None:
        self._folder = folder
        self._text = load_embedder(text)
        self._picture: Embedder | None = None if picture == THUMBNAIL else load_embedder(picture)
        if self._text.reads != "text":
            raise DatasetError(f"the model {text} looks at pixels: name one that reads text as `embedder`, and this one as `look`")
        revision = f"{self._text.revision}-{self._picture.revision if self._picture else THUMBNAIL}"
        base = lancedb.connect(folder / "mining")
        name = f"pages-{revision}"
        self._likenesses: OrderedDict[str, Likeness] = OrderedDict()
        self.table = base.open_table(name) if name in base.list_tables().tables else base.create_table(name, schema=self._schema())

    def _schema(self) -> pa.Schema:
        picture = self._picture.dim if self._picture else 3 * _GRID * _GRID
        vectors = [("text_vector", pa.list_(pa.float32(), self._text.dim)), ("picture_vector", pa.list_(pa.float32(), picture))]
        names = [(name, pa.string()) for name in ("id", "shard", "domain", "document", "title", "text")]
        return pa.schema([*names, ("phash", pa.binary(32)), *vectors])

    def fill(self, say: Callable[[str], None]) -> None:
        """Embed the pages of the shards that are not in the table yet, and drop those of shards that are gone; a shard goes in whole."""
        there = set(self.table.search().select(["shard"]).limit(max(1, self.table.count_rows())).to_arrow()["shard"].to_pylist())
        present = sorted((self._folder / "images").glob("*.parquet"))
        if gone := there - {path.name for path in present}:
            quoted = ", ".join(f"'{name}'" for name in sorted(gone))
            self.table.delete(f"shard IN ({quoted})")
        shards = [path for path in present if path.name not in there]
        for number, path in enumerate(shards, 1):
            pages = pq.read_table(path, columns=_COLUMNS).to_pylist()
            if pages:
                self.table.add([self._row(path.name, page) for page in self._embedded(pages)])
            say(f"vectors of {number:,} of {len(shards):,} shards")
        if shards:
            self.table.optimize()  # a file for each shard takes long to read

    def _embedded(self, pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for start in range(0, len(pages), _BATCH):
            batch = pages[start : start + _BATCH]
            shots = [Screenshot(page["image"]["bytes"], page["key"], 1, page["title"], page["text"]) for page in batch]
            pictures = self._picture.encode_document(shots) if self._picture else thumbnails(shots)
            for page, text, picture in zip(batch, self._text.encode_document(shots), pictures, strict=True):
                page.update(text_vector=text, picture_vector=picture)
        return pages

    def _row(self, shard: str, page: dict[str, Any]) -> dict[str, Any]:
        return {
            **{name: page[name] for name in self.table.schema.names if name not in ("shard", "domain")},
            "shard": shard,
            "domain": shard.rpartition("-")[0],
        }

    def pages(self, images: Sequence[str], vectors: bool = False) -> dict[str, dict[str, Any]]:
        """Return pages by id; with their vectors if asked."""
        quoted = ", ".join(f"'{image}'" for image in sorted(set(images)))
        names = [name for name in self.table.schema.names if vectors or not name.endswith("vector")]
        # Pages of several shards may show the same picture, so there may be more rows than ids.
        every = max(1, self.table.count_rows())
        found = self.table.search().where(f"id IN ({quoted})").select(names).limit(every).to_list() if quoted else []
        return {page["id"]: page for page in found}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed what is asked, shape (n, dim)."""
        return self._text.encode_query(list(texts))

    def nearest(self, vectors: Vectors, column: str, count: int, domain: str) -> list[list[tuple[str, float]]]:
        """Return the ids of the pages of a domain that are nearest to each vector, nearest first, with the cosine.

        Args:
            vectors: (n, dim), each of length 1.
            column: ``text_vector`` or ``picture_vector``.
            count: how many.
            domain: which pages.
        """
        ids: list[str] = []
        best = np.empty((len(vectors), 0), np.float32)
        places = np.empty((len(vectors), 0), np.int64)
        rows = self.table.search().where(f"domain = '{domain}'").select(["id", column]).limit(max(1, self.table.count_rows()))
        for block in rows.to_batches(_BLOCK):
            there = block[column].flatten().to_numpy().reshape(len(block), -1)
            best = np.concatenate([best, vectors @ there.T], axis=1)
            places = np.concatenate(
                [places, np.broadcast_to(np.arange(len(ids), len(ids) + len(block)), (len(vectors), len(block)))], axis=1
            )
            ids += block["id"].to_pylist()
            if best.shape[1] > count:
                kept = np.argpartition(-best, count - 1, axis=1)[:, :count]
                best, places = np.take_along_axis(best, kept, 1), np.take_along_axis(places, kept, 1)
        order = np.lexsort((places, -best), axis=1)
        best, places = np.take_along_axis(best, order, 1), np.take_along_axis(places, order, 1)
        return [[(ids[place], float(value)) for place, value in zip(*row, strict=True)] for row in zip(places, best, strict=True)]

    def likenesses(self, images: Sequence[str]) -> dict[str, Likeness]:
        """Return what tells pages apart, by id; of the pages that were asked for last, it is remembered."""
        missing = [image for image in dict.fromkeys(images) if image not in self._likenesses]
        for start in range(0, len(missing), _FETCHED):
            for page in self.pages(missing[start : start + _FETCHED]).values():
                look = np.frombuffer(page["phash"], np.uint8).reshape(1, 32)
                self._likenesses[page["id"]] = Likeness(shingles(page["text"]), len(page["text"].split()), look)
        found = {image: self._likenesses[image] for image in images}
        for image in found:
            self._likenesses.move_to_end(image)
        while len(self._likenesses) > _REMEMBERED:
            self._likenesses.popitem(last=False)
        return found


def thumbnails(shots: Sequence[Screenshot]) -> Vectors:
    """Return the pages' colours on a grid as vectors of length 1, shape (n, 3 * 12 * 12)."""
    rows = [np.asarray(shot.image.resize((_GRID, _GRID), Image.Resampling.BOX), np.float32).ravel() - 127.5 for shot in shots]
    vectors = np.stack(rows) if rows else np.empty((0, 3 * _GRID * _GRID), np.float32)
    normalised: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return normalised
