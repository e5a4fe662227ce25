"""The kinds of documents that VIRA knows, one small file each."""

from visir.vira.domains.base import Domain
from visir.vira.domains.charts import Charts
from visir.vira.domains.documents import Documents, Slides
from visir.vira.domains.encyclopedia import Encyclopedia
from visir.vira.domains.manuals import Help, Manuals, Music
from visir.vira.domains.news import News
from visir.vira.domains.papers import Papers
from visir.vira.domains.products import Products
from visir.vira.domains.repositories import Repositories

DOMAINS: dict[str, type[Domain]] = {
    domain.name: domain for domain in (Charts, Documents, Encyclopedia, Help, Manuals, Music, News, Papers, Products, Repositories, Slides)
}
"""Every domain by its name."""

HELD_OUT = frozenset({Music.name})
"""Domains that training never sees."""

__all__ = ["DOMAINS", "HELD_OUT", "Domain"]
