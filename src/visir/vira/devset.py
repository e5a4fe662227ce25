"""Build the development benchmark: tasks in MVRB's layout from documents that training never sees.

Pages are captured domain by domain into ``Images-DOMAIN.zip`` and ``pages-DOMAIN.jsonl``; a domain that is there is not captured again.
Then tasks are made of what the pages' sources say about them (`visir.vira.page.Page`).
"""

import json
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visir.vira.camera import Camera
from visir.vira.corpora import FONTS, Corpora
from visir.vira.domains import DOMAINS, Domain
from visir.vira.domains.base import is_readable
from visir.vira.page import Page, number_of

SIZES = {
    "charts": 800,
    "documents": 1200,
    "encyclopedia": 1000,
    "help": 750,
    "manuals": 600,
    "music": 450,
    "products": 1500,
    "repositories": 330,
}
"""Pages of each domain in the whole set."""

SMALL = dict.fromkeys(SIZES, 24)
"""Pages of each domain in the set for tests."""

_MOST_QUERIES = 500
_MOST_CANDIDATES = 2000
_TITLED = re.compile(r"\([^()]*\)$")
Row = dict[str, Any]


@dataclass(frozen=True)
class Meta:
    """What is known of a captured page; its fields are those of `Page`."""

    key: str
    image: str
    domain: str
    document: str
    language: str
    title: str
    text: str
    captions: list[str]
    questions: list[str]
    answers: list[list[str]]
    classes: list[list[str]]
    relations: list[list[str]]
    composed: bool

    @classmethod
    def of(cls, page: Page) -> "Meta":
        """Take a page's facts without its picture."""
        return cls(
            *(page.key, f"{page.domain}/{page.image_id}.jpg", page.domain, page.document, page.language, page.shot.title, page.shot.text),
            *(list(page.captions), list(page.questions), [list(pair) for pair in page.answers], [list(pair) for pair in page.classes]),
            *([list(pair) for pair in page.relations], page.composed),
        )


@dataclass(frozen=True)
class Spec:
    """One task: where its candidates come from and how a page becomes queries.

    Args:
        name: ``META/task``.
        queries: domain of the pages that queries are made of.
        candidates: domains that are searched; for tasks that look for texts, none.
        ask: gives a page's (text, key of the right page or right text) pairs.
        keep: which pages of the candidates' domains are searched.
    """

    name: str
    queries: str
    candidates: tuple[str, ...]
    ask: Callable[[Meta], Iterable[tuple[str, str]]]
    keep: Callable[[Meta], bool] = lambda page: True


def _first(field: str, fewest: int = 4) -> Callable[[Meta], Iterator[tuple[str, str]]]:
    """Ask with the first text of a field that is no mere title and does not stand on the page word for word."""

    def ask(page: Meta) -> Iterator[tuple[str, str]]:
        said = _plain(page.text)
        usable = (
            text
            for text in getattr(page, field)
            if is_readable(text, fewest) and not _TITLED.search(text) and not _is_title(text, page) and _plain(text) not in said
        )
        if text := next(usable, ""):
            yield text, page.key

    return ask


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def _is_title(text: str, page: Meta) -> bool:
    return text.strip(" .").lower() in (page.title.lower(), page.text.partition("\n")[0].lower())


def _encyclopedia(page: Meta) -> Iterator[tuple[str, str]]:
    # The kept back sentence and the description: neither is on the page.
    if page.language == "en" and len(page.captions) == 2 and page.questions:
        yield f"{page.questions[0]}. {page.captions[0]}", page.key


def _chart(page: Meta) -> Iterator[tuple[str, str]]:
    yield page.questions[0], page.key


def _index_entry(page: Meta) -> Iterator[tuple[str, str]]:
    if page.language == "en" and page.questions:
        yield page.questions[0], page.key


def _related(page: Meta) -> Iterator[tuple[str, str]]:
    yield from ((text, key) for text, key in page.relations)


