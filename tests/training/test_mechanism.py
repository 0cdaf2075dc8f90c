"""The sensitivity law: one record moves the sum before noise by at most the clipping norm, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from holdfast.errors import UsageError
from holdfast.training.release.mechanism import (
    LARGEST_WEIGHT_NORM,
    exact_sum,
    noisy_sum,
    on_grid,
    weights_on_grid,
)
from holdfast.training.release.noise import SCALE_BITS

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=FLOATS)


@settings(deadline=None)
@given(
    rows=ROWS,
    k=st.integers(1, 3),
    clip=st.sampled_from([0.01, 0.5, 1.0, 30.0]),
    noise=st.floats(0.25, 2_000),
    data=st.data(),
)
def test_removing_a_record_moves_the_sum_by_at_most_the_clipping_norm(rows, k, clip, noise, data) -> None:
    coefficients = data.draw(hnp.arrays(np.float64, (len(rows), k), elements=FLOATS))
    rows, leaver = on_grid(rows), data.draw(st.integers(0, len(rows) - 1))
    stay = np.arange(len(rows)) != leaver
    with_all = exact_sum(rows, coefficients, clip_norm=clip, noise_multiplier=noise)
    without = exact_sum(rows[stay], coefficients[stay], clip_norm=clip, noise_multiplier=noise)
    moved = [int(n) for n in (with_all - without).ravel()]
    squared = sum(n * n for n in moved)  # exact, in Python's whole numbers
    assert squared * noise * noise <= float(2 ** (2 * SCALE_BITS))


@settings(deadline=None)
@given(rows=ROWS, data=st.data())
def test_a_contribution_depends_on_no_other_record(rows, data) -> None:
    coefficients = data.draw(hnp.arrays(np.float64, (len(rows), 2), elements=st.floats(-3, 3)))
    rows = on_grid(rows)
    together = exact_sum(rows, coefficients, clip_norm=0.5, noise_multiplier=3.0)
    alone = [
        exact_sum(rows[i : i + 1], coefficients[i : i + 1], clip_norm=0.5, noise_multiplier=3.0)
        for i in range(len(rows))
    ]
    assert np.array_equal(together, sum(alone))


def test_a_record_below_the_norm_is_summed_as_it_is() -> None:
    rows, coefficients = on_grid(np.array([[0.25, -0.5], [1.0, 0.125]])), np.array([[0.1], [-0.2]])
    total = exact_sum(rows, coefficients, clip_norm=1.0, noise_multiplier=2.0) * 2.0 / 2**SCALE_BITS
    assert total == pytest.approx(coefficients.T @ rows, abs=1e-5)


def test_a_record_above_the_norm_keeps_its_direction() -> None:
    rows, coefficients = on_grid(np.array([[3.0, 4.0]])), np.array([[7.0]])
    total = exact_sum(rows, coefficients, clip_norm=0.5, noise_multiplier=1.0) * 0.5 / 2**SCALE_BITS
    assert total[0] == pytest.approx([0.3, 0.4], abs=1e-5)


def test_many_rows_are_summed_without_rounding() -> None:
    rows, coefficients = on_grid(np.full((40_000, 1), 0.3)), np.full((40_000, 1), 1.0)
    one = exact_sum(rows[:1], coefficients[:1], clip_norm=0.5, noise_multiplier=0.25)
    assert exact_sum(rows, coefficients, clip_norm=0.5, noise_multiplier=0.25) == 40_000 * one


def test_what_is_not_finite_contributes_nothing() -> None:
    rows = on_grid(np.array([[np.nan, 1.0], [np.inf, 2.0], [1.0, 1.0]]))
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() <= 8
    total = exact_sum(rows, np.array([[np.nan], [np.inf], [-np.inf]]), clip_norm=0.5, noise_multiplier=1.0)
    assert not total.any()


def test_the_noise_has_the_standard_deviation_that_is_accounted_for() -> None:
    rows, count = np.zeros((3, 1_000)), 50
    drawn = np.concatenate(
        [noisy_sum(rows, np.ones((3, 1)), clip_norm=0.5, noise_multiplier=4.0)[0] for _ in range(count)]
    )
    statistic = float(((drawn / 2.0) ** 2).sum())
    assert 1e-7 < stats.chi2.cdf(statistic, drawn.size) < 1 - 1e-7


@pytest.mark.parametrize("noise", [0.0, 0.2, -1.0, float("nan")])
def test_noise_too_small_to_be_exact_is_refused(noise: float) -> None:
    with pytest.raises(UsageError, match="noise multiplier"):
        noisy_sum(np.ones((2, 2)), np.ones((2, 1)), clip_norm=1.0, noise_multiplier=noise)


def test_weights_stay_on_the_grid_and_in_the_ball() -> None:
    weights = weights_on_grid(np.array([[1e9, -1e9, 0.1]]))
    assert np.linalg.norm(weights) <= LARGEST_WEIGHT_NORM
    assert np.array_equal(weights * 2**16, np.rint(weights * 2**16))
