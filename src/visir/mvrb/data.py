"""Read a benchmark in MVRB's layout: from a folder, its pictures from a zip file that is not unpacked, or from folders.

    DIR/Meta_Task/Sub_Task/query.jsonl    rows with q_text, q_image, target
    DIR/Meta_Task/Sub_Task/corpus.jsonl   rows with text, image, content
    DIR/Images.zip, or the pictures in folders

How ``target`` points into the corpus is nowhere written down: row numbers, picture paths and content strings, one or several,
are all accepted. The data decide: the first way that fits every query of the task is taken.
"""

import hashlib
import json
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from visir.errors import BenchmarkError
from visir.mvrb.tasks import meta_task_of
from visir.screenshot import Query, Screenshot
from visir.unise.instructions import BY_META_TASK, SEARCH


class Pictures:
    """The pictures of a benchmark, by the paths that its rows name.

    Args:
        folder: the benchmark; pictures lie in it, or in zip files in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives = sorted(folder.glob("*.zip"))
        self._opened = threading.local()

    @cached_property
    def _members(self) -> dict[str, tuple[int, str]]:
        """Member of an archive by its whole path and by every shorter tail of it."""
        found: dict[str, tuple[int, str]] = {}
        for number, archive in enumerate(self._archives):
            try:
                with zipfile.ZipFile(archive) as opened:
                    names = opened.namelist()
            except zipfile.BadZipFile as error:
                raise BenchmarkError(f"{archive} is damaged: {error}; fetch it again") from error
            for name in names:
                parts = name.split("/")
                for start in range(len(parts)):
                    found.setdefault("/".join(parts[start:]), (number, name))
        return found

    def read(self, path: str, where: str) -> bytes:
        """Return a picture's bytes.

        Args:
            path: as a row names it.
            where: file and line of that row, for the error.

        Raises:
            BenchmarkError: there is no such picture.
        """
        plain = path.replace("\\", "/").lstrip("./")
        for place in (self._folder / plain, self._folder / "Images" / plain, self._folder / "images" / plain):
            if place.is_file() and place.resolve().is_relative_to(self._folder.resolve()):
                return place.read_bytes()
        parts = plain.split("/")
        for start in range(len(parts)):
            if (member := self._members.get("/".join(parts[start:]))) is not None:
                return self._archive(member[0]).read(member[1])
        raise BenchmarkError(f"{where}: there is no picture {path!r}, neither in {self._folder} nor in a zip file there")

    def _archive(self, number: int) -> zipfile.ZipFile:
        # A zip file's handle has one position: each thread reads through its own.
        if not hasattr(self._opened, "archives"):
            self._opened.archives = {}
        if number not in self._opened.archives:
            self._opened.archives[number] = zipfile.ZipFile(self._archives[number])
        archive: zipfile.ZipFile = self._opened.archives[number]
        return archive


@dataclass(frozen=True)
class Row:
    """A query or a candidate: a text, a picture, or both; pictures are read when asked for.

    Args:
        text: its text, or empty.
        picture: path of its picture, or empty.
        where: file and line.
        pictures: where pictures come from.
    """

    text: str
    picture: str
    where: str
    pictures: Pictures

    def screenshot(self) -> Screenshot:
        """Return its picture."""
        return Screenshot(self.pictures.read(self.picture, self.where), uri=self.picture)

    def query(self) -> Query:
        """Return it as a query."""
        return Query(self.text, self.screenshot() if self.picture else None)

    def document(self) -> Screenshot | str:
        """Return it as a candidate."""
        return self.screenshot() if self.picture else self.text


@dataclass(frozen=True)
class TaskData:
    """One task with its data.

    Args:
        name: ``Meta_Task/Sub_Task`` as the folders are named.
        meta: ``SR``, ``CSR``, ``SQA``, ``OVC`` or ``other``.
        instruction: what models that follow instructions are told.
        queries: the queries.
        candidates: the candidates.
        targets: for each query the row numbers of its right candidates.
        digest: digest of both files.
    """

    name: str
    meta: str
    instruction: str
    queries: list[Row]
    candidates: list[Row]
    targets: list[frozenset[int]]
    digest: str

    @property
    def query_kind(self) -> str:
        """``text``, ``image`` or ``image+text``: what most queries are made of."""
        first = self.queries[0]
        return "+".join(kind for kind, there in (("image", first.picture), ("text", first.text)) if there)

    @property
    def candidate_kind(self) -> str:
        """``image`` or ``text``."""
        return "image" if self.candidates[0].picture else "text"


class Benchmark:
    """A set of tasks on disk.

    Args:
        folder: a folder with ``query.jsonl`` and ``corpus.jsonl`` somewhere below it.

    Raises:
        BenchmarkError: there are no tasks in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places = {
            self._name(path.parent): path.parent for path in sorted(folder.rglob("query.jsonl")) if (path.parent / "corpus.jsonl").exists()
        }
        if not self._places:
            raise BenchmarkError(f"{folder} holds no tasks: Meta_Task/Sub_Task/query.jsonl with corpus.jsonl beside it were looked for")
        self._pictures = Pictures(folder)

    def _name(self, place: Path) -> str:
        return "/".join(place.relative_to(self.folder).parts[-2:]) or place.name

    @property
    def names(self) -> list[str]:
        """Names of the tasks, sorted."""
        return sorted(self._places)

    def chosen(self, patterns: Sequence[str]) -> list[str]:
        """Return the tasks whose names hold one of the patterns, all where there is none.

        Raises:
            BenchmarkError: a pattern fits no task.
        """
        for pattern in patterns:
            if not any(pattern.lower() in name.lower() for name in self.names):
                raise BenchmarkError(f"no task is named {pattern!r}; there are: {', '.join(self.names)}")
        return [name for name in self.names if not patterns or any(pattern.lower() in name.lower() for pattern in patterns)]

    def task(self, name: str) -> TaskData:
        """Read one task.

        Raises:
            BenchmarkError: a file is broken; its name and line are given.
        """
        place = self._places[name]
        query_file, corpus_file = place / "query.jsonl", place / "corpus.jsonl"
        candidates = [self._candidate(row, where) for row, where in _rows(corpus_file)]
        raw_queries = list(_rows(query_file))
        queries = [self._row(_text(row, "q_text"), _text(row, "q_image"), where) for row, where in raw_queries]
        if not queries or not candidates:
            raise BenchmarkError(f"{query_file if not queries else corpus_file} is empty")
        contents = [_text(row, "content") for row, _ in _rows(corpus_file)]
        targets = _resolve([(row.get("target"), where) for row, where in raw_queries], candidates, contents)
        digest = hashlib.blake2b(query_file.read_bytes() + corpus_file.read_bytes(), digest_size=8).hexdigest()
        shape = TaskData(name, "", "", queries, candidates, targets, digest)
        meta = meta_task_of(name.split("/")[0], shape.query_kind, shape.candidate_kind)
        return TaskData(name, meta, BY_META_TASK.get(meta, SEARCH), queries, candidates, targets, digest)

    def _candidate(self, row: dict[str, Any], where: str) -> Row:
        picture = _text(row, "image")
        return self._row("" if picture else _text(row, "text") or _text(row, "content"), picture, where)

    def _row(self, text: str, picture: str, where: str) -> Row:
        if not text and not picture:
            raise BenchmarkError(f"{where}: neither a text nor a picture")
        return Row(text, picture, where, self._pictures)


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value.strip() if isinstance(value, str) else ""


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise BenchmarkError(f"{where}: not a line of JSON: {error.msg}") from error
            if not isinstance(row, dict):
                raise BenchmarkError(f"{where}: not a JSON object")
            yield row, where