def _answered(page: Meta) -> Iterator[tuple[str, str]]:
    yield from ((asked, told) for asked, told in page.answers)


def _class(question: str) -> Callable[[Meta], Iterator[tuple[str, str]]]:
    def ask(page: Meta) -> Iterator[tuple[str, str]]:
        yield from (("", name) for asked, name in page.classes if asked == question and page.language == "en")

    return ask


SPECS = (
    Spec("SR/product", "products", ("products",), _first("questions", 3)),
    Spec("SR/encyclopedia", "encyclopedia", ("encyclopedia",), _encyclopedia),
    Spec("SR/chart", "charts", ("charts",), _chart),
    Spec("SR/document", "documents", ("documents",), _first("captions", 6)),
    Spec("SR/manual", "manuals", ("manuals",), _first("questions", 7)),
    Spec("SR/help", "help", ("help",), _index_entry, lambda page: page.language == "en"),
    Spec("SR/repository", "repositories", ("repositories", "documents"), _first("questions", 3)),
    Spec("SR/music-held-out", "music", ("music",), _first("captions", 6)),
    Spec("CSR/chart-variant", "charts", ("charts",), _related),
    Spec("CSR/encyclopedia-language", "encyclopedia", ("encyclopedia",), _related),
    Spec("CSR/help-language", "help", ("help",), _related),
    Spec("CSR/product-kin", "products", ("products",), _related),
    Spec("CSR/repository-manual", "repositories", ("documents",), _related),
    Spec("SQA/encyclopedia", "encyclopedia", (), lambda page: _answered(page) if page.language == "en" else ()),
    Spec("SQA/product", "products", (), _answered),
    Spec("SQA/chart", "charts", (), _answered),
    Spec("OVC/encyclopedia-topic", "encyclopedia", (), _class("")),
    Spec("OVC/product-section", "products", (), _class("")),
    Spec("OVC/chart-kind", "charts", (), _class("What kind of chart is this?")),
    Spec("OVC/help-program", "help", (), _class("Which program is this help page about?")),
)
"""The tasks of the set."""


def build(folder: Path, corpora: Corpora, sizes: dict[str, int], say: Callable[[str], None]) -> None:
    """Build the set, or go on with one that was broken off.

    Args:
        folder: where it goes.
        corpora: the sources.
        sizes: how many pages of which domains.
        say: told what is done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages: list[Meta] = []
    for name, most in sorted(sizes.items()):
        captured = capture(folder, corpora, name, most, say)
        pages += captured
        say(f"{name}: {len(captured)} pages")
    for spec in SPECS:
        queries, candidates = make_task(spec, pages)
        if not queries:
            say(f"{spec.name}: no queries")
            continue
        place = folder / spec.name
        place.mkdir(parents=True, exist_ok=True)
        write_lines(place / "corpus.jsonl", candidates)
        write_lines(place / "query.jsonl", queries)
        say(f"{spec.name}: {len(queries)} queries, {len(candidates)} candidates")


def capture(folder: Path, corpora: Corpora, domain: str, most: int, say: Callable[[str], None]) -> list[Meta]:
    """Capture the first ``most`` pages of a domain's development documents, unless that was done before."""
    listed, archive = folder / f"pages-{domain}.jsonl", folder / f"Images-{domain}.zip"
    if not listed.is_file():
        fonts = tuple(corpora.debian(name) for name in FONTS)
        found: list[Meta] = []
        images: set[str] = set()
        with Camera(fonts) as camera, zipfile.ZipFile(f"{archive}.new", "w", zipfile.ZIP_STORED) as pictures:
            for page in _pages(DOMAINS[domain](corpora), camera):
                meta = Meta.of(page)
                if meta.image in images:
                    continue
                images.add(meta.image)
                found.append(meta)
                # A plain ZipInfo bears no time: the same set gives the same bytes.
                pictures.writestr(zipfile.ZipInfo(meta.image), page.shot.encoded)
                if len(found) % 200 == 0:
                    say(f"{domain}: {len(found)} of {most} pages")
                if len(found) == most:
                    break
        os.replace(f"{archive}.new", archive)
        write_lines(listed, [vars(meta) for meta in found])
    with listed.open(encoding="utf-8") as file:
        return [Meta(**json.loads(line)) for line in file]


