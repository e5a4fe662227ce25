"""The API, through the client of the package, against a real server."""

import io
import json
import urllib.request
from pathlib import Path

import httpx2
import pytest
from documents import write_pdf
from PIL import Image

from visir.index import Index
from visir.serve.client import RequestError
from visir.serve.schemas import Filters, Like


def names(hits):
    return [(Path(hit.uri).stem, hit.page) for hit in hits]


def test_a_text_finds_its_page_with_marks_and_picture(client):
    hit = client.search("starter rye").hits[0]
    assert (Path(hit.uri).name, hit.page) == ("bread.pdf", 1)
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["starter", "rye"]
    assert len(hit.boxes) == 2
    picture = Image.open(io.BytesIO(client.picture(hit.picture)))
    assert picture.size == (hit.picture.width, hit.picture.height)


def test_a_line_of_shell_is_enough(server):
    with urllib.request.urlopen(f"{server.address}api/search?q=sicilian+defence&count=1") as answer:
        assert json.load(answer)["hits"][0]["uri"].endswith("chess.pdf")


def test_a_picture_a_page_and_a_part_of_a_page_are_queries(client, shelf, tmp_path):
    page = client.search("crust crackle", count=1).hits[0]
    picture = tmp_path / "query.jpg"
    picture.write_bytes(client.picture(client.search("starter rye", count=1).hits[0].picture))
    assert names(client.search(image=picture).hits)[0] == ("bread", 1)
    assert names(client.search("baking steam crust", image=picture).hits)[0] == ("bread", 2)
    similar = client.search(like=(page.uri, page.page)).hits
    assert ("bread", 2) not in names(similar), "a page is not similar to itself"
    assert names(similar)[0] == ("bread", 1)
    rainfall = str(shelf / "rainfall.pdf")
    lines = client.page(rainfall, 2).lines
    part = Like(uri=rainfall, page=2, box=(0, 0, 1, lines[0][0].box[3]))
    assert client.search(like=part).hits[0].score > 0


def test_pages_of_results_go_on_where_the_last_ended(client):
    whole = names(client.search("rainfall", count=5).hits)
    assert names(client.search("rainfall", count=2, skip=2).hits) == whole[2:4]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(types=["pdf"]), 5),
        (Filters(types=["image"]), 0),
        (Filters(name="BREAD"), 2),
        (Filters(name="100%"), 0),
        (Filters(languages=["en"], after="2024", before="2025"), 3),
        (Filters(after="2024-02-01"), 0),
        (Filters(where="page = 2 AND path LIKE '%bread%'"), 1),
        (Filters(types=["pdf"], where="page = 2 OR page = 1"), 5),
    ],
)
def test_filters(client, filters, count):
    assert len(client.search("rainfall bread chess", filters=filters).hits) == count


@pytest.mark.parametrize(
    "where",
    ["length(repeat('a', 4000000000)) > 0", "page = 1; drop", "edition > 0", 'path = "x"', "((page = 1)", "page(1) = 1", "page = 1)"],
)
def test_a_condition_that_does_more_than_compare_is_refused(client, where):
    with pytest.raises(RequestError, match="the filter") as caught:
        client.search("rain", filters=Filters(where=where))
    assert caught.value.status == 400


def test_senseless_queries_are_one_clear_line(client, shelf):
    for query, status, told in [
        ({}, 400, "the query is empty"),
        ({"image": b"no picture"}, 422, "is no picture that visir reads"),
        ({"like": (str(shelf / "nothing.pdf"), 1)}, 404, "is not in the index"),
        ({"like": (str(shelf / "bread.pdf"), 9)}, 404, "has no page 9"),
        ({"like": (str(shelf / "bread.pdf"), 1), "image": b"x" * 30}, 422, "is no picture that visir reads"),
    ]:
        with pytest.raises(RequestError, match=told) as caught:
            client.search(**query)
        assert caught.value.status == status
        assert "/tmp/visir" not in str(caught.value)


def test_a_page_has_words_lines_neighbours_and_an_original(client, shelf):
    page = client.page(str(shelf / "bread.pdf"), 2)
    assert (page.page, page.pages, page.type, page.date) == (2, 2, "pdf", "2024-01-31")
    assert [[word.text for word in line] for line in page.lines] == [["Baking"], ["Steam", "makes", "the", "crust", "crackle."]]
    assert all(0 <= edge <= 1 for line in page.lines for word in line for edge in word.box)
    assert [other.page for other in page.neighbours] == [1, 2]
    assert page.original.endswith("#page=2")
    assert client.original(page.uri) == (shelf / "bread.pdf").read_bytes()


def test_pictures_come_in_sizes_and_parts(client, shelf):
    picture = client.page(str(shelf / "chess.pdf")).picture
    small = Image.open(io.BytesIO(client.picture(picture, width=200)))
    assert small.width == 240, "the next larger size that is kept"
    part = Image.open(io.BytesIO(client.picture(picture, box=(0, 0, 1, 0.25))))
    assert part.size == (picture.width, round(picture.height * 0.25))
    for box in [(0.5, 0, 0.4, 1), (0, 0, 2, 1)]:
        with pytest.raises(RequestError, match="a box lies within"):
            client.picture(picture, box=box)


