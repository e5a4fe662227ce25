"""Jobs survive whatever ends the server; many callers are served together, and too many are turned away."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx2
import numpy as np
import pytest
from documents import draw_png, write_pdf
from servers import running, start, wait_until

from visir.capture import CaptureOptions
from visir.errors import QueryError
from visir.index import Index
from visir.screenshot import Query, Screenshot
from visir.serve.batching import BatchedEmbedder
from visir.serve.gate import Gate
from visir.serve.jobs import BusyError, Jobs
from visir.unise.embedder import load_embedder


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """A folder of 60 documents of three pages, some seconds' work."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(60):
        write_pdf(folder / f"doc{number:02d}.pdf", [f"document {number} page {page} speaks of herons and rivers" for page in (1, 2, 3)])
    return folder


def job_files(server):
    return sorted(server.index.with_name(server.index.name + ".serve").glob("jobs/*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "killed"])
def test_a_restart_goes_on_with_the_jobs(many, tmp_path, ending):
    server = start(tmp_path / "index", str(many))
    client = server.client()
    waiting = client.upload(write_pdf(tmp_path / "late.pdf", ["a late walrus"]))
    wait_until(lambda: client.jobs()[-1].done >= 3)
    code = server.stop(ending)
    kept = [json.loads(path.read_text())["job"] for path in job_files(server)]
    assert len(kept) == 2
    if ending == signal.SIGTERM:
        assert code == 0
        assert {job["state"] for job in kept} == {"queued"}
    server = start(tmp_path / "index")
    client = server.client()
    try:
        first = client.wait(client.jobs()[-1].id)
        assert (first.state, first.files, first.failed) == ("done", 60, 0)
        assert client.wait(waiting.id).state == "done"
        status = client.status()
        assert (status.documents, status.pages) == (61, 181)
        assert client.search("late walrus", count=1).hits[0].uri.endswith("late.pdf")
        assert client.search("late walrus", count=1).hits[0].score > 50
    finally:
        assert server.stop() == 0


@pytest.mark.slow
def test_searches_are_answered_while_indexing_runs_and_a_job_can_be_cancelled(many, tmp_path):
    server = start(tmp_path / "index", str(many))
    client = server.client()
    try:
        job = client.jobs()[0]
        wait_until(lambda: client.job(job.id).done >= 1)
        answered = 0
        while client.job(job.id).state == "running" and answered < 5:
            client.search("herons")
            answered += 1
        assert answered == 5, "indexing was over too soon: the test proves nothing"
        assert client.cancel(job.id).state == "cancelled"
        over = client.wait(job.id)
        assert (over.state, over.done < 60) == ("cancelled", True)
        client.wait(client.refresh())
        assert client.status().documents == 60, "what was cancelled can be taken up"
    finally:
        server.stop()


def test_queries_of_many_threads_are_embedded_together_and_come_out_the_same():
    plain, sizes = load_embedder("text"), []
    batched = BatchedEmbedder(plain, sizes.append)
    texts = [f"query number {number} about rivers" for number in range(64)]
    begin = threading.Barrier(16)

    def ask(text):
        if texts.index(text) < 16:
            begin.wait()
        return batched.encode_query([text])[0]

    with ThreadPoolExecutor(16) as pool:
        found = np.stack(list(pool.map(ask, texts)))
    assert np.allclose(found, plain.encode_query(texts), atol=1e-6)
    assert sum(sizes) == 64
    assert max(sizes) > 1


def test_a_server_searches_what_was_read_off_pictures_by_its_regions(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "snow.png").write_bytes(draw_png(["Heavy snow is expected", "and the danger of avalanches", "is rising quickly"]))
    with running(tmp_path / "index", str(tmp_path / "scans")) as server:
        client = server.client()
        client.wait(client.jobs()[0].id)
        [hit] = client.search("expected").hits
        with Index.open(tmp_path / "index") as index:
            [same] = index.search("expected")
    assert (hit.score, hit.boxes) == (same.score, list(same.boxes))
    assert hit.boxes


def test_a_query_that_cannot_be_embedded_fails_alone():
    batched = BatchedEmbedder(load_embedder("text"))
    bad = Query("", Screenshot(b"", text=""))
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(batched.encode_query, [bad if number % 4 == 0 else f"words {number}"]) for number in range(16)]
    for number, future in enumerate(futures):
        if number % 4:
            assert future.result().shape == (1, 384)
        else:
            with pytest.raises(QueryError, match="none were read"):
                future.result()


def test_a_batch_that_goes_wrong_as_a_whole_leaves_nobody_waiting():
    sizes = []

    def observe(size):
        sizes.append(size)
        if len(sizes) == 1:
            raise RuntimeError("told for the test")

    embedder = BatchedEmbedder(load_embedder("text"), observe)
    with pytest.raises(RuntimeError, match="told for the test"):
        embedder.encode_query(["one", "two"])
    assert embedder.encode_query(["three"]).shape == (1, embedder.dim)


def test_a_gate_lets_some_work_some_wait_and_turns_the_rest_away():
    async def main():
        gate, release = Gate(2, 3), threading.Event()
        outcomes: list[str] = []

        async def caller():
            try:
                await gate.run(release.wait)
                outcomes.append("served")
            except BusyError:
                outcomes.append("turned away")

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(caller)
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(0.05)
            assert outcomes == ["turned away"] * 7
            release.set()
        assert sorted(outcomes) == ["served"] * 5 + ["turned away"] * 7
        assert gate.inside == 0

    anyio.run(main)


def test_two_hundred_callers_at_once_get_an_answer_or_are_told_to_come_back(server):
    async def main():
        statuses: list[int] = []

        async def caller(client):
            answer = await client.get("/api/search", params={"q": "rainfall", "count": 3})
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"

        limits = httpx2.Limits(max_connections=300)
        async with httpx2.AsyncClient(base_url=server.address, timeout=60, limits=limits) as client, anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(caller, client)
        return statuses

    statuses = anyio.run(main)
    assert len(statuses) == 200
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 128


def test_jobs_that_may_wait_have_a_limit_and_a_file_that_is_turned_away_is_not_kept(tmp_path):
    from fastapi.testclient import TestClient

    from visir.serve.app import create_app
    from visir.serve.options import ServeOptions

    with Index.open(tmp_path / "index") as index:
        app = create_app(index, ServeOptions(queued_jobs=0))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answer = client.post("/api/documents/files", files={"files": ("a.txt", b"words")})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert client.post("/api/refresh").status_code == 503
    assert not list((tmp_path / "index.serve" / "uploads").rglob("a.txt"))


@pytest.mark.slow
def test_a_search_at_work_is_answered_though_the_server_is_told_to_stop(tmp_path, library):
    server = start(tmp_path / "index", str(library))
    client = server.client()
    client.wait(client.jobs()[0].id)
    pictures = [draw_png([f"rainfall in the year {2000 + number}", "and other words"] * 6) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(client.search, image=picture) for picture in pictures]
        wait_until(lambda: any(one.done() for one in asked))
        server.process.send_signal(signal.SIGTERM)
        assert not all(one.done() for one in asked), "the searches were over too soon: the test proves nothing"
        assert all(one.result().hits for one in asked)
    assert server.stop() == 0


def test_whoever_watches_is_told_the_end_though_it_came_while_he_looked_away(tmp_path):
    async def main() -> list[str]:
        jobs = Jobs(tmp_path / "index", None, CaptureOptions())
        job = await jobs.add("add", ["a.pdf"])
        told = []
        async for step in jobs.watch(job.id):
            told.append(step.state)
            if len(told) == 1:
                await jobs.cancel(job)
        return told

    assert anyio.run(main) == ["queued", "cancelled"]


def finished(tmp_path, *sources, then=lambda first: None):
    """Let jobs add sources; returns that job and one that is queued after it."""

    async def main():
        Index.open(tmp_path / "index").close()
        jobs = Jobs(tmp_path / "index", tmp_path / "jobs", CaptureOptions())
        await jobs.start()
        first = await jobs.add("add", [str(source) for source in sources])
        then(first)
        second = await jobs.add("refresh")
        with anyio.fail_after(60):
            # Two of one millisecond may be worked on in either order.
            for job in (first, second):
                async for _ in jobs.watch(job.id):
                    pass
        await jobs.stop()
        return first, second

    return anyio.run(main)


def test_a_job_that_cannot_be_noted_is_done_and_the_queue_goes_on(tmp_path, library):
    def fill_the_disk(first):
        # What is written first, so that every note fails.
        (tmp_path / "jobs" / f"{first.id}.new").mkdir()

    first, second = finished(tmp_path, library, then=fill_the_disk)
    assert (first.state, first.indexed, second.state) == ("done", 3, "done")


def test_a_job_that_cannot_be_written_down_is_turned_away_and_nobody_stumbles_over_it(tmp_path):
    async def main():
        (tmp_path / "jobs").write_text("where a folder cannot be made")
        jobs = Jobs(tmp_path / "index", tmp_path / "jobs", CaptureOptions())
        with pytest.raises(BusyError, match="cannot be written down"):
            await jobs.add("refresh")
        assert jobs.all() == []

    anyio.run(main)


def test_a_job_that_is_cancelled_while_its_process_begins_does_nothing(tmp_path, library, monkeypatch):
    began = Jobs._running

    async def while_it_begins(jobs):
        process = await began(jobs)
        job = jobs.get(jobs._current)
        if job.kind == "add":
            # As `cancel` does, which does not know the process yet.
            job.state, job.message = "cancelled", "cancelled"
        return process

    monkeypatch.setattr(Jobs, "_running", while_it_begins)
    first, second = finished(tmp_path, library)
    assert (first.state, first.indexed, second.state) == ("cancelled", 0, "done")


def test_a_process_that_tells_nonsense_fails_its_job_and_no_other(tmp_path, library, monkeypatch):
    heard = Jobs._heard

    async def nonsense(jobs, job, message):
        if job.kind == "add":
            raise ValueError("a line that is no JSON")
        return await heard(jobs, job, message)

    monkeypatch.setattr(Jobs, "_heard", nonsense)
    first, second = finished(tmp_path, library)
    assert (first.state, second.state) == ("failed", "done")
    assert "no JSON" in first.message


def test_what_went_while_it_waited_is_told_and_the_rest_is_added(tmp_path, library):
    first, _ = finished(tmp_path, library, tmp_path / "gone.pdf")
    assert (first.state, first.indexed, first.failed) == ("done", 3, 1)
    assert first.failures[0].reason == "is not there any more"
