import json
import os
import subprocess
import sys

import pytest
from local_hub import COMMIT, serve
from make import write_benchmark
from tiny_late import tiny_colqwen


@pytest.fixture
def visir_eval(tmp_path):
    def run(*words, endpoint):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-m", "visir.cli.main", "eval", *words, "--cache", str(tmp_path / "c.sqlite"), "--json"]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    return run


@pytest.mark.slow
def test_a_benchmark_and_a_model_are_fetched_by_name_and_kept(tmp_path, visir_eval):
    repositories = {
        "datasets/someone/tiny-mvrb": write_benchmark(tmp_path / "set"),
        "models/someone/tiny-colqwen": tiny_colqwen(tmp_path / "model"),
    }
    words = ("someone/tiny-mvrb", "--task", "document", "--model", "someone/tiny-colqwen", "--model", "grey")
    with serve(repositories) as endpoint:
        done = visir_eval(*words, endpoint=endpoint)
        assert done.returncode == 0, done.stderr
        assert f"fetching the data set of that name from {endpoint}" in done.stderr
    late, grey = json.loads(done.stdout)["models"]
    assert (late["model"], late["revision"], grey["model"]) == ("someone/tiny-colqwen", COMMIT, "grey")
    # The hub is gone now; what was fetched stays.
    again = visir_eval(*words, endpoint=endpoint)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["models"][0]["overall"] == late["overall"]


def test_a_name_that_the_hub_does_not_know_is_told(tmp_path, visir_eval):
    with serve({"datasets/someone/other": write_benchmark(tmp_path / "set")}) as endpoint:
        done = visir_eval("someone/nothing", endpoint=endpoint)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == f"visir: there is no folder someone/nothing, and no data set of that name on {endpoint}"


def test_without_a_hub_one_line_says_what_to_do(visir_eval):
    done = visir_eval("marsh123/MVRB", endpoint="http://127.0.0.1:9")
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("visir: there is no folder marsh123/MVRB, and http://127.0.0.1:9 cannot be reached")


@pytest.mark.slow
def test_a_model_of_a_hub_that_cannot_be_reached_is_one_line(folder, visir_eval):
    done = visir_eval(str(folder), "--model", "vidore/colqwen2-v1.0-hf", endpoint="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "visir: the model vidore/colqwen2-v1.0-hf cannot be loaded" in done.stderr.strip().splitlines()[-1]
