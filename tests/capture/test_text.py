import codecs
import csv
import io
import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from visir.capture.options import CaptureOptions
from visir.capture.text import render
from visir.errors import CaptureError
from visir.screenshot import clean_text

SUITED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1b\ufeff\ufffe\uffff")
TEXTS = st.lists(
    st.one_of(
        st.text(LETTERS, max_size=30),
        st.text("abcdefgh ", max_size=180),
        st.sampled_from(["日本語。", "שלום עולם", "مرحبا", "हिन्दी", "e\u0301", "か\u3099", "😀", "\t", "\n", " ", "\f", "x" * 150]),
    ),
    max_size=40,
).map("".join)


def shots(path, kind="text", **options):
    return list(render(path, CaptureOptions(**options), kind))


def written(folder, name, content, encoding="utf-8"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def words_of(pages):
    return [word.text for page in pages for word in page.words]


def expected_words(text):
    return [word for raw in text.split() for word in clean_text(raw).split()]


def box_of(page, text):
    return next(word.box for word in page.words if word.text == text)


def height_of(box):
    return box[3] - box[1]


def crop(page, box):
    image = page.image
    left, top, right, bottom = box
    return image.crop((int(left * image.width), int(top * image.height), round(right * image.width) + 1, round(bottom * image.height) + 1))


def has_ink(page, box):
    low, high = crop(page, box).convert("L").getextrema()
    return high - low > 60


def check_pages(pages):
    for number, page in enumerate(pages, 1):
        assert page.page == number
        assert page.image.size == (1024, 1280)
        assert page.text.split() == [word.text for word in page.words]
        for word in page.words:
            left, top, right, bottom = word.box
            assert 0 <= left <= right <= 1
            assert 0 <= top < bottom <= 1


def control_characters(text):
    """How many speak against its being text; with few of them it is drawn."""
    return sum(unicodedata.category(char) == "Cc" and char not in "\t\n\r\f" for char in text)


@SUITED
@given(TEXTS)
def test_any_text_keeps_every_word_in_order(text):
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "any.txt", text)
        if control_characters(text) > 8 or not expected_words(text):
            return
        pages = shots(path)
    check_pages(pages)
    found, wanted = words_of(pages), expected_words(text)
    assert "".join(found) == "".join(wanted)
    # An endless word, of more than 200 letters, is read as the lines that it is cut into.
    if max(map(len, wanted)) <= 200:
        assert found == wanted


@SUITED
@given(TEXTS)
def test_any_markdown_is_drawn_on_pages(text):
    if control_characters(text) > 8:
        return
    with tempfile.TemporaryDirectory() as folder:
        pages = shots(written(Path(folder), "any.md", "start " + text), "markdown")
    check_pages(pages)
    assert words_of(pages)[0].startswith("start")


CELLS = st.text("abc 12,;\"'\n\t|é日", max_size=12)


@SUITED
@given(st.integers(2, 6).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=60)))
def test_any_table_keeps_its_words_in_order(rows):
    rows = [["name"] * (len(rows[0]) if rows else 2), *rows]
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    with tempfile.TemporaryDirectory() as folder:
        pages = shots(written(Path(folder), "any.csv", buffer.getvalue()), "csv")
    check_pages(pages)
    repeated = [word for page in pages[1:] for word in rows[0]]
    assert len(words_of(pages)) == len(expected_words(" ".join(cell for row in rows for cell in row))) + len(repeated)
    if len(pages) == 1:
        assert words_of(pages) == expected_words(" ".join(cell for row in rows for cell in row))


def test_lines_wrap_inside_the_margins(tmp_path):
    text = "a sentence of several words " * 200
    pages = shots(written(tmp_path, "long.txt", text))
    check_pages(pages)
    assert words_of(pages) == text.split()
    assert len({word.box[1] for word in pages[0].words}) > 50
    assert max(word.box[2] for word in pages[0].words) <= 1 - 48 / 1024 + 1e-3


def test_indentation_and_columns_are_kept(tmp_path):
    (page,) = shots(written(tmp_path, "code.txt", "name    value\nx\n    deep\n\ttab\nlonger  here\n"))
    assert box_of(page, "deep")[0] > box_of(page, "x")[0]
    assert box_of(page, "tab")[0] > box_of(page, "deep")[0]
    assert box_of(page, "value")[0] == box_of(page, "here")[0]


def test_a_form_feed_turns_the_page(tmp_path):
    assert [page.text for page in shots(written(tmp_path, "a.txt", "one\ftwo\n\f\nthree\n"))] == ["one", "two", "three"]


def test_a_word_too_long_for_a_line_stays_one_word(tmp_path):
    (page,) = shots(written(tmp_path, "a.txt", f"before {'x' * 150} after"))
    assert words_of([page]) == ["before", "x" * 150, "after"]
    assert box_of(page, "after")[1] > box_of(page, "x" * 150)[1]


