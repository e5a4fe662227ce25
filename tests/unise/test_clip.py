import numpy as np
import pytest
import torch
from PIL import Image

from visir.screenshot import Query, Screenshot
from visir.unise.clip import load_clip, unise_clip
from visir.unise.embedder import load_embedder
from visir.unise.tiny import tiny_clip, tiny_siglip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_clip(tmp_path_factory.mktemp("clip"))


PICTURE = Image.new("RGB", (40, 30), "red")


@pytest.mark.parametrize("fusion", ["sum", "sum-raw", "learned"])
def test_texts_pictures_and_both_are_embedded_and_composed(checkpoint, fusion):
    model = unise_clip(str(checkpoint), fusion)
    text, image, both = (
        model.encode(["a red circle"])[0],
        model.encode([PICTURE])[0],
        model.encode([{"image": PICTURE, "text": "a red circle"}])[0],
    )
    assert np.allclose([np.linalg.norm(vector) for vector in (text, image, both)], 1, atol=1e-5)
    if fusion != "sum-raw":
        expected = text + image
        assert np.allclose(both, expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize("fusion", ["sum", "sum-raw", "learned"])
def test_a_saved_model_encodes_as_before(checkpoint, fusion, tmp_path):
    model = unise_clip(str(checkpoint), fusion)
    if fusion == "learned":
        torch.nn.init.normal_(model[0].mixer.outside.weight)
    inputs = [{"image": PICTURE, "text": "a red circle"}, {"image": PICTURE, "text": "blue"}]
    before = model.encode(inputs)
    model.save_pretrained(str(tmp_path / "model"))
    again = load_clip(tmp_path / "model")
    assert np.allclose(again.encode(inputs), before, atol=1e-6)


def test_an_unknown_fusion_is_refused(checkpoint):
    with pytest.raises(ValueError, match="unknown fusion 'product'"):
        unise_clip(str(checkpoint), "product")


def test_a_siglip_is_opened_whole_and_its_texts_stand_alone(tmp_path):
    embedder = load_embedder(str(tiny_siglip(tmp_path / "siglip")))
    texts = ["a", "a red circle", "a long text"]
    together = embedder.encode_query(texts)
    assert np.allclose(together, np.concatenate([embedder.encode_query([text]) for text in texts]), atol=1e-5)
    embedder.model.save_pretrained(str(tmp_path / "model"))
    again = load_embedder(str(tmp_path / "model"))
    pictures = [Screenshot.from_image(PICTURE)]
    queries = [*texts, Query("in blue", pictures[0])]
    assert np.allclose(again.encode_query(queries), embedder.encode_query(queries), atol=1e-6)
    assert np.allclose(again.encode_document(pictures), embedder.encode_document(pictures), atol=1e-6)
    features = embedder.model.preprocess(["a"])
    assert features["input_ids"].shape == (1, 24)


def test_pages_are_seen_whole(checkpoint):
    wide = Image.new("RGB", (400, 100), "white")
    marked = wide.copy()
    marked.paste("black", (0, 0, 60, 100))  # what CLIP's own cut would leave out
    one, other = unise_clip(str(checkpoint)).encode([wide, marked])
    assert one @ other < 0.9999
