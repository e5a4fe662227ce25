"""Repository pages: the README and the file list of real software, set as a page of a code host."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from visir.vira.camera import Camera
from visir.vira.domains.base import choose, is_readable, screenshot, sentences, shorten
from visir.vira.domains.documents import Documents, language_of, read_text
from visir.vira.page import Page
from visir.vira.templates import fill
from visir.vira.theme import theme_of

_HOSTS = ("GitHub", "GitLab", "Codeberg", "CodeHub", "Forge")


class Repositories(Documents):
    """One document is a package of CTAN, as `visir.vira.domains.documents.Documents` splits them."""

    name = "repositories"
    debian = ("texlive-pictures-doc", "texlive-latex-extra-doc", "texlive-latex-base-doc", "texlive-metapost-doc")
    about = "READMEs and file lists of CTAN packages, set as pages of a code host"

    @cached_property
    def _readmes(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for package in self.debian:
            root = self.corpora.debian(package).parent
            for path in sorted((root / package).rglob("README*")):
                if path.is_file() and path.name.lower().partition(".")[0] == "readme" and path.stat().st_size > 200:
                    found.setdefault(str(path.parent.relative_to(root)), path)
        return found

    def documents(self) -> list[str]:
        """Return the folders that have a README."""
        return sorted(self._readmes)

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield the page of a repository."""
        path = self._readmes[document]
        name = path.parent.name
        key = f"repositories/{document}"
        theme = theme_of(key, serif=0.08, zoom=(0.8, 1.15))
        text = read_text(path)
        if len(text.split()) < 30:
            return
        marked = ".md" in path.suffixes
        readme = Markup(MarkdownIt().render(text[:6000])) if marked else Markup('<pre class="plain">{}</pre>').format(text[:6000])
        content = fill(
            "repository",
            theme,
            owner=choose(("ctan", "latex-packages", "texlive", name), "owner", key),
            repository=name,
            host=choose(_HOSTS, "host", key),
            files=_files(path.parent) if theme.variant % 4 else [],
            readme=readme,
            readme_name=path.name.removesuffix(".gz"),
        )
        shot = camera.html(content, theme.look, theme.dark)
        summary = self.summary(document)
        said = [part for part in sentences(text[:3000]) if 50 < len(part) < 200 and is_readable(part, 8)]
        yield Page(
            screenshot(shot, key, name),
            self.name,
            document,
            language_of(path.parent.name),
            captions=(*([summary] if summary else []), *(shorten(part) for part in said[:1])),
            questions=(summary,) if len(summary.split()) > 2 else (),
            answers=(("What is this software for?", summary),) if summary else (),
            relations=tuple(
                (("the manual of this software", f"documents/{manual}#1"),) if (manual := self._manual(path.parent, document)) else ()
            ),
            composed=True,
            licence=self.licence,
        )

    def _manual(self, folder: Path, document: str) -> str:
        found = [name for name in (f"{folder.name}.pdf", f"{folder.name}-doc.pdf", "manual.pdf") if (folder / name).is_file()]
        return f"{document}/{found[0]}" if found else ""


def _files(folder: Path) -> list[tuple[str, str]]:
    entries = sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name.lower()))[:9]
    sizes = ["" if path.is_dir() else f"{max(1, path.stat().st_size // 1024)} kB" for path in entries]
    return [(path.name.removesuffix(".gz"), size) for path, size in zip(entries, sizes, strict=True)]
