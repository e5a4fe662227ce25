import subprocess
import sys

import pytest


def visir(*words):
    return subprocess.run([sys.executable, "-m", "visir.cli.main", *map(str, words)], capture_output=True, text=True, timeout=280)


def test_a_recipe_that_is_not_there_is_told_with_those_that_are(tmp_path):
    done = visir("train", "nonsense", "-o", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.startswith("visir: there is no recipe 'nonsense'")
    assert "unise-clip-cpu" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_smoke_run_leaves_a_model_and_says_where(tmp_path):
    done = visir("train", "unise-clip-cpu", "-o", tmp_path / "run", "--smoke", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "run" / "model")
    assert "6 of 6 · loss" in done.stderr
    for name in ("metrics.jsonl", "curves.png", "state.json", "model/visir.json"):
        assert (tmp_path / "run" / name).is_file()
    refused = visir("export", "unise-mini", "-o", tmp_path / "copy")
    assert refused.returncode == 2
    assert refused.stderr.strip() == "visir: unise-mini: only a UniSE-CLIP can be exported, and this model runs without torch already"
    assert not (tmp_path / "copy").exists()
