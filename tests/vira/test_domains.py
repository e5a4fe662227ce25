import pytest
from vira.sources import ENTITIES

from visir.vira.camera import Camera
from visir.vira.domains import DOMAINS
from visir.vira.domains.news import read_articles, untag


@pytest.fixture(scope="module")
def camera():
    with Camera() as camera:
        yield camera


def test_a_paper_is_asked_for_by_what_others_say_and_by_its_figures(corpora, camera):
    papers = DOMAINS["papers"](corpora)
    (document,) = papers.documents()
    first, second = papers.pages(document, camera)
    assert first.shot.title == "Counting newts"
    assert "watching newts" in first.questions
    assert first.answers == (("Who wrote this paper?", "Ann Other"),)
    shown = [key for text, key in first.relations if "Newts counted in the ponds of Varga" in text]
    assert shown == [second.key]
    assert not second.answers


def test_a_manual_without_an_abstract_is_no_paper(corpora):
    papers = DOMAINS["papers"](corpora)
    assert not any("manual" in name for names in papers._files.values() for name in names)


def test_a_story_keeps_a_sentence_back_and_leads_to_the_encyclopedia(corpora, camera):
    news = DOMAINS["news"](corpora)
    assert len(news.documents()) == 12
    first, second = news.pages("c00", camera)
    assert "Town counts its herons" in first.shot.text
    assert not set(first.questions) & {first.shot.text}
    kept_back = " ".join(first.questions[0].split())
    assert kept_back not in " ".join(first.shot.text.split())
    assert first.classes == (("Which section of a newspaper is this from?", "news reports"),)
    assert first.relations[0] == ("the next story of this newspaper", second.key)
    named = [key for _, key in first.relations[1:]]
    assert named
    assert all(key.removeprefix("encyclopedia/en/") in ENTITIES for key in named)


def test_stories_begin_at_headlines_and_read_as_printed():
    body = "\n\n".join("\tHe/pps said/vbd ``/`` no/rb ''/'' ,/, (/( and/cc left/vbd )/) ./. " for _ in range(40))
    articles = read_articles(f"Fair/jj-hl weather/nn-hl \n\n{body}\n\nMore/ap-hl rain/nn-hl \n\n{body}")
    assert [article.headline for article in articles] == ["Fair weather", "More rain"]
    assert articles[0].sentences[0] == "He said “no”, (and left)."
    assert untag(["It/pps", "costs/vbz", "$/nns", "5/cd", ";/.", ";/."]) == "It costs $5;"
