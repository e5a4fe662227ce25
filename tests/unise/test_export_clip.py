import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.unise.clip import unise_clip
from visir.unise.embedder import load_embedder
from visir.unise.export_clip import GateItem, compare, export_clip
from visir.unise.sentence import SentenceEmbedder
from visir.unise.tiny import tiny_clip, tiny_siglip

pytestmark = pytest.mark.slow  # the exporter takes half a minute

COLOURS = ("red", "green", "blue", "yellow", "black", "white")
PAGES = [Screenshot.from_image(Image.new("RGB", (60, 40), colour)) for colour in COLOURS]
ITEMS = [GateItem(Query(f"a {colour} page"), number) for number, colour in enumerate(COLOURS)] + [
    GateItem(Query(f"the same in {colour}", PAGES[number - 1]), number) for number, colour in enumerate(COLOURS)
]
MADE = {"recipe": {"steps": 3}, "data": {"shapes-q2s": "0a1b"}, "commit": "abc1234"}
MIXED = ["a page", Query(image=PAGES[0]), Query("in blue, and much longer than the others", PAGES[1])]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model with a learned fusion, and its exports in 32 and 8 bits."""
    place = tmp_path_factory.mktemp("export")
    made = unise_clip(str(tiny_clip(place / "clip")), "learned")
    made[0].mixer.outside.weight.data.normal_(0, 0.2)
    made.save_pretrained(str(place / "unise"))
    (place / "unise" / "visir.json").write_text(json.dumps({"made": MADE}))
    embedder = SentenceEmbedder.load(str(place / "unise"), "cpu", "float32")
    gates = {precision: export_clip(embedder, place / precision, precision, ITEMS, PAGES) for precision in ("fp32", "int8")}
    return place, gates


@pytest.mark.filterwarnings("ignore")  # what torch warns of inside its own exporter
def test_an_export_says_what_the_model_says(folders):
    place, gates = folders
    model = load_embedder(str(place / "unise"))
    for precision, least in (("fp32", 0.99999), ("int8", 0.995)):
        copy = load_embedder(str(place / precision))
        cosines = (copy.encode_query(MIXED) * model.encode_query(MIXED)).sum(1)
        assert cosines.min() > least
        assert (copy.encode_document([*PAGES, "a text"]) * model.encode_document([*PAGES, "a text"])).sum(1).min() > least
        assert copy.dim == model.dim
        assert gates[precision]["cpu"].passed
    told = json.loads((place / "int8" / "config.json").read_text())
    assert told["made"]["from"] == "unise"
    assert MADE.items() <= told["made"].items()
    assert len(told["made"]["exported_by"]) >= 5
    assert told["gate"]["cpu"]["cosine"] >= 0.995
    assert not any(b'File "' in path.read_bytes() for path in place.rglob("*.onnx"))  # the machine's folders are left out
    assert (place / "int8" / "text.onnx").stat().st_size < 0.9 * (place / "fp32" / "text.onnx").stat().st_size


@pytest.mark.filterwarnings("ignore")
def test_a_siglip_is_exported_with_its_padding(tmp_path):
    model = load_embedder(str(tiny_siglip(tmp_path / "siglip")))
    gates = export_clip(model, tmp_path / "copy", "fp32", ITEMS, PAGES)
    assert all(gate.least_cosine > 0.9999 for gate in gates.values())
    assert (load_embedder(str(tmp_path / "copy")).encode_query(MIXED) * model.encode_query(MIXED)).sum(1).min() > 0.9999


@pytest.mark.filterwarnings("ignore")
def test_openvino_runs_the_same_files(folders):
    pytest.importorskip("openvino")
    place, gates = folders
    assert gates["fp32"]["openvino"].passed
    one, other = load_embedder(str(place / "fp32")), load_embedder(str(place / "fp32"), device="openvino")
    assert (one.encode_query(MIXED) * other.encode_query(MIXED)).sum(1).min() > 0.995


@pytest.mark.filterwarnings("ignore")
def test_a_signal_is_handled_after_models_came_and_went(folders):
    pytest.importorskip("openvino")
    code = (
        "import gc, os, signal, sys\nfrom visir.unise.embedder import load_embedder\n"
        "signal.signal(signal.SIGINT, lambda *_: print('handled'))\n"
        "first = load_embedder(sys.argv[1], 'openvino')\nsecond = load_embedder(sys.argv[1], 'openvino')\n"
        "del first\ngc.collect()\ndel second\ngc.collect()\nos.kill(os.getpid(), signal.SIGINT)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(folders[0] / "fp32")], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "handled\n"), told.stderr


@pytest.mark.filterwarnings("ignore")
def test_an_export_runs_without_torch(folders):
    place, _ = folders
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'sentence_transformers'): sys.modules[name] = None\n"
        "from visir.unise.embedder import load_embedder\nprint(load_embedder(sys.argv[1]).encode_document(['a page']).shape)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(place / "int8")], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "(1, 24)"


@pytest.mark.filterwarnings("ignore")
def test_the_gate_fails_loudly_and_leaves_nothing(folders, tmp_path, monkeypatch):
    """One input of each layer so large that eight bits round all the others away, and weights that make it small again."""
    place, _ = folders
    made = unise_clip(str(place / "clip"))
    for name, value in made.named_parameters():
        if "encoder" in name and "layer_norm" in name:
            value.data[0] *= 3000
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight", "fc1.weight")):
            value.data[:, 0] /= 3000
    made.save_pretrained(str(tmp_path / "wild"))
    embedder = SentenceEmbedder.load(str(tmp_path / "wild"), "cpu", "float32")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.json").write_text('{"kind": "clip-onnx"}')
    with pytest.raises(ModelError, match=r"strays from the model: mean cosine 0\.\d+ \(at least 0\.995\)") as caught:
        export_clip(embedder, tmp_path / "old", "int8", ITEMS, PAGES)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["config.json"]


def test_recall_alone_can_fail_the_gate(folders):
    place, _ = folders
    model = load_embedder(str(place / "unise"))

    class Shuffled:
        def encode_query(self, queries):
            return model.encode_query(queries)

        def encode_document(self, documents):
            return model.encode_document(documents)[::-1]

    mirrored = compare(model, Shuffled(), [GateItem(Query(image=page), number) for number, page in enumerate(PAGES)], PAGES)
    assert mirrored.wanted == 1.0
    assert mirrored.recall < 0.5
    assert not mirrored.passed
    assert compare(model, model, ITEMS, PAGES).passed


def test_damaged_files_and_odd_choices_are_told(folders, tmp_path):
    import shutil

    place, _ = folders
    with pytest.raises(ModelError, match="auto, cpu or openvino"):
        load_embedder(str(place / "fp32"), device="cuda")
    with pytest.raises(ModelError, match="auto or float32, not 'bogus'"):
        load_embedder(str(place / "fp32"), precision="bogus")
    for name in ("image.onnx", "tokenizer.json"):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(place / "fp32", tmp_path / "copy")
        path = tmp_path / "copy" / name
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ModelError, match="missing or damaged"):
            load_embedder(str(tmp_path / "copy"))
    embedder = SentenceEmbedder.load(str(place / "unise"), "cpu", "float32")
    with pytest.raises(ModelError, match="fp32 or int8"):
        export_clip(embedder, tmp_path / "x", "int3", ITEMS, PAGES)
    assert np.isfinite(embedder.encode_query(["x"])).all()


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    embedder = SentenceEmbedder.load(str(tiny_clip(tmp_path / "clip")), "cpu")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("mine")
    for place in (tmp_path / "precious", tmp_path / "precious" / "thesis.txt"):
        with pytest.raises(ModelError, match="holds something else"):
            export_clip(embedder, place, "int8", ITEMS, PAGES)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "mine"


@pytest.mark.filterwarnings("ignore")
def test_a_learned_fusion_runs_in_openvino_on_one_thread(tmp_path):
    pytest.importorskip("openvino")
    made = unise_clip(str(tiny_clip(tmp_path / "clip", width=64, image=32, patch=8, dim=64)), "learned")
    made[0].mixer.outside.bias.data.normal_(0, 0.001)
    made.save_pretrained(str(tmp_path / "unise"))
    export = f"""
from pathlib import Path
from visir.train.export_gate import export_model
export_model({str(tmp_path / "unise")!r}, Path({str(tmp_path / "copy")!r}), "fp32", "shapes", 10)
"""
    # In a process of its own: what OpenVINO did here could not be caught.
    done = subprocess.run([sys.executable, "-c", export], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy" / "fusion.onnx").is_file()
