"""Find pages: by meaning, by words, or by both; under filters; with a score that a person can read.

docs/search.md says how results are ordered and scored.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa

from visir.errors import QueryError
from visir.index.store import Store, unpack_boxes, without_page
from visir.language import stop_words, without_accents
from visir.screenshot import Box, Hit, Query, Screenshot, Word
from visir.unise import evidence
from visir.unise.embedder import Embedder
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions
from visir.unise.words import Floats

_CANDIDATES = 50
_SNIPPET_WORDS = 32
_TOKEN = re.compile(r"\w+")


@dataclass(frozen=True)
class SearchOptions:
    """Choices for a search.

    Args:
        count: number of hits wanted.
        skip: hits to pass over, for the next page of results.
        where: an SQL condition over ``path``, ``type``, ``page``, ``date``, ``language`` and ``title``.
        words: also look for the exact words of the query in the pages' text.
        min_score: leave out hits below this score.
    """

    count: int = 10
    skip: int = 0
    where: str = ""
    words: bool = True
    min_score: float = 0.0


def search(store: Store, embedder: Embedder, query: Query, options: SearchOptions) -> list[Hit]:
    """Return the pages that answer a query, best first.

    Where a text asks for what should differ from a picture, a page that is this very picture is no answer.

    Raises:
        QueryError: the query is empty, or the filter makes no sense.
    """
    if not query.text.strip() and query.image is None:
        raise QueryError("the query is empty: give some words, a picture, or both")
    where = options.where
    if query.image is not None and query.image.uri and query.text.strip():
        where = without_page(where, query.image.uri, query.image.page)
    wanted = options.skip + options.count
    vector = embedder.encode_query([query])[0]
    tokens = _telling_tokens(query.text) if options.words else ()
    count = max(_CANDIDATES, 2 * wanted)
    candidates = _candidates(store, vector, tokens, count, where)
    if options.words and query.image and isinstance(embedder, RegionEmbedder):
        scores = _like_picture(candidates, embedder, query, tokens)
    else:
        scores = _by_meaning_and_words(candidates, embedder, query, tokens)
    scored = list(zip(scores.tolist(), candidates, strict=True))
    scored = [(score, row) for score, row in scored if 100 * score >= options.min_score]
    scored.sort(key=lambda pair: (-pair[0], pair[1].place))
    return [_hit(store, tokens, score, row) for score, row in scored[options.skip : wanted]]


@dataclass
class _Candidate:
    """A page that one of the two ways of searching brought up.

    Args:
        place: its edition, and its number there.
        columns: what the table holds of it.
        cosine: similarity of its vector to the query's.
        relevance: BM25 of the query's words on it, as a share of the best page's.
        places: where they are seen.
    """

    place: tuple[int, int]
    columns: dict[str, Any]
    cosine: float
    relevance: float
    places: tuple[Box, ...] = ()

    @property
    def text(self) -> str:
        return str(self.columns["text"])

    @property
    def title(self) -> str:
        return str(self.columns["title"])


def _candidates(store: Store, vector: np.ndarray, tokens: Sequence[str], count: int, where: str) -> list[_Candidate]:
    near, matching = store.find(vector, " ".join(tokens), count, where)
    relevance = _scores(matching)
    rows = _rows(near) | _rows(matching)
    cosines = np.array([row["vector"] for row in rows.values()], np.float32) @ vector if rows else ()
    return [
        _Candidate(place, row, float(cosine), relevance.get(place, 0.0)) for (place, row), cosine in zip(rows.items(), cosines, strict=True)
    ]


def _rows(found: pa.Table) -> dict[tuple[int, int], dict[str, Any]]:
    """Return pages by their places, vectors as arrays."""
    if not found.num_rows:
        return {}
    column = found["vector"].combine_chunks()
    vectors = column.flatten().to_numpy().reshape(-1, column.type.list_size)
    rows = zip(found.drop_columns("vector").to_pylist(), vectors, strict=True)
    return {(row["edition"], row["page"]): {**row, "vector": vector} for row, vector in rows}


def _scores(matching: pa.Table) -> dict[tuple[int, int], float]:
    """Return how relevant pages are, as a share of the best."""
    if not matching.num_rows:
        return {}
    scores = matching["_score"].to_numpy()
    places = zip(matching["edition"].to_pylist(), matching["page"].to_pylist(), strict=True)
    return dict(zip(places, (scores / scores.max()).tolist(), strict=True))


def _like_picture(candidates: Sequence[_Candidate], embedder: RegionEmbedder, query: Query, tokens: Sequence[str]) -> Floats:
    """Score pages by what they share with the query's picture, turned by the words beside it."""
    pages = [Regions.unpack(row.columns["regions"]) if row.columns["regions"] else _told_regions(row, embedder) for row in candidates]
    asked = embedder.encode_query_regions(Query(image=query.image))
    alike = evidence.likeness(_look_for(asked, candidates, pages), _cosines(candidates), len(asked.names))
    return evidence.turn(alike, _look_for(embedder.encode_difference(" ".join(tokens)), candidates, pages)) if tokens else alike