@pytest.mark.parametrize("between", ["c\u0327", "e\u0301", "\u00ad" * 60, "\u00b8" + "x" * 50])
def test_a_word_is_as_long_as_it_is_read(tmp_path, between):
    text = "x" * 149 + between + "x" * 50
    pages = shots(written(tmp_path, "a.txt", text))
    assert words_of(pages) == expected_words(text)


def test_terminal_colours_are_left_out(tmp_path):
    (page,) = shots(written(tmp_path, "run.log", "\x1b[1;31mred\x1b[0m and plain"))
    assert page.text == "red and plain"


@pytest.mark.parametrize(("first", "title"), [("\n\nA short line\nmore", "A short line"), ("x " * 80, "file.txt")])
def test_title_of_plain_text(tmp_path, first, title):
    assert shots(written(tmp_path, "file.txt", first))[0].title == title


MARKDOWN = """\
# Big heading

Body with **bold**, *slanted*, `code` and [linked](http://example.com) words.

## Lesser heading

- outer
  - inner
    1. innermost

> quoted

```
def  spaced():
    pass
```

| Left | Right |
|------|------:|
| one  |  1234 |

<p>An <b>html</b> block &amp; more</p>
"""


@pytest.fixture
def page(tmp_path):
    (page,) = shots(written(tmp_path, "a.md", MARKDOWN), "markdown")
    check_pages([page])
    return page


def test_headings_are_bigger_than_the_body(page):
    assert page.title == "Big heading"
    assert height_of(box_of(page, "Big")) > height_of(box_of(page, "Lesser")) > height_of(box_of(page, "Body"))


def test_markdown_marks_are_no_words(page):
    assert "Body with bold, slanted, code and linked words." in page.text
    assert "An html block & more" in page.text
    assert not re.search(r"[#*`|]|http|<p>", page.text)


def test_links_are_coloured_and_bold_is_darker(page):
    def coloured(word):
        red, _, blue = crop(page, box_of(page, word)).split()
        return ImageChops.difference(red, blue).getextrema()[1]

    assert coloured("linked") > 60 > coloured("words.")


def test_nested_lists_move_to_the_right(page):
    assert box_of(page, "outer")[0] < box_of(page, "inner")[0] < box_of(page, "innermost")[0]
    assert "1. innermost" in page.text


@pytest.mark.parametrize(
    "body",
    [
        "\n".join(">" * level + f" word{level}" for level in range(1, 80)),
        "> " * 500 + "word1",
        "\n".join("  " * level + f"- word{level}" for level in range(80)),
        "\n".join("   " * level + f"1. word{level}" for level in range(80)),
        "\n".join("> - " * 30 + f"word{number}" for number in range(3)),
        "**a _b " * 300 + "word1",
        "[" * 300 + "word1" + "](x)" * 300,
    ],
)
def test_what_is_nested_deep_is_not_lost(tmp_path, body):
    found = " ".join(page.text for page in shots(written(tmp_path, "deep.md", body), "markdown"))
    assert set(re.findall(r"word\d+", body)) == set(re.findall(r"word\d+", found))


def test_what_comes_after_something_nested_deep_is_as_usual(tmp_path):
    body = "\n".join("  " * level + f"- word{level}" for level in range(80)) + "\n\n# Afterword\n"
    pages = shots(written(tmp_path, "deep.md", body), "markdown")
    assert pages[0].title == "Afterword"
    assert "#" not in pages[-1].text


def test_code_stands_on_grey_and_keeps_its_spaces(page):
    image = page.image
    left, top, _, _ = box_of(page, "pass")
    ground = image.getpixel((900, round(top * 1280) + 6))
    assert 225 < ground[0] < 250
    assert left > box_of(page, "def")[0]


def test_tables_have_columns_and_a_grid(page):
    assert box_of(page, "one")[0] == pytest.approx(box_of(page, "Left")[0], abs=0.002)
    assert box_of(page, "1234")[2] == pytest.approx(box_of(page, "Right")[2], abs=0.002)
    left, top, _, _ = box_of(page, "one")
    margin = page.image.convert("L").crop((round(left * 1024) - 14, round(top * 1280), round(left * 1024) - 2, round(top * 1280) + 8))
    assert margin.getextrema()[0] < 230


def test_ink_lies_in_the_boxes_and_nowhere_else(page, tmp_path):
    for word in page.words:
        assert has_ink(page, word.box), word
    (plain,) = shots(written(tmp_path, "b.txt", "several words\n\n  stand here. gjpqy ÄÖÜ ß €\nשלום e\u0301 Ω"))
    image = plain.image.convert("L")
    for word in plain.words:
        assert has_ink(plain, word.box), word
        image.paste(
            255, tuple(round(value * side) + pad for value, side, pad in zip(word.box, (1024, 1280) * 2, (-4, -4, 4, 4), strict=True))
        )
    assert image.getextrema()[0] > 200


