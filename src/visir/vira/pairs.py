"""The second step: what sources say about pages becomes rows, domain by domain; what is ambiguous is dropped and counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from visir.vira.answers import Answers, Texts, read_reply
from visir.vira.config import Config
from visir.vira.dataset import KINDS, Row, write_rows
from visir.vira.domains.base import is_readable
from visir.vira.page import number_of
from visir.vira.writer import Request
from visir.vira.writing import is_chosen

_SHARD = 20_000
_COLUMNS = ["id", "key", "domain", "document", "language", "title", "text", "width", "height", "evidence"]


@dataclass(frozen=True)
class Known:
    """A captured page without its picture."""

    id: str
    key: str
    domain: str
    document: str
    language: str
    title: str
    text: str
    width: int
    height: int
    evidence: dict[str, list[Any]]
    written: Texts = field(default_factory=dict)

    def said(self, name: str) -> list[str]:
        """Return its captions or questions."""
        return [str(text) for text in self.evidence[name]]

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """Return its answers, classes or relations."""
        return [(str(first), str(second)) for first, second in self.evidence[name]]


def read_pages(folder: Path, domain: str) -> Iterator[Known]:
    """Yield the pages of a domain in the order of the shards, without their pictures."""
    for path in sorted((folder / "images").glob(f"{domain}-*.parquet")):
        for row in pq.read_table(path, columns=_COLUMNS).to_pylist():
            yield Known(**{**row, "evidence": json.loads(row["evidence"])})


def make_rows(folder: Path, config: Config, say: Callable[[str], None], drop: frozenset[str] = frozenset()) -> Counter[str]:
    """Write the rows of a set.

    Args:
        folder: of the set; its pictures are there.
        config: the set's recipe.
        say: told how far it is.
        drop: ids of pictures that no row may name.

    Returns:
        How many rows of each kind were kept, and how many were dropped for which reason.
    """
    counts: Counter[str] = Counter()
    keys = _keys(folder, config, drop)
    writers = {kind: _Writer(folder, kind) for kind in KINDS}
    answers = Answers(folder)
    for domain in config.names:
        kept = (page for page in read_pages(folder, domain) if keys.get(page.key) == page.id)
        pages = [_with_written(page, config, answers, counts) for page in kept]
        fits = _Fit(pages, config)
        for page in pages:
            for row in _rows(page, keys, config, fits, counts):
                writers[row.kind].add(row)
                counts[row.kind] += 1
        say(f"{domain}: rows of {len(pages):,} pages")
    for writer in writers.values():
        writer.close()
    return counts


def _keys(folder: Path, config: Config, drop: frozenset[str]) -> dict[str, str]:
    """Picture of each page by its key; of pages with the same picture the first stays."""
    keys: dict[str, str] = {}
    seen: set[str] = set()
    for domain in config.names:
        for path in sorted((folder / "images").glob(f"{domain}-*.parquet")):
            table = pq.read_table(path, columns=["id", "key"])
            for image, key in zip(table["id"].to_pylist(), table["key"].to_pylist(), strict=True):
                if image not in drop and image not in seen:
                    seen.add(image)
                    keys[key] = image
    return keys


def _with_written(page: Known, config: Config, answers: Answers, counts: Counter[str]) -> Known:
    """Return a page with what the language model has written about it, so far as it passes the checks."""
    writer = config.writer
    if writer is None or not is_chosen(writer, page.id):
        return page
    request = Request(writer, page.id, (page.width, page.height), page.title, page.text, page.language)
    if request.name not in answers:
        return page
    answer = answers.get(request.name)
    return replace(page, written=read_reply(answer["reply"], answer["finish"], page.text, page.language, writer.kinds, counts))


def _rows(page: Known, keys: dict[str, str], config: Config, fits: "_Fit", counts: Counter[str]) -> Iterator[Row]:
    def row(kind: str, text: str, image: str = "", target: str = "", answer: str = "", source: str = "structure") -> Row:
        name = f"{number_of(kind, page.key, text, target, answer):015x}"
        return Row(name, kind, page.domain, page.document, page.language, text, image, target, answer, (), source)

    for kind, said, most in (("caption", "captions", config.captions), ("q2s", "questions", config.questions)):
        kept = 0
        for text in dict.fromkeys(page.said(said)):
            reason = fits.reason(page, text)
            if reason:
                counts[f"{kind} dropped: {reason}"] += 1
            elif kept < most:
                kept += 1
                yield row(kind, text, target=page.id)
        for text, _ in page.written.get(kind, ()):
            reason = "said by the source too" if text in page.said(said) else fits.reason(page, text)
            if reason:
                counts[f"written {kind} dropped: {reason}"] += 1
            elif config.writer is not None:
                yield row(kind, text, target=page.id, source=config.writer.model)
    for text, key in page.pairs("relations")[: config.relations]:
        if key in keys:
            yield row("sq2s", text, image=page.id, target=keys[key])
        else:
            counts["sq2s dropped: the other page is not in the set"] += 1
    for kind, said in (("sqa", "answers"), ("label", "classes")):
        for text, answer in page.pairs(said):
            yield row(kind, text, image=page.id, answer=answer)
    if config.writer is not None:
        for text, answer in page.written.get("sqa", ()):
            yield row("sqa", text, image=page.id, answer=answer, source=config.writer.model)


class _Fit:
    """Whether a text fits one page of a domain: words find it there, and few others answer it."""

    def __init__(self, pages: list[Known], config: Config) -> None:
        self._config = config
        self._asked = Counter(text for page in pages for text in _texts(page))
        self._found: dict[tuple[str, str], int] = {}
        if config.neighbours and len(pages) > config.neighbours:
            self._search(pages, config.neighbours)

    def _search(self, pages: list[Known], most: int) -> None:
        import bm25s

        index = bm25s.BM25(method="lucene")
        texts = [f"{page.title} {page.title} {page.text}" for page in pages]
        index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
        for start in range(0, len(pages), 1000):
            asked = [(number, text) for number in range(start, min(len(pages), start + 1000)) for text in _texts(pages[number])]
            if not asked:
                continue
            words = bm25s.tokenize([text for _, text in asked], stopwords="en", show_progress=False)
            found, scores = index.retrieve(words, k=most, show_progress=False)
            for (number, text), best, scored in zip(asked, found, scores, strict=True):
                # Pages that have no word of it come too, where others are too few.
                ranks = [int(other) for other, score in zip(best, scored, strict=True) if score > 0]
                self._found[pages[number].key, text] = ranks.index(number) + 1 if number in ranks else 0

    def reason(self, page: Known, text: str) -> str:
        """Say why a text is not asked for a page, or nothing."""
        if not is_readable(text, 3):
            return "hardly any words"
        if self._asked[text] > self._config.answered_by:
            return "fits many pages"
        if self._found.get((page.key, text), 1) == 0:
            return "words do not find the page again"
        return ""


def _texts(page: Known) -> Iterable[str]:
    written = [text for kind in ("caption", "q2s") for text, _ in page.written.get(kind, ())]
    return dict.fromkeys([*page.said("captions"), *page.said("questions"), *written])


class _Writer:
    """Writes the rows of a kind, shard by shard."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder, self._kind = folder / "rows", kind
        self._rows: list[Row] = []
        self._number = 0
        for old in self._folder.glob(f"{kind}-*.parquet"):
            old.unlink()

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == _SHARD:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()

    def _flush(self) -> None:
        write_rows(self._folder / f"{self._kind}-{self._number:05}.parquet", self._rows, {})
        self._rows, self._number = [], self._number + 1
