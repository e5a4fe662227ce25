from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from documents import draw_png
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageFont

from visir.capture.fonts import face
from visir.screenshot import Query, Screenshot, Word
from visir.unise.embedder import load_embedder
from visir.unise.reading import reading_order
from visir.unise.regions import RegionEmbedder, RegionQuery, Regions

LINES = [
    "Budget of the harbour museum",
    "The museum spent most of its money on",
    "the restoration of old wooden ships and",
    "on a new roof for the visitor centre.",
    "Tickets paid for a third of the costs,",
    "the city and private donors for the rest.",
]
WEATHER = [
    "Weather report for the mountains",
    "Heavy snow is expected above two thousand",
    "metres from Thursday evening, with strong",
    "winds from the north. Roads over the pass",
    "will be closed until the weekend, and the",
    "danger of avalanches is rising quickly.",
]


def draw(lines: list[str], size: int = 26, colours: tuple[str, str] = ("white", "black")) -> Screenshot:
    return Screenshot(draw_png(lines, size, colours), uri="drawn")


@pytest.fixture(scope="module")
def model():
    return load_embedder("unise-mini")


def plain(text: str) -> list[str]:
    return [word.strip(".,").lower() for word in text.split()]


@pytest.mark.parametrize("colours", [("white", "black"), ("#1d2530", "#e8e4da"), ("#fff3c4", "#7a1f1f")])
def test_most_words_of_a_drawn_page_are_read_in_order(model, colours):
    page = model.read(draw(LINES, colours=colours))
    written = plain(" ".join(LINES))
    read = page.text.split()
    common = sum(min(written.count(word), read.count(word)) for word in set(written))
    assert common >= 0.8 * len(written), page.text
    places = [read.index(word) for word in ("budget", "restoration", "donors") if word in read]
    assert places == sorted(places)
    assert page.words[0].text == read[0]


def test_openvino_reads_the_same(model):
    pytest.importorskip("openvino")
    other = load_embedder("unise-mini", device="openvino")
    pages = [draw(LINES), draw(WEATHER), draw(LINES, size=13), draw(WEATHER, size=60)]
    assert other.revision == model.revision
    assert (other.encode_document(pages) * model.encode_document(pages)).sum(1).min() > 0.97
    for page in pages:
        one, two = plain(model.read(page).text), plain(other.read(page).text)
        assert sum(one.count(word) == two.count(word) for word in set(one)) >= 0.9 * len(set(one))
    # Many may ask at once: a compiled model answers them in turn.
    with ThreadPoolExecutor(4) as pool:
        looked = list(pool.map(lambda page: other._reader.look(page.image).words, pages * 4))
    assert looked == [other._reader.look(page.image).words for page in pages] * 4


def test_pages_are_found_by_what_they_say(model):
    pages = [draw(LINES), draw(WEATHER)]
    vectors = model.encode_document(pages)
    queries = model.encode_query(
        ["who financed the ship exhibition", "is it safe to drive through the alps", Query(image=draw(WEATHER, 20))]
    )
    assert model.similarity(queries, vectors).argmax(1).tolist() == [0, 1, 1]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_page_whose_source_tells_its_words_is_not_read_again(model):
    page = draw(["nothing of this matters"])
    told = Screenshot(page.encoded, text="tax return", words=draw_words("tax return"))
    said, gist = model.parts_of(told)
    np.testing.assert_allclose(said, model.encode_document(["\ntax return"])[0], atol=1e-6)
    np.testing.assert_array_equal(gist, model.parts_of(page)[1])


def test_each_of_many_pages_is_looked_at_once(model, monkeypatch):
    pages = [draw([f"page {number} of a long report"]) for number in range(70)]
    looked, look = [], model._reader.look
    monkeypatch.setattr(model._reader, "look", lambda image: looked.append(image) or look(image))
    vectors = model.encode_document([*pages, "a text"])
    assert len(looked) == 70
    np.testing.assert_allclose(vectors[66], model.encode_document(pages[66:67])[0], atol=1e-6)
    np.testing.assert_allclose(vectors[70], model.encode_document(["a text"])[0], atol=1e-6)
    assert model.encode_document([]).shape == (0, model.dim)


def draw_words(text: str):
    return tuple(Word(word, (0.1, 0.1, 0.2, 0.2)) for word in text.split())


def test_words_show_where_they_stand(model):
    assert isinstance(model, RegionEmbedder)
    regions = model.encode_regions([draw(WEATHER)])[0]
    shown = [model.encode_query_regions(Query(word)).match(regions) for word in plain(" ".join(WEATHER)) if len(word) > 5]
    absent = [model.encode_query_regions(Query(word)).match(regions) for word in ("photosynthesis", "orchestra", "mortgage", "penguins")]
    assert sum(chance > 0.5 for chance, _ in shown) >= 0.9 * len(shown)
    assert max(chance for chance, _ in absent) < 0.2
    assert not any(len(nowhere) for _, nowhere in absent)
    _, places = model.encode_query_regions(Query("mountains")).match(regions)
    # The first line's last word.
    left, top, right, bottom = regions.boxes[places].mean(0)
    assert left < 0.5 < right
    assert top < (80 + 0.5 * 1.6 * 26) / 1200 < bottom


