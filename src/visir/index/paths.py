"""How documents are named in an index, and how names that no terminal shows are written."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

_FILE = "file://"


def is_address(source: str) -> bool:
    """Say whether a source is a web address rather than a path."""
    return source.startswith(("http://", "https://"))


def name_of(path: Path) -> str:
    """Return the name that a file goes by in an index: its absolute path, or a ``file://`` address if that is not UTF-8."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode("utf-8")
    except UnicodeEncodeError:
        return Path(absolute).as_uri()
    return absolute


def path_of(name: str) -> Path:
    """Return the file of a name in an index."""
    if name.startswith(_FILE):
        return Path(os.fsdecode(unquote_to_bytes(name.removeprefix(_FILE))))
    return Path(name)


def is_below(name: str, root: str) -> bool:
    """Say whether a document is a root itself or lies in it, however deep."""
    if is_address(name) or is_address(root):
        return name == root
    path, top = str(path_of(name)), str(path_of(root))
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def printable(text: str) -> str:
    """Write a name so that it stands on one line of any terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode("ascii") for letter in text
    )
