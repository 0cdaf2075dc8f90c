"""Models and schemas that the tests of attacks and of hardening are built from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from holdfast.data import Dataset, Feature, Labels, Matrix, Relation, Schema
from holdfast.models import Encoding, LinearModel

CLASSES = ("no", "yes", "maybe")


def loan_schema(classes: int = 2) -> Schema:
    """Every kind of feature, every mutability, something missing, and relations that bind."""
    return Schema(
        features=(
            Feature(name="income", kind="real", low=0, high=100),
            Feature(name="spent", kind="real", low=0, high=120),
            Feature(name="children", kind="integer", low=0, high=6, mutability="increase"),
            Feature(name="cards", kind="integer", low=0, high=9),
            Feature(name="age", kind="integer", low=18, high=90, mutability="fixed"),
            Feature(name="debt", kind="real", low=-50, high=50, mutability="decrease", nullable=True),
            Feature(name="region", kind="category", categories=("north", "south", "east")),
            Feature(name="job", kind="category", categories=("a", "b", "c", "d"), nullable=True),
            Feature(name="sex", kind="category", categories=("f", "m"), mutability="fixed"),
        ),
        target="paid",
        classes=CLASSES[:classes],
        relations=(Relation.parse("spent <= income"), Relation.parse("children <= cards")),
    )


def numbers_schema(width: int = 4, *, classes: int = 2, relations: tuple[str, ...] = ()) -> Schema:
    """Real features a0, a1, … from 0 to 10."""
    features = tuple(Feature(name=f"a{i}", kind="real", low=0, high=10) for i in range(width))
    return Schema(
        features=features, target="y", classes=CLASSES[:classes], relations=tuple(map(Relation.parse, relations))
    )


def random_linear(schema: Schema, rng: np.random.Generator) -> LinearModel:
    """A linear model with normal weights and an intercept that puts the boundary through the middle."""
    rows = 1 if len(schema.classes) == 2 else len(schema.classes)
    return LinearModel(schema, rng.standard_normal((rows, Encoding(schema).width)), 0.3 * rng.standard_normal(rows))


def own_labels(model: LinearModel, X: Matrix) -> Dataset:
    """Rows with the classes that the model gives them, so that all are right."""
    return Dataset(model.schema, X, model.predict_proba(X).argmax(axis=1))


@dataclass
class BlackBox:
    """A model whose weights nobody sees; counts the rows it is asked."""

    inner: LinearModel
    asked: int = 0
    calls: list[int] = field(default_factory=list)

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        self.asked += len(X)
        self.calls.append(len(X))
        return self.inner.predict_proba(X)


@dataclass
class Constant:
    """Says the same of every row."""

    schema: Schema
    answer: tuple[float, ...] = (0.3, 0.7)

    def predict_proba(self, X: Matrix) -> Matrix:
        return np.tile(self.answer, (len(X), 1))


@dataclass
class Logits:
    """Returns scores and calls them probabilities."""

    schema: Schema
    answer: tuple[float, ...] = (-2.0, 3.5)

    def predict_proba(self, X: Matrix) -> Matrix:
        return np.tile(self.answer, (len(X), 1))


@dataclass
class Dice:
    """Answers at random."""

    schema: Schema
    rng: np.random.Generator

    def predict_proba(self, X: Matrix) -> Matrix:
        P = self.rng.random((len(X), len(self.schema.classes)))
        return P / P.sum(axis=1, keepdims=True)


@dataclass
class Memory:
    """Sure of the rows that it was given, and of no other."""

    data: Dataset

    @property
    def schema(self) -> Schema:
        return self.data.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        known = {row.tobytes(): label for row, label in zip(self.data.X, self.data.y, strict=True)}
        labels = np.array([known.get(row.tobytes(), -1) for row in np.ascontiguousarray(X)], dtype=np.int64)
        P = np.full((len(X), 2), 0.5)
        for label in (0, 1):
            P[labels == label] = (0.01, 0.99) if label else (0.99, 0.01)
        return P


def noise_data(rows: int, rng: np.random.Generator, *, width: int = 4) -> Dataset:
    """Rows whose labels have nothing to do with them."""
    schema = numbers_schema(width)
    labels: Labels = rng.permutation(np.arange(rows) % 2)
    return Dataset(schema, rng.uniform(0, 10, (rows, width)), labels)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Small schemas of any kind, whose relations may contradict their ranges."""
    features = []
    for position in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["real", "integer", "category"]))
        nullable = draw(st.booleans())
        if kind == "category":
            mutability = draw(st.sampled_from(["free", "fixed"]))
            names = tuple(map(str, range(draw(st.integers(1, 3)))))
            features.append(
                Feature(name=f"f{position}", kind=kind, categories=names, nullable=nullable, mutability=mutability)
            )
        else:
            low = draw(st.integers(-4, 4)) + (draw(st.sampled_from([0.0, 0.5])) if kind == "real" else 0.0)
            high = low + draw(st.integers(1, 6))
            mutability = draw(st.sampled_from(["free", "free", "fixed", "increase", "decrease"]))
            features.append(
                Feature(name=f"f{position}", kind=kind, low=low, high=high, nullable=nullable, mutability=mutability)
            )
    numeric = [feature.name for feature in features if feature.kind != "category"]
    relations = []
    for _ in range(draw(st.integers(0, 4)) if len(numeric) > 1 else 0):
        left, right = draw(st.permutations(numeric))[:2]
        relations.append(Relation(left, draw(st.sampled_from(["<=", "<=", ">=", "=="])), right))
    return Schema(
        features=tuple(features),
        target="y",
        classes=CLASSES[: draw(st.integers(2, 3))],
        relations=tuple(relations),
    )
