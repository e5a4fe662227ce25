"""Other servers' clients: the official openai package, and requests as vLLM, Jina and Cohere take them."""

import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from visir.serve.client import data_url


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.address}v1", api_key="unused", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def picture(server):
    """The page on rye starters, as a data URL."""
    with server.client() as asked:
        return data_url(asked.picture(asked.search("starter rye", count=1).hits[0].picture))


def vectors(answer):
    return np.array([item.embedding for item in answer.data], np.float32)


def test_texts_become_vectors_of_length_1_by_either_encoding(client):
    told = client.embeddings.create(model="any", input=["annual rainfall", "rain gauges", "the Sicilian defence"])
    found = vectors(told)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2]
    again = client.embeddings.create(model="any", input="annual rainfall", encoding_format="float")
    assert np.allclose(vectors(again)[0], found[0], atol=1e-6)
    assert told.model == client.models.list().data[0].id


def test_the_vectors_are_those_that_the_index_searches_with(client):
    from visir.unise.embedder import load_embedder

    assert np.allclose(vectors(client.embeddings.create(model="any", input="rye bread"))[0], load_embedder().encode_query(["rye bread"])[0])


def test_pictures_and_messages_of_picture_and_text(client, picture):
    image = {"type": "image_url", "image_url": {"url": picture}}
    text = {"type": "text", "text": "baking steam crust"}
    body = {"model": "any", "messages": [{"role": "user", "content": [image, text]}], "encoding_format": "float"}
    both = vectors(client.post("/embeddings", cast_to=CreateEmbeddingResponse, body=body))[0]
    alone, words, together = vectors(
        client.embeddings.create(model="any", input=[], extra_body={"input": [image, "baking steam crust", {"content": [image, text]}]})
    )
    assert np.allclose(both, together, atol=1e-6)
    joined = (alone + words) / np.linalg.norm(alone + words)
    assert both @ joined > 0.99, "the paper's sum of both"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"input": []}, "give 1 to 256 inputs"),
        ({"input": ["x"] * 300}, "give 1 to 256 inputs"),
        ({"input": [""]}, "an input is empty"),
        ({"input": "x", "dimensions": 7}, "384 dimensions"),
        ({"input": [1, 2, 3]}, "send texts, not numbers of tokens"),
        ({"input": [[1, 2, 3], [4]]}, "send texts, not numbers of tokens"),
        ({"input": [{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}]}, "addresses are not fetched"),
        ({"input": [{"type": "image_url", "image_url": {"url": "data:text/html;base64,eA=="}}]}, "data:image"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "eA=="}] * 2}]}, "several inputs"),
    ],
)
def test_senseless_requests_are_errors_as_openai_writes_them(client, body, told):
    with pytest.raises(openai.BadRequestError, match=told) as caught:
        client.post("/embeddings", cast_to=CreateEmbeddingResponse, body={"model": "any", **body})
    assert caught.value.body["type"] == "invalid_request_error"


def test_rerank_orders_texts_pictures_pages_and_parts_of_pages(server, picture, shelf):
    asked = server.client()
    documents = ["black answers with the c pawn", "reservoirs fell in drought", {"text": "rye flour feeds a sourdough starter"}]
    order = asked.rerank("how to feed a sourdough starter", documents)
    assert order[0][0] == 2
    assert all(0 <= score <= 1 for _, score in order)
    assert [score for _, score in order] == sorted((score for _, score in order), reverse=True)
    bread = str(shelf / "bread.pdf")
    regions = [{"uri": bread, "page": 1}, {"uri": bread, "page": 2, "box": [0, 0, 1, 0.2]}, {"image": picture}]
    assert asked.rerank("steam makes the crust crackle", regions, top_n=1)[0][0] == 1


def test_rerank_looks_for_the_words_too(server):
    # To the vectors, both mean nearly the same.
    documents = ["a quill pen is made of a feather", "the heron Quillfeather stands by the river"]
    (best, high), (_, low) = server.client().rerank("quillfeather", documents)
    assert best == 1
    assert high > low + 0.3


@pytest.mark.parametrize("query", ["sourdough starter", {"image": "the picture", "text": "with less salt"}])
def test_rerank_puts_an_empty_text_last(server, picture, query):
    asked = {**query, "image": picture} if isinstance(query, dict) else query
    order = server.client().rerank(asked, ["", "rye flour feeds a sourdough starter", "  "])
    assert order[0][0] == 1


def test_rerank_takes_a_picture_with_words(server, picture):
    documents = [{"image": picture}, "black answers with the c pawn"]
    for text in ("", "with less salt"):
        assert server.client().rerank({"image": picture, "text": text}, documents)[0][0] == 0


def test_rerank_finds_answers_that_stand_on_the_picture(server, picture):
    answers = ["steam in the oven", "rye flour and water", "the sea at night"]
    assert server.client().rerank({"image": picture, "text": "What is fed?"}, answers)[0][0] == 1
