import pytest

import visir


def test_public_names_are_complete_sorted_and_few():
    assert visir.__all__ == sorted(visir.__all__)
    assert len(visir.__all__) <= 10
    assert all(getattr(visir, name) is not None for name in visir.__all__)


def test_capture_stays_a_function_when_its_package_is_used():
    from visir.capture.pdf import render

    assert callable(visir.capture)
    assert callable(render)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(visir, "nonsense")  # noqa: B009
