"""Product pages: the records of Debian's package index, set as pages of a shop; the one-line summary is kept back as the caption."""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from visir.vira.camera import Camera
from visir.vira.domains.base import Domain, choose, screenshot, shorten
from visir.vira.page import Page
from visir.vira.templates import fill
from visir.vira.theme import theme_of

# Documents that the project's examination is made of.
_RESERVED = re.compile(r"gimp-help|texlive-(publishers|science|humanities|lang-|latex-recommended)")
_STORES = ("Package Market", "Software Shop", "FreeStore", "AppDepot", "The Open Catalogue", "Toolbox")
_ACTIONS = ("Install", "Add to cart", "Get it for free", "Download now", "Get", "Install now")
_SECTIONS = {
    "admin": "system administration",
    "cli-mono": "Mono and .NET",
    "comm": "communication and fax",
    "database": "databases",
    "devel": "software development",
    "doc": "documentation",
    "editors": "text editors",
    "education": "education and teaching",
    "electronics": "electronics design",
    "embedded": "embedded systems",
    "fonts": "fonts",
    "games": "games and amusement",
    "gnome": "GNOME desktop",
    "gnu-r": "GNU R statistics",
    "gnustep": "GNUstep environment",
    "graphics": "graphics and images",
    "hamradio": "amateur radio",
    "haskell": "Haskell programming",
    "httpd": "web servers",
    "interpreters": "interpreters",
    "java": "Java programming",
    "javascript": "JavaScript programming",
    "kde": "KDE desktop",
    "kernel": "kernels and modules",
    "lisp": "Lisp programming",
    "localization": "languages and localization",
    "mail": "electronic mail",
    "math": "mathematics",
    "metapackages": "collections of packages",
    "net": "network tools",
    "news": "newsgroups",
    "ocaml": "OCaml programming",
    "otherosfs": "other file systems and emulators",
    "perl": "Perl programming",
    "php": "PHP programming",
    "ruby": "Ruby programming",
    "python": "Python programming",
    "rust": "Rust programming",
    "science": "science and research",
    "shells": "command shells",
    "sound": "sound and music",
    "tex": "TeX typesetting",
    "text": "text processing",
    "utils": "small utilities",
    "vcs": "version control",
    "video": "video",
    "web": "web browsers and tools",
    "x11": "X window system",
    "xfce": "Xfce desktop",
    "zope": "Zope and Plone",
    "libs": "shared libraries",
    "libdevel": "library headers",
    "debug": "debugging symbols",
}
_KIN = (
    (re.compile(r"^(.+?)-docs?$"), "its documentation", "the software that this documents"),
    (re.compile(r"^(.+?)-data$"), "the data files that it needs", "the program that uses these data"),
    (re.compile(r"^(.+?)-common$"), "the files that all its variants share", "the program itself, not the shared files"),
    (re.compile(r"^(.+?)-dev$"), "what programmers need to build with it", "what is needed to run, not to build"),
    (re.compile(r"^(.+?)-dbgsym|-dbg$"), "its debugging symbols", "the program itself, not its debugging symbols"),
    (re.compile(r"^(.+?)-(?:gtk|gnome|gui)$"), "the same with a graphical interface", "the plain version of it"),
    (re.compile(r"^(.+?)-(?:utils|tools|bin)$"), "command line tools for it", "what these tools belong to"),
    (re.compile(r"^(.+?)-server$"), "its server", "the client or library of this server"),
    (re.compile(r"^(.+?)-plugins?(?:-.*)?$"), "plugins that extend it", "the program that these plugins extend"),
)


