"""What the other pages of an HTML manual say about a page where they link to it, and what its own head says."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from visir.vira.domains.base import is_readable, sentences

_BLOCKS = ("p", "li", "dd", "td", "dt")
_SKIPPED = ("nav", "header", "footer", "aside")
_POINTER = re.compile(r"^(\(|see|for (more|further|details|an? |the )|refer to|back to|next|previous|this section|note that)\b", re.I)
_MOST = 4


def read_links(folder: Path, files: list[str], memory: Path) -> dict[str, list[str]]:
    """Return for each page of a manual the sentences by which other pages link to it.

    Args:
        folder: the manual.
        files: its pages, as paths in it.
        memory: where the answer is kept for the next time.
    """
    if memory.is_file():
        told: dict[str, list[str]] = json.loads(memory.read_text("utf-8"))
        return told
    known = set(files)
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for name in files:
        for target, said in _links(folder, name):
            if target in known and target != name:
                found[target].setdefault(said)
    kept = {name: sorted(said, key=lambda text: (abs(len(text) - 90), text))[:_MOST] for name, said in sorted(found.items())}
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
    return kept


def _links(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    tree = parse(folder / name)
    if tree is None:
        return
    for anchor in tree.iter("a"):
        href = (anchor.get("href") or "").partition("#")[0]
        words = " ".join(anchor.text_content().split())
        if not href or ":" in href or not words:
            continue
        block = next((above for above in anchor.iterancestors() if above.tag in _BLOCKS), None)
        if block is None or any(above.tag in _SKIPPED for above in block.iterancestors()):
            continue
        text = " ".join(block.text_content().split())
        said = next((part for part in sentences(text[:4000]) if words in part), "")
        if 40 <= len(said) <= 220 and len(said) >= len(words) + 30 and is_readable(said, 7) and not _POINTER.match(said):
            yield _resolve(name, href), said


def _resolve(name: str, href: str) -> str:
    parts = name.split("/")[:-1]
    for part in unquote(href).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)


def parse(path: Path) -> Any:
    """Return a page as an lxml tree, or nothing where it is none."""
    import lxml.etree
    import lxml.html

    try:
        return lxml.html.fromstring(path.read_bytes(), parser=lxml.html.HTMLParser(encoding="utf-8"))
    except (lxml.etree.ParserError, ValueError, OSError):
        return None


def head_texts(tree: Any) -> list[str]:
    """Return the descriptions and index entries in a page that no reader sees."""
    notes = [node for node in tree.iter("meta") if (node.get("name") or node.get("itemprop")) in ("description", "keywords")]
    found = [node.get("content") or "" for node in notes]
    return [" ".join(text.split()) for text in found if text.strip()]


def headings(tree: Any) -> list[str]:
    """Return a page's headings."""
    found = [" ".join(node.text_content().replace("¶", "").split()) for node in tree.iter("h1", "h2", "h3", "h4")]
    return [text for text in found if 3 < len(text) < 120]


def following(tree: Any, name: str) -> str:
    """Return the page that comes next in the manual, by its own word; or nothing."""
    for node in [*tree.iter("link"), *tree.iter("a")]:
        if (node.get("rel") or "") == "next" or (node.get("accesskey") or "") == "n":
            href = (node.get("href") or "").partition("#")[0]
            if href and ":" not in href:
                return _resolve(name, href)
    return ""
