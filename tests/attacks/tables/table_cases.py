"""Schemas with arithmetic, and models that the tests of evasion on tables are built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from holdfast.data import Feature, Matrix, Relation, Schema
from holdfast.models import Model


def loan_maths(*relations: str) -> Schema:
    """A loan whose ratio and total follow from other features, with whole numbers, a category and a fixed field."""
    return Schema(
        features=(
            Feature(name="amount", kind="real", low=1, high=40),
            Feature(name="income", kind="real", low=5, high=100),
            Feature(name="ratio", kind="real", low=0.01, high=8),
            Feature(name="open", kind="integer", low=1, high=20),
            Feature(name="total", kind="integer", low=2, high=40, mutability="increase"),
            Feature(name="net", kind="real", low=0, high=10, nullable=True),
            Feature(name="tax", kind="real", low=0, high=5),
            Feature(name="gross", kind="real", low=0, high=15, nullable=True),
            Feature(name="age", kind="integer", low=18, high=90, mutability="fixed"),
            Feature(name="job", kind="category", categories=("a", "b", "c")),
        ),
        target="y",
        classes=("no", "yes"),
        relations=tuple(map(Relation.parse, relations or LOAN_RELATIONS)),
    )


LOAN_RELATIONS = ("ratio == amount / income", "open <= total", "gross == net + tax", "open + 0.1 * age <= 25")


@st.composite
def arithmetic_schemas(draw: st.DrawFn) -> Schema:
    """Small schemas whose features each take part in sums and quotients, which may contradict their ranges."""
    features = []
    for position in range(draw(st.integers(2, 4))):
        kind = draw(st.sampled_from(["real", "integer"]))
        low = draw(st.integers(1, 3))
        mutability = draw(st.sampled_from(["free", "free", "fixed", "increase", "decrease"]))
        nullable = draw(st.booleans()) and draw(st.booleans())
        features.append(
            Feature(
                name=f"f{position}",
                kind=kind,
                low=low,
                high=low + draw(st.integers(1, 4)),
                mutability=mutability,
                nullable=nullable,
            )
        )
    names = [feature.name for feature in features]
    relations = [draw(relations_between(names)) for _ in range(draw(st.integers(1, 3)))]
    return Schema(features=tuple(features), target="y", classes=("no", "yes"), relations=tuple(relations))


@st.composite
def relations_between(draw: st.DrawFn, names: list[str]) -> Relation:
    """A relation of any form."""
    mark = draw(st.sampled_from(["<=", ">=", "=="]))
    a, b, *rest = draw(st.permutations(names))
    c = rest[0] if rest else a
    forms = [f"{a} {mark} {b}", f"{a} - 2 * {b} {mark} 1", f"{a} / {b} {mark} 1", f"{a} + {b} {mark} 5"]
    if c != a:
        forms += [
            f"{c} {mark} {a} / {b}",
            f"{a} / {b} {mark} {c}",
            f"{c} {mark} {a} + {b}",
            f"{c} + 1 {mark} {a} - {b}",
        ]
    return Relation.parse(draw(st.sampled_from(forms)))


@dataclass
class Hidden:
    """A model of which only the answers are seen; `before` is called on the rows of each call."""

    inner: Model
    before: Callable[[Matrix], object] = field(default=lambda X: None)

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        self.before(X)
        return self.inner.predict_proba(X)


def grid(schema: Schema) -> Matrix:
    """Every row of whole and half numbers in the ranges."""
    axes = [np.arange(f.low, f.high + 0.25, 1.0 if f.kind == "integer" else 0.5) for f in schema.features]
    return np.array(np.meshgrid(*axes)).reshape(len(axes), -1).T