def test_front_matter_is_hidden_and_names_the_page(tmp_path):
    path = written(tmp_path, "a.md", '---\ntitle: "The title"\ntags: [x]\n---\n\n# Heading\n\nBody\n')
    (page,) = shots(path, "markdown")
    assert (page.title, page.text) == ("The title", "Heading\nBody")
    (rule,) = shots(written(tmp_path, "b.md", "---\n\nNo front matter\n"), "markdown")
    assert rule.text == "No front matter"


def test_pictures_beside_the_document_are_drawn_and_no_others(tmp_path):
    folder = tmp_path / "doc"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (2000, 600), (255, 0, 0)).save(folder / "sub" / "red pic.png")
    Image.new("RGB", (90, 60), (0, 0, 255)).save(tmp_path / "blue.png")
    (folder / "broken.png").write_bytes(b"no picture")
    names = [
        "sub/red%20pic.png",
        "../blue.png",
        f"{tmp_path}/blue.png",
        "broken.png",
        "http://127.0.0.1:9/x.png",
        "data:image/png;base64,AAAA",
        "nul%00.png",
    ]
    text = "\n\n".join(f"![alternative{number}]({name})" for number, name in enumerate(names))
    (page,) = shots(written(folder, "a.md", text), "markdown")
    check_pages([page])
    colours = {colour for _, colour in page.image.resize((256, 320)).quantize(8).convert("RGB").getcolors()}
    assert any(red > 230 and green < 40 for red, green, _ in colours)
    assert not any(blue > 200 and red < 80 for red, _, blue in colours)
    assert words_of([page])[:6] == [f"alternative{number}" for number in range(6)]


def test_long_documents_keep_headings_with_their_text(tmp_path):
    text = "\n\n".join(f"## Heading{number}\n\nText{number} follows" for number in range(100))
    pages = shots(written(tmp_path, "a.md", text), "markdown")
    assert len(pages) > 3
    for page in pages:
        assert page.words[0].text.startswith("Heading")
        assert page.words[-1].text == "follows"


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";"), ("a.csv", "|")])
def test_delimiters(tmp_path, name, delimiter):
    lines = [delimiter.join(cells) for cells in (("item", "amount"), ("apple", "7"), ("pear", "1200"))]
    (page,) = shots(written(tmp_path, name, "\n".join(lines)), "csv")
    assert page.text == "item amount\napple 7\npear 1200"
    assert page.title == name
    assert box_of(page, "7")[2] == pytest.approx(box_of(page, "1200")[2], abs=1e-3)
    assert box_of(page, "apple")[0] == pytest.approx(box_of(page, "pear")[0], abs=1e-3)
    assert box_of(page, "7")[0] > box_of(page, "apple")[2]


def test_quoted_cells_may_hold_line_feeds_and_long_ones_are_whole_in_the_text(tmp_path):
    note = "first line\nsecond, line " + "long " * 100 + "end"
    path = written(tmp_path, "a.csv", f'id,note,last\n1,"{note}",z\n2,b,y\n')
    (page,) = shots(path, "csv")
    check_pages([page])
    assert page.text.splitlines() == ["id note last", f"1 {' '.join(note.split())} z", "2 b y"]
    assert box_of(page, "end")[2] <= box_of(page, "z")[0]


def test_the_header_is_repeated_on_each_page(tmp_path):
    rows = "\n".join(f"{number},name{number}" for number in range(200))
    pages = shots(written(tmp_path, "a.csv", "number,name\n" + rows), "csv")
    check_pages(pages)
    assert len(pages) == 5
    assert all(page.text.startswith("number name\n") for page in pages)
    assert [line for page in pages for line in page.text.splitlines()[1:]] == rows.replace(",", " ").splitlines()


def test_wide_tables_go_on_over_pages_and_ragged_rows_are_kept(tmp_path):
    header = ",".join(f"column{number}" for number in range(40))
    pages = shots(written(tmp_path, "a.csv", f"{header}\n{','.join(map(str, range(1000, 1040)))}\nshort\n"), "csv")
    check_pages(pages)
    assert {f"column{number}" for number in range(40)} | {str(number) for number in range(1000, 1040)} | {"short"} == set(words_of(pages))
    (ragged,) = shots(written(tmp_path, "b.csv", "a,b\n1,2,3,4\n"), "csv")
    assert ragged.text == "a b\n1 2 3 4"


