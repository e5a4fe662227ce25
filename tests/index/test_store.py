import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from visir.errors import QueryError
from visir.index import store as module
from visir.index.store import Document, Store, new_edition, pack_boxes

DIM = 32


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "VECTOR_INDEX_ROWS", 300)
    monkeypatch.setattr(module, "_UNKNOWN_ROWS", 50)
    return Store.create(tmp_path / "index", {"source": "none", "name": "none", "revision": "1", "dim": DIM})


def add(store: Store, vectors: np.ndarray, language: str = "en") -> int:
    edition = new_edition()
    name = f"/documents/{edition}.pdf"
    columns = {"edition": edition, "path": name, "type": "pdf", "date": "", "language": language, "title": "", "boxes": pack_boxes([])}
    store.add_pages([{**columns, "page": page, "text": f"page {page}", "vector": vector} for page, vector in enumerate(vectors, 1)])
    store.put_documents([Document(name, edition, "pdf", 1, 1, "", len(vectors), "ok", "", "", "")])
    return edition


def normal(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, DIM), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def found(store: Store, vector: np.ndarray, where: str = "") -> list[tuple[int, int]]:
    rows = store.nearest(vector, 10, where).to_pylist()
    return [(row["edition"], row["page"]) for row in rows]


def test_an_index_that_grows_keeps_few_parts_and_finds_what_an_exact_search_finds(store):
    rng = np.random.default_rng(0)
    everything: dict[tuple[int, int], np.ndarray] = {}
    for step in range(14):
        vectors = normal(rng, 100)
        edition = add(store, vectors, "sv" if step == 3 else "en")
        everything |= {(edition, page): vector for page, vector in enumerate(vectors, 1)}
        store.optimise()
        assert store._vector_index_parts() <= module._MAX_INDEX_PARTS + 1
    assert store._vector_index_parts() >= 1
    keys, matrix = list(everything), np.array(list(everything.values()))
    rare = [number for number, key in enumerate(keys) if key[0] == keys[300][0]]
    recall, filtered, among = [], [], []
    for vector in normal(rng, 40):
        similarity = matrix @ vector
        exact = {keys[number] for number in np.argsort(-similarity)[:10]}
        recall.append(len(exact & set(found(store, vector))) / 10)
        candidates, _ = store.find(vector, "", 50)
        among.append(len(exact & set(zip(candidates["edition"].to_pylist(), candidates["page"].to_pylist(), strict=True))) / 10)
        exact = {keys[number] for number in sorted(rare, key=lambda number: -similarity[number])[:10]}
        filtered.append(len(exact & set(found(store, vector, "language = 'sv'"))) / 10)
    assert np.mean(recall) >= 0.95
    assert np.mean(among) >= 0.99
    assert np.mean(filtered) >= 0.95


def test_many_small_refreshes_of_a_large_index_build_it_anew_only_when_a_tenth_is_new(store, monkeypatch):
    monkeypatch.setattr(module, "_UNKNOWN_ROWS", 10)
    rng = np.random.default_rng(4)
    add(store, normal(rng, 2000))
    store.optimise()
    parts, new = [], []
    for step in range(22):
        vectors = normal(rng, 12)
        edition = add(store, vectors)
        store.optimise()
        parts.append(store._vector_index_parts())
        new.append(12 * (step + 1))
        assert found(store, vectors[0])[0] == (edition, 1)
    built = parts.index(1)
    assert parts[:built] == list(range(2, built + 2))
    assert new[built - 1] < 0.1 * (2000 + new[built - 1]) <= new[built] + 12


def test_an_index_is_built_anew_where_its_parts_are_very_many(store, monkeypatch):
    monkeypatch.setattr(module, "_UNKNOWN_ROWS", 1)
    monkeypatch.setattr(module, "_MOST_INDEX_PARTS", 12)
    rng = np.random.default_rng(5)
    add(store, normal(rng, 400))
    store.optimise()
    for _ in range(12):
        add(store, normal(rng, 3))
        store.optimise()
    assert store._vector_index_parts() == 1


def test_rows_are_seen_before_they_are_indexed(store):
    rng = np.random.default_rng(1)
    add(store, normal(rng, 320))
    store.optimise()
    fresh = normal(rng, 1)
    edition = add(store, fresh)
    assert found(store, fresh[0])[0] == (edition, 1)


def test_a_few_new_pages_are_found_without_upkeep_and_many_small_changes_bring_it(store):
    rng = np.random.default_rng(3)
    add(store, normal(rng, 320))
    store.optimise()
    steps = []
    for step in range(120):
        vectors = normal(rng, 1)
        edition = add(store, vectors)
        store.optimise()
        assert found(store, vectors[0])[0] == (edition, 1)
        assert store.matching("page", 1000).num_rows == 321 + step
        steps.append(store._pages.index_stats("edition_idx").num_unindexed_rows)
    assert steps[:50] == list(range(1, 51))
    assert steps[50] == 0
    assert store._vector_index_parts() <= 3


def test_editions_made_in_one_millisecond_grow():
    made = [new_edition() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_writers_that_name_a_new_document_at_once_leave_one_row_of_it(store):
    def put(number: int) -> None:
        mine = Store(store.folder)
        for name in range(8):
            mine.put_documents([Document(f"/{name}.pdf", number, "pdf", 1, 1, "", 1, "ok", "", "", "")])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(put, range(1, 7)))
    assert sorted(document.path for document in store.documents()) == [f"/{name}.pdf" for name in range(8)]


def test_nothing_of_a_search_that_failed_goes_on(store):
    # LanceDB would come back to an interpreter that ends meanwhile, which dies by a signal then.
    vectors = normal(np.random.default_rng(5), 100)
    add(store, vectors)
    store.optimise()
    for _ in range(20):
        with pytest.raises(QueryError):
            store.find(vectors[0], "page", 3, "colour = 3")
        assert not asyncio.all_tasks(module._loop())
