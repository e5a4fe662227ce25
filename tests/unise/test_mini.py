import io
import warnings

import numpy as np
import pytest
import torch

from visir.unise.mini import MiniConfig, MiniTower, WordEncoder, compose, pool_boxes, to_input
from visir.unise.words import find_words, fit_size, fold_word, ngram_rows, pool_words

TINY = {"widths": (8, 16, 24, 32), "dim": 16, "word_dim": 12, "heads": 2, "buckets": 512}
TOWERS = {
    "full convolutions, then attention": MiniConfig(depths=(1, 1, 1, 2), attention=1, **TINY),
    "depthwise convolutions": MiniConfig(depths=(1, 1, 1, 1), attention=0, light=True, **TINY),
    "patches": MiniConfig("vit", depths=(0, 0, 1, 0), **TINY),
}


@pytest.fixture(params=sorted(TOWERS))
def tower(request):
    torch.manual_seed(0)
    return MiniTower(TOWERS[request.param]).eval()


def pages(n, height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8))


@torch.no_grad()
def test_a_page_gives_one_vector_and_three_maps(tower):
    out = tower(to_input(pages(2, 96, 64)))
    assert out.page.shape == (2, 16)
    assert out.regions.shape == (2, 16, 3, 2)
    assert out.words.shape == (2, 12, 12, 8)
    assert out.spots.shape == (2, 5, 12, 8)
    torch.testing.assert_close(out.page.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(out.regions.norm(dim=1), torch.ones(2, 3, 2))


@torch.no_grad()
def test_a_page_alone_gives_what_it_gives_in_a_batch(tower):
    images = to_input(pages(3, 64, 64))
    together, alone = tower(images), tower(images[1:2])
    for one, two in zip(alone, together, strict=True):
        torch.testing.assert_close(one[0], two[1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_exported_tower_says_the_same_at_any_size(tower):
    ort = pytest.importorskip("onnxruntime")
    buffer = io.BytesIO()
    axes = {"pages": {0: "n", 2: "h", 3: "w"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tower, (to_input(pages(1, 96, 64)),), buffer, input_names=["pages"], output_names=list(tower(to_input(pages(1, 64, 64)))._fields),
            dynamic_axes=axes, dynamo=False, opset_version=17,
        )  # fmt: skip
    session = ort.InferenceSession(buffer.getvalue())
    for size in ((1, 96, 64), (2, 64, 128)):
        images = to_input(pages(*size, seed=1))
        for said, wanted in zip(session.run(None, {"pages": images.numpy()}), tower(images), strict=True):
            np.testing.assert_allclose(said, wanted.numpy(), atol=2e-4)


def test_word_vectors_come_from_letters():
    encoder = WordEncoder(4096, 64)
    vectors = encoder(["reading", "Reading,", "readings", "heron"])
    assert vectors.shape == (4, 64)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(vectors[0], vectors[1])
    assert vectors[0] @ vectors[2] > 0.6 > 0.3 > vectors[0] @ vectors[3]


def test_a_composed_query_lies_between_its_parts():
    text, picture = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.5, 0.0]])
    torch.testing.assert_close(compose(text, picture), torch.tensor([[0.5, 0.5, 0.0]]) ** 0.5)


def test_words_are_folded_and_cut_into_ngrams_the_same_way_everywhere():
    assert fold_word("“Straße,”") == "strasse"
    assert fold_word("--") == ""
    assert ngram_rows("ab", 1 << 30) == tuple(sorted(ngram_rows("ab", 1 << 30)))
    assert len(ngram_rows("ab", 1 << 30)) == 8  # a b <a ab b> <ab ab> <ab>


def test_pooling_weighs_cells_by_the_share_that_is_covered():
    feature = torch.arange(12.0).reshape(1, 1, 3, 4)
    whole, half, across = pool_boxes(
        feature, torch.tensor([[0, 0, 1, 1.0], [0, 0, 0.125, 1 / 3], [0.125, 0, 0.375, 1 / 3]]), torch.zeros(3).long()
    )
    assert whole.item() == pytest.approx(5.5)
    assert half.item() == pytest.approx(0.0, abs=1e-5)
    assert across.item() == pytest.approx(0.5)


def test_pooling_without_torch_agrees():
    generator = np.random.default_rng(0)
    feature = generator.normal(size=(6, 9, 7)).astype(np.float32)
    low = generator.uniform(0, 0.7, (5, 2))
    boxes = np.concatenate([low, low + generator.uniform(0.02, 0.3, (5, 2))], 1).astype(np.float32)
    wanted = torch.nn.functional.normalize(
        pool_boxes(torch.from_numpy(feature)[None], torch.from_numpy(boxes), torch.zeros(5).long()), dim=1
    )
    np.testing.assert_allclose(pool_words(feature, boxes), wanted.numpy(), atol=1e-5)


def test_words_are_found_at_the_peaks_of_the_map():
    spots = np.full((5, 6, 10), -8.0, np.float32)
    spots[:, 2, 3] = [4.0, np.log(2.0), np.log(0.5), np.log(1.5), np.log(0.5)]
    spots[:, 2, 4] = [2.0, np.log(3.0), np.log(0.5), np.log(0.5), np.log(0.5)]
    spots[:, 4, 8] = [1.0, 0.0, 0.0, 0.0, 0.0]
    boxes, chances = find_words(spots)
    np.testing.assert_allclose(boxes * [10, 6, 10, 6], [[1.5, 2, 5, 3], [7.5, 3.5, 9.5, 5.5]], atol=1e-5)
    assert chances[0] > 0.98 > 0.75 > chances[1] > 0.7
    assert find_words(np.full((5, 4, 4), -8.0, np.float32))[0].shape == (0, 4)


def test_a_page_keeps_its_shape_and_its_area():
    assert fit_size(595, 842, 896 * 640) == (640, 896)
    assert fit_size(1280, 800, 896 * 640) == (960, 576)
    wide, high = fit_size(10_000, 100, 896 * 640)
    assert wide < 4.5 * high


def test_an_unknown_kind_of_tower_is_refused():
    with pytest.raises(ValueError, match="pyramid"):
        MiniConfig("resnet")


def test_a_config_survives_json():
    config = TOWERS["patches"]
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in config.to_dict().items()}
    assert MiniConfig.from_dict(values) == config
