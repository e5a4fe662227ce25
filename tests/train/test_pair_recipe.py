from pathlib import Path

import pytest

import visir
from visir.errors import ModelError
from visir.train.pair_recipe import is_pair_recipe, read_pair_recipe
from visir.train.recipe import read_recipe
from visir.train.run import run_recipe, shrink_pairs, shrink_reading

RECIPES = Path(visir.__file__).parent / "train" / "recipes"
SMALL = '[model]\nbase = "tiny:clip"\n[data]\nsources = ["shapes"]\n[[stage]]\nkinds = ["caption"]\nsteps = 1\nbatch = 8\nlr = 1e-3\nscale = 20.0\n'


@pytest.mark.parametrize("name", ["unise-clip", "unise-clip-cpu", "unise-mllm", "unise-mllm-cpu"])
def test_the_recipes_that_ship_follow_the_papers_order(name):
    recipe = read_pair_recipe(RECIPES / f"{name}.toml", ["data.seed=7", "stage.1.lr=1e-6"])
    first, second = recipe.stage
    assert (first.kinds, first.both_ways, first.negatives) == (("caption",), True, 0)
    assert {"q2s", "sq2s"} <= set(second.kinds)
    assert second.negatives > 0
    assert (recipe.data.seed, second.lr) == (7, 1e-6)
    assert read_pair_recipe(RECIPES / f"{name}.toml").stage[1].lr < first.lr
    if not name.endswith("cpu"):
        assert read_pair_recipe(RECIPES / f"{name}.toml").stage[1].lr == 5e-6


def test_recipes_of_the_reading_stage_are_told_apart():
    assert not is_pair_recipe(RECIPES / "unise-mini.toml")
    assert is_pair_recipe(RECIPES / "unise-mllm.toml")


def test_steps_belong_to_stages():
    recipe = read_pair_recipe(RECIPES / "unise-clip.toml")
    assert recipe.steps == 15000
    assert [recipe.at(step) for step in (0, 9999, 10000, 15000)] == [(0, 0), (0, 9999), (1, 0), (1, 5000)]


def test_a_smoke_test_keeps_the_parts():
    small = shrink_pairs(read_pair_recipe(RECIPES / "unise-mllm.toml"))
    assert [(stage.steps, stage.batch) for stage in small.stage] == [(3, 8), (3, 8)]
    assert small.model.lora == 32
    assert shrink_reading(read_recipe(RECIPES / "unise-mini.toml")).optim.steps == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.bases=x", "'bases' is no setting of ModelChoice"),
        ("stage.3.lr=1", "stage.3.lr cannot be set"),
        ("stage.0.weights=[1.0, 2.0]", "2 weights for 1 kinds"),
        ("stage.0.scale=0", "needs a scale"),
        ("model.share=1.5", "0 to 1"),
        ("model.share=0.5", "needs model.lora"),
        ("stage=[]", r"no \[\[stage\]\]"),
        ("data=3", "PairData is a table"),
        ("stage=3", r"as in \[\[stage\]\]"),
        ('stage.0.lr="abc"', "lr is a number, not 'abc'"),
        ("stage.0.lr=-1", "lr is 0 at least"),
        ("stage.0.steps=1.5", "steps is a whole number"),
        ("stage.0.batch=0", "batch is 1 at least"),
        ("stage.0.both_ways=1", "both_ways is true or false"),
        ("stage.0.batch=true", "batch is a whole number"),
        ("data.mini_batch=0", "mini_batch is 1 at least"),
        ("data.sources=shapes", "sources is a list"),
        ("data.sources=[]", "data.sources is empty"),
        ("data.sources=[3]", "sources is a text"),
        ("model.lora=-3", "lora is 0 at least"),
        ("model.fusion=mean", "fusion is one of"),
        ('stage.0.kinds=["caption", "q2S"]', "'q2S', which is no kind"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path, change, message):
    (tmp_path / "recipe.toml").write_text(SMALL)
    assert read_pair_recipe(tmp_path / "recipe.toml").steps == 1
    with pytest.raises(ModelError, match=message):
        read_pair_recipe(tmp_path / "recipe.toml", [change])


def test_a_missing_setting_is_named(tmp_path):
    (tmp_path / "recipe.toml").write_text(SMALL.replace("steps = 1\n", ""))
    with pytest.raises(ModelError, match="steps"):
        read_pair_recipe(tmp_path / "recipe.toml")


def test_what_is_no_text_is_no_recipe(tmp_path):
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe%PDF")
    with pytest.raises(ModelError, match="not a recipe"):
        read_pair_recipe(tmp_path / "recipe.toml")


def test_a_folder_is_for_one_run(tmp_path):
    (tmp_path / "recipe.toml").write_text(SMALL)
    name, few = str(tmp_path / "recipe.toml"), ["watch.held=4", "stage.0.steps=2"]
    run = tmp_path / "run"
    assert run_recipe(name, run, few, device="cpu") == run / "model"
    assert run_recipe(name, run, [*few, "watch.log=2"], device="cpu") == run / "model"
    with pytest.raises(ModelError, match=r"finished run with another stage\.0\.lr"):
        run_recipe(name, run, [*few, "stage.0.lr=1e-5"], device="cpu")
    with pytest.raises(ModelError, match="without --smoke"):
        run_recipe(name, run, few, smoke=True, device="cpu")
    with pytest.raises(ModelError, match="another kind of recipe"):
        run_recipe("unise-mini-tiny", run, [], device="cpu")


def test_a_run_that_goes_on_with_other_settings_says_so(tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text(SMALL)
    name, run = str(tmp_path / "recipe.toml"), tmp_path / "run"
    run_recipe(name, run, ["watch.held=4", "stage.0.steps=2"], device="cpu")
    assert run_recipe(name, run, ["watch.held=4", "stage.0.steps=3"], device="cpu") == run / "model"
    assert "going on with another stage.0.steps than before" in capsys.readouterr().err


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "recipe.toml").write_text(SMALL)
    (tmp_path / "metrics.jsonl").write_text("mine")
    with pytest.raises(ModelError, match="no run to go on with"):
        run_recipe(str(tmp_path / "recipe.toml"), tmp_path, [], device="cpu")
    with pytest.raises(ModelError, match="no run can be kept"):
        run_recipe(str(tmp_path / "recipe.toml"), tmp_path / "metrics.jsonl", [], device="cpu")
    assert (tmp_path / "metrics.jsonl").read_text() == "mine"


@pytest.mark.parametrize("device", ["foo", "cuda:9"])
def test_a_device_that_is_not_there_is_said(tmp_path, device):
    with pytest.raises(ModelError, match=f"no device '{device}'"):
        run_recipe("unise-mini-tiny", tmp_path / "run", [], device=device)
