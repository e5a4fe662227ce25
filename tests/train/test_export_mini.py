import json

import numpy as np
import pytest
import torch
from PIL import Image

from visir.errors import ModelError
from visir.train import export_mini
from visir.train.export_mini import export_run, word_shares
from visir.train.reading import ReadingRun
from visir.train.reading_eval import load_model
from visir.train.recipe import Data, Optim, Recipe, Stage
from visir.train.restore_mini import restore
from visir.unise.embedder import WEIGHTS
from visir.unise.letters import CLASSES, Speller, likelihoods, spell
from visir.unise.lexicon import Lexicon
from visir.unise.mini import MiniConfig, to_input
from visir.unise.reading import PageReader
from visir.vira.practice import Pack, PageSpec, render_page

# torch's exporter calls what torch itself no longer wants to be called.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

TINY = MiniConfig(widths=(8, 16, 16, 16), depths=(0, 1, 1, 2), attention=1, heads=2, dim=16, word_dim=16, buckets=512, pixels=256 * 256)


@pytest.fixture(scope="module")
def run(pack_path, teacher_path, tmp_path_factory):
    data = Data(pack=str(pack_path), teacher=str(teacher_path), workers=0, words=40, letters=200, blocks=2)
    folder = tmp_path_factory.mktemp("run")
    trained = ReadingRun(Recipe(TINY, data, Optim(steps=30, lr=3e-3, warmup=2), stage=(Stage(1.0, 96, 128, 4, 0.3, 0.0),)), folder)
    trained.train()
    return folder


@pytest.fixture(scope="module")
def exported(run, pack_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "mini"
    folder.mkdir()
    np.savez(folder / "gist.npz", rows=np.zeros(3))
    export_mini.write_config(folder, gist="gist.npz")
    export_run(run, folder, pack_path)
    return folder


def maps(folder, page):
    model = load_model(folder)
    with torch.no_grad():
        fine, _ = model.read(to_input(torch.from_numpy(page[None].copy())))
        return [value[0].numpy() for value in (model.tower.words(fine), model.tower.spots(fine), fine)]


def alike(one, two):
    return float((one * two).sum() / np.linalg.norm(one) / np.linalg.norm(two))


def test_what_was_exported_is_restored(run, exported, pack_path, tmp_path):
    restore(exported, tmp_path / "restored", pack_path)
    page = render_page(Pack.open(pack_path), PageSpec(256, 256), 1, 5).image
    session = PageReader(exported, TINY.pixels)._session
    for trained, shipped, restored in zip(
        maps(run, page), session.run(None, {"image": page[None]}), maps(tmp_path / "restored", page), strict=True
    ):
        assert alike(trained, shipped[0]) > 0.97
        assert alike(shipped[0], restored) > 0.97
    was, now = load_model(run), load_model(tmp_path / "restored")
    torch.testing.assert_close(now.tower.letters.name.weight, was.tower.letters.name.weight, atol=0.01, rtol=0.02)
    torch.testing.assert_close(now.encoder.table.weight, was.encoder.table.weight, atol=0.01, rtol=0.02)
    meta = json.loads((tmp_path / "restored" / "weights.json").read_text())["meta"]
    assert meta["step"] == 30


def test_words_are_as_frequent_as_in_the_texts_and_in_all_writing():
    pack = Pack("train", {"en": [("", "the heron, the HERON's nest 1984 x1")]}, {}, {}, [])
    alone = word_shares(pack)
    assert alone == pytest.approx({"the": 2 / 7, "1984": 1 / 7, "heron": 1 / 7, "heron's": 1 / 7, "nest": 1 / 7})
    pack.shares.update(en={"the": 0.03, "invoice": 0.01}, de={"rechnung": 0.02}, da={})
    joined = word_shares(pack)
    assert joined["invoice"] == pytest.approx(0.5 * 0.5 * 0.25)
    assert joined["rechnung"] == pytest.approx(0.5 * 0.5)
    assert joined["the"] == pytest.approx(0.5 * 2 / 7 + 0.5 * 0.5 * 0.75)
    assert list(joined) == sorted(joined, key=joined.__getitem__, reverse=True)
    assert "nest" not in word_shares(pack, least=0.1)


def test_the_lexicon_that_ships_has_everyday_words():
    lexicon = Lexicon(WEIGHTS / "unise-mini")
    known = lexicon.shares_of(["thank", "tomato", "butter", "grandmother", "rechnung", "restaurant", "qzxqzx"])
    assert np.isfinite(known[:-1]).all()
    assert np.isinf(known[-1])


def test_gists_of_the_tower_before_are_dropped(exported):
    assert not (exported / "gist.npz").exists()
    assert not json.loads((exported / "config.json").read_text())["gist"]


def test_a_tower_that_strays_in_8_bits_is_not_written(run, pack_path, tmp_path, monkeypatch):
    monkeypatch.setattr(export_mini, "_LEAST_COSINE", 1.01)
    with pytest.raises(ModelError, match=r"strays too far from itself in 32: cosines of its maps words [01]\.\d+, spots"):
        export_run(run, tmp_path, pack_path)
    assert not (tmp_path / "tower.onnx").exists()


def test_only_an_export_is_restored(tmp_path, pack_path):
    with pytest.raises(ModelError, match=r"holds no tower\.onnx"):
        restore(tmp_path, tmp_path / "run", pack_path)


def test_letters_are_named_without_torch_as_with_it(run, exported):
    head = load_model(run).tower.letters
    fine = torch.randn(1, 16, 6, 9, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.3], [0.55, 0.6, 0.97, 0.9], [0.0, 0.0, 1.0, 1.0]])
    logits, counts = head.columns(fine, boxes, torch.zeros(3).long())
    wanted = logits.log_softmax(1).detach().numpy()
    found = Speller(exported / "letters.npz").columns(fine[0].numpy(), boxes.numpy())
    assert [len(part) for part in found] == counts.tolist()
    np.testing.assert_allclose(np.concatenate(found), wanted, atol=0.05)


def test_the_likeliest_spelling_is_the_one_that_is_read():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(24, CLASSES)).astype(np.float32) * 2
    columns -= np.log(np.exp(columns).sum(1, keepdims=True))
    word, chance = spell(columns)
    rivals = [word, word[:-1], word + "x", "heron", "€uro", "字"]
    scores = likelihoods([columns] * len(rivals), rivals)
    assert scores.argmax() == 0
    assert scores[0] >= np.log(max(chance, 1e-30)) - 1e-3
    assert scores[-1] < -1000


@pytest.mark.parametrize("size", [(40, 30), (1000, 50), (2400, 1800), (64, 3000)])
def test_pictures_of_any_size_are_looked_at(exported, size):
    seen = PageReader(exported, TINY.pixels).look(Image.new("RGB", size, "white"))
    assert len(seen.words) == len(seen.boxes) == len(seen.sure)
