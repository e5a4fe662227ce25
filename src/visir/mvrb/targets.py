"""What ``target`` means: which candidates answer a query.

How ``target`` points into the corpus is nowhere written down. Ids (where rows have them), row numbers, picture paths and content
strings, one or several, are all accepted. The data decide: the first way that fits every query of the task is taken. A string of
digits is a row number only where it is no candidate's content, since many an answer is a number.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from visir.errors import BenchmarkError
from visir.mvrb.pictures import Paths, plain_path

# Python reads no number of more than some thousand digits.
_LONGEST_NUMBER = 20


@dataclass(frozen=True)
class Names:
    """What a candidate may be called by.

    Args:
        id: its id, or empty.
        picture: path of its picture, or empty.
        texts: its text and its content.
    """

    id: str
    picture: str
    texts: tuple[str, ...]


def resolve(raw: Sequence[tuple[Any, str]], names: Sequence[Names]) -> list[frozenset[int]]:
    """Turn targets into row numbers.

    Args:
        raw: each query's target with its file and line.
        names: the candidates'.

    Raises:
        BenchmarkError: no way fits every query, or a picture's path may mean several.
    """
    targets = [(value if isinstance(value, list) else [value], where) for value, where in raw]
    farthest = 0
    for way in _ways(names):
        found: list[frozenset[int]] = []
        for values, _ in targets:
            rows = [way(value) for value in values]
            if not rows or not all(rows):
                break
            found.append(frozenset(row for some in rows for row in some))
        if len(found) == len(targets):
            return found
        farthest = max(farthest, len(found))
    value, where = raw[farthest]
    shown = json.dumps(value, ensure_ascii=False)[:80]
    raise BenchmarkError(f"{where}: target {shown} is no row number (0 to {len(names) - 1}), picture or content of the corpus")


def _ways(names: Sequence[Names]) -> tuple[Callable[[Any], list[int]], ...]:
    by_id: dict[str, list[int]] = {}
    by_path: dict[str, list[int]] = {}
    by_text: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name.id:
            by_id.setdefault(name.id, []).append(number)
        if name.picture:
            by_path.setdefault(plain_path(name.picture), []).append(number)
        for written in set(name.texts) - {""}:
            by_text.setdefault(written, []).append(number)
    paths = Paths(by_path)

    def row(value: Any) -> list[int]:
        return [value] if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names) else []

    def path(value: Any) -> list[int]:
        found = paths.find(value) if isinstance(value, str) and value.strip() else []
        return by_path[found[0]] if len(found) == 1 else []

    def text(value: Any) -> list[int]:
        return by_text.get(_written(value), [])

    return (
        lambda value: by_id.get(_written(value), []),
        row,
        path,
        text,
        lambda value: row(int(value)) if isinstance(value, str) and value.strip().isdecimal() and len(value) < _LONGEST_NUMBER else [],
    )


def _written(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
