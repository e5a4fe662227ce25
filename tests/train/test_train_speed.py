import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_speed.py"


@pytest.mark.slow
def test_the_benchmark_for_a_gpu_runs_on_tiny_models(tmp_path):
    command = [sys.executable, str(SCRIPT), "--tiny", "--seconds", "1", "--workers", "1", "-o", str(tmp_path / "numbers.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((tmp_path / "numbers.json").read_text())["rows"]
    assert {row["who"] for row in rows} == {"visir", "transformers", "sentence-transformers"}
    assert all(row["rate"] > 0 for row in rows)
    assert all(row["gflop"] > 0 for row in rows if row["what"].startswith("train"))
    assert "| train, tiny Qwen2-VL, adapters | visir |" in done.stdout
    for kind in ("clip", "qwen2_vl"):
        assert f"{kind}: least cosine of both 1.0000" in done.stderr


@pytest.mark.slow
def test_what_there_is_no_time_for_is_a_row_that_says_so(tmp_path):
    command = [sys.executable, str(SCRIPT), "--tiny", "--only", "tiny CLIP", "--minutes", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("no time was left") == 6
