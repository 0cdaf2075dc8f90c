"""Reading right guesses: against brute force, against the worst mechanism there is, and against bad counts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linprog
from scipy.special import ndtr, ndtri

from holdfast.attacks.privacy.audit_curves import (
    Claim,
    accuracy_of_surest,
    approximate,
    gaussian,
    gaussian_mu,
    profile,
)
from holdfast.attacks.privacy.one_run import (
    Guesses,
    by_curve,
    by_definition,
    by_separate_canaries,
    definition_p_value,
    epsilon_at_least,
)
from holdfast.errors import UsageError

READINGS = (by_definition, by_curve, by_separate_canaries)
DELTA = 1e-5

counts = st.integers(1, 60).flatmap(
    lambda m: st.integers(1, m).flatmap(lambda k: st.tuples(st.just(m), st.just(k), st.integers(0, k)))
)


def guesses(m: int, k: int, v: int) -> Guesses:
    return Guesses(canaries=m, made=k, correct=v)


def p_value_in_fractions(m: int, k: int, v: int, *, odds: Fraction, delta: Fraction) -> Fraction:
    """Theorem 5.2 of Steinke, Nasr and Jagielski, sum by sum in exact numbers; `odds` is e^epsilon."""
    q = odds / (1 + odds)

    def at_least(least: int) -> Fraction:
        return sum((math.comb(k, i) * q**i * (1 - q) ** (k - i) for i in range(max(least, 0), k + 1)), Fraction(0))

    slack = max(((at_least(v - i) - at_least(v)) / i for i in range(1, m + 1)), default=Fraction(0))
    return min(Fraction(1), at_least(v) + 2 * m * delta * slack)


@given(counts, st.integers(1, 50), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_theorem_is_computed_as_it_stands(count: tuple[int, int, int], odds: int, delta: int) -> None:
    exact = p_value_in_fractions(*count, odds=Fraction(odds), delta=Fraction(delta, 10**5))
    ours = definition_p_value(guesses(*count), epsilon=math.log(odds), delta=delta / 10**5)
    assert ours == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def worst_probability(m: int, k: int, v: int, claim: Claim) -> float:
    """The largest chance of v right guesses that a linear programme finds under the constraints of `by_curve`.

    Each constraint wrong >= curve(right) is convex; 400 tangents of the curve make it linear, and leave so little more
    room that the two agree to 2 %.
    """
    rates = np.linspace(0, 1, 400)
    slopes = [(claim.curve(r + 1e-7) - claim.curve(r)) / 1e-7 for r in rates[:-1]]
    A, b = [], []
    for c in range(1, k + 1):
        right = np.array([i / m if i >= c else 0 for i in range(k + 1)])
        wrong = np.array([(k - i) / m if i >= c - 1 else 0 for i in range(k + 1)])
        for rate, slope in zip(rates, slopes, strict=False):
            A.append(slope * right - wrong)
            b.append(slope * rate - claim.curve(rate))
    reached = np.arange(k + 1) >= v
    found = linprog(-reached.astype(float), A_ub=A, b_ub=b, A_eq=np.ones((1, k + 1)), b_eq=[1], bounds=(0, 1))
    return float(-found.fun)


@pytest.mark.parametrize("claim", [gaussian(1.0, DELTA), gaussian(4.0, DELTA), approximate(1.0, 0.01)])
@pytest.mark.parametrize(("m", "k", "v"), [(6, 6, 6), (8, 5, 5), (8, 8, 7), (12, 6, 5)])
def test_the_recursion_finds_the_worst_distribution(claim: Claim, m: int, k: int, v: int) -> None:
    worst = worst_probability(m, k, v, claim)
    assert not by_curve(guesses(m, k, v), claim, worst * 0.98)  # it could have happened that often
    assert by_curve(guesses(m, k, v), claim, min(worst * 1.02 + 1e-6, 1.0))


def leak(m: int, *, epsilon: float, delta: float) -> np.ndarray:
    """(m + 1,) the distribution of right guesses where each coin is told by randomised response, or all with delta."""
    response = stats.binom.pmf(np.arange(m + 1), m, 1 / (1 + math.exp(-epsilon)))
    return (1 - delta) * response + delta * (np.arange(m + 1) == m)


@given(st.integers(2, 40), st.floats(0.05, 4), st.floats(1e-4, 0.05), st.sampled_from([by_definition, by_curve]))
@settings(max_examples=40, deadline=None)
def test_a_training_that_sometimes_tells_everything_is_not_wronged(
    m: int, epsilon: float, delta: float, reading: object
) -> None:
    distribution = leak(m, epsilon=epsilon, delta=delta)
    claim, error = approximate(epsilon, delta), 0.05
    rejected = [v for v in range(m + 1) if reading(guesses(m, m, v), claim, error)]
    assert distribution[rejected].sum() <= error


def test_the_reading_for_separate_canaries_would_wrong_such_a_training() -> None:
    """That is what its assumption is for: here all canaries are told together."""
    m, epsilon, delta = 200, 0.1, 0.06
    claim = approximate(epsilon, delta)
    rejected = [v for v in range(m + 1) if by_separate_canaries(guesses(m, m, v), claim, 0.05)]
    assert leak(m, epsilon=epsilon, delta=delta)[rejected].sum() > 0.05


def test_separate_canaries_of_a_gaussian_mechanism_are_wronged_no_more_than_allowed() -> None:
    claim, m = gaussian(2.0, DELTA), 300
    share = ndtr(gaussian_mu(2.0, DELTA) / 2)
    rejected = [v for v in range(m + 1) if by_separate_canaries(guesses(m, m, v), claim, 0.05)]
    assert 0.02 < stats.binom.pmf(rejected, m, share).sum() <= 0.05  # discrete, so a little below


@pytest.mark.parametrize("made", [30, 120, 200])
@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_the_surest_guesses_of_a_gaussian_mechanism_are_no_more_right_than_allowed(epsilon: float, made: int) -> None:
    """The attacker that the curve allows at best: it sees all scores, and guesses those farthest from the middle."""
    rng, m, runs = np.random.default_rng(made), 300, 400
    mu, claim = gaussian_mu(epsilon, DELTA), gaussian(epsilon, DELTA)
    right = []
    for _ in range(runs):
        coins = rng.random(m) < 0.5
        evidence = mu * (coins - 0.5) + rng.standard_normal(m)
        surest = np.argsort(-np.abs(evidence))[:made]
        right.append(int(((evidence > 0) == coins)[surest].sum()))
    refuted = {v: by_separate_canaries(guesses(m, made, v), claim, 0.05) for v in set(right)}
    wronged = sum(refuted[v] for v in right)
    assert wronged <= stats.binom.ppf(0.999, runs, 0.05)
    assert wronged > 0 or min(right) == made  # where not all are always right, the bound is not far above


@given(st.floats(0.1, 6), st.floats(0.05, 1.0))
@settings(max_examples=30, deadline=None)
def test_accuracy_of_the_surest_is_that_of_the_two_tails_of_a_gaussian(epsilon: float, share: float) -> None:
    mu = gaussian_mu(epsilon, DELTA)
    (ours,) = accuracy_of_surest(gaussian(epsilon, DELTA).curve, np.array([share]))
    cuts = np.linspace(0, 12, 200_001)  # |evidence| above a cut: right and wrong guesses
    right, wrong = ndtr(mu / 2 - cuts), ndtr(-mu / 2 - cuts)
    place = np.searchsorted(-(right + wrong), -share)
    assert ours == pytest.approx(right[place] / (right[place] + wrong[place]), abs=1e-3)


@given(counts, st.sampled_from(READINGS), st.floats(0.1, 5), st.floats(0.001, 0.3))
@settings(max_examples=60, deadline=None)
def test_more_right_guesses_and_stronger_claims_contradict_more(
    count: tuple[int, int, int], reading: object, epsilon: float, error: float
) -> None:
    m, k, v = count
    if reading(guesses(m, k, v), gaussian(epsilon, DELTA), error):
        assert reading(guesses(m, k, v), gaussian(epsilon * 0.9, DELTA), error)
        assert reading(guesses(m, k, v), gaussian(epsilon, DELTA), min(2 * error, 1.0))
        assert v == k or reading(guesses(m, k, v + 1), gaussian(epsilon, DELTA), error)


@pytest.mark.parametrize("reading", READINGS)
def test_perfect_guesses_give_a_finite_bound_and_chance_gives_none(reading: object) -> None:
    for_any = {"claim_at": lambda epsilon: gaussian(epsilon, DELTA), "error": 0.05}
    perfect = epsilon_at_least(guesses(1000, 1000, 1000), reading, **for_any)
    assert 2 < perfect < 100
    assert epsilon_at_least(guesses(1000, 1000, 500), reading, **for_any) == 0
    assert epsilon_at_least(guesses(1000, 10, 0), reading, **for_any) == 0


def test_the_definition_with_delta_0_is_the_binomial_test() -> None:
    """Steinke, Nasr and Jagielski, theorem 5.1; no delta, so no slack."""
    ours = definition_p_value(guesses(100, 80, 70), epsilon=1.0, delta=0.0)
    assert ours == pytest.approx(stats.binom.sf(69, 80, 1 / (1 + math.exp(-1))), rel=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 100.0, 1e6])
@pytest.mark.parametrize("delta", [1e-15, 0.5, 1 - 1e-9])
def test_every_claim_that_is_accepted_can_be_audited(epsilon: float, delta: float) -> None:
    for family in (gaussian, approximate):
        for reading in READINGS:
            assert isinstance(reading(guesses(50, 20, 15), family(epsilon, delta), 0.05), bool)


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0, 3.0, 8.0, 50.0])
def test_mu_is_the_gaussian_mechanism_of_that_epsilon(epsilon: float) -> None:
    mu = gaussian_mu(epsilon, DELTA)
    log_delta = stats.norm.logcdf(mu / 2 - epsilon / mu)
    rest = epsilon + stats.norm.logcdf(-mu / 2 - epsilon / mu)
    assert math.exp(log_delta) - math.exp(rest) == pytest.approx(DELTA, rel=1e-8)


@given(st.floats(0.05, 8))
@settings(max_examples=30, deadline=None)
def test_a_gaussian_curve_and_its_profile_are_one(epsilon: float) -> None:
    mu = gaussian_mu(epsilon, DELTA)
    epsilons = np.linspace(-30, 30, 6001)
    deltas = ndtr(mu / 2 - epsilons / mu) - np.exp(epsilons) * ndtr(-mu / 2 - epsilons / mu)
    lines = profile(epsilons, np.clip(deltas, 0, 1), epsilon=epsilon, delta=DELTA)
    for rate in (0.1, 0.5, 0.9, 0.99):
        smooth = gaussian(epsilon, DELTA).curve(rate)
        assert lines.curve(rate) <= smooth + 1e-9  # lines lie below, and near with so many
        assert lines.curve(rate) == pytest.approx(smooth, abs=1e-4)


@given(st.floats(0.01, 6), st.sampled_from([gaussian, approximate]))
@settings(max_examples=30, deadline=None)
def test_curves_are_symmetric_and_best_accuracy_is_where_errors_are_equal(epsilon: float, family: object) -> None:
    claim = family(epsilon, 1e-3)
    for rate in (0.3, 0.6, 0.95):
        false = claim.curve(rate)
        if false > 0:
            assert claim.curve(1 - false) == pytest.approx(1 - rate, abs=1e-9)
    best = float(accuracy_of_surest(claim.curve, np.ones(1))[0])
    rates = np.linspace(0, 1, 2001)
    searched = max((rate + 1 - claim.curve(rate)) / 2 for rate in rates)
    assert searched <= best + 1e-12
    assert best == pytest.approx(searched, abs=1e-3)
    if family is gaussian:
        assert best == pytest.approx(ndtr(gaussian_mu(epsilon, 1e-3) / 2), abs=2e-9)  # to 30 halvings


@pytest.mark.parametrize(
    ("m", "k", "v", "sentence"),
    [
        (0, 0, 0, "at least one canary"),
        (5, 0, 0, "1 to 5 guesses"),
        (5, 6, 2, "1 to 5 guesses"),
        (5, 4, 5, "0 to 4 right"),
        (5, 4, -1, "0 to 4 right"),
    ],
)
def test_counts_that_do_not_fit_are_refused(m: int, k: int, v: int, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        guesses(m, k, v)


@pytest.mark.parametrize("epsilon", [math.inf, math.nan, -1.0, 2e6])
def test_an_epsilon_that_claims_nothing_is_refused(epsilon: float) -> None:
    for family in (gaussian, approximate):
        with pytest.raises(UsageError, match="claimed epsilon from 0 to 1,000,000"):
            family(epsilon, DELTA)


@pytest.mark.parametrize("delta", [0.0, 1.0, math.nan])
def test_a_delta_that_claims_nothing_is_refused(delta: float) -> None:
    for family in (gaussian, approximate):
        with pytest.raises(UsageError, match="claimed delta above 0 and below 1"):
            family(1.0, delta)


@pytest.mark.parametrize(
    ("epsilons", "deltas"), [([1.0], [0.1, 0.2]), ([], []), ([math.inf], [0.1]), ([1.0], [1.5]), ([1.0], [math.nan])]
)
def test_a_profile_that_is_none_is_refused(epsilons: list[float], deltas: list[float]) -> None:
    with pytest.raises(UsageError, match="deltas"):
        profile(np.array(epsilons), np.array(deltas), epsilon=1.0, delta=DELTA)


def test_the_gaussian_curve_is_that_of_the_paper() -> None:
    """Dong, Roth and Su 2022, equation (6): G_mu(alpha) = Phi(Phi^-1(1 - alpha) - mu)."""
    mu = gaussian_mu(3.0, DELTA)
    for alpha in (0.01, 0.2, 0.7):
        false_negative = ndtr(ndtri(1 - alpha) - mu)
        assert gaussian(3.0, DELTA).curve(1 - false_negative) == pytest.approx(alpha, rel=1e-9)
