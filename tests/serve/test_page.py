"""The page, as people use it, in headless Chromium: type, paste, drop, open, "like this, but …", delete, reload."""

import io
import re

import pytest
from browsing import first, give_files, search
from documents import write_pdf
from PIL import Image
from playwright.sync_api import expect
from servers import running

from visir.serve.client import data_url

WIDTHS = {"desk": (1440, 900), "tablet": (768, 1024), "phone": (390, 844)}


def test_typing_answers_by_itself_with_marks_on_the_page(page):
    search(page, "crust crackle")
    expect(first(page)).to_contain_text("bread.pdf")
    expect(first(page)).to_contain_text("p. 2")
    assert first(page).locator(".box").count() == 2
    place = first(page).locator(".box").first.bounding_box()
    paper = first(page).locator(".sheet").bounding_box()
    assert paper["x"] < place["x"] < paper["x"] + paper["width"]
    assert page.url.endswith("/?q=crust+crackle")


def test_a_reload_and_the_way_back_bring_the_same(page):
    search(page, "sicilian defence")
    expect(first(page)).to_contain_text("chess.pdf")
    page.reload()
    expect(first(page)).to_contain_text("chess.pdf")
    expect(page.get_by_label("Search", exact=True)).to_have_value("sicilian defence")
    page.goto("/?q=drought")
    expect(first(page)).to_contain_text("rainfall.pdf")
    page.go_back()
    expect(first(page)).to_contain_text("chess.pdf")


def test_a_pasted_picture_is_a_query_and_words_turn_it(page, rye):
    page.goto("/")
    give_files(page, "paste", ("image.png", "image/jpeg", rye))
    expect(page.locator("#chip")).to_be_visible()
    expect(first(page)).to_contain_text("bread.pdf")
    expect(first(page)).to_contain_text("p. 1")
    page.get_by_label("Search", exact=True).fill("baking steam crust")
    expect(first(page)).to_contain_text("p. 2")
    page.reload()
    expect(page.locator("#chip")).to_be_visible()
    expect(first(page)).to_contain_text("p. 2")
    page.get_by_label("Search without this picture").click()
    expect(page.locator("#chip")).to_be_hidden()


def test_a_dropped_picture_is_a_query_where_it_is_dropped_for_that(page, rye):
    page.goto("/")
    give_files(page, "search", ("chart.jpg", "image/jpeg", rye))
    expect(page.locator(".chip-name")).to_have_text("chart.jpg")
    expect(first(page)).to_contain_text("bread.pdf")


def test_a_page_opens_large_with_words_to_select_and_neighbours(page):
    search(page, "crust crackle")
    first(page).locator("a").click()
    viewer = page.get_by_role("dialog")
    expect(viewer.get_by_role("heading", level=2)).to_contain_text("Sourdough bread")
    expect(viewer).to_contain_text("page 2 of 2")
    expect(viewer.locator(".snippet mark")).to_have_text(["crust", "crackle."])
    word = viewer.locator(".words span", has_text="Steam")
    expect(word).to_be_attached()
    # The unseen word lies on the seen one: as wide as the box that the document tells.
    place, paper = word.bounding_box(), viewer.locator("#stage .sheet").bounding_box()
    assert 0.03 < place["width"] / paper["width"] < 0.15
    chosen = page.evaluate("getSelection().selectAllChildren(document.querySelector('.words')), getSelection().toString()")
    assert "Steam makes the crust crackle." in chosen
    page.keyboard.press("ArrowLeft")
    expect(viewer).to_contain_text("page 1 of 2")
    assert "page=1" in page.url
    viewer.get_by_role("button", name="Page 2").click()
    expect(viewer).to_contain_text("page 2 of 2")
    link = viewer.get_by_role("link", name="Open the original")
    assert link.get_attribute("href").endswith("bread.pdf#page=2")
    assert page.request.get(link.get_attribute("href")).body().startswith(b"%PDF")
    page.reload()
    expect(page.get_by_role("dialog")).to_contain_text("page 2 of 2")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("uri="))


