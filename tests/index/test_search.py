import re
from pathlib import Path

import numpy as np
import pytest
from documents import draw_png, scene, write_pdf
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageDraw, ImageFont

from visir.errors import QueryError
from visir.index import Index
from visir.index.search import coverage, tokens_of
from visir.index.store import pack_boxes, unpack_boxes
from visir.screenshot import Query, Screenshot


@pytest.fixture
def index(library, open_index):
    index = open_index()
    index.add(library)
    return index


def names(hits):
    return [(Path(hit.uri).stem, hit.page) for hit in hits]


def test_words_and_meaning_find_the_page(index):
    assert names(index.search("annual rainfall"))[0] == ("rainfall", 1)
    assert names(index.search("opening moves of a board game"))[0] == ("chess", 1)


def test_a_hit_shows_where_its_words_stand(index):
    hit = index.search("starter rye")[0]
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["starter", "rye"]
    assert len(hit.boxes) == 2
    assert all(0 <= value <= 1 for box in hit.boxes for value in box)
    assert Path(hit.picture).read_bytes()[:3] == b"\xff\xd8\xff"
    assert hit.title == "Sourdough bread at home Feed the starter with rye flour every morning."


def test_scores_fall_from_hit_to_hit_and_stay_between_0_and_100(index):
    for query in ("rainfall in March", "something else entirely"):
        scores = [hit.score for hit in index.search(query)]
        assert scores
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 100 for score in scores)


def test_a_minimum_score_cuts_and_nonsense_finds_nothing(index):
    assert index.search("xqzzt vrbl", min_score=20) == []
    assert names(index.search("crust crackle", min_score=60)) == [("bread", 2)]


def test_small_words_of_a_query_are_not_marked(tmp_path, open_index):
    (tmp_path / "minutes.txt").write_text("Penguins met at the corner of Mill Lane and talked about it at length.")
    index = open_index()
    index.add(tmp_path / "minutes.txt")
    [hit] = index.search("penguins at the south pole")
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["Penguins"]


def test_exact_words_can_be_switched_off(index):
    hit = index.search("drought", words=False)[0]
    assert (names([hit]), hit.marks, hit.boxes) == ([("rainfall", 2)], (), ())


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("type = 'pdf'", 5),
        ("type = 'image'", 0),
        ("page = 2", 2),
        ("path LIKE '%/bread.pdf'", 2),
        ("language = 'en' AND page = 1", 3),
        ("date >= '2024-01-01' AND date < '2025-01-01'", 5),
        ("title LIKE 'Drought%' OR title LIKE 'The Sicilian%'", 1),
    ],
)
def test_filters(index, where, count):
    assert len(index.search("rainfall bread chess", where=where)) == count


@pytest.mark.parametrize(
    "where", ["nonsense = 3", "page = = 3", "page = 'x", "1; DROP TABLE pages", "page <", "date >= 2023", "page = 'x'", "title LIKE 3"]
)
def test_a_bad_filter_is_one_clear_error(index, where):
    with pytest.raises(QueryError, match="the filter makes no sense") as caught:
        index.search("rain", where=where)
    told = str(caught.value)
    assert "\n" not in told
    assert not re.search(r"SELECT|cargo|Utf8|Int32|EOF|sql parser", told)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_query_is_refused(index, text):
    with pytest.raises(QueryError, match="empty"):
        index.search(text)


@pytest.mark.parametrize("text", ["'", '"', "a' OR 1=1 --", "%", "\\", "日本", "a" * 5000, "AND OR NOT", "(", "*:*", "\x00", "🎈"])
def test_any_text_is_a_query(index, text):
    index.search(text)


def test_a_picture_finds_its_page_and_a_text_turns_it(index, tmp_path):
    path = write_pdf(tmp_path / "query.pdf", ["Sourdough bread at home\nFeed the starter with rye flour every morning."])
    picture = index.capture(path)
    assert names(index.search(Query(image=picture)))[0] == ("bread", 1)
    assert names(index.search(Query("baking steam crust", picture)))[0] == ("bread", 2)


def test_skip_goes_on_where_the_last_page_of_results_ended(index):
    whole = names(index.search("rainfall", count=5))
    assert names(index.search("rainfall", count=2, skip=2)) == whole[2:4]


def test_accents_case_and_punctuation_do_not_matter_for_words():
    assert tokens_of("Crème-Brûlée!") == tokens_of("creme brulee")
    assert coverage(("creme", "x"), frozenset({"creme"})) == pytest.approx(5 / 6)


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=20))
def test_boxes_are_packed_within_a_pixel(boxes):
    unpacked = unpack_boxes(pack_boxes(boxes))
    assert unpacked.shape == (len(boxes), 4)
    assert np.allclose(unpacked, np.array(boxes).reshape(-1, 4), atol=1 / 65535)


def test_a_text_beside_a_picture_asks_for_another_than_the_picture(index, monkeypatch):
    place = Path(index.search("annual rainfall")[0].uri)
    monkeypatch.chdir(place.parent)
    itself = index.capture(place.name)
    assert names(index.search(Query(image=itself)))[0] == ("rainfall", 1)
    for where in ("", "type = 'pdf' OR type = 'markdown'"):
        found = names(index.search(Query("the same page", itself), where=where))
        assert ("rainfall", 1) not in found
        assert ("rainfall", 2) in found


def test_a_picture_finds_pages_that_bear_its_words(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    lines = {"snow": "danger of avalanches near the summit", "bread": "feed the starter with flour", "chess": "black answers with the pawn"}
    for name, line in lines.items():
        (folder / f"{name}.png").write_bytes(draw_png([line]))
    with Index.open(tmp_path / "index") as index:
        index.add(folder)
        asked = Query(image=Screenshot(draw_png(["avalanches and starter dough"], 40)))
        found = index.search(asked)
    assert {Path(hit.uri).stem for hit in found[:2]} == {"snow", "bread"}
    assert all(hit.boxes for hit in found[:2])


def test_a_picture_is_compared_with_empty_pages_too(tmp_path):
    path = write_pdf(tmp_path / "some.pdf", ["", "feed the starter with flour"])
    with Index.open(tmp_path / "index") as index:
        index.add(path)
        found = index.search(Query("flour", Screenshot(draw_png(["feed the starter"], 40))))
    assert found[0].page == 2


@pytest.mark.parametrize("word", ["", "harbour"])
def test_pictures_with_hardly_a_word_are_found_by_smaller_copies(open_index, tmp_path, word):
    for number in range(6):
        picture = scene(number)
        ImageDraw.Draw(picture).text((20, 20), word, "white", font=ImageFont.load_default(22), stroke_width=2, stroke_fill="black")
        picture.save(tmp_path / f"{number}.png")
    index = open_index()
    index.add(*(tmp_path / f"{number}.png" for number in range(6)))
    for number in range(6):
        first, second = index.search(Query(image=Screenshot.from_image(scene(number).resize((240, 160)))), count=2)
        assert Path(first.uri).stem == str(number)
        assert first.score > max(50, second.score + 10)


def test_a_word_that_was_read_off_a_picture_is_marked_once(open_index, tmp_path):
    (tmp_path / "hall.png").write_bytes(draw_png(["The turbine hall", "of the old mill"]))
    index = open_index()
    index.add(tmp_path / "hall.png")
    for query in ("turbine", "turbine hall", "the turbine turbine"):
        [hit] = index.search(query)
        assert hit.boxes
        assert len(hit.boxes) == len(set(hit.boxes)), query
