"""Read a benchmark in MVRB's layout: from a folder, its pictures from a zip file that is not unpacked, or from folders.

    DIR/Meta_Task/Sub_Task/query.jsonl    rows with q_text, q_image, target
    DIR/Meta_Task/Sub_Task/corpus.jsonl   rows with text, image, content
    DIR/Images.zip, or the pictures in folders

Rows may carry an ``id`` of their own. `visir.mvrb.targets` says how ``target`` is read.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from visir.errors import BenchmarkError
from visir.mvrb.cache import Cache
from visir.mvrb.pictures import Pictures, PictureSource
from visir.mvrb.targets import Names, resolve
from visir.mvrb.tasks import instruction_of, meta_task_of
from visir.screenshot import Query, Screenshot

_FILES = "query.jsonl", "corpus.jsonl"
_HALF, _HALF_READ = re.compile(r"\\u[dD][89a-fA-F]"), re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Row:
    """A query or a candidate: a text, a picture, or both; pictures are read when asked for.

    Args:
        text: its text, or empty.
        picture: path of its picture, or empty.
        where: file and line.
        pictures: where pictures come from.
        language: ISO 639-1 code where its row says one (``language`` or ``lang``), else empty.
    """

    text: str
    picture: str
    where: str
    pictures: PictureSource
    language: str = ""

    def screenshot(self) -> Screenshot:
        """Return its picture."""
        return Screenshot(self.pictures.read(self.picture, self.where), uri=self.picture)

    def query(self) -> Query:
        """Return it as a query."""
        return Query(self.text, self.screenshot() if self.picture else None)

    def document(self) -> Screenshot | str:
        """Return it as a candidate."""
        return self.screenshot() if self.picture else self.text

    @property
    def kind(self) -> str:
        """``text``, ``image`` or ``image+text``."""
        return "+".join(kind for kind, there in (("image", self.picture), ("text", self.text)) if there)

    @property
    def digest(self) -> bytes:
        """Digest of its picture's bytes; empty where it has none."""
        return self.pictures.digest(self.picture, self.where) if self.picture else b""


@dataclass(frozen=True)
class TaskData:
    """One task with its data.

    Args:
        name: ``Meta_Task/Sub_Task`` as the folders are named.
        meta: ``SR``, ``CSR``, ``SQA``, ``OVC`` or ``other``.
        instruction: what models that follow instructions are told.
        queries: the queries.
        candidates: the candidates; texts that stand in the corpus several times are one.
        targets: for each query the row numbers of its right candidates.
        files: digest of both files.
    """

    name: str
    meta: str
    instruction: str
    queries: list[Row]
    candidates: list[Row]
    targets: list[frozenset[int]]
    files: bytes

    @property
    def query_kind(self) -> str:
        """``text``, ``image`` or ``image+text``: what most queries are made of."""
        return Counter(row.kind for row in self.queries).most_common(1)[0][0]

    @property
    def candidate_kind(self) -> str:
        """``image`` or ``text``: what most candidates are."""
        return Counter(row.kind for row in self.candidates).most_common(1)[0][0]

    @cached_property
    def digest(self) -> str:
        """Digest of the rows and of every picture that they name."""
        state = hashlib.blake2b(self.files, digest_size=8)
        for row in (*self.queries, *self.candidates):
            state.update(row.digest)
        return state.hexdigest()

    def check(self, note: Callable[[int], None] = lambda done: None) -> None:
        """Make sure that every picture is there and whole.

        Args:
            note: called with the number of pictures read so far.

        Raises:
            BenchmarkError: one is not; its file and line are given.
        """
        wanted: dict[PictureSource, list[tuple[str, str]]] = {}
        for row in (*self.queries, *self.candidates):
            if row.picture:
                wanted.setdefault(row.pictures, []).append((row.picture, row.where))
        for pictures, places in wanted.items():
            pictures.check(places, note)


