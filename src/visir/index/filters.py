"""The columns that a filter may name, and what is said of a filter that makes no sense."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from visir.errors import QueryError, StoreError

FILTERS = ("path", "type", "page", "date", "language", "title")
"""The columns that a filter may name."""

# What the database engine says, in words for those who do not know it.
_WORDING = (
    (r"^.*sql parser error: (?:ParserError: )?(.*?)(?: at Line: .*?)?\)?$", r"\1"),
    (r"Error (?:resolving|optimizing|parsing)\b.*?(?=Invalid|Error during)", ""),
    (r",? \S*/\S+\.rs\b.*|,? /\S*/\.?cargo/.*", ""),
    (r"Invalid (?:user )?input[,:] |Schema error: |invalid SQL predicate: |Error during planning: |lance error: ", ""),
    (r"Received literal \w+\((.*?)\) and could not convert to literal of type '(\w+)'", r"\1 is no \2"),
    (r"\bUtf8\b", "text"),
    (r"\bInt(?:32|64)\b", "number"),
    (r"\bEOF\b", "its end"),
)


@contextmanager
def filter_errors(where: str | None) -> Iterator[None]:
    """Turn what the database engine raises within the block into an error of one line.

    Raises:
        QueryError: there is a filter, which is at fault.
        StoreError: there is none, so the index is.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        reason = in_words(error)
        if not where:
            raise StoreError(f"the index is damaged ({reason}): `visir rebuild` makes it anew") from error
        raise QueryError(
            f"the filter makes no sense: {reason}; it may name {', '.join(FILTERS)}, and texts stand in 'single quotes'"
        ) from error


def in_words(error: Exception) -> str:
    """Return what the database engine says, on one line and without where in its source it says so."""
    reason = str(error).split("Valid fields are")[0].splitlines()[0]
    for pattern, words in _WORDING:
        reason = re.sub(pattern, words, reason)
    return reason[:200].strip(" .(")