def test_names_that_no_lexicon_knows_are_found_by_their_letters(model):
    name = "Zarkovilen"
    with_it, without = draw([*LINES, f"Signed by {name}"]), draw([*LINES, "Signed by Marlenkova"])
    asked = model.encode_query_regions(Query(name))
    first, second = (asked.match(regions)[0] for regions in model.encode_regions([with_it, without]))
    assert first > second + 0.3


def test_rare_words_weigh_more(model):
    weights = dict(zip(*[(q := model.encode_query_regions(Query("the avalanche"))).names, q.weights.tolist()], strict=True))
    assert weights["avalanche"] > 2 * weights["the"]
    assert sum(weights.values()) == pytest.approx(1)


def test_small_words_of_a_picture_are_looked_for_and_not_marked(model):
    asked = model.encode_query_regions(Query(image=draw(LINES)))
    marked = {name for name, shown in zip(asked.names, asked.marked, strict=True) if shown}
    small = {"the", "of", "and", "for"}
    assert small & set(asked.names)
    assert not small & marked
    assert "museum" in marked


def test_an_empty_page_has_no_words_and_a_vector_all_the_same(model):
    page = draw([])
    assert model.read(page).words == ()
    assert np.linalg.norm(model.encode_document([page])[0]) == pytest.approx(1, abs=1e-4)
    assert model.encode_query_regions(Query("anything")).match(model.encode_regions([page])[0])[0] == 0


def test_regions_keep_their_places_directions_and_lengths_when_packed():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((7, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[3:] *= 0.62
    boxes = rng.random((7, 4), np.float32)
    kept = Regions.unpack(Regions(boxes, vectors).pack())
    np.testing.assert_allclose(kept.boxes, boxes, atol=1e-4)
    lengths = np.linalg.norm(kept.vectors, axis=1)
    assert ((kept.vectors * vectors).sum(1) / lengths / np.linalg.norm(vectors, axis=1) > 0.999).all()
    np.testing.assert_allclose(lengths, np.linalg.norm(vectors, axis=1), atol=0.01)
    assert Regions.unpack(b"").boxes.shape == (0, 4)
    assert len(Regions.unpack(Regions(np.zeros((0, 4), np.float32), np.zeros((0, 16), np.float32)).pack()).boxes) == 0


def test_a_word_that_is_told_or_read_is_there_and_one_like_it_is_not(model):
    told = Screenshot(b"", words=draw_words("rainfall in 2024"))
    seen = draw(["Rainfall in 2024", "month by month"])
    for page in model.encode_regions([told, seen]):
        assert model.encode_query_regions(Query("2024")).match(page)[0] > 0.8
        assert model.encode_query_regions(Query("2023")).match(page)[0] < 0.5


def test_late_interaction_takes_the_best_region_for_each_part():
    regions = Regions(np.zeros((2, 4), np.float32), np.eye(3, dtype=np.float32)[:2])
    query = RegionQuery(("a", "b"), np.eye(3, dtype=np.float32)[[1, 2]], np.array([0.75, 0.25], np.float32), (0.5, 0.01))
    chance, places = query.match(regions)
    assert chance == pytest.approx(0.75, abs=1e-3)
    assert places.tolist() == [1]


def test_columns_are_read_one_after_the_other():
    left = [(10, y, 90, y + 10) for y in range(30, 130, 14)]
    right = [(130, y, 210, y + 10) for y in range(32, 132, 14)]
    heading = [(10, 0, 60, 10), (70, 1, 210, 11)]
    boxes = np.array([*right, *left, *heading], np.float32)
    order = boxes[reading_order(boxes)].tolist()
    assert order == [list(map(float, box)) for box in (*heading, *left, *right)]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 30), st.just(4)), elements=st.floats(0, 1000, width=32)))
def test_every_word_is_read_once(corners):
    boxes = np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1)
    assert sorted(reading_order(boxes).tolist()) == list(range(len(boxes)))


def test_a_picture_asks_by_its_title_more_than_by_its_small_print(model):
    words = tuple(
        Word(text, (0.1, top, 0.5, top + high))
        for text, top, high in [("harbour", 0.1, 0.06), *(("museum", 0.2 + n / 50, 0.012) for n in range(30))]
    )
    asked = model.encode_query_regions(Query(image=Screenshot(b"", words=words)))
    assert asked.names[0] == "harbour"
    assert asked.weights[0] > 5 * asked.weights[1]
    assert len(asked.names) < 1 + 32


def test_the_regions_of_a_told_page_are_its_words(model):
    [told] = model.encode_regions([Screenshot(b"", words=draw_words("harbour — museum"))])
    assert len(told.boxes) == 2
    chance, places = model.encode_query_regions(Query("museum")).match(told)
    # As sure as a word that is seen well, see `_WORTH`.
    assert chance == pytest.approx(0.9, abs=0.01)
    assert places.tolist() == [1]
    assert len(model.encode_regions([Screenshot(b"", words=draw_words("— · —"))])[0].boxes) == 0


