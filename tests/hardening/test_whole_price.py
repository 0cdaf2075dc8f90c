"""Where one class is attacked, hardening says so, and its price is that of all test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.attacks.attack_cases import numbers_schema
from tests.every_result import evaded

from holdfast.attacks import FeasibleChange
from holdfast.data import Dataset, Matrix
from holdfast.drawing.hardening_words import cards
from holdfast.errors import UsageError
from holdfast.evidence import NO_MODEL
from holdfast.hardening import HardeningResult, harden, harden_with_examples
from holdfast.hardening.result import compare
from holdfast.models import LinearModel, Model
from holdfast.policy import Policy, judge

THREAT = FeasibleChange(budget=0.1)
RNG = np.random.default_rng(0)
X = RNG.uniform(0, 10, (200, 4))
DATA = Dataset(numbers_schema(), X, (X[:, 0] > 5).astype(np.int64))
HIGH = DATA.schema.classes[1]


def above(threshold: float) -> LinearModel:
    """Says the second class where the first number is above a threshold, on the encoding's scale of -1 to 1."""
    return LinearModel(DATA.schema, np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([1 - threshold / 5]))


def leaning(data: Dataset, *, evasion_radius: Matrix, seed: int) -> Model:
    """Robust for the attacked class, at the price of the other."""
    return above(3.0)


def hardened(source_class: str | None = HIGH) -> HardeningResult[Model]:
    rng = np.random.default_rng(0)
    return harden(above(5.0), DATA, DATA, trainer=leaning, threat=THREAT, rng=rng, source_class=source_class)


def test_the_price_is_that_of_all_rows_and_robust_accuracy_that_of_the_class() -> None:
    result, paid = hardened(), float(((X[:, 0] > 3) & (X[:, 0] < 5)).mean())
    assert result.cost.value == pytest.approx(paid)
    assert paid > 0.1
    assert result.cost.low is not None
    assert result.cost.low > 0
    assert (result.accuracy_before.value, result.accuracy_after.value) == (1.0, pytest.approx(1 - paid))
    figures = result.to_evidence(NO_MODEL).figures
    assert figures["attacked_accuracy_after"].value == result.after.accuracy.value == 1
    assert figures["accuracy_after"].value == pytest.approx(1 - paid)
    assert figures["rows"].value == int(DATA.y.sum())
    assert result.cost == hardened(source_class=None).cost


def test_title_context_caveat_and_cards_name_the_class() -> None:
    evidence = hardened().to_evidence(NO_MODEL)
    assert f"robust accuracy of rows of class {HIGH!r} by +" in evidence.title
    assert "clean accuracy of all rows by -" in evidence.title
    assert evidence.context["source_class"] == HIGH
    assert any(f"Only rows of class {HIGH!r} were attacked" in caveat for caveat in evidence.caveats)
    told = {card.name: card.notes for card in cards(evidence)}
    assert f"of rows of class {HIGH!r}" in told["Right under attack, hardened"]
    assert "of all test rows" in told["Paid without an attack"]
    assert "of class" not in hardened(source_class=None).to_evidence(NO_MODEL).title


def test_retraining_with_examples_counts_all_rows_as_well() -> None:
    def trainer(data: Dataset, *, seed: int) -> Model:
        return above(3.0)

    rng = np.random.default_rng(0)
    result = harden_with_examples(
        above(5.0), DATA, DATA, trainer=trainer, threat=THREAT, rng=rng, rounds=1, source_class=HIGH
    )
    assert result.cost == hardened().cost


def test_a_model_that_says_one_thing_is_no_improvement_however_robust() -> None:
    def constant(data: Dataset, *, evasion_radius: Matrix, seed: int) -> Model:
        return above(-1.0)

    rng = np.random.default_rng(0)
    result = harden(above(5.0), DATA, DATA, trainer=constant, threat=THREAT, rng=rng, source_class=HIGH)
    assert result.gain.low is not None
    assert result.gain.low > 0
    assert not result.improved
    evidence = result.to_evidence(NO_MODEL)
    assert any("nothing was measured in earnest" in caveat for caveat in evidence.caveats)
    assert "the model gives every row the same answer (after hardening)" in str(result)
    assert not judge(Policy(limits={}, require=("hardening",)), [evidence], model_digest=NO_MODEL).met


def test_one_class_beside_nothing_said_of_the_others_is_refused() -> None:
    one: Any = hardened()
    with pytest.raises(UsageError, match="expected right=, of all test rows"):
        compare(one.model, method="m", before=one.before, after=one.after, details={})
    compare(object(), method="m", before=evaded(), after=evaded(), details={})
