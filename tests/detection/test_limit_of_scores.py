"""The limit's guarantee holds for any scores, and its bound on this very limit as often as it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from holdfast.detection import Bet, Limit, conformal_limit
from holdfast.errors import DataError, UsageError, WireError


@given(n=st.integers(1, 400), rate=st.floats(0.001, 0.999), seed=st.integers(0, 99), levels=st.sampled_from([3, 10**9]))
def test_a_score_that_joins_exchangeably_is_flagged_at_most_at_the_rate(
    n: int, rate: float, seed: int, levels: int
) -> None:
    """Of n + 1 scores each in turn is the new one: exactly what exchangeability averages over, ties included."""
    scores = np.random.default_rng(seed).integers(0, levels, n + 1).astype(np.float64)
    if int((n + 1) * rate) < 1:
        return
    flagged = [
        conformal_limit(np.delete(scores, i), false_alarm_rate=rate).above(scores[i : i + 1])[0] for i in range(n + 1)
    ]
    assert np.mean(flagged) <= rate + 1e-12


def test_the_rate_asked_for_is_used_up_where_there_are_no_ties() -> None:
    limit = conformal_limit(np.arange(99.0), false_alarm_rate=0.05)
    assert limit.value == 94
    assert limit.exceeding == 4


def test_the_bound_on_a_limit_is_true_as_often_as_it_says() -> None:
    """Uniform scores have 1 - limit above it; the bound is exact there, so 95 % within the error of 4,000 draws."""
    rng, draws = np.random.default_rng(0), 4_000
    limits = [conformal_limit(rng.random(60), false_alarm_rate=0.1) for _ in range(draws)]
    true = np.array([1 - limit.value for limit in limits])
    held = int(np.sum(true <= [limit.rate_bound for limit in limits]))
    assert binom.ppf(0.0005, draws, 0.95) <= held <= binom.ppf(0.9995, draws, 0.95)
    # The mean rate is k / (n + 1) with the standard deviation of Beta(6, 55) over sqrt(draws).
    assert abs(true.mean() - 6 / 61) < 4 * np.sqrt(6 * 55 / 61**2 / 62 / draws)


def test_more_scores_are_asked_for_where_they_are_too_few() -> None:
    with pytest.raises(DataError, match="needs at least 99 clean scores, got 98") as caught:
        conformal_limit(np.zeros(98), false_alarm_rate=0.01)
    assert "more clean inputs" in caught.value.hint
    assert conformal_limit(np.zeros(99), false_alarm_rate=0.01).exceeding == 0


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        conformal_limit(np.zeros(9), false_alarm_rate=rate)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        conformal_limit(np.array([0.0, np.nan]), false_alarm_rate=0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"value": "1"},
        {"value": float("inf")},
        {"scores": 5.0},
        {"exceeding": 99},
        {"exceeding": -1},
        {"false_alarm_rate": 1},
        {"more": 1},
        {"scores": True},
    ],
    ids=str,
)
def test_a_malformed_limit_is_refused(change: dict[str, object]) -> None:
    document = conformal_limit(np.arange(99.0), false_alarm_rate=0.05).to_json()
    assert Limit.from_json(json.loads(json.dumps(document))).to_json() == document
    with pytest.raises(WireError, match="malformed"):
        Limit.from_json(document | change)


def test_the_wealth_of_a_bet_against_honest_chance_keeps_villes_bound() -> None:
    """3,000 honest clients, 200 rounds each, hits exactly at the rate: at most 5 % ever reach 20."""
    rng, clients, crossed = np.random.default_rng(1), 3_000, 0
    for hits in rng.random((clients, 200)) < 0.1:
        bet, highest = Bet(), 0.0
        for hit in hits:
            bet.see(hit=bool(hit), rate=0.1)
            highest = max(highest, bet.wealth)
        crossed += highest >= 20
    assert 0 < crossed <= binom.ppf(0.999, clients, 0.05)


def test_the_figure_of_a_limit_is_an_upper_bound() -> None:
    figure = conformal_limit(np.arange(99.0), false_alarm_rate=0.05).to_figure()
    assert figure.bound == "upper"
    assert figure.value > 0.05
