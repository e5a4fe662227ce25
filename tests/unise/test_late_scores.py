import numpy as np
import pytest
from documents import TOPICS, draw_png

from visir.screenshot import Query, Screenshot
from visir.unise import evidence
from visir.unise.embedder import load_embedder
from visir.unise.late import present, score_pictures, score_texts
from visir.unise.regions import Regions


@pytest.fixture(scope="module")
def model():
    return load_embedder("unise-mini")


@pytest.fixture(scope="module")
def shelf(model):
    """Pictures of three texts, and their regions."""
    shots = [Screenshot(draw_png(pages[0].split("\n"))) for pages in TOPICS.values()]
    return shots, [regions.pack() for regions in model.encode_regions(shots)]


def test_texts_are_scored_as_one_page_after_the_other_is(model, shelf):
    queries = [Query("rye flour"), Query("black answers")]
    cosines = np.array([[0.1, 0.5, 0.9], [0.3, 0.2, 0.6]], np.float32)
    scores = score_texts(model, queries, shelf[1], cosines)
    for query, row, found in zip(queries, cosines, scores, strict=True):
        asked = model.encode_query_regions(query)
        chances = np.array([asked.match(Regions.unpack(page))[0] for page in shelf[1]], np.float32)
        typed = evidence.words(chances, chances)
        wanted = evidence.join(typed, evidence.meaning(row, query, model.calibration, typed))
        assert found == pytest.approx(wanted, abs=1e-5)


def test_an_answer_is_looked_for_on_the_picture_that_asks(model, shelf):
    shots, pages = shelf
    answers = ["coastal towns", "rye flour", "the Sicilian defence"]
    told = [Regions(np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32)).pack()] * 3
    queries = [Query("What does it say?", shot) for shot in shots]
    scores = score_pictures(model, queries, pages, told, dict(enumerate(answers)), np.zeros((3, 3), np.float32))
    assert scores.argmax(1).tolist() == [0, 1, 2]


def test_words_on_a_picture_do_not_speak_for_the_name_of_its_class(model, shelf):
    shots, pages = shelf
    cosines = np.array([[0.4, 0.3], [0.1, 0.2], [0.5, 0.6]], np.float32)
    scores = score_pictures(model, [Query(image=shot) for shot in shots], pages, pages[:2], {0: "rye", 1: "chess"}, cosines)
    assert scores == pytest.approx(cosines)


def test_what_is_enough_is_not_counted_twice(model, shelf):
    asked = model.encode_difference("in English")
    assert asked.weights.sum() > 1
    [chances] = present([asked], shelf[1])
    assert chances == pytest.approx([asked.match(Regions.unpack(page))[0] for page in shelf[1]], abs=1e-5)
    assert chances.max() <= 1