def test_beside_a_picture_names_and_numbers_tell_what_differs(model):
    def weight(text):
        return float(model.encode_difference(text).weights.sum())

    assert weight("the same for") == 0
    assert weight("the manual of this software") < 0.1
    assert weight("the same for 2023") > 0.7
    assert 0.7 < weight("sourdough crust") < 1


def test_beside_a_picture_a_language_is_looked_for_by_its_small_words(model):
    asked = model.encode_difference("the same page in French")
    french = Screenshot(b"", words=draw_words("le menu est servi dans la salle et les vins sont sur la carte"))
    english = Screenshot(b"", words=draw_words("the menu is served in the hall and the wines are on the French card"))
    (told, places), (other, _) = map(asked.match, model.encode_regions([french, english]))
    assert told > 0.6
    assert other < 0.1
    # They stand all over the page, and so are not shown.
    assert not len(places)


@pytest.mark.parametrize("size", [13, 14, 15, 16, 20, 28])
def test_type_of_common_sizes_is_read_whatever_its_size(model, size):
    said = "The heron stands in the river and waits for a fish, bread is made of flour, water and salt."
    image = Image.new("RGB", (640, 480), "white")
    font = ImageFont.load_default(size)
    words, y, line = said.split(), 20, ""
    for word in [*words, ""]:
        if not word or font.getlength(f"{line} {word}") > 600:
            ImageDraw.Draw(image).text((20, y), line, fill="black", font=font)
            y, line = y + 2 * size, word
        else:
            line = f"{line} {word}".strip()
    read = plain(model.read(Screenshot.from_image(image)).text)
    missed = [word for word in plain(said) if word not in read]
    # A gap that is seen a letter too late costs two words.
    assert len(missed) <= 2, read
    assert len(read) <= len(words) + 1, read


LONG = [
    "removeallemptystaves",
    "attribution-sharealike",
    "semicolon-separated",
    "improvisations",
    "fingeringorientations",
    "counterrevolutionaries",
    "incomprehensibilities",
    "kombinationsfältet",
    "electroencephalography",
    "internationalization",
]


@pytest.mark.parametrize("name", ["sans", "mono"])
def test_long_words_are_read_to_both_ends(model, name):
    image = Image.new("RGB", (700, 500), "white")
    pen, font = ImageDraw.Draw(image), face(name, 20).shaped
    for number, word in enumerate(LONG):
        pen.text((30, 20 + 46 * number), f"the {word} of", font=font, fill="black")
    read = plain(model.read(Screenshot.from_image(image)).text)
    # Before edges were sought farther off the longer the word is, two and four of them were.
    assert sum(word in read for word in LONG) >= 7, read


def test_small_labels_on_a_screen_are_read(model):
    screen = Image.new("RGB", (1280, 720), "white")
    pen = ImageDraw.Draw(screen)
    small, smallest = (face("sans", size).shaped for size in (13, 9))
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug")
    for number, name in enumerate(names):
        pen.text((20, 20 + 40 * number), ("Weekly", "Accounts", "Monthly", "Visitors")[number % 4], "#64748b", small)
        pen.rectangle((200 + 60 * number, 300 - 25 * number, 230 + 60 * number, 500), fill="#db2777")
        pen.text((200 + 60 * number, 502), name, "#64748b", smallest)
    read = plain(model.read(Screenshot.from_image(screen)).text)
    assert sum(name.lower() not in read for name in names) <= 2, read


def test_titles_along_the_axis_of_a_chart_are_read(model):
    chart = Image.new("RGB", (640, 480), "white")
    pen, font = ImageDraw.Draw(chart), ImageFont.load_default(16)
    title = Image.new("L", (300, 24))
    ImageDraw.Draw(title).text((4, 2), "calories per serving", fill=255, font=font)
    upright = title.transpose(Image.Transpose.ROTATE_90)
    chart.paste("black", (30, 90), upright)
    for number, name in enumerate(("bread", "butter", "cheese")):
        pen.rectangle((120 + 150 * number, 380 - 80 * (number + 1), 200 + 150 * number, 380), fill="steelblue")
        pen.text((130 + 150 * number, 390), name, fill="black", font=font)
    page = model.read(Screenshot.from_image(chart))
    assert {"calories", "serving", "bread", "cheese"} <= set(plain(page.text))
    [box] = [word.box for word in page.words if word.text == "calories"]
    left, top, right, bottom = box[0] * 640, box[1] * 480, box[2] * 640, box[3] * 480
    assert left < 42 < right < 70
    assert bottom - top > 2 * (right - left)
    assert 300 < (top + bottom) / 2 < 390  # written from below upwards, so the first word is the lowest
    assert model.encode_query_regions(Query("calories")).match(model.encode_regions([Screenshot.from_image(chart)])[0])[0] > 0.8
