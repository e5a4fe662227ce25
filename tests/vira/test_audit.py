import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visir.vira.audit import Judged, interval


@given(st.integers(1, 2000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_interval_holds_the_share_and_stays_a_share(found_count):
    found, count = found_count
    low, high = interval(found, count)
    assert 0 <= low <= found / count + 1e-9
    assert found / count - 1e-9 <= high <= 1
    assert high - low < 2 * 1.96 / math.sqrt(count)


def test_the_interval_agrees_with_published_values():
    # Newcombe (1998), table I: 81 of 263, and 0 of 20, Wilson score without continuity correction.
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)
    assert interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-4)


def test_a_negative_above_the_right_page_or_with_every_word_is_suspect():
    def judged(right, wrong, words):
        return Judged("r", "i", "q2s", "charts", "text", "t", right, wrong, words).suspect

    assert judged(1.0, 2.0, 0.0)
    assert judged(3.0, 1.0, 1.0)
    assert not judged(3.0, 1.0, 0.9)
