import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, nDCG

from visir.mvrb.measures import best, first_ranks, interval_of, measure, paired_p, resampled

IN_IR_MEASURES = {"recall_at_1": R @ 1, "recall_at_5": R @ 5, "recall_at_10": R @ 10, "ndcg_at_10": nDCG @ 10, "mrr": RR}


@st.composite
def tied_scores_and_targets(draw):
    candidates = draw(st.integers(1, 30))
    queries = draw(st.integers(1, 4))
    few_values = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
    rows = draw(st.lists(st.lists(few_values, min_size=candidates, max_size=candidates), min_size=queries, max_size=queries))
    right = st.frozensets(st.integers(0, candidates - 1), min_size=1, max_size=4)
    return np.array(rows, np.float32), draw(st.lists(right, min_size=queries, max_size=queries))


@settings(deadline=None)
@given(tied_scores_and_targets())
def test_every_measure_is_what_ir_measures_says_of_the_whole_order(case):
    scores, targets = case
    order = [sorted(range(len(row)), key=lambda candidate: (-row[candidate], candidate)) for row in scores]
    qrels = [ir_measures.Qrel(str(query), str(row), 1) for query, rows in enumerate(targets) for row in rows]
    run = [ir_measures.ScoredDoc(str(query), str(row), -float(rank)) for query, rows in enumerate(order) for rank, row in enumerate(rows)]
    expected = ir_measures.calc_aggregate(list(IN_IR_MEASURES.values()), qrels, run)
    top, values = measure(scores, targets)
    assert top.tolist() == [rows[:10] for rows in order]
    for name, metric in IN_IR_MEASURES.items():
        assert np.mean(values[name]) == pytest.approx(expected[metric], abs=1e-9), name


@settings(deadline=None)
@given(tied_scores_and_targets(), st.floats(0.1, 8))
def test_scaling_scores_changes_no_measure(case, factor):
    scores, targets = case
    assert measure(scores * np.float32(factor), targets)[1] == measure(scores, targets)[1]


def test_known_values():
    scores = -np.array([[0, 2, 3, 1, *range(4, 12)], list(range(12))], np.float32)
    targets = [frozenset({3}), frozenset({11})]
    top, values = measure(scores, targets)
    assert top[0, :3].tolist() == [0, 3, 1]
    assert first_ranks(scores, targets).tolist() == [2, 12]
    assert values["recall_at_1"] == [0, 0]
    assert values["recall_at_5"] == [1, 0]
    assert values["mrr"] == [0.5, 1 / 12]
    assert values["ndcg_at_10"][0] == pytest.approx(1 / np.log2(3))


def test_fewer_candidates_than_ten_are_all_ranked():
    assert best(np.array([[1, 3, 2]], np.float32)).tolist() == [[1, 2, 0]]


def test_the_interval_holds_the_true_mean_about_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        low, high = interval_of(resampled((rng.random(200) < 0.3).astype(float), f"task {trial}"))
        hits += low <= 0.3 <= high
    assert 180 <= hits <= 199


def test_tasks_of_equal_size_draw_their_queries_independently():
    values = np.arange(100) % 2
    assert abs(np.corrcoef(resampled(values, "one"), resampled(values, "other"))[0, 1]) < 0.15


def test_the_paired_test_is_as_rare_under_chance_as_it_says():
    rng = np.random.default_rng(2)
    small = sum(paired_p([rng.choice([-1.0, 0.0, 1.0], 60)], 500) < 0.1 for _ in range(200))
    assert 8 <= small <= 34
    assert paired_p([np.ones(20)]) < 0.001
    assert paired_p([np.zeros(20)]) == 1.0
