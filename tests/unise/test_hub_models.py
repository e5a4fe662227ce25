"""Models by their names on a hub: one that runs on this machine, and its client in a process of its own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from local_hub import COMMIT, serve
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import load_embedder
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
    told[name] = {"name": model.name, "revision": model.revision, "vectors": vectors}
print(json.dumps(told))
"""


@pytest.fixture
def load_by_name(tmp_path):
    """Load models by the names under which folders are served; returns what each says."""

    def load(folders):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        with serve({f"models/{name}": folder for name, folder in folders.items()}) as endpoint:
            environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
            command = [sys.executable, "-c", LOAD, *folders]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return load


def vectors_of(folder):
    model, page = load_embedder(str(folder)), Screenshot.from_image(Image.new("RGB", (40, 30), "red"))
    return np.concatenate([model.encode_query(["a red circle", Query("in blue", page)]), model.encode_document([page])])


def save_with_a_dense(folder, checkpoint):
    model = unise_mllm(str(checkpoint), device="cpu")
    SentenceTransformer(modules=[*model, Dense(model.get_embedding_dimension(), 8)], device="cpu").save_pretrained(str(folder))
    return folder


def test_checkpoints_and_saved_models_are_fetched_by_name_and_known_by_their_commit(tmp_path, load_by_name):
    folders = {"someone/clip": tiny_clip(tmp_path / "clip"), "someone/qwen": tiny_mllm(tmp_path / "qwen")}
    folders["someone/saved"] = save_with_a_dense(tmp_path / "saved", folders["someone/qwen"])
    told = load_by_name(folders)
    for name, folder in folders.items():
        assert (told[name]["name"], told[name]["revision"]) == (name, f"{COMMIT}-full")
        assert np.allclose(told[name]["vectors"], vectors_of(folder), atol=1e-6)
