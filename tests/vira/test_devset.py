import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from vira.conftest import SIZES

from visir.mvrb.data import Benchmark
from visir.vira import devset
from visir.vira.devset import Meta, Spec, make_task
from visir.vira.domains import DOMAINS, HELD_OUT


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_set_loads_as_a_benchmark_with_all_four_meta_tasks(dev):
    benchmark = Benchmark(dev)
    metas = set()
    for name in benchmark.names:
        task = benchmark.task(name)
        metas.add(task.meta)
        assert all(targets and max(targets) < len(task.candidates) for targets in task.targets)
        shot = next((row for row in [*task.candidates, *task.queries] if row.picture), None)
        assert shot is None or shot.screenshot().image.width >= 300
    assert metas == {"SR", "CSR", "SQA", "OVC"}
    assert len(benchmark.names) >= 8


def test_the_same_sources_give_the_same_bytes(dev, corpora, tmp_path):
    few = {"charts": SIZES["charts"], "products": SIZES["products"]}
    devset.build(tmp_path, corpora, few, lambda _: None)
    for domain in few:
        assert (tmp_path / f"pages-{domain}.jsonl").read_bytes() == (dev / f"pages-{domain}.jsonl").read_bytes()
        assert (tmp_path / f"Images-{domain}.zip").read_bytes() == (dev / f"Images-{domain}.zip").read_bytes()
    for name in ("SR/product", "SQA/chart"):
        assert (tmp_path / name / "query.jsonl").read_bytes() == (dev / name / "query.jsonl").read_bytes()


def test_a_captured_domain_is_not_captured_again(dev, corpora):
    before = (dev / "Images-products.zip").stat().st_mtime_ns
    devset.build(dev, corpora, SIZES, lambda _: None)
    assert (dev / "Images-products.zip").stat().st_mtime_ns == before


def test_no_document_is_on_both_sides(corpora):
    for name in SIZES:
        domain = DOMAINS[name](corpora)
        assert not set(domain.split("dev")) & set(domain.split("train"))
        assert domain.split("train"), name
    # A manual, its slides and its repository page are one document.
    manuals, repositories = DOMAINS["documents"](corpora), DOMAINS["repositories"](corpora)
    assert set(manuals.split("dev")) == set(repositories.split("dev")) != set()


def test_pages_of_one_source_stay_together(dev):
    documents = {page["document"] for page in rows(dev / "pages-manuals.jsonl")}
    assert documents == {"manuals/postgresql-doc-15"}
    sources = {page["document"] for page in rows(dev / "pages-products.jsonl")}
    assert all(page["key"].removeprefix("products/").split("-")[0] in sources for page in rows(dev / "pages-products.jsonl"))


def test_every_page_of_a_held_out_domain_is_kept_from_training(corpora):
    for name in HELD_OUT:
        assert all(manual.dev for manual in DOMAINS[name].manuals)


def test_what_products_are_searched_by_is_not_on_their_pages(dev):
    pages = {page["key"]: page for page in rows(dev / "pages-products.jsonl")}
    asked = rows(dev / "SR/product/query.jsonl")
    assert asked
    for query in asked:
        assert query["q_text"].lower() not in " ".join(pages[query["key"]]["text"].lower().split())


def test_facts_that_are_asked_for_are_on_the_page(dev):
    pages = rows(dev / "pages-products.jsonl")
    asked = [(page, told) for page in pages for question, told in page["answers"] if not question.startswith("What is")]
    assert asked
    for page, told in asked:
        assert "".join(told.split()) in "".join(page["text"].split())


def test_pages_name_pictures_that_are_there(dev):
    for name in SIZES:
        with zipfile.ZipFile(dev / f"Images-{name}.zip") as archive:
            held = archive.namelist()
        assert sorted(held) == sorted(page["image"] for page in rows(dev / f"pages-{name}.jsonl"))
        assert len(held) == len(set(held))


def meta(key, text, question):
    return Meta(key, f"d/{key}.jpg", "d", key, "en", key, text, [], [question], [], [], [], False)


def test_pages_that_say_the_same_are_all_right():
    text = "the very same words again and again " * 10
    pages = [meta("a", text, "first question"), meta("b", text, "other question"), meta("c", text + "!", "third question")]
    ask = lambda page: [(page.questions[0], page.key)]  # noqa: E731
    queries, candidates = make_task(Spec("SR/x", "d", ("d",), ask), pages)
    content = [row["content"] for row in candidates]
    found = {query["q_text"]: sorted(content[number] for number in query["target"]) for query in queries}
    assert found == {"first question": ["a", "b"], "other question": ["a", "b"], "third question": ["c"]}


def test_a_query_that_is_asked_for_two_pages_has_both_as_targets():
    pages = [meta("a", "one", "same question"), meta("b", "two", "same question"), meta("c", "three", "another")]
    ask = lambda page: [(page.questions[0], page.key)]  # noqa: E731
    queries, candidates = make_task(Spec("SR/x", "d", ("d",), ask), pages)
    content = [row["content"] for row in candidates]
    assert sorted(query["q_text"] for query in queries) == ["another", "same question"]
    [both] = [query for query in queries if query["q_text"] == "same question"]
    assert sorted(content[number] for number in both["target"]) == ["a", "b"]


def test_a_picture_that_is_asked_with_is_not_searched():
    pages = [replace(meta(key, key, ""), relations=[["the other one", other]]) for key, other in ("ab", "ba", "cd", "dc", "ea")]
    ask = lambda page: page.relations  # noqa: E731
    queries, candidates = make_task(Spec("CSR/x", "d", ("d",), ask), pages)
    searched = {row["image"] for row in candidates}
    assert len(queries) >= 2
    assert not searched & {query["q_image"] for query in queries}
    assert all(query["key"] in {row["content"] for row in candidates} for query in queries)


def test_a_line_copied_from_the_page_is_no_question():
    pages = [meta("a", "Head. The very words that are asked.", "the very  words that are asked"), meta("b", "Other.", "what it is about")]
    queries, _ = make_task(Spec("SR/x", "d", ("d",), devset._first("questions", 3)), pages)
    assert [query["q_text"] for query in queries] == ["what it is about"]


_BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def test_other_languages_are_asked_for_in_their_own(dev, tmp_path):
    command = [sys.executable, str(_BENCHMARKS / "languages.py"), str(dev), "-o", str(tmp_path)]
    subprocess.run(command, capture_output=True, timeout=300, check=True)
    benchmark = Benchmark(tmp_path)
    assert benchmark.names == ["SR/encyclopedia"]
    task = benchmark.task("SR/encyclopedia")
    assert {row.language for row in task.queries} <= {"es", "fr"}
    assert len(task.candidates) > len(task.queries) > 0
    assert all(task.candidates[min(right)].screenshot().encoded for right in task.targets)


def test_the_default_search_is_compared_with_words_alone(dev):
    command = [sys.executable, str(_BENCHMARKS / "hybrid.py"), str(dev), "--task", "SR/encyclopedia"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "| task | words alone | meaning alone | both | both - words | p |" in done.stdout
    assert re.search(r"^\| SR/encyclopedia \| [\d.]+ \| [\d.]+ \| [\d.]+ \|", done.stdout, re.M)
