import base64
import json
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from vira.endpoint import completion, endpoint, good, trouble

from visir.errors import DatasetError
from visir.vira.answers import Answers, read_reply
from visir.vira.build import build
from visir.vira.config import Config, read_config
from visir.vira.dataset import Dataset
from visir.vira.writer import Writer

MODEL = "local/tiny-7b"


def make(folder, index, url, say=lambda _: None, **choices):
    """Build a set of eight pages with a writer; return what was counted."""
    return build(folder, Config(from_index=index, writer=Writer(url, MODEL, **choices)), say)


def written(folder, kind):
    return [row for row in Dataset(folder).rows(kind) if row.source == MODEL]


def test_what_a_model_writes_becomes_rows_that_name_it(index, tmp_path):
    told = []
    with endpoint() as server:
        counts = make(tmp_path, index, server.url, told.append, options={"temperature": 0.5}, answer_tokens=321)
        again = make(tmp_path, index, server.url, told.append, options={"temperature": 0.5}, answer_tokens=321)
    assert again == counts
    # Seven of the eight pages have text enough; each was asked about once, in two runs.
    assert len(server.served) == counts["pages written about"] == 7
    assert counts["pages not written about: too little text"] == 1
    assert told[1].startswith(f"{MODEL} at {server.url} is to write about 7 pages · about ")
    for request in server.served:
        assert (request.body["model"], request.body["max_tokens"], request.body["temperature"]) == (MODEL, 321, 0.5)
        assert isinstance(request.body["messages"][1]["content"], str)
    assert {"Write in French" in request.body["messages"][0]["content"] for request in server.served} == {True, False}
    data = Dataset(tmp_path)
    for kind in ("caption", "q2s", "sqa"):
        rows = written(tmp_path, kind)
        assert len(rows) >= 4
        for row in rows:
            shot = data.screenshot(row.target or row.image)
            assert row.text.partition(" of ")[0] not in shot.text
            assert row.answer in " ".join(shot.text.split())
            assert row.negatives
        # The model answers in English, and one page is French.
        assert all("menu" not in row.document for row in rows)
        assert counts[f"written {kind} dropped: in another language"] >= 1
    wrong = [data.answer(other) for row in written(tmp_path, "sqa") for other in row.negatives]
    assert len(wrong) > 10
    assert f"{MODEL} {len(written(tmp_path, 'q2s'))}" in (tmp_path / "README.md").read_text()


def test_a_model_that_sees_is_sent_the_picture(index, tmp_path):
    with endpoint() as server:
        counts = make(tmp_path, index, server.url, vision=True, kinds=("caption",), characters=0, key="A_KEY_FOR_TESTS")
    data = Dataset(tmp_path)
    sent = []
    for request in server.served:
        text, picture = request.body["messages"][1]["content"]
        assert text["text"].endswith("The page is in the picture.")
        head, _, coded = picture["image_url"]["url"].partition(",")
        assert head == "data:image/jpeg;base64"
        sent.append(base64.b64decode(coded))
        assert request.headers["authorization"] == "Bearer secret-1"
        assert '"questions"' not in request.body["messages"][0]["content"]
    assert sorted(sent) == sorted(data.picture(image) for image in data.images)
    assert counts["pages written about"] == 8


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("A_KEY_FOR_TESTS", "secret-1")


def test_a_busy_a_broken_and_a_slow_server_are_asked_again(index, tmp_path):
    def reply(served, before):
        if before:
            return good(served)
        match len(served.page) % 3:
            case 0:
                return trouble(429, Retry_After="2")
            case 1:
                return trouble(503)
        time.sleep(2.5)
        return good(served)

    with endpoint(reply) as server:
        counts = make(tmp_path, index, server.url, timeout=1.0, parallel=8)
    assert counts["pages written about"] == 7
    assert len(server.served) == 14
    waits = {}
    for request in server.served:
        waits.setdefault(request.page, []).append(request.when)
    for page, (first, second) in waits.items():
        assert second - first >= {0: 2.0, 1: 0.3, 2: 1.0}[len(page) % 3]
    assert {len(page) % 3 for page in waits} == {0, 1, 2}


