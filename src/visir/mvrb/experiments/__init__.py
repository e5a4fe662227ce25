"""The paper's experiments, and the checks that it asks for, as functions over the evaluator; each works on any set in the layout."""

from collections.abc import Callable

from visir.mvrb.experiments.compare import chart, held_out, negatives
from visir.mvrb.experiments.composed import composed
from visir.mvrb.experiments.cost import cost
from visir.mvrb.experiments.growth import growth
from visir.mvrb.experiments.languages import languages
from visir.mvrb.experiments.resolution import resolution
from visir.mvrb.experiments.setting import Finding, Setting

EXPERIMENTS: dict[str, Callable[[Setting], Finding]] = {
    "chart": chart,
    "composed": composed,
    "cost": cost,
    "growth": growth,
    "held-out": held_out,
    "languages": languages,
    "negatives": negatives,
    "resolution": resolution,
}
"""Experiments by name."""

__all__ = ["EXPERIMENTS", "Finding", "Setting"]
