"""One rule, x < cut in float64, is every library's comparison, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.models.trees import cuts

Compare = Callable[[float, float], bool]


def rounded(x: float) -> np.float32:
    with np.errstate(over="ignore"):
        return np.float32(x)


RULES: dict[str, tuple[Callable[[float], np.ndarray], Compare]] = {
    "below": (cuts.below, lambda x, t: x < t),
    "up_to": (cuts.up_to, lambda x, t: x <= t),
    "below_float32": (cuts.below_float32, lambda x, t: bool(float(rounded(x)) < t)),
    "up_to_float32": (cuts.up_to_float32, lambda x, t: bool(float(rounded(x)) <= t)),
}
thresholds = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 1.0, 2.0**128, -(2.0**128), 3.4028234663852886e38, 5e-324]),
)


@pytest.mark.parametrize("name", RULES)
@given(threshold=thresholds, x=st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_is_below_the_cut_exactly_where_the_library_goes_left(name: str, threshold: float, x: float) -> None:
    cut, compare = RULES[name]
    assert (x < float(cut(threshold))) == compare(x, threshold)


@pytest.mark.parametrize("name", RULES)
@given(threshold=thresholds)
def test_the_cut_is_the_first_value_that_goes_right(name: str, threshold: float) -> None:
    cut, compare = RULES[name]
    first = float(cut(threshold))
    with np.errstate(over="ignore"):
        before = float(np.nextafter(first, -np.inf))
    assert not np.isfinite(first) or not compare(first, threshold)
    assert not np.isfinite(before) or compare(before, threshold)


@pytest.mark.parametrize("name", RULES)
def test_all_finite_values_are_up_to_infinity(name: str) -> None:
    cut, _ = RULES[name]
    assert float(cut(np.inf)) == np.inf