def test_bad_answers_are_dropped_counted_and_not_paid_for_again(index, tmp_path):
    bad = iter(
        [
            completion("I'm sorry, I cannot help with that."),
            completion('{"captions": ["A long sta', "length"),
            completion(json.dumps({"captions": [], "questions": "what", "answers": []})),
            (200, {"Content-Type": "application/json"}, b'{"choices": [{"message": {"content": [1]}}], "usage": {}}'),
            (200, {"Content-Type": "text/html"}, b"<h1>It works</h1>"),
            (200, {"Content-Type": "application/json"}, b'{"choices": []}'),
            trouble(400),
        ]
    )
    with endpoint(lambda served, before: next(bad, None) or good(served)) as server:
        counts = make(tmp_path, index, server.url, parallel=1)
        assert counts["pages not written about: status 400"] == 1
        assert counts["pages not written about: no chat completion in the answer"] == 2
        assert counts["written answer dropped: no JSON"] == 2
        assert counts["written answer dropped: cut off"] == 1
        assert counts["written q2s dropped: field missing in the answer"] == 1
        assert counts["written caption: nothing worth asking"] == 1
        assert len(server.served) == 7
        counts = make(tmp_path, index, server.url, parallel=1)
    # Three pages had no answer at all: those alone are asked about again.
    assert len(server.served) == 10
    assert counts["pages written about"] == 7
    assert json.loads((tmp_path / "counts.json").read_text()) == counts
    assert "| written answer dropped: no JSON | 2 |" in (tmp_path / "README.md").read_text()


def recipe(folder, index, url, **choices):
    listed = "\n".join(f"{name} = {json.dumps(value)}" for name, value in choices.items())
    path = folder / "set.toml"
    path.write_text(f'from_index = "{index}"\n[writer]\nurl = "{url}"\nmodel = "{MODEL}"\n{listed}\n')
    return [sys.executable, "-m", "visir.cli.main", "vira", "build", str(path), "-o", str(folder / "set")]


def test_a_killed_run_goes_on_and_asks_again_only_what_was_under_way(index, tmp_path):
    def reply(served, before):
        time.sleep(0.3)
        return good(served)

    with endpoint(reply) as server:
        command = recipe(tmp_path, index, server.url, parallel=2)
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 100
        while len(server.served) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        kept = len(Answers(tmp_path / "set"))
        assert 2 <= kept < 7
        before = len(server.served)
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        assert len(server.served) - before == 7 - kept
        assert before - kept <= 2
    assert f"write about {7 - kept} pages · {kept} are written about already" in done.stderr
    with endpoint() as other:
        make(tmp_path / "whole", index, other.url)
    assert list(Dataset(tmp_path / "set").rows("q2s")) == list(Dataset(tmp_path / "whole").rows("q2s"))


def test_a_line_that_was_cut_off_is_forgotten(tmp_path):
    answers = Answers(tmp_path)
    answers.add("one", "{}", "stop", (10, 2))
    answers.add("two", "ü\n{}", "stop", (10, 2))
    path = tmp_path / "written" / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    answers = Answers(tmp_path)
    assert ("one" in answers, "two" in answers, answers.tokens) == (True, False, (10, 2))
    answers.add("two", "ü\n{}", "stop", (10, 2))
    again = Answers(tmp_path)
    assert (len(again), again.get("two")["reply"]) == (2, "ü\n{}")


def test_the_rate_is_kept_by_repeated_requests_too(index, tmp_path):
    with endpoint(lambda served, before: good(served) if before else trouble(500, Retry_After="0.01")) as server:
        make(tmp_path, index, server.url, requests_a_minute=300, parallel=8)
    times = [request.when for request in server.served]
    assert len(times) == 14
    assert times[-1] - times[0] > 13 * 0.2 - 0.1


