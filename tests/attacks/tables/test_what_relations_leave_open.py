"""Arithmetic relations leave six digits' rounding open: to whoever writes data down, and so to an attacker.

Feasible is one thing: what the check of a table lets in. The exact attacks know all of it, and nobody reports more.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.tables.table_cases import arithmetic_schemas, grid, loan_maths

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.attacks.tables.feasible import Box, keeps, tighten
from holdfast.attacks.tables.linear_program import as_sums
from holdfast.attacks.tables.links import QuotientLink
from holdfast.attacks.tables.propagation import network
from holdfast.data import Dataset, Feature, Matrix, Relation, Schema, features_to_frame, load
from holdfast.data.relation import TOLERANCE
from holdfast.errors import DataError
from holdfast.models import Encoding, LinearModel, Model, fit_estimator, predict

SEEDS = st.integers(0, 2**32 - 1)


def bill(*, fixed: tuple[str, ...] = ("total", "net")) -> Schema:
    """A tax of 10 at most beside sums of half a million, of which six digits leave 3 open."""
    return Schema(
        features=tuple(
            Feature(name=name, kind="real", low=0, high=high, mutability="fixed" if name in fixed else "free")
            for name, high in (("total", 1e6), ("net", 1e6), ("tax", 10))
        ),
        target="y",
        classes=("no", "yes"),
        relations=(Relation.parse("total == net + tax"),),
    )


def growth() -> Schema:
    """A rate within a hundred-thousandth of 1, of which six digits leave more than half open; all else is fixed."""
    return Schema(
        features=(
            Feature(name="rate", kind="real", low=1, high=1.00001),
            Feature(name="after", kind="real", low=1, high=3, mutability="fixed"),
            Feature(name="before", kind="real", low=1, high=2, mutability="fixed"),
        ),
        target="y",
        classes=("no", "yes"),
        relations=(Relation.parse("rate == after / before"),),
    )


def below(schema: Schema, feature: str, value: float, *, linear: bool) -> Model:
    """A model that says yes below a value of a feature, and looks at nothing else."""
    column, own = schema.index(feature), schema.features[schema.index(feature)]
    if linear:
        coef = np.zeros((1, len(schema.features)))
        coef[0, column] = -1.0
        return LinearModel(schema, coef, np.array([2 * (value - own.low) / own.width - 1]))
    X = np.array([[f.low for f in schema.features]] * 2)
    X[:, column] = value - 0.01 * own.width, value + 0.01 * own.width
    return fit_estimator(DecisionTreeClassifier(max_depth=1), Dataset(schema, X, np.array([1, 0])))


@pytest.mark.parametrize("linear", [False, True], ids=["trees", "linear"])
@pytest.mark.parametrize(
    ("schema", "feature", "row", "goal"),
    [(bill(), "tax", (500_005.0, 500_000.0, 5.0), 2.5), (growth(), "rate", (1.000008, 1.000008, 1.0), 1.000003)],
    ids=["sum", "quotient"],
)
def test_a_row_that_the_check_lets_in_is_not_beyond_the_exact_attack(
    schema: Schema, feature: str, row: tuple[float, ...], goal: float, linear: bool
) -> None:
    column = schema.index(feature)
    model = below(schema, feature, goal + 0.02 * schema.features[column].width, linear=linear)
    before, after = np.array([row]), np.array([row])
    after[0, column] = goal
    assert predict(model, before)[0] == 0
    assert predict(model, after)[0] == 1
    loaded(after, schema)  # which any table may hold
    data = Dataset(schema, before, np.array([0]))
    threat = FeasibleChange(budget=0.8)
    threat.check(before, after, schema)
    result = evasion(model, data, threat=threat, rng=np.random.default_rng(0))
    assert result.exact
    assert result.robust_accuracy.value == 0
    assert result.distance[0] <= threat.distance(before, after, schema)[0]
    loaded(result.adversarial, schema)
    nothing = evasion(model, data, threat=FeasibleChange(budget=0.1), rng=np.random.default_rng(0))
    assert nothing.exact
    assert nothing.robust_accuracy.value == 1


def loaded(X: Matrix, schema: Schema) -> Dataset:
    """Rows that came in by the door for data."""
    frame = features_to_frame(X, schema)
    frame[schema.target] = schema.classes[0]
    return load(frame, schema)


@given(schema=arithmetic_schemas(), seed=SEEDS, kind=st.sampled_from(["trees", "linear", "asked"]))
@settings(max_examples=12, deadline=None)
def test_every_row_that_is_reported_could_be_loaded(schema: Schema, seed: int, kind: str) -> None:
    rng, rows = np.random.default_rng(seed), grid(schema)
    rows = rows[keeps(rows, schema)]
    assume(len(rows) > 1)
    y = (np.argsort(np.argsort(rows @ rng.normal(size=rows.shape[1]))) * 2 // len(rows)).astype(np.int64)
    if kind == "linear":
        width = Encoding(schema).width
        model: Model = LinearModel(schema, rng.normal(size=(1, width)), np.zeros(1))
    else:
        model = fit_estimator(DecisionTreeClassifier(max_depth=3, random_state=0), Dataset(schema, rows, y))
    asked = Asked(model) if kind == "asked" else model
    some = rows[rng.integers(len(rows), size=4)]
    data = Dataset(schema, some, predict(model, some))
    result = evasion(asked, data, threat=FeasibleChange(budget=0.7), rng=rng, max_queries=30)
    loaded(result.adversarial, schema)
    assert (predict(model, result.adversarial[result.evaded]) != data.y[result.evaded]).all()


class Asked:
    """The same answers, from a model that nobody can look into."""

    def __init__(self, model: Model) -> None:
        self.model, self.schema = model, model.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        return self.model.predict_proba(X)


SIGNS = Schema(
    features=(
        Feature(name="q", kind="real", low=-3, high=3),
        Feature(name="n", kind="real", low=-4, high=4),
        Feature(name="d", kind="real", low=0.5, high=2),
        Feature(name="m", kind="real", low=-5, high=-1),
        Feature(name="s", kind="real", low=-8, high=8),
    ),
    target="y",
    classes=("no", "yes"),
    relations=tuple(map(Relation.parse, ("q == n / d", "s == 2 * n - m + 1"))),
)


def jittered(rng: np.random.Generator) -> Matrix:
    """Rows that keep the relations by what these leave open, many of them just so."""
    n, d, m = rng.uniform(-4, 4, 4_000), rng.uniform(0.5, 2, 4_000), rng.uniform(-5, -1, 4_000)
    left, right = rng.uniform(-2.2, 2.2, (2, 4_000)) * TOLERANCE
    s = 2 * n - m + 1
    X = np.column_stack([n / d * (1 + left), n, d, m, s + right * (np.abs(s) + 2 * np.abs(n) + np.abs(m) + 1) / 2])
    inside = (np.abs(X) <= [3, 4, 2, 5, 8]).all(axis=1)
    return X[inside & keeps(X, SIGNS)]


def test_no_row_that_keeps_its_relations_lies_outside_of_its_bounds() -> None:
    X = jittered(np.random.default_rng(0))
    assert len(X) > 500
    cut_off = 0
    for column, feature in enumerate(SIGNS.features):
        low, high = X.copy(), X.copy()
        low[:, column], high[:, column] = feature.low, feature.high
        box = tighten(Box(low, high), SIGNS, tolerance=TOLERANCE)
        assert (box.low[:, column] <= X[:, column] + 1e-12).all()
        assert (box.high[:, column] >= X[:, column] - 1e-12).all()
        exact = tighten(Box(low, high), SIGNS)
        cut_off += int(((exact.low > X + 1e-9) | (exact.high < X - 1e-9)).any(axis=1).sum())
    assert cut_off > 500  # where rows are made, the same bounds do cut


def test_no_row_that_keeps_its_relations_breaks_a_row_of_a_linear_program() -> None:
    X = jittered(np.random.default_rng(1))
    q, n, d = (SIGNS.index(name) for name in "qnd")
    for link in network(SIGNS, TOLERANCE).links:
        for free in ({n, d}, {q, n}) if isinstance(link, QuotientLink) else (set(),):
            for x in X:
                box = Box(x[None] - 0.5, x[None] + 0.25)
                for columns, weights, bound in as_sums(link, x, free, box):
                    assert weights @ x[columns] <= bound + 1e-12


def test_what_is_made_up_keeps_relations_to_the_last_digits() -> None:
    schema = loan_maths()
    X = synthetic_rows(schema, 50, np.random.default_rng(0))
    amount, income, ratio, net, tax, gross = (
        X[:, schema.index(name)] for name in ("amount", "income", "ratio", "net", "tax", "gross")
    )
    np.testing.assert_allclose(ratio, amount / income, rtol=1e-12)
    told = ~np.isnan(net) & ~np.isnan(gross)
    np.testing.assert_allclose(gross[told], (net + tax)[told], rtol=1e-12)


def test_a_row_beyond_what_is_left_open_is_refused_by_threat_and_table_alike() -> None:
    schema = bill()
    before, after = np.array([[500_005.0, 500_000.0, 5.0]]), np.array([[500_005.0, 500_000.0, 1.9]])
    for refused in (
        lambda: FeasibleChange(budget=1.0).check(before, after, schema),
        lambda: loaded(after, schema),
    ):
        with pytest.raises(DataError, match="breaks the relation"):
            refused()
