"""Pages of real PDF manuals, and slides: whatever PDF files the packages hold; the broad ones are slides."""

import gzip
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pypdfium2 as pdfium

from visir.capture import CaptureOptions
from visir.capture.pdf import render
from visir.errors import CaptureError
from visir.screenshot import Screenshot
from visir.vira.camera import Camera
from visir.vira.domains.base import Domain, is_readable, sentences, shorten, shrink
from visir.vira.page import Page, number_of, share_of

CAPTION = re.compile(r"^(?:Figure|Fig\.|Table|Listing|Example|Abbildung|Tabelle|Figura|Tableau)\s*[\d.A-Z]+\s*[:.–-]?\s+(\S.*)$")
_CONTENTS = re.compile(r"\d\.\d+ [A-Z]|\. \. \.|^\d|\.{4}")
_MOST_PAGES = 96
_RUN = 4
Outline = list[tuple[int, tuple[str, ...]]]
"""(0-based page, titles from the part down to the section) in the order of the document."""


class Documents(Domain):
    """One document is a folder of a package's documentation: a manual with its parts and translations."""

    name = "documents"
    debian: ClassVar[tuple[str, ...]] = (
        *("texlive-pictures-doc", "texlive-latex-extra-doc", "texlive-latex-base-doc", "texlive-metapost-doc", "r-doc-pdf"),
        *("debian-reference-en", "debian-reference-de", "debian-reference-fr", "debian-reference-es", "graphviz-doc", "octave-doc"),
    )
    dev_share = 0.2
    printed = True
    about = "PDF manuals of LaTeX packages, R, Octave and Debian, as they are"
    licence = "free licences of the packages (LPPL, GPL, GFDL and others)"
    wanted: ClassVar[bool] = False
    """What `measure` says of files that are taken."""

    @staticmethod
    def measure(path: Path) -> bool | None:
        """Whether a PDF file is broad, as slides are; nothing where it is of no use."""
        return _is_broad(path)

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        """PDF files by folder, paths relative to the unpacked packages; those that are read once are remembered in the cache."""
        found: dict[str, list[str]] = {}
        for package in self.debian:
            for path, measured in self._measured(package).items():
                if measured == self.wanted:
                    found.setdefault(str(Path(path).parent), []).append(path)
        return found

    def _measured(self, package: str) -> dict[str, bool]:
        memory = self.corpora.folder / "memory" / f"{package}.pdf.json"
        if memory.is_file():
            told: dict[str, bool] = json.loads(memory.read_text("utf-8"))
            return told
        root = self.corpora.debian(package).parent
        measured = {str(path.relative_to(root)): self.measure(path) for path in sorted((root / package).rglob("*.pdf"))}
        useful = {name: found for name, found in measured.items() if found is not None}
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps(useful), "utf-8")
        return useful

    @cached_property
    def _summaries(self) -> dict[str, str]:
        """What Debian says in one line about each package of CTAN that a texlive package holds."""
        _, translations = self.corpora.package_index()
        held = re.findall(r"^Package: texlive-[\w-]+\n(?:.+\n)*", translations, re.M)
        return {name: said for text in held for name, said in re.findall(r"^ ([\w.-]+) -- (.+)$", text, re.M)}

    def summary(self, document: str) -> str:
        """Return what Debian says of a document in one line, or nothing."""
        return self._summaries.get(Path(document).name, "")

    def documents(self) -> list[str]:
        """Return the folders."""
        return sorted(self._files)

    def is_dev(self, document: str) -> bool:
        """Manuals, slides and repository pages of one package of CTAN go together."""
        return document.startswith("texlive") and share_of("split", "ctan", Path(document).name) < self.dev_share

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield at most 96 pages of a folder's files, in runs of four."""
        files = self._files[document]
        root = self.corpora.debian(document.partition("/")[0]).parent
        for name in sorted(files, key=lambda name: number_of(name))[:6]:
            try:
                yield from self._file(root / name, name, document, _MOST_PAGES // min(6, len(files)))
            except CaptureError:
                continue

    def _file(self, path: Path, name: str, document: str, most: int) -> Iterator[Page]:
        outline, count = read_outline(path)
        wanted = choose_pages(count, most, name)
        summary = self.summary(document)
        shots = render(path, CaptureOptions(max_pages=max(wanted, default=0) + 1), name)
        for shot in shots:
            if shot.page - 1 in wanted and len(shot.text) > 120:
                yield self._page(shrink(shot), name, document, outline, summary, wanted)

    def _page(self, shot: Screenshot, name: str, document: str, outline: Outline, summary: str, wanted: set[int]) -> Page:
        number = shot.page
        key = f"{self.name}/{name}#{number}"
        starts = [titles for page, titles in outline if page == number - 1]
        before = [titles for page, titles in outline if page < number - 1]
        captions, questions = page_texts(shot.text), []
        if number == 1 and summary:
            questions.append(summary)
        section = starts[0] if starts else (before[-1] if before else ())
        if section:
            questions.append(f"{section[-1]} ({', '.join([shot.title, *section[:-1]])})")
        placed = Screenshot(shot.encoded, key, number, shot.title, shot.text, shot.words, shot.date)
        following = [("the next page of this document", f"{self.name}/{name}#{number + 1}")] if number in wanted else []
        return Page(
            placed,
            self.name,
            document,
            language_of(name),
            tuple(captions),
            tuple(questions),
            relations=tuple(following),
            licence=self.licence,
        )


class Slides(Documents):
    """PDF files broader than high."""

    name = "slides"
    wanted = True
    about = "slides and other broad PDF pages of LaTeX packages, as they are"


def _is_broad(path: Path) -> bool | None:
    """Whether a PDF's second page (or only one) is broader than high; nothing where it is damaged or tiny."""
    try:
        document = pdfium.PdfDocument(path)
        try:
            width, height = document[min(1, len(document) - 1)].get_size()
            return bool(width > 1.15 * height) if min(width, height) > 100 else None
        finally:
            document.close()
    except pdfium.PdfiumError:
        return None


def read_outline(path: Path) -> tuple[Outline, int]:
    """Return a PDF's outline and its number of pages."""
    outline: Outline = []
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError:
        return [], 0
    try:
        stack: list[str] = []
        for item in document.get_toc():
            title = " ".join(item.get_title().split())
            stack = [*stack[: item.level], title]
            place = item.get_dest()
            page = place.get_index() if place else None
            if page is not None and len(title) > 3:
                outline.append((page, tuple(stack)))
        return sorted(outline, key=lambda entry: entry[0]), len(document)
    except pdfium.PdfiumError:
        return outline, len(document)
    finally:
        document.close()


def choose_pages(count: int, most: int, name: str) -> set[int]:
    """Return which pages (0-based) of a document are taken: all, or runs of four spread over it."""
    if count <= most:
        return set(range(count))
    runs = list(range(0, count, _RUN))
    kept = sorted(runs, key=lambda start: number_of(name, str(start)))[: most // _RUN]
    return {page for start in kept for page in range(start, min(count, start + _RUN))}


def page_texts(text: str, most: int = 3) -> list[str]:
    """Return what a page says that can stand for it: captions of figures and tables first, then whole sentences of its body."""
    lines = text.splitlines()
    captions = []
    for index, line in enumerate(lines):
        if found := CAPTION.match(line):
            rest = sentences(" ".join([found[1], *lines[index + 1 : index + 3]]))
            told = rest[0] if len(rest) > 1 or rest[0].endswith(".") else found[1]
            if is_readable(told, 5) and not _CONTENTS.search(told):
                captions.append(shorten(told))
    body = re.sub(r"-\n(?=[a-z])", "", "\n".join(line for line in lines if len(line) > 45))
    said = [part for part in sentences(body) if 60 < len(part) < 220 and is_readable(part, 9) and part[0].isupper() and part[-1] in ".?!"]
    said = [part for part in said if not _CONTENTS.search(part)]
    said.sort(key=lambda part: number_of(part))
    return [*captions[:2], *said[:most]]


def language_of(name: str) -> str:
    """Return the language that a file's name tells, else English."""
    found = re.search(r"[-_.](de|fr|it|es|pt|ja|ru|nl|pl)(?:[-_.]|$)", Path(name).name.lower())
    return found[1] if found else "en"


def read_text(path: Path) -> str:
    """Return a text file's content; gzip is undone."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
