"""A figure that was not measured in earnest passes no gate; one that is a bound all the same does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.attack_cases import BlackBox, numbers_schema
from tests.every_result import evaded

from holdfast.attacks import EvasionResult, FeasibleChange, evasion
from holdfast.data import Dataset
from holdfast.errors import PolicyError
from holdfast.evidence import NO_MODEL
from holdfast.models import LinearModel, Model, OnnxModel, fit_estimator
from holdfast.policy import Policy, judge
from holdfast.sarif import sarif_log

SAME = "the model gives every row the same answer"
THREAT = FeasibleChange(budget=0.05)


def apart() -> Dataset:
    """Rows whose first number says their class; one in four is of the class "b"."""
    rng = np.random.default_rng(0)
    y = (np.arange(80) % 4 == 0).astype(np.int64)
    X = rng.uniform(0, 4, (80, 4))
    X[:, 0] += 6 * y
    return Dataset(numbers_schema(), X, y)


DATA = apart()
FIRST, SECOND = DATA.schema.classes


def attacked(model: Model, source_class: str | None = None) -> EvasionResult:
    return evasion(model, DATA, threat=THREAT, rng=np.random.default_rng(0), max_queries=20, source_class=source_class)


def barely_boosted() -> LinearModel | OnnxModel:
    """Its answers differ a little, and it never says but the commoner class."""
    return fit_estimator(GradientBoostingClassifier(n_estimators=1, learning_rate=0.001, random_state=0), DATA)


def stump() -> LinearModel | OnnxModel:
    return fit_estimator(DecisionTreeClassifier(max_depth=1, random_state=0), DATA)


def always_first() -> LinearModel:
    """A linear model whose intercepts decide alone."""
    return LinearModel(DATA.schema, np.zeros((1, 4)), np.array([-1.0]))


@pytest.mark.parametrize("source_class", [None, FIRST], ids=["all rows", "one class"])
@pytest.mark.parametrize(
    "make", [barely_boosted, always_first, lambda: BlackBox(barely_boosted())], ids=["trees", "weights", "search"]
)
def test_a_model_that_decides_every_row_alike_is_void_on_every_route(
    make: Callable[[], Model], source_class: str | None
) -> None:
    result = attacked(make(), source_class)
    assert result.void[0] == result.unreliable[0] == SAME
    assert re.search(rf"^  unreliable +{SAME}$", str(result), re.MULTILINE)
    with pytest.raises(PolicyError, match=f"in earnest, got none: {SAME}"):
        result.gate(min_robust_accuracy=0.0)


def test_a_right_model_is_not_taken_for_a_constant_one_where_one_class_is_attacked() -> None:
    result = attacked(stump(), SECOND)
    assert result.exact
    assert len(np.unique(result.said)) == 1
    assert result.unreliable == ()
    result.gate(min_robust_accuracy=1.0)


def test_answers_that_repeat_are_void_for_a_search_and_not_for_a_proof() -> None:
    hidden = attacked(BlackBox(stump()))
    assert [why for why in hidden.void if "80 rows get 2 different answers" in why] == [hidden.unreliable[0]]
    with pytest.raises(PolicyError, match="little to follow"):
        hidden.gate(min_robust_accuracy=0.0)
    assert attacked(stump()).void == ()


def shown_only() -> EvasionResult:
    return replace(evaded(), unreliable=("answers alone flipped 3 pictures that gradients did not",))


def void(robust: float = 1.0) -> EvasionResult:
    return replace(evaded(share=1 - robust), unreliable=(SAME,), void=(SAME,))


def test_a_doubt_that_leaves_the_figure_a_bound_is_shown_and_passes() -> None:
    result = shown_only()
    result.gate(min_robust_accuracy=0.5)
    assert "unreliable" in str(result)
    policy = Policy(limits={"min_robust_accuracy": 0.5}, require=("evasion",))
    assert judge(policy, [result.to_evidence(NO_MODEL)], model_digest=NO_MODEL).met


def test_the_policy_refuses_what_was_not_measured_in_earnest_and_says_why() -> None:
    policy = Policy(limits={"min_robust_accuracy": 0.5}, require=("evasion",))
    item = void().to_evidence(NO_MODEL)
    verdict = judge(policy, [item], model_digest=NO_MODEL)
    assert [finding.outcome for finding in verdict.findings] == ["not met", "not met"]
    assert all(finding.reason.endswith(SAME) for finding in verdict.findings)
    result = sarif_log([item], verdict=verdict)["runs"][0]["results"][0]
    assert (result["level"], result["kind"]) == ("error", "fail")
    assert sarif_log([item])["runs"][0]["results"][0]["level"] == "warning"
    assert result["message"]["text"].startswith(f"Not measured in earnest, as {SAME}. At most 100.0%")


def test_void_evidence_neither_stands_in_for_earnest_evidence_nor_hides_what_it_found() -> None:
    policy = Policy(limits={"min_robust_accuracy": 0.5}, require=("evasion",))
    earnest, nothing, flipped = (found.to_evidence(NO_MODEL) for found in (evaded(), void(), void(robust=0.2)))
    assert judge(policy, [nothing, earnest], model_digest=NO_MODEL).met
    assert not judge(policy, [flipped, earnest], model_digest=NO_MODEL).met
