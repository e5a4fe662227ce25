import pytest
import torch

from visir.errors import ModelError
from visir.train.blend import blend
from visir.train.checkpoint import load_split, save_split
from visir.train.reading import ReadingModel
from visir.train.reading_eval import load_model
from visir.train.recipe import Data, Optim, Recipe, Stage
from visir.unise.mini import MiniConfig

TINY = MiniConfig(widths=(8, 16, 16, 16), depths=(0, 1, 1, 2), attention=1, heads=2, dim=16, word_dim=16, buckets=512, pixels=256 * 256)


def saved(folder, seed, config=TINY):
    torch.manual_seed(seed)
    model = ReadingModel(Recipe(config, Data(pack="none"), Optim(), stage=(Stage(1.0, 96, 128, 4, 0.3, 0.0),)))
    weights = {f"model.{key}": value for key, value in model.state_dict().items() if ".queues." not in key}
    save_split(folder, "weights", weights, {"step": seed, "begun": 0, "pages": 10 * seed, "model": config.to_dict()}, half=True)
    return folder


def test_a_blend_is_the_mean_of_its_runs_and_a_run_itself(tmp_path):
    runs = [saved(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    blend(tmp_path / "blend", runs)
    parts = [load_split(run, "weights")[0] for run in runs]
    blended, meta = load_split(tmp_path / "blend", "weights")
    assert (meta["step"], meta["pages"]) == (3, 30)
    name = "model.tower.letters.name.weight"
    assert not torch.equal(parts[0][name], parts[1][name])
    for name, value in blended.items():
        mean = sum(part[name].double() for part in parts) / 3
        torch.testing.assert_close(value.double(), mean, rtol=1e-3, atol=1e-4)
    assert load_model(tmp_path / "blend").tower is not None


def test_runs_of_different_architectures_are_not_blended(tmp_path):
    one = saved(tmp_path / "one", 1)
    other = saved(tmp_path / "other", 2, MiniConfig(**{**TINY.to_dict(), "dim": 32}))
    with pytest.raises(ModelError, match="one: of another architecture"):
        blend(tmp_path / "blend", [one, other])
    with pytest.raises(ModelError, match="no checkpoint there"):
        blend(tmp_path / "blend", [one, tmp_path / "nowhere"])
    assert not (tmp_path / "blend").exists()