def _pages(domain: Domain, camera: Camera) -> Iterator[Page]:
    for document in domain.split("dev"):
        yield from domain.pages(document, camera)


def make_task(spec: Spec, pages: list[Meta]) -> tuple[list[Row], list[Row]]:
    """Return a task's queries and candidates as rows of MVRB's files.

    Pages with the same text count as one: where one is right, all are. So do pages that the same query is asked for.
    """
    asked = [(page, text, right) for page in pages if page.domain == spec.queries for text, right in spec.ask(page)]
    asked.sort(key=lambda entry: number_of(spec.name, entry[0].key, entry[1], entry[2]))
    return (_find_pages if spec.candidates else _find_texts)(spec, asked, pages)


def _find_pages(spec: Spec, asked: list[tuple[Meta, str, str]], pages: list[Meta]) -> tuple[list[Row], list[Row]]:
    searched = {page.key: page for page in pages if page.domain in spec.candidates and spec.keep(page)}
    composed = spec.name.startswith("CSR")
    chosen: list[tuple[Meta, str, str]] = []
    needed: set[str] = set()
    sources: dict[str, int] = defaultdict(int)
    for page, text, right in asked:
        # As is usual in composed retrieval, the picture that is asked with is not searched: it would be its own best hit.
        clashes = composed and (page.key in needed or right in sources)
        if right in searched and not clashes and sources[page.key] < 2 and len(chosen) < _MOST_QUERIES:
            sources[page.key] += 1
            needed.add(right)
            chosen.append((page, text, right))
    others = sorted(set(searched) - needed - (set(sources) if composed else set()), key=lambda key: number_of(spec.name, key))
    corpus = sorted([*needed, *others[: max(0, _MOST_CANDIDATES - len(needed))]], key=lambda key: number_of("corpus", key))
    twins: dict[str, list[int]] = defaultdict(list)
    for number, key in enumerate(corpus):
        twins[_twin(searched[key])].append(number)
    rights: dict[tuple[str, str], set[int]] = defaultdict(set)
    for page, text, right in asked:
        if right in needed:
            rights[page.image if composed else "", text].update(twins[_twin(searched[right])])
    queries = []
    for page, text, right in chosen:
        image = page.image if composed else ""
        if rights[image, text]:
            queries.append({"q_text": text, "q_image": image, "target": sorted(rights[image, text]), "key": right})
            del rights[image, text]
    return queries, [{"text": "", "image": searched[key].image, "content": key} for key in corpus]


def _twin(page: Meta) -> str:
    return _plain(page.text) if len(page.text) > 200 else page.key


def _find_texts(spec: Spec, asked: list[tuple[Meta, str, str]], pages: list[Meta]) -> tuple[list[Row], list[Row]]:
    chosen: list[tuple[Meta, str, str]] = []
    sources: set[str] = set()
    for page, text, right in asked:
        if page.key not in sources and len(chosen) < _MOST_QUERIES:
            sources.add(page.key)
            chosen.append((page, text, right))
    needed = dict.fromkeys(right for _, _, right in chosen)
    others = list(dict.fromkeys(right for _, _, right in asked if right not in needed))
    texts = sorted([*needed, *others[: max(0, _MOST_CANDIDATES - len(needed))]], key=number_of)
    place = {text: number for number, text in enumerate(texts)}
    queries = [{"q_text": text, "q_image": page.image, "target": [place[right]], "key": page.key} for page, text, right in chosen]
    return queries, [{"text": text, "image": "", "content": text} for text in texts]


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    """Write rows of JSON, all or nothing."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    os.replace(new, path)