class Benchmark:
    """A set of tasks on disk.

    Args:
        folder: a folder with ``query.jsonl`` and ``corpus.jsonl`` somewhere below it.
        cache: remembers which pictures were found whole.

    Raises:
        BenchmarkError: there are no tasks in it.
    """

    def __init__(self, folder: Path, cache: Cache | None = None) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise BenchmarkError(f"there is no folder {folder}")
        self._places: dict[str, Path] = {}
        for place in sorted({path.parent for name in _FILES for path in folder.rglob(name)}):
            for name, other in zip(_FILES, reversed(_FILES), strict=True):
                if not (place / name).exists():
                    raise BenchmarkError(f"{place / other} has no {name} beside it")
            self._places[self._name(place)] = place
        if not self._places:
            raise BenchmarkError(f"{folder} holds no tasks: Meta_Task/Sub_Task/query.jsonl with corpus.jsonl beside it were looked for")
        self._pictures = Pictures(folder, cache)

    def _name(self, place: Path) -> str:
        parts = place.relative_to(self.folder).parts
        short = "/".join((self.folder.resolve().name, *parts)[-2:])
        return short if short not in self._places else "/".join(parts)

    @property
    def names(self) -> list[str]:
        """Names of the tasks, sorted."""
        return sorted(self._places)

    def chosen(self, patterns: Sequence[str]) -> list[str]:
        """Return the tasks whose names hold one of the patterns, all where there is none; a whole name means that task alone.

        Raises:
            BenchmarkError: a pattern fits no task.
        """
        found: set[str] = set()
        for pattern in patterns:
            fitting = [name for name in self.names if pattern.lower() in name.lower()]
            if not fitting:
                raise BenchmarkError(f"no task is named {pattern!r}; there are: {', '.join(self.names)}")
            found.update([pattern] if pattern in fitting else fitting)
        return [name for name in self.names if not patterns or name in found]

    def task(self, name: str) -> TaskData:
        """Read one task; its pictures stay where they are until `TaskData.check` or a row's picture is asked for.

        Raises:
            BenchmarkError: a file is broken; its name and line are given.
        """
        query_file, corpus_file = self._places[name] / "query.jsonl", self._places[name] / "corpus.jsonl"
        asked, offered = _rows(query_file), _rows(corpus_file)
        queries = [self._row(_text(row, "q_text"), _text(row, "q_image"), where, row) for row, where in asked]
        candidates = [self._candidate(row, where) for row, where in offered]
        names = [
            Names(_id(row), candidate.picture, (candidate.text, _text(row, "text"), _text(row, "content")))
            for (row, _), candidate in zip(offered, candidates, strict=True)
        ]
        targets = resolve([(row.get("target"), where) for row, where in asked], names)
        candidates, targets = _merged(candidates, targets)
        files = hashlib.blake2b(query_file.read_bytes() + b"\0" + corpus_file.read_bytes(), digest_size=8).digest()
        shape = TaskData(name, "", "", queries, candidates, targets, files)
        meta = meta_task_of(name.split("/")[-2] if "/" in name else "", shape.query_kind, shape.candidate_kind)
        return replace(shape, meta=meta, instruction=instruction_of(meta))

    def _candidate(self, row: dict[str, Any], where: str) -> Row:
        picture = _text(row, "image")
        return self._row("" if picture else _text(row, "text") or _text(row, "content"), picture, where, row)

    def _row(self, text: str, picture: str, where: str, raw: dict[str, Any]) -> Row:
        if not text and not picture:
            given = ", ".join(map(repr, raw)) or "nothing"
            raise BenchmarkError(
                f"{where}: neither a text nor a picture: a query has q_text or q_image, a candidate image, text or content; here is {given}"
            )
        return Row(text, picture, where, self._pictures, _text(raw, "language") or _text(raw, "lang"))


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value.strip() if isinstance(value, str) else ""


def _id(row: dict[str, Any]) -> str:
    value = row.get("id")
    return str(value).strip() if isinstance(value, str | int) else ""


def _rows(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Return the rows of a file, each with its file and line; there is at least one, and no id stands twice."""
    rows = list(_parsed(path))
    if not rows:
        raise BenchmarkError(f"{path} is empty")
    seen: dict[str, str] = {}
    for row, where in rows:
        if (name := _id(row)) and (before := seen.setdefault(name, where)) != where:
            raise BenchmarkError(f"{where}: the id {name!r} stands in {before} too")
    return rows


def _parsed(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        # Not splitlines: a row may hold U+2028 and its like inside a string.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        broken = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BenchmarkError(f"{path}:{broken}: not UTF-8 text") from error
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in brackets in …
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise BenchmarkError(f"{where}: not a line of JSON: {reason}") from error
        if not isinstance(row, dict):
            raise BenchmarkError(f"{where}: not a JSON object")
        if _HALF.search(line) and _HALF_READ.search(json.dumps(row, ensure_ascii=False)):
            raise BenchmarkError(f"{where}: holds half a character, a lone surrogate such as \\ud800: write the whole one or leave it out")
        yield row, where


def _merged(candidates: list[Row], targets: list[frozenset[int]]) -> tuple[list[Row], list[frozenset[int]]]:
    """Make one of candidates whose text is the same: nothing could tell them apart, so either is right where one is.

    Raises:
        BenchmarkError: the same picture stands in the corpus twice.
    """
    place: dict[tuple[str, str], int] = {}
    kept: list[Row] = []
    number_of: list[int] = []
    for row in candidates:
        number = place.setdefault((row.text, row.picture), len(kept))
        if number < len(kept) and row.picture:
            raise BenchmarkError(f"{row.where}: the picture {row.picture!r} stands in {kept[number].where} too: leave one out")
        if number == len(kept):
            kept.append(row)
        number_of.append(number)
    return kept, [frozenset(number_of[number] for number in right) for right in targets]