def test_the_marks_are_there_after_turning_pages_and_after_a_reload(page):
    search(page, "rye flour crust crackle")
    page.locator(".frame[href*='page=2']").first.click()
    marks = page.locator("#stage .box")
    page.locator(".words span").first.wait_for()
    expect(marks).to_have_count(2)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog")).to_contain_text("page 1 of 2")
    page.locator(".words span").first.wait_for()
    expect(page.locator(".snippet mark", has_text="rye")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog")).to_contain_text("page 2 of 2")
    expect(marks).to_have_count(2)
    page.reload()
    expect(marks).to_have_count(2)
    expect(page.locator(".snippet mark")).to_have_text(["crust", "crackle."])


def test_like_this_but_takes_two_clicks(page):
    search(page, "crust crackle")
    first(page).hover()
    first(page).get_by_role("button", name="Like page 2", exact=False).last.click()
    expect(page.locator("#chip")).to_contain_text("bread.pdf, p. 2")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("rye flour starter")
    expect(first(page)).to_contain_text("p. 1 · bread.pdf")
    assert "like=" in page.url


def test_more_like_this_from_an_open_page_and_from_a_part_of_it(page):
    search(page, "crust crackle")
    first(page).locator("a").click()
    page.locator(".words span").first.wait_for()
    page.get_by_role("button", name="More like this", exact=True).click()
    expect(page.locator("#chip")).to_contain_text("bread.pdf, p. 2")
    expect(first(page)).to_contain_text("p. 1 · bread.pdf")
    first(page).locator("a").click()
    page.locator(".words span").first.wait_for()
    paper = page.locator("#stage .sheet").bounding_box()
    page.keyboard.down("Shift")
    page.mouse.move(paper["x"] + 5, paper["y"] + 5)
    page.mouse.down()
    page.mouse.move(paper["x"] + paper["width"] - 5, paper["y"] + paper["height"] / 3, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.locator("#chip")).to_contain_text("part of bread.pdf, p. 1")
    assert "part=" in page.url
    expect(page.locator(".hit").first).to_be_visible()


def test_filters_narrow_the_hits_and_stay_in_the_address(page):
    search(page, "rainfall bread defence")
    expect(page.locator(".hit").nth(2)).to_be_visible()
    page.get_by_text("More filters").click()
    page.get_by_label("Name or path holds").fill("chess")
    expect(page.locator(".hit")).to_have_count(1)
    page.reload()
    expect(page.locator(".hit")).to_have_count(1)
    page.get_by_label("Name or path holds").fill("nothing of that name")
    expect(page.get_by_text("Nothing found that passes the filters.")).to_be_visible()


def test_the_words_can_be_cleared_and_the_keys_are_shown(page):
    search(page, "rye")
    page.get_by_role("button", name="Clear the words").click()
    expect(page.get_by_role("heading", name="Newest documents")).to_be_visible()
    expect(page.get_by_role("button", name="Clear the words")).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_the_keyboard_alone_is_enough(page):
    page.goto("/")
    expect(page.locator(".hit").first).to_be_visible()
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("/")
    page.keyboard.type("rainfall bread chess")
    expect(page.locator(".score").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".frame").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".frame").nth(1)).to_be_focused()
    page.keyboard.press("m")
    expect(page.locator("#chip")).to_be_visible()
    page.locator("body").click(position={"x": 5, "y": 300})
    page.keyboard.press("d")
    expect(page.get_by_role("dialog", name="Documents")).to_be_visible()


def test_a_dropped_file_is_added_with_progress_found_and_deleted(page, tmp_path):
    content = write_pdf(tmp_path / "zebra.pdf", ["The zebra crossing\nStripes on the road."]).read_bytes()
    page.goto("/")
    # Noted in the page itself: on a quick machine it is over before anybody looks.
    page.evaluate(
        """() => {
            window.bars = new Set();
            const note = () => document.querySelectorAll(".job progress").forEach((bar) => window.bars.add(bar.getAttribute("aria-label")));
            new MutationObserver(note).observe(document.getElementById("jobs"), { childList: true });
        }"""
    )
    give_files(page, "add", ("zebra.pdf", "application/pdf", content), ("cut.pdf", "application/pdf", b"%PDF-1.4 cut off"))
    drawer = page.get_by_role("dialog", name="Documents")
    expect(drawer.locator("#jobs")).to_contain_text("1 indexed · 1 failed", timeout=60_000)
    expect(drawer.locator("#jobs")).to_contain_text("cut.pdf: is damaged")
    expect(drawer.locator("#problems")).to_contain_text("cut.pdf")
    assert page.evaluate("[...window.bars].sort()") == ["Progress: 2 documents", "Sending 2 files"]
    expect(drawer.locator("#documents")).to_contain_text("The zebra crossing")
    drawer.get_by_role("button", name="Close").click()
    page.get_by_label("Search", exact=True).fill("zebra stripes")
    expect(first(page)).to_contain_text("zebra.pdf")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Documents").click()
    for name in ("cut.pdf", "zebra.pdf"):
        button = drawer.get_by_role("button", name=f"Delete: {name}").first
        button.click()
        expect(button).to_have_text("Delete?")
        button.click()
        expect(page.get_by_text(f"Taken out: {name}")).to_be_visible()
    drawer.get_by_role("button", name="Close").click()
    expect(page.locator(".hit", has_text="zebra.pdf")).to_have_count(0)
    page.reload()
    expect(page.locator(".hit, .nothing").first).to_be_visible()
    expect(page.locator(".hit", has_text="zebra.pdf")).to_have_count(0)


def test_a_list_that_comes_late_leaves_an_armed_delete_button_alone(page, client):
    held = []
    page.goto("/")
    page.get_by_role("button", name="Documents").click()
    button = page.locator("#documents .remove").first
    expect(button).to_be_visible()
    page.route("**/api/documents?*state=problem*", lambda route: held.append(route) if not held else route.continue_())
    page.locator("#find").fill(" ")
    page.wait_for_function("document.getElementById('find').value === ' '")
    page.wait_for_timeout(500)
    assert held
    button.click()
    expect(button).to_have_text("Take out?")
    held[0].continue_()
    page.wait_for_timeout(300)
    expect(button).to_have_text("Take out?")


