"""Pages of HTML manuals as a browser shows them, and the same help pages in several languages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from visir.vira.camera import Camera, Look, Shot
from visir.vira.corpora import Corpora
from visir.vira.domains.base import Domain, is_readable, screenshot, shorten
from visir.vira.domains.documents import page_texts
from visir.vira.links import following, head_texts, headings, parse, read_links
from visir.vira.page import Page, number_of, share_of

_SIZES = ((640, 896), (640, 896), (640, 896), (720, 896), (896, 672), (800, 800), (480, 896))
_PLAIN = "body{margin:8px}"


@dataclass(frozen=True)
class Manual:
    """Where a manual's pages are.

    Args:
        name: of the manual, for people.
        package: of Debian.
        folder: below the package.
        pages: globs below the folder.
        windows: how many windows of a page are taken at most.
        style: CSS that hides what is the same on every page.
        dev: whether it is kept from training, as a whole.
    """

    name: str
    package: str
    folder: str
    pages: tuple[str, ...] = ("**/*.html",)
    windows: int = 2
    style: str = ""
    dev: bool = False


class Manuals(Domain):
    """One document is a manual; its pages are captured one by one."""

    name = "manuals"
    about = "HTML manuals of programs and libraries, as Chromium shows them"
    licence = "free licences of the packages (PSF, GFDL, GPL, BSD, CC BY-SA and others)"
    manuals: ClassVar[tuple[Manual, ...]] = (
        Manual("PostgreSQL 15", "postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html", dev=True),
        Manual("SQLite", "sqlite3-doc", "usr/share/doc/sqlite3", ("*.html", "c3ref/*.html", "syntax/*.html"), dev=True),
        Manual("Debian Policy", "debian-policy", "usr/share/doc/debian-policy/policy.html", dev=True),
        Manual("Python 3.11", "python3.11-doc", "usr/share/doc/python3.11/html", windows=4),
        Manual("GNU Octave", "octave-doc", "usr/share/doc/octave/octave.html", windows=1),
        Manual("Apache HTTP Server", "apache2-doc", "usr/share/doc/apache2-doc/manual/en", windows=3),
        Manual("cppreference", "cppreference-doc-en-html", "usr/share/cppreference/doc/html/en", ("cpp/**/*.html", "c/**/*.html")),
        Manual("Linux kernel", "linux-doc-6.1", "usr/share/doc/linux-doc-6.1/html"),
        Manual("SciPy", "python-scipy-doc", "usr/share/doc/python-scipy-doc/html", ("tutorial/**/*.html", "reference/**/*.html")),
        Manual(
            "statsmodels",
            "python-statsmodels-doc",
            "usr/share/doc/python-statsmodels-doc/html",
            ("*.html", "examples/**/*.html", "generated/*.html"),
        ),
        Manual(
            "pandas",
            "python-pandas-doc",
            "usr/share/doc/python-pandas-doc/html",
            ("reference/**/*.html", "user_guide/*.html", "getting_started/**/*.html"),
        ),
        Manual("Astropy", "python-astropy-doc", "usr/share/doc/python-astropy-doc/html"),
        Manual("SymPy", "python-sympy-doc", "usr/share/doc/python-sympy-doc/html", windows=4),
        Manual("gnuplot", "gnuplot-doc", "usr/share/doc/gnuplot/htmldocs"),
        Manual("Debian Administrator's Handbook", "debian-handbook", "usr/share/doc/debian-handbook/html/en-US", windows=4),
    )

    def __init__(self, corpora: Corpora) -> None:
        super().__init__(corpora)
        self._by_package = {manual.package: manual for manual in self.manuals}
        self._links: dict[str, dict[str, list[str]]] = {}

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        return {manual.package: self._list(manual) for manual in self.manuals}

    def _folder(self, manual: Manual) -> Path:
        return self.corpora.debian(manual.package) / manual.folder

    def _list(self, manual: Manual) -> list[str]:
        folder = self._folder(manual)
        found = {path for pattern in manual.pages for path in folder.glob(pattern) if path.is_file() and not path.is_symlink()}
        # Octave's XREF pages only lead on to others.
        names = sorted(str(path.relative_to(folder)) for path in found)
        return [
            name
            for name in names
            if not re.search(r"(^|/)(genindex|py-modindex|search|bookindex|404)[\w-]*\.html|_modules/|(^|/)XREF", name)
        ]

    def documents(self) -> list[str]:
        """Return PACKAGE/PAGE for each page."""
        return [f"{package}/{name}" for package, names in self._files.items() for name in names]

    def is_dev(self, document: str) -> bool:
        """Whole manuals are kept from training."""
        return self._by_package[document.partition("/")[0]].dev

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield the windows of one page of a manual."""
        package, _, name = document.partition("/")
        manual = self._by_package[package]
        folder = self._folder(manual)
        tree = parse(folder / name)
        if tree is None:
            return
        shots = camera.file(folder / name, _look(document), manual.windows, style=_PLAIN + manual.style)
        if package not in self._links:
            self._links[package] = read_links(folder, self._files[package], self.corpora.folder / "memory" / f"{package}.links.json")
        said = self._links[package].get(name, [])
        titles, hidden = (
            headings(tree),
            [text for text in head_texts(tree) if is_readable(text, 3) and text not in shots[0].title and shots[0].title not in text],
        )
        next_page = following(tree, name)
        for number, shot in enumerate(shots, 1):
            if len(shot.text) < 150:
                continue
            key = f"{self.name}/{document}#{number}"
            relations = [("the next window of this page", f"{self.name}/{document}#{number + 1}")] if number < len(shots) else []
            if number == 1 and next_page:
                relations.append((f"the next page of the {manual.name} manual", f"{self.name}/{package}/{next_page}#1"))
            own = [title for title in titles if title in shot.text]
            captions, questions = page_texts(shot.text), [f"{title} ({manual.name})" for title in own[:2]]
            if number == 1:
                captions, questions = [*hidden[:2], *captions], [*said, *questions]
            yield Page(
                screenshot(shot, key, shot.title, number),
                self.name,
                f"{self.name}/{package}",
                captions=tuple(captions),
                questions=tuple(questions),
                classes=(("Which manual is this page from?", manual.name),),
                relations=tuple(relations),
                licence=self.licence,
            )