def _resolve(raw: Sequence[tuple[Any, str]], candidates: Sequence[Row], contents: Sequence[str]) -> list[frozenset[int]]:
    """Turn targets into row numbers, by the first way that fits all of them."""
    targets = [(value if isinstance(value, list) else [value], where) for value, where in raw]
    by_path: dict[str, list[int]] = {}
    by_text: dict[str, list[int]] = {}
    for number, (candidate, content) in enumerate(zip(candidates, contents, strict=True)):
        if candidate.picture:
            for key in {candidate.picture, candidate.picture.split("/")[-1]}:
                by_path.setdefault(key, []).append(number)
        for key in {content, candidate.text} - {""}:
            by_text.setdefault(key, []).append(number)
    ways: tuple[Callable[[Any], list[int]], ...] = (
        lambda value: [int(value)] if _is_number(value) and 0 <= int(value) < len(candidates) else [],
        lambda value: (by_path.get(str(value)) or by_path.get(str(value).split("/")[-1], [])) if value else [],
        lambda value: by_text.get(str(value).strip(), []) if value else [],
    )
    farthest = -1
    for way in ways:
        found: list[frozenset[int]] = []
        for values, _ in targets:
            numbers = [way(value) for value in values]
            if not numbers or not all(numbers):
                break
            found.append(frozenset(number for some in numbers for number in some))
        if len(found) == len(targets):
            return found
        farthest = max(farthest, len(found))
    value, where = raw[farthest]
    raise BenchmarkError(f"{where}: target {json.dumps(value, ensure_ascii=False)[:80]} is no row number, picture or content of the corpus")


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.strip().isdigit())
