"""Labels alone give members away; questions are counted, a budget is kept, and a refusal leaves what was found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.attack_cases import Constant, Memory, loan_schema, noise_data

from holdfast.attacks.privacy import label_only, labels_of, named_labels
from holdfast.attacks.privacy.labels import add_noise
from holdfast.data import Dataset, Matrix
from holdfast.errors import BudgetError, DataError, HoldfastError, SystemFault, UnsupportedError, UsageError
from holdfast.models import LinearModel, OnnxModel, fit_estimator

PLENTY = 10**9
WHOLE = 1 + 5 * 4
"""Questions about a record that is labelled rightly, with 4 copies at each of the 5 strengths."""


def tree(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(DecisionTreeClassifier(random_state=seed), data)


def sides(rows: int = 120) -> tuple[Dataset, Dataset]:
    return noise_data(rows, np.random.default_rng(0)).split(test_fraction=0.5, seed=0)


def attack(ask, members: Dataset, others: Dataset, **options):
    options = {"max_queries": PLENTY, "copies": 4, "rng": np.random.default_rng(0)} | options
    return label_only(ask, members=members, non_members=others, **options)


@dataclass
class Service:
    """Answers with names, and no more once something is wrong."""

    model: LinearModel | OnnxModel | Constant
    good_for: int
    refusal: HoldfastError
    asked: list[int] = field(default_factory=list)

    def predict(self, X: Matrix) -> tuple[str, ...]:
        if sum(self.asked) + len(X) > self.good_for:
            raise self.refusal
        self.asked.append(len(X))
        return tuple(self.model.schema.classes[row] for row in self.model.predict_proba(X).argmax(axis=1))


def test_a_tree_that_knows_its_rows_by_heart_gives_them_away_by_its_labels() -> None:
    members, others = sides(400)
    model = tree(members, seed=0)
    result = attack(labels_of(model), members, others, trainer=tree).membership
    wrong = np.mean(model.predict_proba(others.X).argmax(axis=1) != others.y)
    assert result is not None
    # every member is labelled rightly, so the gap alone gives an advantage of `wrong`
    assert result.advantage.value > wrong - 0.1
    assert result.advantage.low > 0.2
    assert result.n_shadows == 4


def test_without_a_trainer_whoever_is_labelled_rightly_is_called_a_member() -> None:
    members, others = sides(400)
    model = tree(members, seed=0)
    result = attack(labels_of(model), members, others).membership
    right = model.predict_proba(others.X).argmax(axis=1) == others.y
    assert result is not None
    assert result.advantage.value == pytest.approx(1 - right.mean(), abs=1e-12)
    assert (result.scores[result.member] > 0).all()
    assert ((result.scores[~result.member] > 0) == right).all()


def test_a_model_that_says_one_thing_only_gives_nothing_away() -> None:
    members, others = sides()
    model = Constant(members.schema)
    found = attack(labels_of(model), members, others, trainer=lambda data, *, seed: Constant(data.schema))
    assert found.membership is not None
    assert found.membership.advantage.low < 0 < found.membership.advantage.high


def test_questions_are_counted_and_a_wrong_label_costs_one() -> None:
    members, others = sides()
    service = Service(tree(members, seed=0), PLENTY, BudgetError("spent"))
    found = attack(named_labels(service.predict, members.schema.classes), members, others)
    right = [*(found.membership.scores > 0)]
    assert found.queries == sum(service.asked) == sum(WHOLE if ok else 1 for ok in right)
    assert found.stopped == ""
    assert found.rows.tolist() == list(range(len(members) + len(others)))


@given(budget=st.integers(1, 700))
def test_the_budget_is_never_passed_and_the_rest_is_a_result(budget: int) -> None:
    members, others = sides(60)
    found = attack(labels_of(Memory(members)), members, others, max_queries=budget)
    assert found.queries <= budget
    assert "fewer are left" in found.stopped or len(found.rows) == 60
    assert (np.diff(found.rows) > 0).all()
    if found.membership is not None:
        assert (found.membership.member == (found.rows < len(members))).all()
    else:
        assert found.rows.size == 0 or len(set(found.rows < len(members))) == 1


@pytest.mark.parametrize(
    "refusal", [BudgetError("the query budget is spent"), SystemFault("the service cannot be reached")]
)
def test_a_refusal_leaves_what_was_found_before(refusal: HoldfastError) -> None:
    members, others = sides()
    service = Service(tree(members, seed=0), 1_000, refusal)
    whole = attack(labels_of(service.model), members, others)
    seen: list[tuple[int, int]] = []
    found = attack(
        named_labels(service.predict, members.schema.classes),
        members,
        others,
        progress=lambda *done: seen.append(done),
    )
    assert found.stopped == str(refusal)
    assert 0 < len(found.rows) < len(members) + len(others)
    assert seen[-1] == (len(found.rows), len(members) + len(others))
    assert found.membership is not None
    assert found.membership.scores == pytest.approx(whole.membership.scores[found.rows])
    assert found.membership.to_evidence("sha256:" + "0" * 64).context["attack"] == "noise on labels alone"


def test_a_service_that_refuses_at_once_gives_nothing_and_says_why() -> None:
    members, others = sides()
    service = Service(Constant(members.schema), 0, BudgetError("the query budget is spent"))
    found = attack(named_labels(service.predict, members.schema.classes), members, others)
    assert (found.membership, found.rows.size, found.stopped) == (None, 0, "the query budget is spent")


@pytest.mark.parametrize(
    "answer",
    [lambda X: np.full(len(X), 2), lambda X: np.full(len(X), 0.5), lambda X: np.zeros(len(X) + 1, int), lambda X: 0],
    ids=["unknown class", "fractions", "one too many", "a single number"],
)
def test_answers_that_are_no_labels_are_refused(answer) -> None:
    with pytest.raises(UnsupportedError, match="classes from 0 to 1"):
        attack(answer, *sides())
    with pytest.raises(UnsupportedError, match="expected a class of no, yes, got 'perhaps'"):
        attack(named_labels(lambda X: ["perhaps"] * len(X), ("no", "yes")), *sides())


def test_numbers_and_data_that_mean_nothing_are_refused() -> None:
    members, others = sides()
    ask = labels_of(Constant(members.schema))
    for options in ({"max_queries": 0}, {"copies": 0}):
        with pytest.raises(UsageError, match="1 or more"):
            attack(ask, members, others, **options)
    with pytest.raises(DataError, match="different schemas"):
        attack(ask, members, noise_data(10, np.random.default_rng(0), width=5))
    with pytest.raises(DataError, match="one kind only"):
        attack(ask, members, others.take([]))


@given(strength=st.floats(0, 2), seed=st.integers(0, 999))
def test_noise_keeps_to_the_schema_and_to_what_is_missing(strength: float, seed: int) -> None:
    schema, rng = loan_schema(), np.random.default_rng(seed)
    low, high = [0, 0, 0, 0, 18, -50, 0, 0, 0], [100, 120, 6, 9, 90, 50, 2, 3, 1]
    X = np.column_stack([rng.integers(a, b + 1, 30) for a, b in zip(low, high, strict=True)]).astype(float)
    X[:, 1], X[:, 2] = np.minimum(X[:, 0], X[:, 1]), np.minimum(X[:, 2], X[:, 3])
    X[:10, 5] = X[5:15, 7] = np.nan
    noisy = add_noise(X, schema, strength=strength, rng=rng)
    assert (np.isnan(noisy) == np.isnan(X)).all()
    known = ~np.isnan(X)
    assert ((noisy >= low) & (noisy <= high))[known].all()
    whole = [2, 3, 4, 6, 7, 8]
    assert (noisy[:, whole] == np.round(noisy[:, whole]))[known[:, whole]].all()
    for smaller, larger in ((1, 0), (2, 3)):  # spent <= income, children <= cards
        assert (noisy[:, smaller] <= noisy[:, larger]).all()
    if strength == 0:
        assert (noisy == X)[known].all()


def test_the_order_of_noise_is_the_strength() -> None:
    schema, rng = loan_schema(), np.random.default_rng(0)
    X = np.tile([50.0, 60.0, 3.0, 4.0, 54.0, 0.0, 1.0, 1.0, 0.0], (4_000, 1))
    moved = [np.abs(add_noise(X, schema, strength=strength, rng=rng) - X).mean(axis=0) for strength in (0.02, 0.1, 0.4)]
    assert (np.diff(moved, axis=0) > 0).all()
