from pathlib import Path

import pytest

import visir
from visir.errors import ModelError
from visir.train.pair_recipe import is_pair_recipe, read_pair_recipe
from visir.train.recipe import read_recipe
from visir.train.run import shrink_pairs, shrink_reading

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
