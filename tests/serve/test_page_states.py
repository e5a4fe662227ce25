"""What the page says where there is nothing to show: nothing indexed yet, nothing found, no answer, no such page, no token."""

import re

import pytest
from browsing import first, give_files
from documents import write_pdf
from playwright.sync_api import expect
from servers import running


def test_a_page_that_is_not_there_offers_nothing_that_needs_it(page, shelf):
    page.goto(f"/?q=rye&uri={shelf}/gone.pdf&page=3")
    expect(page.get_by_role("alert")).to_contain_text("is not in the index")
    expect(page.get_by_role("button", name="More like this", exact=True)).to_be_hidden()
    expect(page.get_by_role("link", name="Open the original")).to_be_hidden()
    for key in ("m", "b", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    expect(first(page)).to_contain_text("bread.pdf")


def test_a_search_that_filters_leave_empty_can_be_freed_of_them(page):
    page.goto("/?q=rye&type=image")
    expect(page.get_by_text("Nothing found that passes the filters.")).to_be_visible()
    page.get_by_role("button", name="Search without filters").click()
    expect(first(page)).to_contain_text("bread.pdf")
    assert "type=" not in page.url


def test_weak_hits_are_set_apart(page):
    page.goto("/?q=rye+starter&weak=yes")
    expect(page.locator(".hit")).to_have_count(5)
    line = page.locator(".weaker")
    expect(line).to_have_text("Weaker: a score below 30")
    before = line.evaluate(
        "(line) => [...document.querySelectorAll('.hit')].map((hit) => [Boolean(hit.compareDocumentPosition(line) & 4), Number(hit.querySelector('.score').textContent.replace('score ', ''))])"
    )
    assert all((score >= 30) == first for first, score in before)
    expect(page.locator("#end")).to_have_text("That is all.")
    page.goto("/?q=rye+starter")
    expect(page.locator("#end")).to_have_text("That is all above a score of 20.")
    scores = page.locator(".hit .score").all_text_contents()
    assert scores
    assert all(float(score.replace("score", "")) >= 20 for score in scores)
    page.goto("/?q=zzzzzz+qqqqq&weak=yes")
    expect(page.locator(".hit").first).to_be_visible()
    expect(line).to_contain_text("Nothing fits well")


def test_a_server_that_does_not_answer_is_said_and_can_be_asked_again(page):
    page.goto("/")
    expect(page.locator(".hit").first).to_be_visible()
    page.route("**/api/search", lambda route: route.fulfill(status=503, json={"detail": "too many requests wait already"}))
    page.get_by_label("Search", exact=True).fill("rye")
    expect(page.locator(".nothing")).to_contain_text("Too many requests wait already")
    page.unroute("**/api/search")
    page.get_by_role("button", name="Try again").click()
    expect(first(page)).to_contain_text("bread.pdf")


def test_a_slow_search_is_seen_to_be_at_work(page, rye):
    page.goto("/")
    expect(page.locator(".hit").first).to_be_visible()  # else what is held back is the start page's own search
    held = []
    page.route("**/api/search", lambda route: held.append(route))
    give_files(page, "paste", ("image.png", "image/jpeg", rye))
    expect(page.locator("#told")).to_have_text("Reading the picture …")
    assert page.locator("main").get_attribute("aria-busy") == "true"
    held[0].continue_()
    expect(first(page)).to_contain_text("bread.pdf")
    assert page.locator("main").get_attribute("aria-busy") == "false"


def test_an_empty_index_says_so_and_takes_files(chromium, tmp_path):
    path = write_pdf(tmp_path / "zebra.pdf", ["The zebra crossing"])
    with running(tmp_path / "index") as own:
        page = chromium.new_page(base_url=own.address)
        page.goto("/?q=zebra")
        expect(page.get_by_text("Nothing is indexed yet: add documents first.")).to_be_visible()
        page.goto("/")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Add files", exact=True).click()
        chooser.value.set_files(path)
        expect(page.locator("#lead-text")).to_contain_text("1 page of 1 document.", timeout=60_000)
        expect(page.get_by_role("button", name="Add files", exact=True)).to_be_hidden()
        page.close()


@pytest.mark.slow
def test_the_start_page_tells_how_far_indexing_is_and_shows_what_is_there(chromium, tmp_path):
    for number in range(80):
        write_pdf(tmp_path / "many" / f"{number}.pdf", [f"heron number {number} at page {page}" for page in range(8)])
    with running(tmp_path / "index", str(tmp_path / "many")) as own:
        page = chromium.new_page(base_url=own.address)
        page.goto("/")
        page.evaluate(
            """() => {
                const note = () => window.said ??= document.querySelector(".hit") && document.getElementById("lead-text").textContent;
                new MutationObserver(note).observe(document.getElementById("hits"), { childList: true });
            }"""
        )
        expect(page.locator("#lead-text")).to_contain_text(re.compile(r"Indexing: \d+ of 80 files"), timeout=60_000)
        expect(page.locator("#lead-text")).to_contain_text("640 pages of 80 documents. Type,", timeout=100_000)
        expect(page.locator("#lead-progress")).to_be_hidden()
        assert re.search(r"Indexing: \d+ of 80 files", page.evaluate("window.said")), "documents come while the rest is indexed"
        write_pdf(tmp_path / "many" / "late.pdf", ["a late walrus"])
        page.get_by_role("button", name="Documents").click()
        page.get_by_role("button", name="Look for changes").click()
        expect(page.locator("#documents")).to_contain_text("late.pdf", timeout=60_000)
        page.close()


def test_with_a_token_the_page_asks_for_it_once(chromium, tmp_path, shelf):
    with running(tmp_path / "index", str(shelf / "bread.pdf"), token="correct horse battery") as own:
        context = chromium.new_context(base_url=own.address)
        page = context.new_page()
        page.goto("/?q=rye")
        for _ in range(3):  # nothing but the token takes it away
            page.keyboard.press("Escape")
        page.evaluate("document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer()}))")
        page.get_by_label("Token", exact=True).fill("wrong")
        page.get_by_role("button", name="Go in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        page.get_by_label("Token", exact=True).fill("correct horse battery")
        page.get_by_role("button", name="Go in").click()
        expect(page.locator(".hit img").first).to_be_visible(timeout=30_000)
        page.reload()
        expect(page.locator(".hit img").first).to_be_visible()
        expect(page.get_by_label("Token", exact=True)).to_be_hidden()
        context.close()


def test_a_picture_that_no_browser_reads_is_said(page):
    page.goto("/")
    give_files(page, "search", ("broken.png", "image/png", b"not a picture"))
    expect(page.get_by_text(re.compile("broken.png is not a picture"))).to_be_visible()


def test_what_failed_last_does_not_hide_the_documents(chromium, tmp_path):
    write_pdf(tmp_path / "whole" / "heron.pdf", ["a heron"])
    for number in range(60):
        path = tmp_path / "broken" / f"{number}.pdf"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not a PDF")
    with running(tmp_path / "index", str(tmp_path / "whole")) as server:
        client = server.client()
        client.wait(client.jobs()[0].id)
    with running(tmp_path / "index", str(tmp_path / "broken")) as server:
        client = server.client()
        client.wait(client.jobs()[0].id)
        page = chromium.new_page(base_url=server.address)
        page.goto("/")
        expect(page.locator(".hit")).to_have_count(1)
        page.get_by_role("button", name="Documents").click()
        expect(page.locator(".documents li")).to_have_count(1)
        page.close()
