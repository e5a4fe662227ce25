"""Ranks, measures and intervals; ties are broken the same way every time."""

import zlib
from collections.abc import Sequence

import ir_measures
import numpy as np
from ir_measures import R, nDCG
from numpy.typing import NDArray

DEPTH = 10
"""How many of the best candidates are kept."""

MEASURES = ("recall_at_1", "recall_at_5", "recall_at_10", "ndcg_at_10", "mrr")
"""What is measured; ``recall_at_1`` is the paper's."""

_BY_IR_MEASURES = {"recall_at_1": R @ 1, "recall_at_5": R @ 5, "recall_at_10": R @ 10, "ndcg_at_10": nDCG @ 10}
_RESAMPLES = 1000
_SEED = 2502


def best(scores: NDArray[np.float32], depth: int = DEPTH) -> NDArray[np.int64]:
    """Return the row numbers of the best candidates, best first; among equals the one that comes first in the corpus.

    Args:
        scores: shape (queries, candidates).
        depth: how many, at most.
    """
    depth = min(depth, scores.shape[1])
    found = np.empty((len(scores), depth), np.int64)
    for query, row in enumerate(scores):
        least = np.partition(row, len(row) - depth)[len(row) - depth]
        (near,) = np.nonzero(row >= least)
        found[query] = near[np.argsort(-row[near], kind="stable")[:depth]]
    return found


def first_ranks(scores: NDArray[np.float32], targets: Sequence[frozenset[int]]) -> NDArray[np.int64]:
    """Return the 1-based rank of each query's best right candidate; among equals the one that comes first in the corpus leads.

    Args:
        scores: shape (queries, candidates).
        targets: row numbers of the right candidates of each query.
    """
    ranks = np.empty(len(scores), np.int64)
    for query, (row, right) in enumerate(zip(scores, targets, strict=True)):
        place = min(right, key=lambda number: (-row[number], number))
        ranks[query] = 1 + np.count_nonzero(row > row[place]) + np.count_nonzero(row[:place] == row[place])
    return ranks


def measure(scores: NDArray[np.float32], targets: Sequence[frozenset[int]]) -> tuple[NDArray[np.int64], dict[str, list[float]]]:
    """Return the best candidates, as `best` does, and each measure of each query.

    The reciprocal rank needs one rank of the whole order and is taken here; everything else is ir-measures'.

    Args:
        scores: shape (queries, candidates).
        targets: row numbers of the right ones.
    """
    top = best(scores)
    qrels = [ir_measures.Qrel(str(query), str(row), 1) for query, rows in enumerate(targets) for row in rows]
    # Ranks stand for scores, so that ties stay as they were broken here.
    run = [ir_measures.ScoredDoc(str(query), str(row), -float(rank)) for query, rows in enumerate(top) for rank, row in enumerate(rows)]
    values = {measure: [0.0] * len(targets) for measure in _BY_IR_MEASURES.values()}
    for metric in ir_measures.iter_calc(list(_BY_IR_MEASURES.values()), qrels, run):
        values[metric.measure][int(metric.query_id)] = metric.value
    named = {name: values[measure] for name, measure in _BY_IR_MEASURES.items()}
    return top, {**named, "mrr": (1.0 / first_ranks(scores, targets)).tolist()}


def resampled(values: Sequence[float], task: str) -> NDArray[np.float64]:
    """Return means of a task's values, the queries drawn anew each time (bootstrap); the same for the same task every time."""
    rng = np.random.default_rng((_SEED, zlib.crc32(task.encode())))
    drawn: NDArray[np.float64] = rng.choice(np.asarray(values, np.float64), size=(_RESAMPLES, len(values))).mean(axis=1)
    return drawn


def interval_of(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of bootstrap means."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def paired_p(differences: Sequence[NDArray[np.float64]], rounds: int = 10_000) -> float:
    """Return the p-value of a two-sided paired randomisation test of the mean over tasks of the mean difference.

    Args:
        differences: a task's differences, query by query.
        rounds: how often their signs are drawn at random.
    """
    rng = np.random.default_rng(_SEED)
    seen = np.zeros(rounds)
    for difference in differences:
        differing = difference[difference != 0]
        for start in range(0, rounds if len(differing) else 0, 500):
            signs = rng.integers(0, 2, size=(min(500, rounds - start), len(differing)), dtype=np.int8) * 2.0 - 1.0
            seen[start : start + len(signs)] += signs @ differing / len(difference)
    truth = sum(difference.mean() for difference in differences)
    return float((1 + np.sum(np.abs(seen) >= abs(truth) - 1e-12)) / (rounds + 1))
