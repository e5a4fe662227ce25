import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from visir.errors import ModelError
from visir.index import Index
from visir.screenshot import Query, Screenshot
from visir.unise.clip import unise_clip
from visir.unise.embedder import load_embedder
from visir.unise.sentence import SentenceEmbedder
from visir.unise.tiny import tiny_clip, tiny_mllm

RED, BLUE = (Screenshot.from_image(Image.new("RGB", (40, 30), colour)) for colour in ("red", "blue"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    unise_clip(str(tiny_clip(place / "clip"))).save_pretrained(str(place / "unise-tiny"))
    return place / "unise-tiny"


def test_a_folder_is_an_embedder_of_mixed_batches(folder):
    embedder = load_embedder(str(folder))
    assert (embedder.name, embedder.dim, embedder.reads) == ("unise-tiny", 24, "pixels")
    mixed = embedder.encode_query(["a red circle", Query(image=RED), Query("a red circle", BLUE), Query("blue")])
    single = [embedder.encode_query([query])[0] for query in ("a red circle", Query(image=RED), Query("a red circle", BLUE), "blue")]
    assert np.allclose(mixed, single, atol=1e-6)
    assert np.allclose(np.linalg.norm(mixed, axis=1), 1, atol=1e-5)
    pages = embedder.encode_document([RED, "a red circle", BLUE])
    assert np.allclose(embedder.similarity(mixed[:2], pages[[1, 0]]).diagonal(), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "qwen2_vl"])
def test_batches_that_threads_prepare_give_the_same_vectors(kind, tmp_path):
    place = tiny_clip(tmp_path / kind) if kind == "clip" else tiny_mllm(tmp_path / kind, kind)
    plain = load_embedder(str(place))
    ahead = SentenceEmbedder(plain.model, "ahead", "0", ahead=3)
    shades = np.random.default_rng(0).integers(0, 256, (70, 3)).tolist()
    pages = [Screenshot.from_image(Image.new("RGB", (40 + 3 * n, 56), tuple(shade))) for n, shade in enumerate(shades)]
    assert np.allclose(ahead.encode_document([*pages, "red"]), plain.encode_document([*pages, "red"]), atol=1e-5)
    queries = [Query(f"number {n}", page) for n, page in enumerate(pages)]
    assert np.allclose(ahead.encode_query(queries), plain.encode_query(queries), atol=1e-5)


def test_leading_components_stand_for_the_whole(folder):
    short, whole = load_embedder(str(folder), dim=8), load_embedder(str(folder))
    expected = whole.encode_document([RED])[:, :8]
    assert np.allclose(short.encode_document([RED]), expected / np.linalg.norm(expected), atol=1e-5)
    assert (short.dim, short.revision != whole.revision) == (8, True)


def test_half_precision_stays_close(folder):
    half, whole = load_embedder(str(folder), precision="bfloat16"), load_embedder(str(folder))
    assert half.similarity(half.encode_document([RED]), whole.encode_document([RED]))[0, 0] > 0.99


def test_a_model_that_sees_replaces_the_default_in_an_index(folder, tmp_path):
    for colour in ("red", "blue"):
        Image.new("RGB", (60, 40), colour).save(tmp_path / f"{colour}.png")
    with Index.open(tmp_path / "index", model=str(folder)) as index:
        index.add(tmp_path / "red.png", tmp_path / "blue.png")
        [hit] = index.search(Query(image=BLUE), count=1)
        assert hit.uri.endswith("blue.png")


@pytest.mark.parametrize("damage", ["truncate", "pickle"])
def test_a_damaged_or_pickled_checkpoint_is_refused(folder, tmp_path, damage):
    import shutil

    place = tmp_path / "model"
    shutil.copytree(folder, place)
    weights = place / "model.safetensors"
    if damage == "truncate":
        weights.write_bytes(weights.read_bytes()[:5000])
    else:
        weights.rename(place / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_embedder(str(place))
    assert "\n" not in str(caught.value)


def test_a_pickle_in_a_module_behind_the_towers_is_refused(folder, tmp_path):
    place = str(tmp_path / "model")
    towers = SentenceTransformer(str(tiny_mllm(tmp_path / "qwen")), device="cpu")
    width = towers.get_embedding_dimension()
    SentenceTransformer(modules=[*towers, Dense(width, 8)], device="cpu").save_pretrained(place)
    assert load_embedder(place).dim == 8
    [dense] = tmp_path.glob("model/*_Dense")
    (dense / "model.safetensors").unlink()
    torch.save({"linear.weight": torch.zeros(8, width), "linear.bias": torch.zeros(8)}, dense / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is a pickle"):
        load_embedder(place)


def test_an_unknown_precision_is_told(folder):
    with pytest.raises(ModelError, match="unknown precision"):
        load_embedder(str(folder), precision="int3")


def test_sentence_transformers_opens_a_saved_clip_with_leave_to_import_visir(folder):
    inputs = ["a red circle", RED.image]
    with pytest.raises(ValueError, match="trust_remote_code"):
        SentenceTransformer(str(folder), device="cpu")
    opened = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    ours = load_embedder(str(folder)).model
    for one in (*inputs, {"image": RED.image, "text": "in blue"}):
        assert np.allclose(opened.encode([one]), ours.encode([one]), atol=1e-6)
