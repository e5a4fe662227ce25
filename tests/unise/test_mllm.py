import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from transformers import AutoProcessor

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import load_embedder
from visir.unise.mllm import KINDS, get_pixels, set_pixels, unise_mllm
from visir.unise.sentence import open_model
from visir.unise.tiny import tiny_clip, tiny_mllm

WIDE, HIGH = (Screenshot.from_image(Image.effect_noise(size, 90).convert("RGB")) for size in ((300, 90), (80, 200)))
QUERIES = ["a red circle", Query(image=WIDE), Query("the same in blue", HIGH), Query("a longer text, of which nothing is padding")]


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request, tmp_path_factory):
    return tiny_mllm(tmp_path_factory.mktemp(request.param) / request.param, request.param)


def test_a_bare_checkpoint_embeds_mixed_batches(checkpoint):
    embedder = load_embedder(str(checkpoint))
    mixed = embedder.encode_query(QUERIES)
    single = np.concatenate([embedder.encode_query([query]) for query in QUERIES])
    assert mixed.shape == (4, embedder.dim) == (4, 32)
    assert np.allclose(mixed, single, atol=1e-5)
    assert np.allclose(np.linalg.norm(mixed, axis=1), 1, atol=1e-5)
    assert len({tuple(vector) for vector in mixed.round(4)}) == 4


def test_the_task_stands_in_the_query_and_not_in_the_document(checkpoint):
    model = open_model(str(checkpoint), pixels=4096)
    features = model.preprocess([{"image": WIDE.image, "text": "in blue"}], prompt="Find the page.")
    told = model[0].tokenizer.decode(features["input_ids"][0]).replace("<|image_pad|>", "")
    picture = "<|vision_start|><|vision_end|>"
    assert told == f"<|im_start|>user\n[Task] Find the page.\n[Query] {picture}in blue<|im_end|>\n<|endoftext|>"
    plain = model[0].tokenizer.decode(model.preprocess(["a caption"])["input_ids"][0])
    assert plain == "<|im_start|>user\na caption<|im_end|>\n<|endoftext|>"
    embedder = load_embedder(str(checkpoint))
    assert not np.allclose(embedder.encode_query(["red"], "Find it."), embedder.encode_query(["red"], "Name it."), atol=1e-4)


def test_the_last_token_is_pooled_whatever_the_padding(checkpoint):
    model = open_model(str(checkpoint))
    short, long = model.encode(["red", "a much longer text than the other one"])
    assert np.allclose(short, model.encode(["red"])[0], atol=1e-5)
    features = model.preprocess(["red"])
    states = model[0].model(**{key: features[key] for key in ("input_ids", "attention_mask")}).last_hidden_state[0, -1]
    assert np.allclose(short, (states / states.norm()).detach().numpy(), atol=1e-5)
    assert not np.allclose(short, long, atol=1e-3)


def test_the_pixel_budget_bounds_the_picture_and_is_saved(checkpoint, tmp_path):
    patch = 16 if "qwen3" in checkpoint.name else 14
    for pixels in (4 * (2 * patch) ** 2, 12 * (2 * patch) ** 2):
        model = unise_mllm(str(checkpoint), pixels)
        _, high, wide = model.preprocess([WIDE.image])["image_grid_thw"][0].tolist()
        assert 0.4 * pixels < high * wide * patch**2 <= pixels
        assert wide > high
    model.save_pretrained(str(tmp_path / "model"))
    again = load_embedder(str(tmp_path / "model"))
    assert get_pixels(open_model(str(tmp_path / "model"))) == pixels
    assert np.allclose(again.encode_document([WIDE, HIGH]), model.encode([WIDE.image, HIGH.image]), atol=1e-6)
    smaller = load_embedder(str(tmp_path / "model"), pixels=4 * (2 * patch) ** 2)
    assert smaller.revision != again.revision
    assert not np.allclose(smaller.encode_document([WIDE]), again.encode_document([WIDE]), atol=1e-4)


def test_leading_components_and_half_precision(checkpoint):
    whole = load_embedder(str(checkpoint)).encode_document([WIDE, "red"])
    short = load_embedder(str(checkpoint), dim=8).encode_document([WIDE, "red"])
    assert np.allclose(short, whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True), atol=1e-5)
    half = load_embedder(str(checkpoint), precision="bfloat16").encode_document([WIDE, "red"])
    assert (half * whole).sum(1).min() > 0.99


def test_a_pixel_budget_is_refused_by_models_of_one_size(tmp_path):
    with pytest.raises(ValueError, match="one size"):
        set_pixels(open_model(str(tiny_clip(tmp_path))), 4096)


def test_without_our_mending_these_processors_do_not_load(checkpoint):
    """If this fails, transformers loads them by itself now and `mend_processors` can go."""
    code = "import sys\nfrom transformers import AutoProcessor\nAutoProcessor.from_pretrained(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(checkpoint)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "video" in done.stderr.lower()
    assert AutoProcessor.from_pretrained(checkpoint).image_token == "<|image_pad|>"


def test_sentence_transformers_opens_a_saved_model_once_processors_are_mended(tmp_path):
    model = unise_mllm(str(tiny_mllm(tmp_path / "qwen")), device="cpu")
    model.save_pretrained(str(tmp_path / "model"))
    code = """
import sys
from sentence_transformers import SentenceTransformer
from visir.unise.mllm import mend_processors
try:
    SentenceTransformer(sys.argv[1], device="cpu")
except OSError as error:
    print("video" in str(error))
mend_processors()
print(*SentenceTransformer(sys.argv[1], device="cpu").encode(["red"])[0])
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], capture_output=True, text=True)
    refused, vector = done.stdout.splitlines()
    assert refused == "True"
    assert np.allclose([float(value) for value in vector.split()], model.encode(["red"])[0], atol=1e-5)
