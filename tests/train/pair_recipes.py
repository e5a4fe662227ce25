"""Small recipes of stages 1 and 2 for tests."""

from visir.train.pair_recipe import ModelChoice, PairData, PairRecipe, PairStage, Watching


def recipe(steps=(3, 3), base="tiny:clip", batch=8, mini_batch=64, watch=None, lr=2e-3, **model):
    stages = (
        PairStage(("caption",), steps[0], batch, lr, warmup=min(20, steps[0] // 2), both_ways=True, scale=20.0),
        PairStage(("q2s", "sq2s"), steps[1], batch, lr / 2, warmup=min(20, steps[1] // 2), negatives=2),
    )
    return PairRecipe(
        ModelChoice(**{"base": base, "precision": "fp32", **model}),
        PairData(("shapes",), workers=0, mini_batch=mini_batch),
        tuple(stage for stage in stages if stage.steps),
        watch or Watching(every=1000, log=1, held=16, probe=""),
    )