def test_the_budget_ends_a_run_and_the_estimate_asks_nothing(index, tmp_path):
    told = []
    with endpoint() as server:
        prices = {"price_in": 1.0, "price_out": 10.0, "answer_tokens": 100}
        config = Config(from_index=index, writer=Writer(server.url, MODEL, budget=0.007, parallel=1, **prices))
        due = build(tmp_path, config, told.append, ask=False)
        assert (due["to write about"], due["to write about: tokens out"]) == (7, 700)
        assert not server.served
        assert "7 pages" in told[-1]
        assert "it stops at the budget of 0.01, of which 0.00 are spent" in told[-1]
        counts = build(tmp_path, config, told.append)
        # An answer costs 0.002, by the server's own count.
        assert len(server.served) == counts["pages written about"] == 3
        assert counts["pages not written about: the budget is spent"] == 4
        assert any("0.01 spent in all" in line for line in told)
        command = [*recipe(tmp_path, index, server.url, price_in=1.0), "--estimate"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        assert "is to write about" in done.stderr
        assert len(server.served) == 3


@pytest.mark.parametrize(
    ("status", "most", "said"),
    [(401, 4, "check url, model and key"), (404, 4, "check url, model and key"), (400, 8, "failed 5 pages in a row .*trouble 400")],
)
def test_a_server_that_will_not_is_given_up_in_one_line(index, tmp_path, status, most, said):
    with endpoint(lambda served, before: trouble(status)) as server:
        with pytest.raises(DatasetError, match=said) as refused:
            make(tmp_path, index, server.url)
        assert len(server.served) <= most
    assert "\n" not in str(refused.value)


def test_no_server_and_no_key_are_one_line(index, tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match=r"failed 5 pages in a row .*onnection"):
        make(tmp_path, index, "http://127.0.0.1:9/v1", retries=0)
    monkeypatch.delenv("A_KEY_FOR_TESTS")
    with pytest.raises(DatasetError, match="A_KEY_FOR_TESTS"):
        make(tmp_path, index, "http://127.0.0.1:9/v1", key="A_KEY_FOR_TESTS")


PAGE = (
    "The rain barrels by plot 14 leak again. Bernd has found a second-hand tank of 1,000 litres for 85 pounds and it was agreed to buy it. "
    "The standpipe is opened on 6 April. Hoses may be used before nine in the morning and after six in the evening only, by members."
)


@pytest.mark.parametrize(
    ("kind", "entry", "reason"),
    [
        ("q2s", "What did the allotment committee decide about the leaking barrels?", ""),
        ("q2s", "Where can I buy a notebook with a large screen?", ""),
        ("q2s", "What does this screenshot show about water?", "speaks of the page as such"),
        ("q2s", "Which tank is mentioned in the document?", "speaks of the page as such"),
        ("q2s", "How do I set the page size?", ""),
        ("q2s", "Hoses may be used before nine in the morning", "copy of the page"),
        ("q2s", "Wann wird das Standrohr für die Gärten im Frühjahr geöffnet und von wem?", "in another language"),
        ("q2s", "Water?", "too short"),
        ("q2s", "Why " + "very " * 60 + "long?", "too long"),
        ("q2s", "", "empty or of another form than asked"),
        ("q2s", {"question": "What?"}, "empty or of another form than asked"),
        ("q2s", None, "empty or of another form than asked"),
        ("caption", "I'm sorry, I cannot see what is on it", "refused"),
        ("caption", "According to the text, members of the club may water in the morning", "speaks of the page as such"),
        ("caption", "12 34 56 78 90 == 12 + 4", "hardly any words"),
        (
            "caption",
            "It was said that the rain barrels by plot 14 leak again. Bernd has found a second-hand tank of 1,000 litres for 85 pounds",
            "copy of the page",
        ),
        ("sqa", {"question": "When is the standpipe in this document opened?", "answer": "6 April"}, ""),
        ("sqa", {"question": "How many litres does it hold?", "answer": 1000}, "answer is not on the page"),
        ("sqa", {"question": "Who leads the whole committee now?", "answer": "Olive Tran"}, "answer is not on the page"),
        ("sqa", {"question": "Who leads the whole committee now?", "answer": ""}, "empty or of another form than asked"),
        ("sqa", "When is it opened?", "empty or of another form than asked"),
        ("q2s", "What leaks by \ud800plot 14 again?", ""),
    ],
)
def test_each_text_is_checked(kind, entry, reason):
    counts = Counter()
    fields = {"caption": "captions", "q2s": "questions", "sqa": "answers"}
    reply = f"<think>{{hm}}</think>Here you are:\n```json\n{json.dumps({fields[kind]: [entry]})}\n```"
    found = read_reply(reply, "stop", PAGE, "en", (kind,), counts)
    assert dict(counts) == ({f"written {kind} dropped: {reason}": 1} if reason else {})
    assert bool(found) != bool(reason)
    assert str(found).encode()


def test_what_words_do_not_find_again_is_dropped(index, tmp_path):
    def reply(served, before):
        return completion(json.dumps({"questions": ["Which zebra juggled xylophones?", "What leaks in Ostermere Water Works?"]}))

    with endpoint(reply) as server:
        writer = Writer(server.url, MODEL, kinds=("q2s",))
        counts = build(tmp_path, Config(from_index=index, neighbours=2, answered_by=8, writer=writer), lambda _: None)
    rows = written(tmp_path, "q2s")
    assert rows
    assert {row.document.rpartition("/")[2] for row in rows} == {"water-works-annual-report-2023.pdf"}
    assert counts["written q2s dropped: words do not find the page again"] >= 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('model = "m"', "url missing"),
        ('url = "http://x/v1"\nmodel = "m"\nprice = 3', "price: no such setting"),
        ('url = "http://x/v1/chat/completions"\nmodel = "m"', "must end before"),
        ('url = "x/v1"\nmodel = "m"', "must start with http"),
        ('url = "http://x/v1"\nmodel = "m"\nkinds = ["label"]', "kinds must be some of caption, q2s, sqa"),
        ('url = "http://x/v1"\nmodel = "m"\nvision = "yes"', "vision = 'yes' is not of the right type .bool"),
        ('url = "http://x/v1"\nmodel = "m"\nshare = 0', "share must be"),
        ('url = "http://x/v1"\nmodel = "m"\ncharacters = 0', "vision must be true"),
        ('url = "http://x/v1"\nmodel = "m"\nbudget = 5', "a budget takes price_in"),
        ('url = "http://x/v1"\nmodel = "m"\nprompts = "/nowhere"', "no folder /nowhere"),
    ],
)
def test_a_bad_writer_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "set.toml"
    path.write_text(f'from_index = "index"\n[writer]\n{text}\n')
    with pytest.raises(DatasetError, match=said) as refused:
        read_config(path)
    assert "\n" not in str(refused.value)


def test_own_prompts_replace_those_that_are_shipped(index, tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "system.txt").write_text("Write haikus in $language.\n$fields")
    with endpoint() as server:
        make(tmp_path / "set", index, server.url, prompts=str(tmp_path / "prompts"), share=0.5)
        (tmp_path / "prompts" / "system.txt").write_text("Earn $money for $fields")
        with pytest.raises(DatasetError, match=r"system.txt cannot be filled .'money'.: it may have \$language, \$fields"):
            make(tmp_path / "set", index, server.url, prompts=str(tmp_path / "prompts"))
    assert 0 < len(server.served) < 7
    assert all(request.body["messages"][0]["content"].startswith("Write haikus in ") for request in server.served)
    assert all('"captions": at most 2' in request.body["messages"][0]["content"] for request in server.served)
