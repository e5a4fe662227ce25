"""The pages of an index as a domain of their own, so that a model can be tuned on what a user has indexed, in private.

Pictures, words and titles are taken as the index keeps them; no document is opened and nothing is fetched.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from visir.index.store import Store, one_of, unpack_boxes
from visir.screenshot import Screenshot, Word
from visir.vira.capturing import as_row, is_blank
from visir.vira.config import COLLECTION
from visir.vira.dataset import read_facts, write_images
from visir.vira.domains.base import is_readable, sentences
from visir.vira.domains.documents import page_texts
from visir.vira.page import Page

ABOUT = "the pages of an index, as they are"
LICENCE = "none known: private documents; whoever passes the set on passes them on, with the paths of their files"

_SHARD = 256
"""Pages of a shard."""

Place = tuple[int, int]
"""(edition, page): where the index keeps a page."""

_COLUMNS = ("path", "page", "language", "title", "text", "boxes", "regions")
_MOST = 4
# Type that is larger by so much than most of a page's is a heading.
_LARGE = 1.2
_LONGEST_HEADING = 14
_LONGEST_TITLE = 100
# A question of so few words says too little by itself: "How long does it take?"
_SHORT = 6
_QUESTION = re.compile(r"(?:^|(?<=[.!?:] ))(?:[•*–-] )?(¿?[^\W\d_a-z][^.!?:\n]+(?:\n[^.!?:\n]+)?(?<=[\w”\"\')\]])\?)", re.M)
_BULLET = re.compile(r"^[•*–-] ")


def capture_index(folder: Path, index: Path, say: Callable[[str], None], size: int = 0) -> Counter[str]:
    """Write the pages of an index into a set; shards of pages that have not changed are left alone.

    Args:
        folder: of the set.
        index: folder of the index.
        say: told how far it is.
        size: pages of a shard; 0 for what suits.

    Returns:
        How many pages were kept, and how many were dropped for which reason.

    Raises:
        StoreError: there is no index.
    """
    store = Store(index)
    table = store.scan_pages(["edition", "page"])
    # Editions are numbered as they come: what is indexed later goes into new shards and leaves the old ones as they are.
    pages = sorted(zip(table["edition"].to_pylist(), table["page"].to_pylist(), strict=True))
    batches = [pages[start : start + (size or _SHARD)] for start in range(0, len(pages), size or _SHARD)]
    shards = {_shard_name(batch): batch for batch in batches}
    for old in (folder / "images").glob(f"{COLLECTION}-*.parquet"):
        if old.name not in shards:
            old.unlink()
    counts: Counter[str] = Counter()
    for name, batch in shards.items():
        path = folder / "images" / name
        if not path.is_file():
            _write_shard(path, store, batch, set(pages))
        counts.update(read_facts(path)["counts"])
        say(f"{COLLECTION}: {counts['kept']:,} of {len(pages):,} pages")
    return Counter({f"{COLLECTION}: {reason}": count for reason, count in counts.items()})


def _shard_name(pages: Sequence[Place]) -> str:
    return f"{COLLECTION}-{hashlib.blake2b(repr(pages).encode(), digest_size=6).hexdigest()}.parquet"


def _write_shard(path: Path, store: Store, batch: Sequence[Place], known: set[Place]) -> None:
    chosen = one_of("edition", sorted({edition for edition, _ in batch}))
    low, high = min(page for _, page in batch), max(page for _, page in batch)
    found = store.scan_pages(_COLUMNS, f"{chosen} AND page BETWEEN {low} AND {high}").to_pylist()
    by_place = {(row["edition"], row["page"]): row for row in found}
    counts: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for place in batch:
        picture = store.picture(*place)
        if place not in by_place or not picture.is_file():
            counts["gone from the index while it was read"] += 1
            continue
        page = _page(by_place[place], picture.read_bytes(), (place[0], place[1] + 1) in known)
        if page.image_id in seen:
            counts["same picture"] += 1
        elif is_blank(page.shot):
            counts["blank"] += 1
        else:
            # A page that nothing is said about stays: it can be a wrong answer, and a language model may have something to say.
            counts["kept"] += 1
            seen.add(page.image_id)
            rows.append(as_row(page))
    write_images(path, rows, {"counts": dict(counts), "failures": []})


def _page(row: dict[str, Any], picture: bytes, goes_on: bool) -> Page:
    path, number, text = row["path"], row["page"], row["text"]
    boxes = unpack_boxes(row["boxes"]).round(4).tolist()
    parts = text.split()
    words = tuple(Word(part, tuple(box)) for part, box in zip(parts, boxes, strict=True)) if len(boxes) == len(parts) else ()
    # A file's name stands for the title where a document has none.
    title = row["title"] if row["title"] not in (Path(path).name, Path(path).stem) else ""
    shot = Screenshot(picture, f"{path}#{number}", number, row["title"], text, words)
    answers = asked_and_answered(text)
    asked = [question for question, _ in answers]
    phrases = [question if len(question.split()) > _SHORT else _within(question, title) for question in asked]
    phrases += [title] if number == 1 and title else []
    phrases += [_within(heading, title) for heading in headings(shot) if heading not in asked]
    # Paragraphs are guessed at by `page_texts`: what does not stand on the page as it says was put together wrongly.
    joined = " ".join(re.sub(r"-\n(?=[a-z])", "", text).split())
    return Page(
        shot,
        COLLECTION,
        path,
        # Words that a model read off the picture are often wrong, and so is the language guessed from them.
        "" if row["regions"] else row["language"],
        tuple(said for said in page_texts(text) if said in joined),
        tuple(dict.fromkeys(phrases))[:_MOST],
        tuple((question, answer) for question, answer in answers if answer),
        relations=(("the next page of this document", f"{path}#{number + 1}"),) if goes_on else (),
        licence=LICENCE,
    )


def _within(phrase: str, title: str) -> str:
    """Return a heading or a question with the title of its document: by itself "Prices" could stand anywhere."""
    return f"{phrase} ({title})" if title and len(title) <= _LONGEST_TITLE and phrase not in title else phrase


def headings(shot: Screenshot) -> list[str]:
    """Return the lines of a page that stand in larger type than most of it, from the top; lines that go on are joined."""
    if not shot.words:
        return []
    usual = median(word.box[3] - word.box[1] for word in shot.words)
    found: list[str] = []
    above = 0.0
    for line, height in _lines(shot):
        large = height >= _LARGE * usual and len(line.split()) <= _LONGEST_HEADING and is_readable(line, 1) and "@" not in line
        if large and abs(height - above) < 0.1 * height and len(found[-1].split()) + len(line.split()) <= _LONGEST_HEADING:
            found[-1] += f" {line}"
        elif large:
            found.append(line)
        above = height if large else 0.0
    return [heading for heading in found if len(heading) > 3]


def _lines(shot: Screenshot) -> Iterator[tuple[str, float]]:
    """Yield each line with the height of its words, as a share of the page's."""
    start = 0
    for line in shot.text.splitlines():
        words = shot.words[start : start + len(line.split())]
        start += len(words)
        if words:
            yield line, median(word.box[3] - word.box[1] for word in words)


def asked_and_answered(text: str) -> list[tuple[str, str]]:
    """Return the questions that a text asks, each with the sentence after it where the question stands on lines of its own."""
    found = []
    for match in _QUESTION.finditer(text):
        question = " ".join(match[1].split())
        if len(question.split()) >= 4 and len(question) <= 200 and is_readable(question):
            own_lines = text[match.end() : match.end() + 1] == "\n" and text[: match.start()][-1:] in ("", "\n")
            following = sentences(_BULLET.sub("", text[match.end() + 1 : match.end() + 600])) if own_lines else []
            first = following[0] if following else ""
            answers = first.endswith(".") and "?" not in first and len(first) <= 200 and is_readable(first, 3)
            found.append((question, first if answers else ""))
    return found
