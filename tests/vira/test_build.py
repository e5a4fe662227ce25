import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from visir.errors import DatasetError
from visir.vira.build import build
from visir.vira.camera import Camera
from visir.vira.capturing import as_row
from visir.vira.config import Config, read_config
from visir.vira.dataset import KINDS, Dataset, Row, write_images, write_rows
from visir.vira.domains.products import Products
from visir.vira.leaks import Guard
from visir.vira.mining import THUMBNAIL, Table
from visir.vira.negatives import mine

PAGES = {"charts": 8, "documents": 8, "encyclopedia": 12, "products": 9}


@pytest.fixture(scope="module")
def made(corpora, dev, tmp_path_factory):
    """A set built in one go, its counts beside it."""
    folder = tmp_path_factory.mktemp("set")
    counts = build(folder, Config(PAGES, corpora.folder, avoid=dev, batch=3), lambda _: None)
    return folder, counts


def test_rows_of_every_kind_point_at_pictures_and_answers(made):
    folder, counts = made
    data = Dataset(folder)
    for kind in KINDS:
        rows = list(data.rows(kind))
        assert len(rows) == data.count(kind) == counts[kind] > 0
        for row in rows:
            assert bool(row.target) != bool(row.answer)
            assert all(image in data for image in (row.image, row.target) if image)
            assert row.image or kind in ("caption", "q2s")
    assert [row.id for row in data.rows("q2s", seed=1)] != [row.id for row in data.rows("q2s")]
    assert {row.id for row in data.rows("q2s", seed=1)} == {row.id for row in data.rows("q2s")}


def test_pictures_and_words_come_back(made):
    data = Dataset(made[0])
    row = next(data.rows("caption", domains=["products"]))
    shot = data.screenshot(row.target)
    assert shot.encoded == data.picture(row.target)
    assert shot.encoded[:2] == b"\xff\xd8"
    assert " ".join(word.text for word in shot.words).split() == shot.text.split()
    assert all(0 <= side <= 1 for word in shot.words for side in word.box)
    with pytest.raises(DatasetError, match="nothing"):
        data.picture("nothing")


def test_hugging_face_datasets_decodes_the_pictures(made):
    datasets = pytest.importorskip("datasets")
    shards = sorted(str(path) for path in (made[0] / "images").glob("charts-*.parquet"))
    loaded = datasets.Dataset.from_parquet(shards, cache_dir=str(made[0] / "cache"))
    assert loaded[0]["image"].size == (loaded[0]["width"], loaded[0]["height"])


def test_no_negative_is_right(made):
    data = Dataset(made[0])
    texts = {image: data.screenshot(image).text for image in data.images}
    mined = 0
    for kind in KINDS:
        right = {}
        for row in data.rows(kind):
            right.setdefault((row.image, row.text), set()).add(row.target)
        for row in data.rows(kind):
            mined += len(row.negatives)
            assert len(set(row.negatives)) == len(row.negatives) <= 4
            if row.target:
                assert not right[row.image, row.text] & set(row.negatives)
                assert all(texts[image] != texts[row.target] for image in row.negatives)
            else:
                answers = [data.answer(other).lower() for other in row.negatives]
                assert row.answer.lower() not in answers
                assert len(set(answers)) == len(answers)
    assert mined > 50