class Music(Manuals):
    """Manuals full of musical notation: the domain that training never sees."""

    name = "music"
    about = "LilyPond's manuals: pages full of musical notation, as Chromium shows them; held out of training"
    manuals = tuple(
        Manual(
            *(name, f"lilypond-doc-html:{part}", "usr/share/doc/lilypond/html/Documentation", (f"{part}/*.html",), windows),
            style="#tocframe,.nav_table,#footer,.footer{display:none!important}#main{margin:0 1em!important;left:0!important}",
            dev=True,
        )
        for name, part, windows in (
            ("LilyPond notation", "notation", 8),
            ("LilyPond snippets", "snippets", 16),
            ("LilyPond learning", "learning", 4),
            ("Music glossary", "music-glossary", 1),
        )
    )

    def _folder(self, manual: Manual) -> Path:
        return self.corpora.merged("lilypond-doc-html", "lilypond-doc") / manual.folder

    def _list(self, manual: Manual) -> list[str]:
        return [name for name in super()._list(manual) if not re.search(r"\.(de|es|fr|ca|hu|it|ja|nl|pt|zh|cs)\.html$|(^|/)index", name)]


_LANGUAGES = {
    "en-US": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt-BR": "Portuguese",
    "sv": "Swedish",
    "cs": "Czech",
    "fi": "Finnish",
}
_HIDDEN = (
    "header,aside,footer,#SearchFrame,#DonationFrame{display:none!important}"
    "#DisplayArea{margin:0!important;padding:1em 1.5em!important;width:auto!important}"
)


class Help(Domain):
    """Help pages of LibreOffice; one document is a topic, in all its languages."""

    name = "help"
    dev_share = 0.22
    about = "LibreOffice's help pages in English and up to two of ten other languages, as Chromium shows them"
    licence = "MPL 2.0"
    debian = ("libreoffice-help-common", *(f"libreoffice-help-{language.lower()}" for language in _LANGUAGES))

    def _place(self, language: str) -> Path:
        return self.corpora.merged(f"libreoffice-help-{language.lower()}", "libreoffice-help-common") / "usr/share/libreoffice/help"

    def documents(self) -> list[str]:
        """Return the topics, as paths of their pages."""
        folder = self._place("en-US") / "en-US" / "text"
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))

    @cached_property
    def _style(self) -> str:
        # The style sheet is in the common package, pages in those of the languages.
        common = self.corpora.debian("libreoffice-help-common") / "usr/share/libreoffice/help"
        return (common / "default.css").read_text("utf-8") + _HIDDEN

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield a topic's first window in English and in two other languages."""
        others = sorted(set(_LANGUAGES) - {"en-US"}, key=lambda language: number_of(document, language))[:2]
        shots: dict[str, tuple[Shot, list[str], str]] = {}
        for language in ("en-US", *others):
            path = self._place(language) / language / "text" / document
            tree = parse(path) if path.is_file() else None
            if tree is None:
                continue
            [shot] = camera.file(path, _look(f"{language}/{document}"), style=self._style)
            if len(shot.text) >= 150:
                title = next(iter(headings(tree)), shot.title)
                shots[language] = (shot, head_texts(tree), title)
        for language, (shot, entries, title) in shots.items():
            relations = [(f"the same page in {_LANGUAGES[other]}", f"help/{other}/{document}") for other in shots if other != language]
            index = "; ".join(shorten(entry.replace(";", ", "), 80) for entry in entries[:2])
            yield Page(
                screenshot(shot, f"help/{language}/{document}", title),
                self.name,
                document,
                language.partition("-")[0].lower(),
                captions=tuple(page_texts(shot.text)),
                questions=(index,) if len(index.split()) > 2 else (),
                relations=tuple(relations),
                classes=(("Which program is this help page about?", _PROGRAMS[document.split("/")[0]]),)
                if document.split("/")[0] in _PROGRAMS
                else (),
                licence=self.licence,
            )


_PROGRAMS = {
    "scalc": "spreadsheets",
    "swriter": "text documents",
    "simpress": "presentations",
    "sdraw": "drawings",
    "smath": "formulas",
    "sbasic": "programming in Basic",
    "schart": "charts",
    "sdatabase": "databases",
}


def _look(key: str) -> Look:
    width, height = _SIZES[number_of("size", key) % len(_SIZES)]
    return Look(width, height, round(0.72 + 0.4 * share_of("zoom", key), 3))
