"""Pages for a program that answers questions: what `visir.serve.langchain` and `visir.serve.llama_index` share."""

from dataclasses import dataclass
from typing import Any

from visir.index import Index
from visir.index.store import quote
from visir.serve.client import Client
from visir.serve.schemas import Filters


@dataclass(frozen=True)
class Passage:
    """A page that answers.

    Args:
        text: the words of the whole page; its picture shows what words do not.
        score: 0 to 100.
        metadata: ``source``, ``page``, ``title``, ``score``, ``snippet``, ``boxes`` and ``picture`` (a path, or an address on the server).
    """

    text: str
    score: float
    metadata: dict[str, Any]


def retrieve(source: Index | Client, query: str, count: int, where: str = "") -> list[Passage]:
    """Return the pages that answer a query, best first.

    Args:
        source: an index in this process, or a server.
        query: words.
        count: pages at most.
        where: a filter, as in docs/search.md; to a server without functions.
    """
    if isinstance(source, Index):
        return [_from_index(source, hit) for hit in source.search(query, count=count, where=where)]
    found = source.search(query, count=count, filters=Filters(where=where))
    return [_passage(hit, source.page(hit.uri, hit.page).text, hit.picture.url if hit.picture else "") for hit in found.hits]


def _from_index(index: Index, hit: Any) -> Passage:
    rows = index.store.scan_pages(["text"], f"path = {quote(hit.uri)} AND page = {hit.page}")
    return _passage(hit, rows["text"][0].as_py() if rows.num_rows else hit.snippet, hit.picture)


def _passage(hit: Any, text: str, picture: str) -> Passage:
    facts = {"source": hit.uri, "page": hit.page, "title": hit.title, "score": hit.score, "snippet": hit.snippet, "picture": picture}
    return Passage(text, hit.score, {**facts, "boxes": [list(box) for box in hit.boxes]})