def test_mined_rows_are_not_mined_again(made, corpora, dev):
    folder, counts = made
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.parquet")}
    assert build(folder, Config(PAGES, corpora.folder, avoid=dev, batch=3), lambda _: None) == counts
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*/*.parquet")}


def test_two_processes_mine_what_one_does(made, tmp_path):
    place = shutil.copytree(made[0], tmp_path / "set")
    before = {path: pq.read_table(path).to_pylist() for path in sorted(place.glob("rows/*.parquet"))}
    for path, rows in before.items():
        write_rows(path, [Row(**{**row, "negatives": ()}) for row in rows], {})
    counts = mine(place, Config(PAGES), lambda _: None, workers=2)
    assert {path: pq.read_table(path).to_pylist() for path in before} == before
    assert counts["negatives: mined"] == sum(len(row["negatives"]) for rows in before.values() for row in rows) > 50


def test_scans_are_counted_and_words_go_along(made, corpora, tmp_path):
    counts = build(tmp_path, Config({"documents": 6}, corpora.folder, batch=3, scans=0.5, negatives=0), lambda _: None)
    straight = {row["key"]: row for path in (made[0] / "images").glob("documents-*.parquet") for row in pq.read_table(path).to_pylist()}
    rows = [row for path in (tmp_path / "images").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    both = [(row, straight[row["key"]]) for row in rows if row["key"] in straight]
    turned = [(row, plain) for row, plain in both if row["boxes"] != plain["boxes"]]
    assert 0 < counts["documents: scanned"] < counts["documents: kept"]
    assert 0 < len(turned) < len(both)
    assert all(row["text"] == plain["text"] and row["words"] == plain["words"] for row, plain in turned)
    assert f"{counts['documents: scanned']} of them are shown as scans" in (tmp_path / "README.md").read_text()


def test_what_was_dropped_is_counted(made):
    folder, counts = made
    assert json.loads((folder / "counts.json").read_text()) == counts
    kept = sum(count for name, count in counts.items() if name.endswith(": kept"))
    assert kept == sum(pq.ParquetFile(path).metadata.num_rows for path in (folder / "images").glob("*.parquet"))


def test_training_shares_no_document_and_no_page_with_the_benchmark(made, dev):
    guard = Guard(dev)
    for path in (made[0] / "images").glob("*.parquet"):
        table = pq.read_table(path, columns=["domain", "document"]).to_pylist()
        assert not {(row["domain"], row["document"]) for row in table} & guard.documents
    leaked = {leak.image for leak in guard.leaks(made[0])}
    named = {image for kind in KINDS for row in Dataset(made[0]).rows(kind) for image in (row.image, row.target)}
    assert not leaked & named


def test_a_page_of_the_benchmark_in_training_is_found(corpora, dev, tmp_path):
    benchmark = {json.loads(line)["key"]: line for line in (dev / "pages-products.jsonl").read_text().splitlines()}
    with Camera() as camera:
        domain = Products(corpora)
        pages = [page for document in [*domain.split("dev")[:2], *domain.split("train")[:1]] for page in domain.pages(document, camera)]
    write_images(tmp_path / "images" / "products-00000.parquet", map(as_row, pages), {})
    expected = {page.key for page in pages if page.key in benchmark}
    assert expected
    assert expected <= {leak.key for leak in Guard(dev).leaks(tmp_path)}


@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_was(corpora, dev, made, tmp_path):
    recipe = tmp_path / "set.toml"
    listed = "\n".join(f"{name} = {count}" for name, count in PAGES.items())
    recipe.write_text(f'corpora = "{corpora.folder}"\navoid = "{dev}"\nbatch = 3\n[domains]\n{listed}\n')
    command = [sys.executable, "-m", "visir.cli.main", "vira", "build", str(recipe), "-o", str(tmp_path / "set")]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    shards = tmp_path / "set" / "images"
    deadline = time.monotonic() + 120
    while not list(shards.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.parquet")}
    assert before
    assert not (tmp_path / "set" / "rows").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in shards.glob("*.parquet")}.items()
    for kind in KINDS:
        assert list(Dataset(tmp_path / "set").rows(kind)) == list(Dataset(made[0]).rows(kind))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[domains]\nmusic = 5", "held out"),
        ("[domains]\nnothing = 5", "no such domain"),
        ("sizes = 3\n[domains]\ncharts = 5", "no such setting"),
        ("neighbours = 3", "domains. is missing"),
        ("neighbours =", "cannot be read"),
    ],
)
def test_a_bad_recipe_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "set.toml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=said) as refused:
        read_config(path)
    assert "\n" not in str(refused.value)


def test_what_is_mined_among_is_nearest_whatever_the_size_of_a_block(made, monkeypatch):
    table = Table(made[0], "text", THUMBNAIL)
    pages = table.table.search().where("domain = 'products'").limit(1000).to_list()
    assert len(pages) > 4
    asked = np.array([page["picture_vector"] for page in pages], np.float32)
    cosines = asked @ asked.T
    for block in (3, 8192):
        monkeypatch.setattr("visir.vira.mining._BLOCK", block)
        for own, found in zip(cosines, table.nearest(asked, "picture_vector", 4, "products"), strict=True):
            np.testing.assert_allclose([cosine for _, cosine in found], np.sort(own)[::-1][:4], atol=1e-5)
            assert len({image for image, _ in found}) == 4


def test_pages_are_found_where_others_show_the_same_picture(made, tmp_path):
    place = shutil.copytree(made[0], tmp_path / "set")
    table = Table(place, "text", THUMBNAIL)
    rows = table.table.search().limit(1000).to_arrow()
    for _ in range(3):
        table.table.add(rows.slice(0, 4))
    ids = rows["id"].to_pylist()
    table.table.delete(f"id = '{ids[-1]}'")
    table.table.add(rows.slice(len(ids) - 1, 1))
    assert set(table.pages(ids)) == set(ids)
    assert set(table.likenesses(ids)) == set(ids)
