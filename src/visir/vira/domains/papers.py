"""Papers: the articles that R packages ship as their vignettes, many of them printed in journals, as they are."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pypdfium2 as pdfium

from visir.vira.domains.base import Domain, is_readable, shorten
from visir.vira.domains.documents import CAPTION, Documents
from visir.vira.page import Page

_ABSTRACT = re.compile(r"^\s*(?:Abstract|Summary)\b", re.M | re.I)
_PLAIN = re.compile(r"^GNU R (?:package )?(?:for |to |that |providing )?", re.I)


class Papers(Documents):
    """One document is an R package: its articles, each with an abstract on its first two pages."""

    name = "papers"
    debian: ClassVar[tuple[str, ...]] = (
        *("r-bioc-deseq", "r-bioc-purecn", "r-bioc-rbgl", "r-cran-bms", "r-cran-bradleyterry2", "r-cran-bridgesampling", "r-cran-brms"),
        *("r-cran-brobdingnag", "r-cran-clue", "r-cran-coin", "r-cran-dbscan", "r-cran-desolve", "r-cran-dimred", "r-cran-effects"),
        *("r-cran-elliptic", "r-cran-erm", "r-cran-fitdistrplus", "r-cran-flexmix", "r-cran-forecast", "r-cran-gmm", "r-cran-gstat"),
        *("r-cran-gsubfn", "r-cran-gwidgets", "r-cran-interp", "r-cran-jsonlite", "r-cran-kernlab", "r-cran-kohonen", "r-cran-laeken"),
        *("r-cran-lavasearch2", "r-cran-lme4", "r-cran-logcondens", "r-cran-maldiquant", "r-cran-markovchain", "r-cran-metafor"),
        *("r-cran-mixtools", "r-cran-mlmrev", "r-cran-mnp", "r-cran-msm", "r-cran-multcomp", "r-cran-network", "r-cran-ordinal"),
        *("r-cran-partitions", "r-cran-party", "r-cran-partykit", "r-cran-plot3d", "r-cran-pls", "r-cran-powerlaw", "r-cran-proto"),
        *("r-cran-pscbs", "r-cran-pscl", "r-cran-psych", "r-cran-qtl", "r-cran-quantreg", "r-cran-r.oo", "r-cran-r.rsp", "r-cran-rcpp"),
        *("r-cran-rcppeigen", "r-cran-rgenoud", "r-cran-rmpfr", "r-cran-robumeta", "r-cran-rockchalk", "r-cran-rprotobuf"),
        *("r-cran-rrcov", "r-cran-sandwich", "r-cran-scatterplot3d", "r-cran-seriation", "r-cran-sets", "r-cran-sp", "r-cran-spacetime"),
        *("r-cran-spam", "r-cran-spatstat", "r-cran-strucchange", "r-cran-surveillance", "r-cran-systemfit", "r-cran-tgp", "r-cran-tsp"),
        *("r-cran-vcd", "r-cran-vegan", "r-cran-vipor", "r-cran-zoo"),
    )
    dev_share = 0.15
    about = "articles with an abstract among the vignettes of R packages, as they are"
    licence = "free licences of the packages (GPL and others)"
    wanted = True

    @staticmethod
    def measure(path: Path) -> bool | None:
        """Whether a PDF file has an abstract; nothing where it is damaged or broader than high."""
        try:
            with pdfium.PdfDocument(path) as document:
                width, height = document[0].get_size()
                opening = "\n".join(document[number].get_textpage().get_text_range() for number in range(min(2, len(document))))
        except pdfium.PdfiumError:
            return None
        return bool(_ABSTRACT.search(opening)) if width < height else None

    @cached_property
    def _described(self) -> dict[str, str]:
        _, translations = self.corpora.package_index()
        return dict(re.findall(r"^Package: (r-(?:cran|bioc)-\S+)\n(?:(?!Description-en).+\n)*Description-en: (.+)$", translations, re.M))

    def summary(self, document: str) -> str:
        """Return Debian's one line about the package."""
        return _PLAIN.sub("", self._described.get(document.partition("/")[0], ""))

    def is_dev(self, document: str) -> bool:
        """By the package."""
        return Domain.is_dev(self, document.partition("/")[0])

    def _file(self, path: Path, name: str, document: str, most: int) -> Iterator[Page]:
        pages = list(super()._file(path, name, document, most))
        shown = [
            (f"the page of this paper that shows: {shorten(found[1], 140)}", page.key)
            for page in pages[1:]
            for line in page.shot.text.splitlines()
            if (found := CAPTION.match(line)) and is_readable(found[1], 4)
        ]
        for page in pages:
            first = page.shot.page == 1
            yield replace(page, relations=(*page.relations, *shown[:4]), answers=_authors(page, path)) if first else page


def _authors(page: Page, path: Path) -> tuple[tuple[str, str], ...]:
    """Ask who wrote a paper, where the file tells names that stand on its first page."""
    with pdfium.PdfDocument(path) as document:
        told = " ".join(document.get_metadata_value("Author").split())
    names = re.findall(r"\w{3,}", told)
    seen = page.shot.text.lower()
    return (("Who wrote this paper?", told),) if names and all(name.lower() in seen for name in names) and len(told) < 120 else ()
