import json
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers.sentence_transformer.modules import Dense
from transformers import Siglip2Model, Siglip2Processor

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.train.students import seen_height
from visir.unise.clip import unise_clip
from visir.unise.embedder import load_embedder
from visir.unise.export_clip import export_clip
from visir.unise.mllm import get_pixels
from visir.unise.sentence import open_model
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
    again = open_model(str(tmp_path / "model"))
    assert np.allclose(again.encode(inputs), before, atol=1e-6)


def test_modules_that_were_added_to_a_model_are_loaded_with_it(checkpoint, tmp_path):
    model = unise_clip(str(checkpoint))
    size = model.get_embedding_dimension()
    model.insert(1, Dense(size, 7))
    inputs = [{"image": PICTURE, "text": "a red circle"}, {"image": PICTURE, "text": "blue"}]
    before = model.encode(inputs)
    model.save_pretrained(str(tmp_path / "model"))
    again = open_model(str(tmp_path / "model"))
    assert before.shape == (2, 7)
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


def test_a_siglip2_of_any_shape_keeps_the_pages_shape_within_the_budget(tmp_path):
    folder = str(tiny_siglip(tmp_path / "siglip2", any_shape=True))
    embedder = load_embedder(folder)
    wide, high = (Screenshot.from_image(Image.effect_noise(size, 90).convert("RGB")) for size in ((300, 90), (80, 200)))
    queries = ["a red circle", Query(image=wide), Query("in blue", high), Query(image=high)]
    mixed = embedder.encode_query(queries)
    assert np.allclose(mixed, np.concatenate([embedder.encode_query([query]) for query in queries]), atol=1e-5)
    high_and_wide = embedder.model.preprocess([wide.image])["spatial_shapes"][0].tolist()
    assert high_and_wide[0] < high_and_wide[1]
    assert high_and_wide[0] * high_and_wide[1] <= 16
    assert seen_height(embedder.model, wide.image) == high_and_wide[0] * 8
    reference, processor = Siglip2Model.from_pretrained(folder).eval(), Siglip2Processor.from_pretrained(folder)
    with torch.no_grad():
        seen = processor(images=[wide.image], return_tensors="pt", images_kwargs={"patch_size": 8, "max_num_patches": 16})
        vector = reference.get_image_features(**seen).pooler_output[0].numpy()
    assert np.allclose(mixed[1], vector / np.linalg.norm(vector), atol=1e-5)
    finer = load_embedder(folder, pixels=64 * 64)
    assert get_pixels(finer.model) == 64 * 64
    assert finer.revision != embedder.revision
    assert not np.allclose(finer.encode_document([wide]), embedder.encode_document([wide]), atol=1e-4)
    finer.model.save_pretrained(str(tmp_path / "model"))
    assert np.allclose(load_embedder(str(tmp_path / "model")).encode_query(queries), finer.encode_query(queries), atol=1e-6)
    with pytest.raises(ModelError, match="any shape"):
        export_clip(embedder, tmp_path / "copy", "fp32", [], [])


@pytest.mark.parametrize("saved", [False, True])
def test_a_pixel_budget_is_no_use_to_a_model_of_one_size(checkpoint, tmp_path, saved):
    if saved:
        unise_clip(str(checkpoint)).save_pretrained(str(tmp_path / "model"))
    with pytest.raises(ModelError, match="takes one size"):
        load_embedder(str(tmp_path / "model") if saved else str(checkpoint), pixels=4096)


def test_pages_are_seen_whole(checkpoint):
    wide = Image.new("RGB", (400, 100), "white")
    marked = wide.copy()
    marked.paste("black", (0, 0, 60, 100))  # what CLIP's own cut would leave out
    one, other = unise_clip(str(checkpoint)).encode([wide, marked])
    assert one @ other < 0.9999


@pytest.mark.parametrize("make", [tiny_clip, tiny_siglip, partial(tiny_siglip, any_shape=True)], ids=["clip", "siglip", "siglip2"])
def test_a_text_that_is_too_long_is_cut(tmp_path, make):
    folder = make(tmp_path / "checkpoint")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("model_max_length", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    embedder = load_embedder(str(folder))
    page = Screenshot.from_image(PICTURE)
    long, longer = "a red circle " * 40, "a red circle " * 50
    for query in (lambda text: text, lambda text: Query(text, page)):
        vectors = embedder.encode_query([query("a red circle"), query(long), query(longer)])
        assert np.allclose(vectors[1], vectors[2], atol=1e-5)
        assert not np.allclose(vectors[0], vectors[1], atol=1e-4)
    embedder.model.save_pretrained(str(tmp_path / "model"))
    again = load_embedder(str(tmp_path / "model"))
    assert np.allclose(again.encode_query([long, Query(long, page)]), embedder.encode_query([long, Query(long, page)]), atol=1e-6)