def test_a_quote_never_closed_loses_no_row(tmp_path):
    rows = [f"row{number},{'text ' * 20}" for number in range(3000)]
    rows[5] = 'row5,"open'
    pages = shots(written(tmp_path, "a.csv", "key,value\n" + "\n".join(rows)), "csv")
    assert {f"row{number}" for number in range(3000)} <= {word for line in words_of(pages) for word in line.split(",")}


def test_chinese_and_rarer_scripts_are_drawn(tmp_path):
    path = written(tmp_path, "a.txt", "漢字 plain\n日本語のテキスト。\nภาษาไทย हिन्दी 한국어 😀 🚀 \U000f1234 \u0378\n")
    (page,) = shots(path)
    check_pages([page])
    assert [word.text for word in page.words[:3]] == ["漢", "字", "plain"]
    # With a font for them or, for want of one, as the box that stands for a missing glyph.
    assert all(has_ink(page, word.box) for word in page.words[:2])


def test_words_from_right_to_left_stand_from_right_to_left(tmp_path):
    (page,) = shots(written(tmp_path, "a.md", "שלום לכל העולם\n\nenglish first שלום עולם last"), "markdown")
    boxes = [word.box for word in page.words]
    assert boxes[0][0] > boxes[1][0] > boxes[2][0]
    assert boxes[3][0] < boxes[4][0] < boxes[6][0] < boxes[5][0] < boxes[7][0]


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (codecs.BOM_UTF8 + "Größe".encode(), "Größe"),
        (codecs.BOM_UTF16_LE + "Größe".encode("utf-16-le"), "Größe"),
        (codecs.BOM_UTF16_BE + "Größe".encode("utf-16-be"), "Größe"),
        (codecs.BOM_UTF32_LE + "Größe".encode("utf-32-le"), "Größe"),
        ("Größe".encode("latin-1"), "Größe"),
        ("„Größe“ €".encode("cp1252"), "„Größe“"),
        ("Größe".encode("latin-1") + b" \x81", "Größe"),
        (b"x" * 65535 + " Größe".encode(), "Größe"),
        (b"x" * 65533 + " öGröße".encode(), "öGröße"),
    ],
)
def test_encodings(tmp_path, raw, word):
    assert word in words_of(shots(written(tmp_path, "a.txt", raw)))


@pytest.mark.parametrize("raw", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", bytes(range(1, 256)) * 40, b"text\0text"])
@pytest.mark.parametrize("kind", ["text", "markdown", "csv"])
def test_binary_files_are_refused(tmp_path, raw, kind):
    with pytest.raises(CaptureError, match="is not text"):
        shots(written(tmp_path, "a.txt", raw), kind)


@pytest.mark.parametrize("raw", [b"", b" \n\t\n", codecs.BOM_UTF8, b"\f\f\n", b"\n" * 100_000])
@pytest.mark.parametrize("kind", ["text", "markdown", "csv"])
def test_empty_files_are_refused(tmp_path, raw, kind):
    with pytest.raises(CaptureError, match="is empty"):
        shots(written(tmp_path, "a.txt", raw), kind)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CaptureError, match=r"gone\.txt: cannot be read"):
        shots(tmp_path / "gone.txt")


@pytest.mark.parametrize("kind", ["text", "markdown", "csv"])
def test_max_pages(tmp_path, kind):
    path = written(tmp_path, "a.txt", "a line, of words\n\n" * 2000)
    assert len(shots(path, kind, max_pages=3)) == 3


MEMORY = """
import resource, sys
from itertools import islice
from pathlib import Path
from visir.capture.options import CaptureOptions
from visir.capture.text import render
pages = render(Path(sys.argv[1]), CaptureOptions(), sys.argv[2])
count = sum(1 for _ in islice(pages, 20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count += sum(1 for _ in islice(pages, int(sys.argv[3])))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("kind", "line", "least"),
    [
        ("text", "2024-01-01 12:00:00 INFO a log line with a number {} in it and some more words to fill it\n", 80),
        ("markdown", "Paragraph {} of a very long document with *some* marks in it.\n\n", 80),
        ("csv", '{},"a cell, quoted",another,12.5,and one more cell of text\n', 80),
        ("text", "one endless line {} ", 80),
        ("markdown", "endless {} ", 80),
        ("csv", "cell{},", 50),
        ("text", "{}x", 80),
    ],
)
def test_thirty_megabytes_take_no_memory(tmp_path, kind, line, least):
    path = tmp_path / "big.txt"
    block = "".join(line.format(number) for number in range(10_000))
    path.write_text(block * (1 + (30 << 20) // len(block)))
    command = [sys.executable, "-c", MEMORY, str(path), kind, "60"]
    count, grown = map(int, subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split())
    assert count >= least
    assert grown < 40