def _by_meaning_and_words(candidates: Sequence[_Candidate], embedder: Embedder, query: Query, tokens: Sequence[str]) -> Floats:
    cosines = _cosines(candidates)
    if not tokens:
        return evidence.meaning(cosines, query, embedder.calibration)
    on_page = [set(tokens_of(row.text)).union(tokens_of(row.title)) if row.relevance else set[str]() for row in candidates]
    covered = np.array([coverage(tokens, words) for words in on_page], np.float32)
    typed = evidence.words(covered, np.array([row.relevance for row in candidates], np.float32))
    # Beside a picture, words only say what should differ.
    typed *= 0.75 if query.image else 1.0
    read = [row for row in candidates if row.columns["regions"]]
    if read and isinstance(embedder, RegionEmbedder):
        chances = np.zeros_like(typed)
        chances[[bool(row.columns["regions"]) for row in candidates]] = _look_for(
            embedder.encode_query_regions(Query(" ".join(tokens))), read, [Regions.unpack(row.columns["regions"]) for row in read]
        )
        typed = np.maximum(typed, evidence.words(chances, chances))
    return evidence.join(typed, evidence.meaning(cosines, query, embedder.calibration, typed))


def _cosines(candidates: Sequence[_Candidate]) -> Floats:
    return np.array([row.cosine for row in candidates], np.float32)


def _look_for(asked: RegionQuery, candidates: Sequence[_Candidate], pages: Sequence[Regions]) -> Floats:
    """Return the chance that each page has the parts of a query, and note where on the page they are."""
    chances = np.zeros(len(candidates), np.float32)
    for number, (row, regions) in enumerate(zip(candidates, pages, strict=True)):
        chances[number], places = asked.match(regions)
        row.places += tuple(_box(regions.boxes[place]) for place in places if regions.boxes[place].any())
    return chances


def _told_regions(row: _Candidate, embedder: RegionEmbedder) -> Regions:
    """Return the regions of a page whose source told its words."""
    words, boxes = row.text.split(), unpack_boxes(row.columns["boxes"])
    places = map(_box, boxes) if len(boxes) == len(words) else repeat((0.0, 0.0, 0.0, 0.0))
    return embedder.encode_regions([Screenshot(b"", words=tuple(map(Word, words, places)))])[0]


def _hit(store: Store, tokens: Sequence[str], score: float, row: _Candidate) -> Hit:
    columns = row.columns
    wanted = frozenset(tokens)
    words = row.text.split()
    found = [not wanted.isdisjoint(tokens_of(word)) for word in words]
    boxes = unpack_boxes(columns["boxes"])
    marked = tuple(_box(boxes[number]) for number, hit in enumerate(found) if hit) if len(boxes) == len(words) else ()
    marked = tuple(dict.fromkeys(row.places)) or marked
    snippet, marks = _snippet(words, found)
    picture = str(store.picture(columns["edition"], columns["page"]))
    return Hit(columns["path"], columns["page"], round(100 * score, 1), row.title, snippet, marks, marked, picture)


def coverage(tokens: Sequence[str], on_page: Set[str]) -> float:
    """Return how much of a query's words is on a page, 0 to 1; a longer word counts more, since it is rarer."""
    weight = {token: float(len(token)) for token in tokens}
    total = sum(weight.values())
    return sum(value for token, value in weight.items() if token in on_page) / total if total else 0.0


def _telling_tokens(text: str) -> tuple[str, ...]:
    """Return the words of a query without those that stand on every page; all of them where no other is left."""
    tokens = tokens_of(text)
    common = stop_words(text)
    return tuple(token for token in tokens if token not in common) or tokens


@lru_cache(50_000)
def tokens_of(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are compared: lower case, without accents and punctuation."""
    return tuple(_TOKEN.findall(without_accents(text.casefold())))


def _snippet(words: Sequence[str], found: Sequence[bool]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the run of words with most matches of different words, and where the matches stand in it."""
    best, best_gain = 0, -1
    positions = [number for number, hit in enumerate(found) if hit]
    matches = [words[number].casefold() for number in positions]
    for first in positions[:200]:
        start = max(0, first - 4)
        gain = len(set(matches[bisect_left(positions, start) : bisect_left(positions, start + _SNIPPET_WORDS)]))
        if gain > best_gain:
            best, best_gain = start, gain
    chosen = words[best : best + _SNIPPET_WORDS]
    is_spaced = "".join(chosen).isascii()
    text, marks = "", []
    for number, word in enumerate(chosen, best):
        if text and (is_spaced or not (_is_unspaced(text[-1]) and _is_unspaced(word[0]))):
            text += " "
        if found[number]:
            marks.append((len(text), len(text) + len(word)))
        text += word
    return text, tuple(marks)


def _is_unspaced(letter: str) -> bool:
    """Say whether a letter is of a script that parts no words: Chinese or Japanese."""
    return "\u3040" <= letter <= "\u9fff"


def _box(box: np.ndarray) -> Box:
    left, top, right, bottom = (round(float(value), 4) for value in box)
    return (left, top, right, bottom)
