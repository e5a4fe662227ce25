import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import Calibration
from visir.unise.evidence import join, likeness, meaning, turn, words

CURVES = Calibration(text=(0.4, 0.1), picture=(0.7, 0.1), both=(0.5, 0.1))
SHARES = st.floats(0, 1, width=32)


def proves(query, cosine, *typed):
    return float(meaning(np.float32([cosine]), query, CURVES, *(np.float32(shares) for shares in typed))[0])


def test_meaning_proves_the_less_the_more_the_words_that_ask_prove_of_any_page():
    picture = Screenshot(b"")
    assert proves(Query("rain"), 0.4) == proves(Query("rain"), 0.4, [0, 0]) == proves(Query("rain"), 0.4, []) == pytest.approx(0.5)
    assert proves(Query("rain"), 0.4, [0.1, 0.5]) == pytest.approx(0.45)
    assert proves(Query("rain"), 0.4, [1, 0]) == pytest.approx(0.3)
    assert proves(Query("rain", picture), 0.5, [1]) == pytest.approx(0.5)
    assert proves(Query(image=picture), 0.7) == pytest.approx(0.5)


@given(SHARES, SHARES, SHARES)
def test_more_of_either_kind_never_proves_less(one, other, more):
    one, other, more = np.float32([one]), np.float32([other]), np.float32([more])
    low, high = np.minimum(other, more), np.maximum(other, more)
    assert 0 <= join(one, low) <= join(one, high) <= 1
    assert join(one, low) >= max(one, low) - 1e-6
    assert words(one, low) <= words(one, high) <= one


@given(SHARES, SHARES, SHARES)
def test_more_likeness_and_more_of_what_should_differ_never_prove_less(one, other, more):
    one, other, more = np.float32([one]), np.float32([other]), np.float32([more])
    low, high = np.minimum(other, more), np.maximum(other, more)
    assert 0 <= likeness(one, low, 32) <= likeness(one, high, 32) <= 1
    assert likeness(one, -high, 32) == likeness(one, np.float32([0]), 32)
    assert 0 <= turn(one, low) <= turn(one, high) + 1e-6 <= 1 + 1e-6
    assert turn(low, one) <= turn(high, one) + 1e-6


def test_a_page_that_has_what_should_differ_comes_before_the_very_picture():
    same, other = likeness(np.float32([1]), np.float32([1]), 32), likeness(np.float32([0.5]), np.float32([0.7]), 32)
    assert turn(other, np.float32([0.9])) > turn(same, np.float32([0]))
    assert turn(other, np.float32([0])) < turn(same, np.float32([0]))
    unlike = likeness(np.float32([0]), np.float32([0.2]), 32)
    assert turn(unlike, np.float32([1])) < turn(same, np.float32([0]))


def test_a_picture_with_hardly_a_word_goes_by_its_vector():
    shared, cosines = np.float32([0.0]), np.float32([0.9])
    assert likeness(shared, cosines, 0) == cosines
    assert likeness(shared, cosines, 4) == pytest.approx(0.8 * 0.9)
    assert likeness(shared, cosines, 8) == likeness(shared, cosines, 32) == pytest.approx(0.54)
