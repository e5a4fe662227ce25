import json

import pytest

from visir.train.run import run_recipe
from visir.unise.embedder import load_embedder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what torch warns of inside its own exporter
def test_the_reading_stage_stops_goes_on_and_leaves_a_model(tmp_path, capfd):
    changes = ["optim.steps=40", "stage=[{until=1.0,height=96,width=128,batch=2,level=0.3,deep=0.0}]"]
    assert run_recipe("unise-mini-tiny", tmp_path, changes, minutes=1e-6, device="cpu") is None
    assert json.loads((tmp_path / "state.json").read_text())["meta"]["step"] == 1
    (tmp_path / "metrics.jsonl").write_text('{"step": 20, "loss": 1.0}\n')  # as a run that was killed after its last state leaves it
    model = run_recipe("unise-mini-tiny", tmp_path, changes, device="cpu")
    assert model == tmp_path / "model"
    told = capfd.readouterr()
    assert told.out == ""
    assert "40 of 40 · 0 min left" in told.err
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 40]
    assert rows[0]["loss"] != 1.0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    made = json.loads((model / "visir.json").read_text())["made"]
    assert (made["steps"], list(made["data"])) == (40, ["practice.zip"])
    assert made["recipe"]["optim"]["lr"] == 0.003
    assert load_embedder(str(model)).encode_query(["rye"]).shape == (1, 384)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # what torch warns of inside its own exporter
@pytest.mark.slow
def test_letters_are_learnt_by_the_tiny_recipe(tmp_path):
    run_recipe("unise-mini-tiny", tmp_path, [], minutes=3, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert sum(row["loss"] for row in rows[-4:]) < 0.8 * sum(row["loss"] for row in rows[:4])
