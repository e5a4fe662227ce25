import numpy as np
import pytest
from PIL import Image

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.compact import compact, similarity
from visir.unise.embedder import load_embedder
from visir.unise.tiny import tiny_clip, tiny_mllm

RNG = np.random.default_rng(0)
PAGES = RNG.normal(size=(200, 384)).astype(np.float32)
QUERIES = PAGES[:50] + 0.7 * RNG.normal(size=(50, 384)).astype(np.float32)


@pytest.mark.parametrize(("output", "bytes_each", "least"), [("float32", 1536, 1.0), ("int8", 384, 1.0), ("binary", 48, 0.97)])
def test_small_vectors_find_nearly_what_large_ones_find(output, bytes_each, least):
    pages = compact(PAGES, output=output)
    assert pages.nbytes == 200 * bytes_each
    for queries in (compact(QUERIES, output=output), compact(QUERIES)):
        found = similarity(queries, pages)
        assert (found.argmax(1) == np.arange(50)).mean() >= least
        assert np.abs(found).max() <= 1.0001
    exact = similarity(compact(QUERIES), compact(PAGES))
    assert np.abs(similarity(compact(QUERIES, output="int8"), compact(PAGES, output="int8")) - exact).max() < 0.01


def test_fewer_components_are_the_leading_ones():
    assert compact(PAGES, 100, "binary").shape == (200, 13)
    assert np.allclose(compact(PAGES, 10), PAGES[:, :10] / np.linalg.norm(PAGES[:, :10], axis=1, keepdims=True), atol=1e-6)
    found = similarity(compact(QUERIES, 100), compact(PAGES, 100, "binary"))
    assert (found.argmax(1) == np.arange(50)).mean() > 0.7


def test_a_zero_vector_stays_and_an_unknown_output_is_refused():
    assert compact(np.zeros((1, 8), np.float32), output="int8").tolist() == [[0] * 8]
    with pytest.raises(ValueError, match="int8 or binary"):
        compact(PAGES, output="int4")


def test_the_encoder_that_ships_survives_eight_bits():
    texts = ["annual rainfall in coastal towns", "the Sicilian defence", "a sourdough of rye", "invoices of the year 2023"]
    vectors = load_embedder().encode_document(texts)
    eight = compact(vectors, output="int8")
    assert np.abs(similarity(eight, eight) - vectors @ vectors.T).max() < 0.01


@pytest.fixture(scope="module", params=["text", "unise-mini", "a UniSE-CLIP", "a UniSE-MLLM"])
def name(request, tmp_path_factory):
    makers = {"a UniSE-CLIP": tiny_clip, "a UniSE-MLLM": tiny_mllm}
    made = makers.get(request.param)
    return str(made(tmp_path_factory.mktemp("model"))) if made else request.param


PICTURE = Screenshot.from_image(Image.effect_noise((64, 48), 90).convert("RGB"), words=[], text="a red heron")
MIXED = ["the Sicilian defence", Query(image=PICTURE), Query("the same in red", PICTURE), Query("rye")]


@pytest.mark.parametrize(("output", "kind", "width"), [("float32", np.float32, 20), ("int8", np.int8, 20), ("binary", np.uint8, 3)])
def test_every_model_gives_small_vectors_of_mixed_batches(name, output, kind, width):
    small, whole = load_embedder(name, dim=20, output=output), load_embedder(name)
    queries, pages = small.encode_query(MIXED), small.encode_document([PICTURE, "a text"])
    assert (queries.shape, queries.dtype) == ((4, width), kind)
    assert np.array_equal(queries, compact(whole.encode_query(MIXED), 20, output))
    assert small.encode_document([]).shape == (0, width)
    assert (small.dim, small.reads, small.name) == (20, whole.reads, whole.name)
    assert small.revision != whole.revision
    exact = load_embedder(name, dim=20)
    wanted = exact.similarity(exact.encode_query(MIXED), exact.encode_document([PICTURE, "a text"]))
    found = small.similarity(queries, pages)
    assert np.abs(found - wanted).max() < {"float32": 1e-6, "int8": 0.02, "binary": 0.6}[output]
    assert small.similarity(queries, exact.encode_document(["a text"])).shape == (4, 1)


@pytest.mark.parametrize("choice", [{"dim": 385}, {"dim": 0}, {"output": "int4"}])
def test_lengths_and_outputs_that_there_are_not_are_told(choice):
    with pytest.raises(ModelError, match=r"1 to 384|choose float32, int8, binary"):
        load_embedder("text", **choice)
