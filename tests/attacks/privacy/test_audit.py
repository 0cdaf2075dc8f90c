"""The audit's front: what it reports, that it seldom wrongs a true claim, and how near it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from holdfast.attacks.privacy.audit import (
    ANY_MECHANISM,
    INTERFERING_CANARIES,
    SEPARATE_CANARIES,
    AuditMethod,
    audit,
)
from holdfast.attacks.privacy.audit_curves import gaussian, gaussian_mu
from holdfast.attacks.privacy.canaries import toss
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence

METHODS = (ANY_MECHANISM, INTERFERING_CANARIES, SEPARATE_CANARIES)
DELTA = 1e-5
SUBJECT = "sha256:" + "0" * 64
BY_NAME = {"ids": lambda method: method.name if isinstance(method, AuditMethod) else None}


def gaussian_run(
    epsilon: float, canaries: int, rng: np.random.Generator, *, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and coins of a Gaussian mechanism of this epsilon, with Dirac canaries; `noise` below 1 is a bug."""
    included = toss(canaries, rng=rng)
    mu = gaussian_mu(epsilon, DELTA)
    return included + rng.normal(0, noise / mu, canaries), included


@pytest.mark.parametrize("method", METHODS, **BY_NAME)
@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_a_true_claim_is_wronged_in_at_most_5_of_100_runs(method: AuditMethod, epsilon: float) -> None:
    rng, runs = np.random.default_rng(5), 200
    results = [
        audit(*gaussian_run(epsilon, 200, rng), claim=gaussian(epsilon, DELTA), method=method) for _ in range(runs)
    ]
    wronged = sum(result.epsilon_lower > epsilon for result in results)
    assert wronged == sum(result.contradicts for result in results)
    assert wronged <= stats.binom.ppf(0.999, runs, 0.05)


@pytest.mark.parametrize(("epsilon", "share"), [(2.0, 0.65), (3.0, 0.7), (4.0, 0.75), (8.0, 0.8)])
def test_a_thousand_separate_canaries_come_near_the_truth(epsilon: float, share: float) -> None:
    rng = np.random.default_rng(6)
    found = [audit(*gaussian_run(epsilon, 1000, rng), claim=gaussian(epsilon, DELTA)).epsilon_lower for _ in range(15)]
    assert share * epsilon < np.median(found) < epsilon


def test_sharper_assumptions_show_more() -> None:
    rng = np.random.default_rng(7)
    scores, included = gaussian_run(4.0, 1000, rng)
    lower = [audit(scores, included, claim=gaussian(4.0, DELTA), method=m).epsilon_lower for m in METHODS]
    assert 0 < lower[0] < lower[1] < lower[2] < 4.0


@pytest.mark.parametrize("method", METHODS, **BY_NAME)
@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_missing_noise_is_a_contradiction(method: AuditMethod, noise: float) -> None:
    scores, included = gaussian_run(3.0, 1000, np.random.default_rng(8), noise=noise)
    result = audit(scores, included, claim=gaussian(3.0, DELTA), method=method)
    assert result.contradicts
    assert result.epsilon_lower > 3.0
    assert "contradicts the claim of epsilon at most 3:" in result.title


def test_half_the_noise_is_a_contradiction() -> None:
    scores, included = gaussian_run(3.0, 1000, np.random.default_rng(9), noise=0.5)
    assert audit(scores, included, claim=gaussian(3.0, DELTA)).contradicts


def test_the_evidence_says_no_more_than_was_measured() -> None:
    scores, included = gaussian_run(3.0, 1000, np.random.default_rng(10))
    result = audit(scores, included, claim=gaussian(3.0, DELTA))
    evidence = result.to_evidence(SUBJECT)
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert evidence.kind == "privacy-audit"
    assert evidence.title.startswith("The audit found no contradiction to the claim of epsilon at most 3: it shows")
    shown = float(evidence.title.rsplit(" ", 1)[1])
    assert shown <= result.epsilon_lower < shown + 0.01
    assert evidence.figures["epsilon_claimed"].bound == "upper"
    assert evidence.figures["epsilon_lower"].bound == "lower"
    assert evidence.figures["right_guesses"].value == result.guesses.correct / result.guesses.made
    assert "no proof" in " ".join(evidence.caveats)
    assert SEPARATE_CANARIES.assumption in evidence.caveats


