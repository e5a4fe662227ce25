import numpy as np
import pytest

from visir.errors import ModelError
from visir.unise.compact import compact, similarity
from visir.unise.embedder import load_embedder

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


def test_a_length_that_would_be_ignored_is_refused():
    with pytest.raises(ModelError, match=r"visir\.unise\.compact"):
        load_embedder("text", dim=64)
