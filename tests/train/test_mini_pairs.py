"""Stages 1 and 2 of unise-mini: its encoder learns from what its reader reads, and ships as adapters of the shared one."""

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
from visir.train.export_adapter import export_adapter
from visir.train.export_mini import write_config
from visir.train.pair_recipe import PairData
from visir.train.run import find_recipe, run_recipe
from visir.train.sources import open_source
from visir.train.stages import PairRun
from visir.unise.embedder import WEIGHTS, load_embedder

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
    """The weights that ship, with the adapters of the run."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(WEIGHTS / "unise-mini", folder / "unise-mini")
    shutil.copytree(WEIGHTS / "text", folder / "text")
    export_adapter(run[0].folder, folder / "unise-mini")
    return folder / "unise-mini"


def test_the_encoder_learns_from_what_is_read(run):
    _, losses, _ = run
    assert np.mean(losses[8:12]) < 0.8 * np.mean(losses[:2])


def test_the_reader_stays_as_it_is(run):
    trained, _, _ = run
    names = {name for name, value in trained.model.named_parameters() if value.requires_grad}
    assert all("encoder.layer" in name for name in names)


def test_the_adapters_that_ship_say_what_the_trained_model_says(run, shipped):
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


def test_the_baseline_is_not_touched(shipped):
    texts = ["the heron at the tower", "raven"]
    assert np.array_equal(load_embedder(str(shipped.parent / "text")).encode_query(texts), load_embedder("text").encode_query(texts))


def test_the_folder_says_what_made_both_parts(run, shipped):
    config = json.loads((shipped / "config.json").read_text())
    assert config["text_made_by"]["recipe"]["model"]["encoder"] == "all-MiniLM-L6-v2"
    assert config["made_by"] == json.loads((WEIGHTS / "unise-mini" / "config.json").read_text())["made_by"]
    assert config["calibration"]["text"] != [0.35, 0.1]


def test_a_revision_does_not_depend_on_when_files_were_written(shipped):
    before = json.loads((shipped / "config.json").read_text())
    with zipfile.ZipFile(shipped / "adapter.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(shipped / "adapter.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1999, 12, 31, 23, 59, 58)), content)
    write_config(shipped)
    assert json.loads((shipped / "config.json").read_text()) == before
    arrays = dict(np.load(shipped / "adapter.npz"))
    np.savez(shipped / "adapter.npz", **{name: 2 * value for name, value in arrays.items()})
    write_config(shipped)
    assert json.loads((shipped / "config.json").read_text())["revision"] != before["revision"]
    np.savez(shipped / "adapter.npz", **arrays)


def test_runs_that_cannot_be_exported_are_told(run, shipped, tmp_path):
    with pytest.raises(ModelError, match="no finished model"):
        export_adapter(tmp_path, shipped)
    run_recipe("unise-clip-cpu", tmp_path / "clip", ["watch.held=4"], smoke=True)
    with pytest.raises(ModelError, match="no adapters"):
        export_adapter(tmp_path / "clip", shipped)


def test_an_export_that_strays_from_the_trained_model_is_refused(run, shipped, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run[0].folder, folder)
    weights = folder / "model" / "encoder" / "model.safetensors"
    tensors = load_file(weights)
    name = "encoder.layer.3.output.dense.weight"
    save_file({**tensors, name: -tensors[name]}, weights, {"format": "pt"})
    before = (shipped / "adapter.npz").read_bytes()
    with pytest.raises(ModelError, match=r"strays too far from the trained one: mean cosine 0\."):
        export_adapter(folder, shipped)
    assert (shipped / "adapter.npz").read_bytes() == before
    assert not list(shipped.glob("*.new.npz"))


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