class Products(Domain):
    """One document is a source package: what was made of one source shares its description."""

    name = "products"
    dev_share = 0.06
    about = "the records of Debian 12's package index (names, descriptions, sizes, tags), set as pages of a software shop"
    licence = "descriptions under the licences of their packages"

    @cached_property
    def _records(self) -> dict[str, list[dict[str, str]]]:
        packages, translations = self.corpora.package_index()
        long = {record["Description-md5"]: record.get("Description-en", "") for record in _stanzas(translations)}
        found: dict[str, list[dict[str, str]]] = defaultdict(list)
        for record in _stanzas(packages):
            text = long.get(record.get("Description-md5", ""), "")
            section = record.get("Section", "").rpartition("/")[2]
            if _RESERVED.match(record["Package"]) or "\n" not in text or section in ("debug", "oldlibs"):
                continue
            record["Long"] = text.partition("\n")[2]
            record["Section"] = section
            found[record.get("Source", record["Package"]).split()[0]].append(record)
        return dict(found)

    def documents(self) -> list[str]:
        """Return the source packages."""
        return sorted(self._records)

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield up to four of the packages that are made of one source, those with descriptions of their own."""
        records: list[dict[str, str]] = []
        seen: set[str] = set()
        for record in self._records[document]:
            if record["Description"] not in seen and len(records) < 4:
                seen.add(record["Description"])
                records.append(record)
        names = {record["Package"] for record in records}
        for record in records:
            yield self._page(document, record, names, camera)

    def _page(self, document: str, record: dict[str, str], names: set[str], camera: Camera) -> Page:
        name = record["Package"]
        key = f"products/{name}"
        look = theme_of(key, serif=0.15, zoom=(0.8, 1.3))
        maker = re.sub(r"\s*<.*", "", record.get("Maintainer", "")).strip('"')
        facts = _facts(record)
        content = fill(
            "product",
            look,
            name=name,
            hue=look.variant % 360,
            facts=facts,
            maker=maker,
            blocks=blocks(record["Long"]),
            store=choose(_STORES, "store", key),
            action=choose(_ACTIONS, "action", key),
        )
        shot = camera.html(content, look.look, look.dark)
        summary = re.sub(rf"\b{re.escape(name)}\b", "this", record["Description"])
        section = _SECTIONS.get(record["Section"], "")
        tags = _tags(record.get("Tag", ""))
        seen = "".join(shot.text.split())
        # What fell below the window, or was cut off, cannot be asked for.
        asked = [(_QUESTIONS[label], value) for label, value in facts if label in _QUESTIONS and "".join(value.split()) in seen]
        return Page(
            screenshot(shot, key, name),
            self.name,
            document,
            captions=(summary, *([f"{summary}; {', '.join(tags)}"] if tags else [])),
            questions=(summary,) if len(summary.split()) > 3 else (),
            answers=(("What is this, in one line?", record["Description"]), *asked),
            classes=(("", section),) if section else (),
            relations=tuple(_relations(name, names)),
            composed=True,
            licence=self.licence,
        )


_QUESTIONS = {
    "Version": "Which version is it?",
    "Maintainer": "Who maintains it?",
    "Installed size": "How much room does it take when installed?",
    "Homepage": "Where is its home page?",
}


def _facts(record: dict[str, str]) -> list[tuple[str, str]]:
    size = int(record.get("Installed-Size", "0"))
    facts = [
        ("Version", re.sub(r"^\d+:|\+deb.*$", "", record.get("Version", ""))),
        ("Installed size", f"{size / 1024:.1f} MB" if size > 1024 else f"{size} kB"),
        ("Download", f"{int(record.get('Size', '0')) / 1024:,.0f} kB"),
        ("Maintainer", re.sub(r"\s*<.*", "", record.get("Maintainer", "")).strip('"')),
        ("Homepage", record.get("Homepage", "").removeprefix("https://").removeprefix("http://").rstrip("/")),
        ("Needs", shorten(", ".join(re.sub(r"\s*\([^)]*\)", "", record.get("Depends", "")).split(", ")[:6]), 120)),
    ]
    return [(label, value) for label, value in facts if value]


def _tags(raw: str) -> list[str]:
    wanted = [tag.partition("::")[2] for tag in raw.split(", ") if tag.startswith(("use::", "works-with::", "field::"))]
    return sorted(re.sub("[:-]", " ", tag) for tag in wanted)[:3]


def _relations(name: str, names: set[str]) -> Iterator[tuple[str, str]]:
    for pattern, there, back in _KIN:
        for other in sorted(names - {name}):
            if (found := pattern.match(other)) and found[1] == name:
                yield there, f"products/{other}"
            if (found := pattern.match(name)) and found[1] == other:
                yield back, f"products/{other}"


def blocks(text: str) -> list[tuple[str, str | list[str]]]:
    """Cut a package's description into paragraphs (``text``) and lists (``list``)."""
    found: list[tuple[str, str | list[str]]] = []
    for part in re.split(r"\n \.\n?", "\n" + text):
        lines = [line.rstrip() for line in part.splitlines() if line.strip()]
        items: list[str] = []
        prose: list[str] = []
        for line in lines:
            bullet = re.match(r"\s+[*+•-]\s+(.*)", line)
            if bullet:
                items.append(bullet[1])
            elif items and line.startswith("  "):
                items[-1] += " " + line.strip()
            else:
                prose.append(line.strip())
        if prose:
            found.append(("text", " ".join(prose)))
        if items:
            found.append(("list", items))
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Read the stanzas of a Debian control file; continued lines keep their newline."""
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[name] += "\n" + line if name.startswith("Description") else " " + line.strip()
            elif ": " in line:
                name, _, value = line.partition(": ")
                fields[name] = value
        if "Package" in fields:
            yield fields
