"""Exact intervals of shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from holdfast.errors import UsageError
from holdfast.intervals import clopper_pearson, proportion

counts = st.integers(1, 3_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_is_the_one_of_the_beta_quantiles(count: tuple[int, int], confidence: float) -> None:
    successes, trials = count
    low, high = clopper_pearson(successes, trials, confidence=confidence)
    tail = (1 - confidence) / 2
    assert low == pytest.approx(beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0, rel=1e-9)
    assert high == pytest.approx(
        beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0, rel=1e-9
    )


@pytest.mark.parametrize("truth", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("trials", [5, 40, 200])
def test_the_interval_holds_the_truth_as_often_as_it_says(truth: float, trials: int) -> None:
    covered = sum(
        binom.pmf(successes, trials, truth)
        for successes in range(trials + 1)
        if (ends := clopper_pearson(successes, trials))[0] <= truth <= ends[1]
    )
    assert covered >= 0.95


def test_no_error_in_a_finite_test_is_not_certainty() -> None:
    figure = proportion(569, 569)
    assert figure.value == 1.0
    assert figure.low is not None
    assert figure.low < 0.995


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (2, 1), (-1, 5)])
def test_a_share_of_nothing_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(UsageError, match="at least one trial"):
        proportion(successes, trials)
