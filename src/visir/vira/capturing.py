"""The first step: documents into shards of pictures, a shard for each batch of documents."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image, ImageStat

from visir.errors import VisirError
from visir.screenshot import Screenshot
from visir.vira.camera import Camera
from visir.vira.config import Config
from visir.vira.corpora import FONTS, Corpora
from visir.vira.dataset import read_facts, write_images
from visir.vira.domains import DOMAINS, Domain
from visir.vira.likeness import picture_hash
from visir.vira.page import Page
from visir.vira.scans import scanned

_BATCH = {
    "charts": 64,
    "documents": 4,
    "encyclopedia": 96,
    "help": 48,
    "manuals": 96,
    "news": 48,
    "papers": 6,
    "products": 96,
    "repositories": 96,
    "slides": 8,
}
"""Documents of a shard: some 150 to 300 pages; what a killed build repeats."""

Facts = dict[str, Any]


def capture(folder: Path, config: Config, say: Callable[[str], None], workers: int = 1) -> Counter[str]:
    """Capture the pages of a set; shards that are there are not made again.

    Args:
        folder: of the set.
        config: the set's recipe.
        say: told how far it is.
        workers: processes.

    Returns:
        How many pages were kept, and how many were dropped for which reason.
    """
    total: Counter[str] = Counter()
    corpora = Corpora(config.corpora, say)
    for name in FONTS:
        corpora.debian(name)
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (config.corpora,)) as pool:
        for name, wanted in sorted(config.domains.items()):
            domain = DOMAINS[name](corpora)
            counts: Counter[str] = Counter()
            for facts in _shards(folder, domain, wanted, config, pool, workers):
                counts.update(facts["counts"])
                say(f"{name}: {counts['kept']:,} of {wanted:,} pages")
            total.update({f"{name}: {reason}": count for reason, count in counts.items()})
    return total


def _shards(folder: Path, domain: Domain, wanted: int, config: Config, pool: ProcessPoolExecutor, workers: int) -> Iterator[Facts]:
    """Yield the facts of a domain's shards in order until they hold the wanted number of pages; as many are made at a time as pay."""
    documents, size = domain.split("train"), config.batch or _BATCH[domain.name]
    scans = config.scans if domain.printed else 0.0
    ahead = iter(enumerate(range(0, len(documents), size)))
    making: deque[tuple[Path, Future[Facts]]] = deque()
    kept, done, more = 0, 0, True
    try:
        while kept < wanted:
            while more and len(making) < workers and kept + len(making) * (kept / done if done else size) < wanted:
                number, start = next(ahead, (-1, 0))
                more = number >= 0
                if more:
                    path = folder / "images" / f"{domain.name}-{number:05}.parquet"
                    making.append((path, pool.submit(_shard, path, domain.name, documents[start : start + size], scans)))
            if not making:
                return
            facts = making.popleft()[1].result()
            kept, done = kept + facts["counts"].get("kept", 0), done + 1
            yield facts
    finally:
        # A set must not depend on how many processes made it.
        for path, future in making:
            if not future.cancel():
                future.exception()
                path.unlink(missing_ok=True)


_tools: dict[str, Any] = {}


def _start(place: Path) -> None:
    corpora = Corpora(place)
    _tools.update(corpora=corpora, camera=Camera(tuple(corpora.debian(name) for name in FONTS)), domains={})


def _shard(path: Path, name: str, documents: list[str], scans: float) -> Facts:
    """Capture a batch of documents into one shard, unless it is there; run in a worker."""
    if path.is_file():
        return read_facts(path)
    domain = _tools["domains"].setdefault(name, DOMAINS[name](_tools["corpora"]))
    counts: Counter[str] = Counter()
    failures: list[str] = []
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for document in documents:
        try:
            for page in domain.pages(document, _tools["camera"]):
                reason = _unfit(page, seen)
                counts[reason or "kept"] += 1
                if not reason:
                    seen.add(page.image_id)
                    scan = scanned(page, scans)
                    counts["scanned"] += scan is not None
                    rows.append(as_row(scan or page))
        except (VisirError, OSError, ValueError, KeyError, IndexError, TypeError, ArithmeticError, UnicodeError) as error:
            # A document that cannot be read is counted and named; it must not stop a build of hours.
            counts["document failed"] += 1
            failures.append(f"{document}: {type(error).__name__}: {error}"[:300])
        except Exception as error:
            if type(error).__module__.split(".")[0] != "playwright":
                raise
            counts["document failed"] += 1
            failures.append(f"{document}: {error}"[:300])
            _tools["camera"].close()
    facts = {"counts": dict(+counts), "failures": failures}
    write_images(path, rows, facts)
    return facts


def _unfit(page: Page, seen: set[str]) -> str:
    """Say why a page is not kept, or nothing."""
    if page.image_id in seen:
        return "same picture"
    if not (page.captions or page.questions or page.answers or page.classes):
        return "nothing said about it"
    return "blank" if is_blank(page.shot) else ""


def is_blank(shot: Screenshot) -> bool:
    """Whether there is hardly anything to see on a page."""
    return ImageStat.Stat(shot.image.convert("L").resize((64, 64), Image.Resampling.BOX)).stddev[0] < 2


def as_row(page: Page) -> dict[str, Any]:
    """Return a page as a row of a picture shard."""
    shot = page.shot
    width, height = shot.image.size
    evidence = {name: getattr(page, name) for name in ("captions", "questions", "answers", "classes", "relations")}
    return {
        "id": page.image_id,
        "image": {"bytes": shot.encoded, "path": None},
        "width": width,
        "height": height,
        "key": page.key,
        "domain": page.domain,
        "document": page.document,
        "language": page.language,
        "title": shot.title,
        "text": shot.text,
        "words": [word.text for word in shot.words],
        "boxes": [side for word in shot.words for side in word.box],
        "composed": page.composed,
        "licence": page.licence,
        "phash": picture_hash(shot.encoded),
        "evidence": json.dumps(evidence, ensure_ascii=False),
    }