def test_documents_are_listed_with_what_failed_and_why(client):
    everything = client.documents()
    assert everything.total == 4
    (broken,) = client.documents(state="problem").documents
    assert broken.uri.endswith("broken.pdf")
    assert "content is something else" in broken.reason
    assert client.documents(name="BREAD").total == 1
    assert [document.uri for document in client.documents(skip=1, count=2).documents] == [
        document.uri for document in everything.documents[1:3]
    ]
    status = client.status()
    assert (status.documents, status.pages, status.failures) == (3, 5, 1)
    assert status.facets.types == {"pdf": 3}
    assert status.roots == [str(Path(broken.uri).parent)]


def test_an_upload_is_searchable_and_a_deletion_takes_it_away(client, tmp_path):
    path = write_pdf(tmp_path / "zebra.pdf", ["The zebra crossing\nStripes on the road."])
    steps = list(client.watch(client.upload(path)))
    assert steps[-1].state == "done"
    assert (steps[-1].indexed, steps[-1].pages, steps[-1].failed) == (1, 1, 0)
    hit = client.search("zebra stripes").hits[0]
    assert Path(hit.uri).name == "zebra.pdf"
    (listed,) = client.documents(name="zebra.pdf").documents
    assert listed.uploaded
    assert client.remove(hit.uri) == 1
    assert "zebra" not in {name for name, _ in names(client.search("zebra stripes").hits)}
    assert not Path(hit.uri).exists(), "an uploaded file goes with its document"
    assert client.remove(hit.uri) == 0


def test_a_file_that_fails_is_told_with_its_reason_and_stops_nothing(client, tmp_path):
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 cut off")
    good = write_pdf(tmp_path / "good.pdf", ["A walrus on the beach"])
    job = client.wait(client.upload(tmp_path / "bad.pdf", good))
    assert (job.state, job.indexed, job.failed) == ("done", 1, 1)
    assert "damaged" in job.failures[0].reason
    for name in ("bad.pdf", "good.pdf"):
        (document,) = client.documents(name=name).documents
        client.remove(document.uri)


def test_taking_a_document_out_leaves_its_file(client, shelf, tmp_path):
    uri = str(shelf / "chess.pdf")
    assert client.remove(uri) == 1
    assert Path(uri).exists()
    assert client.documents(name="chess").total == 0
    assert client.wait(client.refresh()).indexed == 1, "a refresh of its folder finds it again"
    assert client.documents(name="chess").total == 1


def test_what_another_process_adds_or_the_server_takes_out_counts_for_a_refresh(client, server, tmp_path):
    path = write_pdf(tmp_path / "lone.pdf", ["A lone walrus"])
    with Index.open(server.index) as other:
        other.add(path)
    client.wait(client.refresh())
    assert str(path) in client.status().roots
    assert client.remove(str(path)) == 1
    job = client.wait(client.refresh())
    assert (job.indexed, str(path) in client.status().roots) == (0, False), "what was taken out stays out"


def test_health_and_metrics(client):
    assert client.health().status == "ok"
    client.search("rain")
    told = client.metrics()
    assert 'visir_requests_total{method="POST",route="/api/search",status="200"}' in told
    assert "visir_pages 5.0" in told
    assert "visir_query_batch_size_count" in told


def test_a_server_that_is_not_there_is_one_clear_line():
    from visir.serve.client import Client

    with Client("http://127.0.0.1:9", timeout=2) as nobody:
        for ask in (nobody.health, lambda: nobody.wait("a-job")):
            with pytest.raises(RequestError, match="does not answer"):
                ask()


def test_a_very_flat_picture_has_a_small_copy(client, tmp_path):
    Image.new("RGB", (2600, 14), "white").save(tmp_path / "flat.png")
    client.wait(client.upload(tmp_path / "flat.png"))
    [document] = client.documents(name="flat").documents
    with Image.open(io.BytesIO(client.picture(document.picture, width=160))) as copy:
        assert copy.size[0] == 160
    client.remove(document.uri)


def test_a_page_whose_picture_is_missing_is_one_clear_line(client, server, tmp_path):
    client.wait(client.upload(write_pdf(tmp_path / "blank.pdf", ["a page whose picture goes"])))
    [document] = client.documents(name="blank").documents
    with Index.open(server.index, create=False) as index:
        [row] = index.store.documents(f"path = '{document.uri}'")
        index.store.picture(row.edition, 1).unlink()
    with pytest.raises(RequestError, match=r"picture of page 1 .* is missing") as told:
        client.search(like=(document.uri, 1))
    assert told.value.status == 404
    client.remove(document.uri)


@pytest.mark.parametrize(("path", "body"), [("/api/search", {"text": "a \ud800 b"}), ("/api/session", {"token": "\ud800"})])
def test_half_a_character_is_refused(server, path, body):
    answer = httpx2.post(server.address.rstrip("/") + path, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500


def test_the_events_of_a_job_that_is_not_there_are_not_found(server, client):
    assert httpx2.get(server.address + "api/jobs/nosuch/events").status_code == 404
    with pytest.raises(RequestError, match="no job nosuch"):
        client.wait("nosuch")
