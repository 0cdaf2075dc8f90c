"""A plan keeps its precision, cannot overflow, tells what it leaks, and is read strictly."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.private_inference.private_pair import random_plan

from holdfast.errors import DataError, IntegrityError, UnsupportedError, UsageError, WireError
from holdfast.private_inference import LinearPlan, PublicPlan, SecretWeights, compile_linear
from holdfast.private_inference.plan import largest_score
from holdfast.private_inference.public_plan import MAX_SCORE

PLAN = random_plan(4, 3)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), m=st.integers(1, 12), k=st.sampled_from([1, 3, 5]), exponent=st.integers(-30, 12))
def test_scores_are_within_the_stated_error(data: st.DataObject, m: int, k: int, exponent: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    coef, intercept = rng.normal(size=(k, m)) * 2.0**exponent, rng.normal(size=k) * 2.0**exponent
    plan = compile_linear(coef, intercept, classes=[str(i) for i in range(max(2, k))])
    corners, inside = rng.choice([-1.0, 1.0], size=(20, m)), rng.uniform(-1, 1, (40, m))
    E = np.concatenate([corners, inside])
    error = np.abs(plan.public.decode(plan.clear_scores(E)) - (E @ coef.T + intercept)).max()
    assert error <= 2.0**-plan.public.error_bits
    if np.abs(coef).sum(axis=1).max() + np.abs(intercept).max() <= 2**7:
        assert plan.public.error_bits == 20


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), m=st.integers(1, 40), exponent=st.integers(-5, 11))
def test_no_row_can_overflow(seed: int, m: int, exponent: int) -> None:
    coef = np.random.default_rng(seed).normal(size=(1, m)) * 2.0**exponent
    plan = compile_linear(coef, np.array([2.0**exponent]), classes=["no", "yes"])
    worst = np.sign(coef) + (coef == 0)
    exact = sum(abs(w) << plan.public.feature_bits for w in plan.secret.weights[0].tolist())
    exact += int(plan.secret.intercept[0])
    assert plan.clear_scores(worst)[0, 0] == exact <= largest_score(plan.secret, feature_bits=plan.public.feature_bits)
    assert largest_score(plan.secret, feature_bits=plan.public.feature_bits) <= MAX_SCORE


def test_huge_weights_are_refused_with_a_way_round() -> None:
    with pytest.raises(UnsupportedError, match="too large for exact private scores") as caught:
        compile_linear(np.full((1, 30), 1e8), np.zeros(1), classes=["no", "yes"])
    assert "common factor" in caught.value.hint
    with pytest.raises(UnsupportedError):
        compile_linear(np.zeros((1, 1)), np.array([1e30]), classes=["no", "yes"])


def test_a_model_that_is_too_wide_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="at most 8192 encoded features, and fewer for many classes, got 8193"):
        compile_linear(np.zeros((1, 8193)), np.zeros(1), classes=["no", "yes"])


def test_a_model_with_too_many_wide_scores_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="got 8192 features and 100 classes"):
        compile_linear(np.zeros((100, 8192)), np.zeros(100), classes=[str(i) for i in range(100)])


@pytest.mark.parametrize(
    ("coef", "intercept", "classes"),
    [
        (np.zeros((2, 3)), np.zeros(2), ["a", "b"]),
        (np.zeros((1, 3)), np.zeros(1), ["a", "b", "c"]),
        (np.zeros(3), np.zeros(1), ["a", "b"]),
        (np.zeros((1, 0)), np.zeros(1), ["a", "b"]),
        (np.zeros((1, 3)), np.zeros(2), ["a", "b"]),
        (np.array([[np.nan, 0.0]]), np.zeros(1), ["a", "b"]),
        (np.zeros((1, 2)), np.array([np.inf]), ["a", "b"]),
        (np.zeros((1, 2)), np.zeros(1), ["a", "a"]),
        (np.zeros((1, 2)), np.zeros(1), ["a"]),
        (np.zeros((1, 2)), np.zeros(1), ["a", "b" * 201]),
        (np.zeros((1, 2)), np.zeros(1), ["a", ""]),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(coef: np.ndarray, intercept: np.ndarray, classes: list[str]) -> None:
    with pytest.raises(UsageError):
        compile_linear(coef, intercept, classes=classes)


@pytest.mark.parametrize(
    "rows", [np.zeros((1, 3)), np.zeros(4), [[0, 0, 0, 1.001]], [[0, 0, 0, np.nan]], [[0, 0, 0, np.inf]]], ids=repr
)
def test_rows_that_are_not_encoded_are_refused(rows: object) -> None:
    with pytest.raises(DataError, match="expected encoded"):
        PLAN.clear_scores(rows)  # type: ignore[arg-type]


def test_both_halves_survive_json() -> None:
    public = PublicPlan.from_json(json.loads(json.dumps(PLAN.public.to_json())))
    secret = SecretWeights.from_json(json.loads(json.dumps(PLAN.secret.to_json())))
    assert public == PLAN.public
    assert public.digest == PLAN.public.digest
    E = np.random.default_rng(0).uniform(-1, 1, (5, 4))
    assert (LinearPlan(public=public, secret=secret).clear_scores(E) == PLAN.clear_scores(E)).all()


def test_the_public_half_holds_no_weight() -> None:
    first, second = (compile_linear(w, np.zeros(1), classes=["a", "b"]) for w in ([[0.5, 0.25]], [[0.25, -0.5]]))
    documents = [plan.public.to_json() for plan in (first, second)]
    differing = {name for name in documents[0] if documents[0][name] != documents[1][name]}
    assert differing == {"commitment"}


def test_the_commitment_of_one_model_differs_every_time_so_that_no_guess_can_be_tested() -> None:
    first, second = (compile_linear([[0.5]], [0.0], classes=["a", "b"]) for _ in range(2))  # type: ignore[arg-type,list-item]
    assert (first.secret.weights == second.secret.weights).all()
    assert first.public.commitment != second.public.commitment


def test_weights_do_not_print_themselves() -> None:
    assert str(PLAN.secret.weights[0, 0]) not in repr(PLAN)
    assert PLAN.secret.salt.hex() not in repr(PLAN)


def test_halves_of_different_models_are_refused() -> None:
    other = random_plan(4, 3, seed=9)
    with pytest.raises(IntegrityError, match="different models"):
        LinearPlan(public=PLAN.public, secret=other.secret)
    with pytest.raises(IntegrityError, match="shape"):
        LinearPlan(public=PLAN.public, secret=random_plan(5, 3).secret)


def test_a_crafted_plan_that_would_overflow_is_refused() -> None:
    weights = np.full((3, 4), 2**60)
    secret = SecretWeights(weights=weights, intercept=np.zeros(3, dtype=np.int64), salt=bytes(32))
    with pytest.raises(UnsupportedError, match="overflow"):
        LinearPlan(public=replace(PLAN.public, commitment=secret.commitment), secret=secret)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "holdfast-private-plan-public-2"},
        {"n_features": 0},
        {"n_features": 8193},
        {"n_features": True},
        {"n_features": "3"},
        {"n_features": 3.0},
        {"feature_bits": 9},
        {"feature_bits": 51},
        {"weight_bits": 51},
        {"error_bits": 21},
        {"error_bits": None},
        {"classes": "abc"},
        {"classes": ["a"]},
        {"classes": [1, 2]},
        {"classes": [["a"], ["b"]]},
        {"commitment": "sha256:00"},
        {"commitment": 7},
        {"n_features": 8192, "classes": [str(i) for i in range(100)]},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_malformed_public_half_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WireError):
        PublicPlan.from_json(PLAN.public.to_json() | change)


@pytest.mark.parametrize("missing", sorted(PLAN.public.to_json()))
def test_a_public_half_with_a_field_missing_is_refused(missing: str) -> None:
    document = PLAN.public.to_json()
    del document[missing]
    with pytest.raises(WireError):
        PublicPlan.from_json(document)


@pytest.mark.parametrize(
    "change",
    [
        {"salt": "00"},
        {"salt": "zz"},
        {"salt": 5},
        {"weights": [[1.5]]},
        {"weights": [[1], [2, 3]]},
        {"weights": []},
        {"weights": [["1"]]},
        {"weights": [[2**70]]},
        {"weights": [[True]]},
        {"intercept": [[1]]},
        {"intercept": None},
    ],
    ids=str,
)
def test_a_malformed_secret_half_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WireError):
        SecretWeights.from_json(PLAN.secret.to_json() | change)


@pytest.mark.parametrize("document", [None, [], "plan", 3])
def test_something_else_is_no_plan(document: object) -> None:
    with pytest.raises(WireError, match="expected a plan"):
        PublicPlan.from_json(document)
    with pytest.raises(WireError, match="expected a plan"):
        SecretWeights.from_json(document)


def test_the_statements_carry_the_figures() -> None:
    assert "N = 8192, log2 Q = 186.0 (at most 214" in PLAN.public.security
    assert f"2^-{PLAN.public.flooding_bits}" in PLAN.public.security
    assert PLAN.public.flooding_bits >= 40
    assert "n_features + 1 rows" in PLAN.public.leakage
    assert "3 exact linear score(s) to 2^-20" in PLAN.public.leakage


def test_a_plan_whose_answers_cannot_be_flooded_well_enough_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = PLAN.public.flooding_bits
    monkeypatch.setattr("holdfast.private_inference.public_plan.MIN_FLOODING_BITS", bits)
    replace(PLAN.public)
    monkeypatch.setattr("holdfast.private_inference.public_plan.MIN_FLOODING_BITS", bits + 1)
    with pytest.raises(UsageError, match=f"flooding of {bits + 1} bits, got {bits}"):
        replace(PLAN.public)


def test_a_model_is_solved_from_as_many_rows_as_the_leakage_statement_says() -> None:
    E = np.concatenate([np.zeros((1, 4)), np.eye(4)])
    scores = PLAN.clear_scores(E)
    recovered = (scores[1:] - scores[0]).T >> PLAN.public.feature_bits
    assert (recovered == PLAN.secret.weights).all()
    assert (scores[0] == PLAN.secret.intercept).all()