def test_only_the_order_of_the_scores_counts() -> None:
    scores, included = gaussian_run(3.0, 500, np.random.default_rng(11))
    claim = gaussian(3.0, DELTA)
    assert audit(np.exp(scores), included, claim=claim).guesses == audit(scores, included, claim=claim).guesses


def test_scores_that_say_nothing_find_nothing_even_where_canaries_are_listed_by_their_coins() -> None:
    included = np.arange(400) < 200
    result = audit(np.zeros(400), included, claim=gaussian(1.0, DELTA))
    assert result.epsilon_lower == 0
    assert not result.contradicts


def test_infinite_scores_are_scores() -> None:
    included = toss(100, rng=np.random.default_rng(12))
    result = audit(np.where(included, np.inf, -np.inf), included, claim=gaussian(1.0, DELTA), guesses=40)
    assert result.guesses.correct == 40


def test_scores_that_are_no_numbers_are_refused() -> None:
    included = toss(10, rng=np.random.default_rng(1))
    scores = np.where(np.arange(10) == 3, np.nan, 0.0)
    with pytest.raises(DataError, match="NaN for canary 3"):
        audit(scores, included, claim=gaussian(1.0, DELTA))


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_coins_that_were_not_tossed_are_refused(share: float) -> None:
    included = np.arange(200) < 200 * share
    with pytest.raises(DataError, match="fair coins"):
        audit(np.zeros(200), included, claim=gaussian(1.0, DELTA))


@pytest.mark.parametrize(
    ("scores", "included"),
    [(np.zeros(3), np.ones(2, bool)), (np.zeros((2, 2)), np.ones((2, 2), bool)), (np.zeros(2), np.ones(2))],
)
def test_a_score_for_each_coin_is_needed(scores: np.ndarray, included: np.ndarray) -> None:
    with pytest.raises(DataError, match="a score and a coin"):
        audit(scores, included, claim=gaussian(1.0, DELTA))


def test_an_audit_without_canaries_or_guesses_is_refused() -> None:
    claim = gaussian(1.0, DELTA)
    with pytest.raises(UsageError, match="at least one canary"):
        audit(np.zeros(0), np.zeros(0, bool), claim=claim)
    with pytest.raises(UsageError, match="1 to 2 guesses"):
        audit(np.zeros(2), np.array([True, False]), claim=claim, guesses=0)
    with pytest.raises(UsageError, match="at least one canary"):
        toss(0, rng=np.random.default_rng(0))


@pytest.mark.parametrize("confidence", [0.0, 1.0, np.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence above 0 and below 1"):
        audit(np.zeros(2), np.array([True, False]), claim=gaussian(1.0, DELTA), confidence=confidence)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"claim": 3}, "claim to be a Claim, got 3"),
        ({"method": "nope"}, "method to be an AuditMethod, got 'nope'"),
        ({"scores": [0.0, 1.0]}, "scores to be an ndarray"),
        ({"included": [True, False]}, "included to be an ndarray"),
        ({"guesses": 1.5}, "whole number of guesses, got 1.5"),
        ({"confidence": "0.9"}, "confidence above 0 and below 1, got '0.9'"),
    ],
)
def test_an_argument_of_another_kind_is_refused_in_a_sentence(given: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"scores": np.zeros(2), "included": np.array([True, False]), "claim": gaussian(1.0, DELTA)}
    arguments = right | given
    with pytest.raises(UsageError, match=message):
        audit(arguments.pop("scores"), arguments.pop("included"), **arguments)
