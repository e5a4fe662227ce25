"""Filters that strangers may send: fields, or a condition in SQL of which only comparisons are let through.

The index hands a condition to a database engine, which knows functions that fill the memory
(``repeat('a', 4000000000)``). So only names of columns, literals, comparisons and their joins pass.
"""

import re

from visir.errors import QueryError
from visir.index.filters import FILTERS
from visir.index.store import one_of, quote
from visir.serve.schemas import Filters

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_]+)|(?P<sign><=|>=|<>|!=|[=<>(),]))")
_JOINS = {"and", "or", "not", "in", "like", "ilike", "between", "is", "null", "true", "false"}
_DEEPEST = 20


def condition(filters: Filters) -> str:
    """Return the index's condition for filters; empty where nothing is asked.

    Raises:
        QueryError: ``where`` holds more than comparisons.
    """
    parts = []
    if filters.types:
        parts.append(one_of("type", filters.types))
    if filters.languages:
        parts.append(one_of("language", filters.languages))
    if filters.after:
        parts.append(f"date >= {quote(filters.after)}")
    if filters.before:
        parts.append(f"date < {quote(filters.before)}")
    if filters.name.strip():
        pattern = quote(f"%{_literally(filters.name.strip())}%")
        parts.append(f"(path ILIKE {pattern} OR title ILIKE {pattern})")
    if filters.where.strip():
        parts.append(f"({_only_comparisons(filters.where)})")
    return " AND ".join(parts)


def _literally(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _only_comparisons(where: str) -> str:
    at, depth = 0, 0
    before = ""
    text = where.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise QueryError(f"the filter makes no sense at {text[at : at + 20].strip()!r}: write texts in 'single quotes'")
        at = found.end()
        word = (found["word"] or "").lower()
        if word and word not in _JOINS and word not in FILTERS:
            raise QueryError(f"the filter names {found['word']!r}; it may name {', '.join(FILTERS)}")
        sign = found["sign"] or ""
        if sign == "(" and before in FILTERS:
            raise QueryError(f"the filter calls {before!r} as a function: only comparisons are possible")
        depth += (sign == "(") - (sign == ")")
        if depth > _DEEPEST or depth < 0:
            raise QueryError("the filter's brackets do not match, or are too many")
        before = word
    if depth:
        raise QueryError("the filter's brackets do not match, or are too many")
    return where
