"""True claims and scores made to wrong them: ties, and a mechanism that spends all of its claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from holdfast.attacks.privacy.audit import (
    ANY_MECHANISM,
    INTERFERING_CANARIES,
    SEPARATE_CANARIES,
    AuditMethod,
    audit,
)
from holdfast.attacks.privacy.audit_curves import approximate
from holdfast.attacks.privacy.canaries import toss

METHODS = (ANY_MECHANISM, INTERFERING_CANARIES, SEPARATE_CANARIES)
RUNS, ERROR = 80, 0.05
MOST = int(binom.isf(1e-6, RUNS, ERROR))
"""Contradictions of a true claim; more come up once in a million times."""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("guesses", [1, 30, 200])
@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_randomised_response_is_not_wronged(method: AuditMethod, guesses: int, epsilon: float) -> None:
    """Each coin is told rightly with e^epsilon / (1 + e^epsilon): all that the claim allows, with two scores only."""
    wronged, above = 0, 0
    claim = approximate(epsilon, 1e-9)
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        included = toss(200, rng=rng)
        told = np.where(rng.random(200) < 1 / (1 + np.exp(epsilon)), ~included, included)
        result = audit(told.astype(float), included, claim=claim, method=method, guesses=guesses)
        wronged += result.contradicts
        above += method is ANY_MECHANISM and result.epsilon_lower > epsilon
    assert wronged <= MOST
    assert above <= MOST


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_equal_scores_tell_nothing_whatever_the_coins_were_drawn_with(method: AuditMethod) -> None:
    """Also where they come from the very generator that orders equal scores."""
    claim = approximate(0.0, 1e-9)
    counts = range(50, 50 + 5 * RUNS, 5)
    wronged = [
        audit(np.zeros(m), toss(m, rng=np.random.default_rng(0)), claim=claim, method=method).contradicts
        for m in counts
    ]
    assert sum(wronged) <= MOST