def test_a_file_name_with_markup_is_only_text(chromium, tmp_path):
    name = "<img src=x onerror=document.title='owned'>.txt"
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_text("harmless words on a page")
    (tmp_path / "files" / name.replace("txt", "pdf")).write_bytes(b"not a PDF")
    with running(tmp_path / "index", str(tmp_path / "files")) as own:
        client = own.client()
        client.wait(client.jobs()[0].id)
        page = chromium.new_page(base_url=own.address)
        search(page, "harmless words")
        expect(first(page)).to_contain_text(name)
        first(page).locator("a").click()
        expect(page.locator("#viewer-where")).to_contain_text(name)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Documents").click()
        expect(page.locator("#documents")).to_contain_text(name)
        expect(page.locator("#problems")).to_contain_text(name.replace("txt", "pdf"))
        assert page.locator("img[src=x]").count() == 0
        assert "owned" not in page.title()
        page.close()


def test_names_and_titles_with_markup_are_only_text(page, tmp_path, client):
    evil = "<img src=x onerror=document.title='owned'><b>bold</b>"
    write_pdf(tmp_path / "evil.pdf", ["harmless words on a page"], title=evil)
    job = client.wait(client.upload(tmp_path / "evil.pdf"))
    search(page, "harmless words on a page")
    expect(first(page).get_by_role("heading")).to_have_text(evil)
    first(page).locator("a").click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text(evil)
    assert "owned" not in page.title()
    page.goto("/?q=" + evil.replace(" ", "+"))
    expect(page.locator(".hit, .nothing").first).to_be_visible()
    assert page.locator("main img[src=x]").count() == 0
    client.remove(job.sources[0])


def test_more_hits_come_as_one_scrolls(chromium, tmp_path):
    write_pdf(tmp_path / "long" / "long.pdf", [f"The heron waits by river number {number}" for number in range(60)])
    with running(tmp_path / "index", str(tmp_path / "long")) as own:
        client = own.client()
        client.wait(client.jobs()[0].id)
        page = chromium.new_page(base_url=own.address)
        page.goto("/?q=heron+by+the+river")
        expect(page.locator(".hit").nth(23)).to_be_attached()
        for _ in range(10):
            page.mouse.wheel(0, 4000)
            page.wait_for_timeout(100)
        expect(page.locator(".hit")).to_have_count(60)
        links = [link.get_attribute("href") for link in page.locator(".frame").all()]
        assert len(set(links)) == 60, "no page comes twice"
        page.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_nothing_overflows_and_axe_finds_nothing(chromium, server, device, scheme):
    from axe_playwright_python.sync_playwright import Axe

    width, height = WIDTHS[device]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, base_url=server.address)
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")

    def check(where: str) -> None:
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
        found = Axe().run(page)
        grave = [(rule["id"], [node["html"][:150] for node in rule["nodes"]][:3]) for rule in found.response["violations"]]
        assert not grave, where

    page.goto("/")
    expect(page.locator(".hit img").first).to_be_visible()
    check("home")
    page.goto("/?q=rainfall+bread+chess")
    expect(page.locator(".score").first).to_be_visible()
    check("hits")
    page.get_by_text("More filters").click()
    check("filters")
    for field in page.locator(".fields input, .fields select").all():
        place = field.bounding_box()
        assert place["x"] + place["width"] <= width - 8, field
    page.locator(".frame").first.click()
    page.locator(".words span").first.wait_for(state="attached")
    check("page")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Documents").click()
    expect(page.locator(".documents li").first).to_be_visible()
    expect(page.locator("#problems")).to_be_visible()
    check("documents")
    context.close()


def test_pictures_that_the_page_asks_for_are_no_larger_than_they_are_shown(page):
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())) if "/api/pictures/" in answer.url else None)
    search(page, "rainfall bread chess")
    page.wait_for_load_state("networkidle")
    shown = page.locator(".hit img").first.evaluate("(image) => [image.naturalWidth, image.getBoundingClientRect().width]")
    assert shown[1] <= shown[0] <= 2.5 * shown[1]


def test_a_large_picture_is_made_small_before_it_is_sent(page):
    buffer = io.BytesIO()
    Image.effect_noise((3000, 2000), 60).save(buffer, "PNG")
    sent: list[int] = []
    page.on("request", lambda request: sent.append(len(request.post_data or "")) if request.url.endswith("/api/search") else None)
    page.goto("/")
    give_files(page, "search", ("noise.png", "image/png", buffer.getvalue()))
    expect(page.locator("#chip")).to_be_visible()
    page.wait_for_timeout(500)
    assert sent
    assert max(sent) < len(data_url(buffer.getvalue())) / 3
