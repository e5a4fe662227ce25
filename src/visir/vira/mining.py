"""The table that negatives are mined in: a text vector and a picture vector of every page, in LanceDB, on disk."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCEDB_LOG", "error")

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lancedb.index import HnswSq
from numpy.typing import NDArray
from PIL import Image

from visir.errors import DatasetError
from visir.screenshot import Screenshot
from visir.unise.embedder import Embedder, load_embedder

Vectors = NDArray[np.float32]

THUMBNAIL = "thumbnail"
"""Name of the picture embedder that needs no model: a page's colours on a grid of 12 x 12."""

_GRID = 12
_INDEXED = 10_000
_BATCH = 64
_COLUMNS = ["id", "image", "key", "document", "title", "text", "phash"]


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
        if shards and self.table.count_rows() >= _INDEXED:
            for column in ("text_vector", "picture_vector"):
                self.table.create_index(column, config=HnswSq(distance_type="cosine"), replace=True)

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
        found = self.table.search().where(f"id IN ({quoted})").select(names).limit(len(images) + 1).to_list() if quoted else []
        return {page["id"]: page for page in found}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed what is asked, shape (n, dim)."""
        return self._text.encode_query(list(texts))

    def near(self, vector: Vectors, column: str, count: int, domain: str) -> list[dict[str, Any]]:
        """Return the pages of a domain that are nearest to a vector, nearest first, with their ``similarity``.

        Args:
            vector: (dim,).
            column: ``text_vector`` or ``picture_vector``.
            count: how many.
            domain: which pages.
        """
        names = ["id", "document", "text", "phash", "_distance"]
        search = self.table.search(vector, vector_column_name=column).distance_type("cosine").where(f"domain = '{domain}'", prefilter=True)
        found: list[dict[str, Any]] = search.select(names).limit(count).to_list()
        for page in found:
            page["similarity"] = 1.0 - page.pop("_distance")
        return found


def thumbnails(shots: Sequence[Screenshot]) -> Vectors:
    """Return the pages' colours on a grid as vectors of length 1, shape (n, 3 * 12 * 12)."""
    rows = [np.asarray(shot.image.resize((_GRID, _GRID), Image.Resampling.BOX), np.float32).ravel() - 127.5 for shot in shots]
    vectors = np.stack(rows) if rows else np.empty((0, 3 * _GRID * _GRID), np.float32)
    normalised: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return normalised
