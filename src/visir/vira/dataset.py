"""A set of training data on disk: pictures once, in parquet shards by id, and rows that point at them.

    DIR/images/DOMAIN-00000.parquet   one row a page, see `IMAGES`
    DIR/rows/KIND-00000.parquet       one row a pair, see `ROWS`

Hugging Face ``datasets`` loads both: ``load_dataset("parquet", data_files="DIR/images/*.parquet")`` decodes the pictures.
"""

import json
import os
import random
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from visir.errors import DatasetError
from visir.screenshot import Screenshot, Word

KINDS = ("caption", "q2s", "sq2s", "sqa", "label")
"""What rows are: caption and q2s, text -> page; sq2s, page + text -> page; sqa, page + question -> text; label, page -> class name."""

_FEATURES = {"info": {"features": {"image": {"_type": "Image"}}}}
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGES = pa.schema(
    [
        *(("id", pa.string()), ("image", _PICTURE), ("width", pa.int32()), ("height", pa.int32()), ("key", pa.string())),
        *(("domain", pa.string()), ("document", pa.string()), ("language", pa.string()), ("title", pa.string()), ("text", pa.string())),
        *(("words", pa.list_(pa.string())), ("boxes", pa.list_(pa.float32())), ("composed", pa.bool_()), ("licence", pa.string())),
        *(("phash", pa.binary(32)), ("evidence", pa.string())),
    ]
)
"""Columns of the picture shards: ``boxes`` holds four fractions for each word, ``phash`` is `visir.vira.likeness.picture_hash`,
``evidence`` is what the source says, as JSON."""

ROWS = pa.schema(
    [
        *(("id", pa.string()), ("kind", pa.string()), ("domain", pa.string()), ("document", pa.string()), ("language", pa.string())),
        *(("text", pa.string()), ("image", pa.string()), ("target", pa.string()), ("answer", pa.string())),
        *(("negatives", pa.list_(pa.string())), ("source", pa.string())),
    ]
)
"""Columns of the row shards."""

# Small groups make one picture cheap to read: some 400 kB are read for it.
_GROUP = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One pair.

    Args:
        id: of the row.
        kind: one of `KINDS`.
        domain: of the page that is asked about or looked for; ``document`` and ``language`` likewise.
        text: what is asked or said; empty for a label without a question.
        image: id of the picture that is asked with, or empty.
        target: id of the picture that is right, or empty where a text is.
        answer: the text that is right, or empty where a picture is.
        negatives: what is nearly right, hardest first: ids of pictures where ``target`` is set, else ids of rows whose
            ``answer`` is wrong here.
        source: who says so: ``structure``, or the name of a language model.
    """

    id: str
    kind: str
    domain: str
    document: str
    language: str
    text: str
    image: str
    target: str
    answer: str
    negatives: tuple[str, ...]
    source: str


class Dataset:
    """Read a set.

    Args:
        folder: of the set.

    Raises:
        DatasetError: there is none.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._shards = sorted((self.folder / "images").glob("*.parquet"))
        if not self._shards:
            raise DatasetError(f"{self.folder} holds no set of VIRA: images/*.parquet was looked for; `visir vira build` makes one")
        self._groups: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """(shard, row) of each picture."""
        places: dict[str, tuple[int, int]] = {}
        for number, path in enumerate(self._shards):
            for row, name in enumerate(pq.read_table(path, columns=["id"])["id"].to_pylist()):
                places.setdefault(name, (number, row))
        return places

    @cached_property
    def _answers(self) -> dict[str, str]:
        return {row.id: row.answer for kind in ("sqa", "label") for row in self.rows(kind)}

    def __contains__(self, image: object) -> bool:
        """Whether a picture is in the set."""
        return image in self._places

    @property
    def images(self) -> list[str]:
        """Ids of all pictures."""
        return list(self._places)

    def picture(self, image: str) -> bytes:
        """Return a picture's bytes, as JPEG."""
        shard, row = self._place(image)
        group, offset = divmod(row, _GROUP)
        if (shard, group) not in self._groups:
            if len(self._groups) >= 64:
                self._groups.popitem(last=False)
            column = pq.ParquetFile(self._shards[shard]).read_row_group(group, columns=["image.bytes"])["image"]
            self._groups[shard, group] = [picture["bytes"] for picture in column.to_pylist()]
        return self._groups[shard, group][offset]

    def screenshot(self, image: str) -> Screenshot:
        """Return a page with its words."""
        shard, row = self._place(image)
        group, offset = divmod(row, _GROUP)
        table = pq.ParquetFile(self._shards[shard]).read_row_group(group).slice(offset, 1).to_pylist()[0]
        boxes = table["boxes"]
        words = tuple(Word(text, tuple(boxes[4 * at : 4 * at + 4])) for at, text in enumerate(table["words"]))
        return Screenshot(table["image"]["bytes"], table["key"], 1, table["title"], table["text"], words)

    def answer(self, row: str) -> str:
        """Return the answer of a row by its id: what the ids of an sqa or label row's negatives stand for."""
        return self._answers[row]

    def count(self, kind: str) -> int:
        """Return how many rows of a kind there are."""
        return sum(pq.ParquetFile(path).metadata.num_rows for path in self._row_shards(kind))

    def rows(self, kind: str, domains: Sequence[str] = (), seed: int | None = None) -> Iterator[Row]:
        """Yield the rows of a kind.

        Args:
            kind: one of `KINDS`.
            domains: only these; all where there are none.
            seed: shuffle: shards, and the rows in each; without it they come as they lie.
        """
        shards = self._row_shards(kind)
        draw = random.Random(seed)
        if seed is not None:
            draw.shuffle(shards)
        for path in shards:
            rows = pq.read_table(path).to_pylist()
            if seed is not None:
                draw.shuffle(rows)
            for row in rows:
                if not domains or row["domain"] in domains:
                    yield Row(**{**row, "negatives": tuple(row["negatives"])})

    def _row_shards(self, kind: str) -> list[Path]:
        if kind not in KINDS:
            raise DatasetError(f"there are no rows of kind {kind!r}; kinds are {', '.join(KINDS)}")
        return sorted((self.folder / "rows").glob(f"{kind}-*.parquet"))

    def _place(self, image: str) -> tuple[int, int]:
        if image not in self._places:
            raise DatasetError(f"{self.folder} holds no picture {image!r}")
        return self._places[image]


def write_images(path: Path, pages: Iterable[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Write a shard of pictures whole or not at all; ``facts`` are kept in its metadata."""
    _write(path, list(pages), IMAGES, _GROUP, {b"huggingface": json.dumps(_FEATURES).encode(), b"visir": json.dumps(facts).encode()})


def write_rows(path: Path, rows: Iterable[Row], facts: dict[str, Any]) -> None:
    """Write a shard of rows whole or not at all; ``facts`` are kept in its metadata."""
    _write(path, [{name: getattr(row, name) for name in ROWS.names} for row in rows], ROWS, 4096, {b"visir": json.dumps(facts).encode()})


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a shard was told to keep."""
    facts: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"visir"])
    return facts


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema, group: int, metadata: dict[bytes, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    table = pa.Table.from_pylist(rows, schema=schema.with_metadata(metadata))
    # Pictures are compressed already.
    packed: Any = [name for name in schema.names if name != "image"]
    pq.write_table(table, new, row_group_size=group, compression=dict.fromkeys(packed, "zstd"), use_dictionary=False)
    os.replace(new, path)
