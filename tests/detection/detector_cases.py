"""Every statistic with clean inputs and an attack that it is for: what the contract of detectors is run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.data import Dataset, Matrix, Schema, load, tumour_frame, tumour_schema
from holdfast.data.images import Images
from holdfast.detection import (
    Detector,
    Energy,
    Fingerprints,
    NearQueries,
    Neighbours,
    QueryDistances,
    Squeezing,
    Statistic,
    calibrate,
    view_of,
)
from holdfast.detection.views import Queries
from holdfast.models import Model, fit_estimator

RATE = 0.05
STEP = 90


@dataclass(frozen=True)
class Case:
    """A detector, clean queries that nothing was made of, and an attacker's queries in their order."""

    detector: Detector
    clean: Queries
    attack: Queries
    model: Callable[[Queries], Matrix] | None = None


def images_of_digits() -> Images:
    """1,797 digits of 8 x 8 pixels, which come with scikit-learn."""
    digits = load_digits()
    return Images.of((digits.images * 15).astype(np.uint8), digits.target)


@cache
def pictures() -> tuple[Images, Images, Images]:
    """To make statistics of, to calibrate on, and fresh."""
    made, rest = images_of_digits().split(test_fraction=0.75, seed=0)
    return made, *rest.split(test_fraction=0.5, seed=1)


@cache
def rows() -> tuple[Dataset, Dataset, Dataset]:
    """The tumour data in three parts: to make statistics of, to calibrate on, and fresh."""
    made, rest = load(tumour_frame(), tumour_schema()).split(test_fraction=0.75, seed=0)
    return made, *rest.split(test_fraction=0.5, seed=1)


@cache
def _classifier() -> LogisticRegression:
    made = pictures()[0]
    return LogisticRegression(C=10, max_iter=1_000).fit(made.pixels.reshape(len(made), -1) / 255, made.y)


def probabilities(queries: Queries) -> Matrix:
    return np.asarray(_classifier().predict_proba(queries.reshape(len(queries), -1) / 255))


def logits(queries: Queries) -> Matrix:
    return np.asarray(_classifier().decision_function(queries.reshape(len(queries), -1) / 255))


@cache
def table_model() -> Model:
    return fit_estimator(LogisticRegression(max_iter=1_000), rows()[0])


@dataclass
class Recorder:
    """A model that remembers what it was asked."""

    inner: Model
    asked: list[Matrix] = field(default_factory=list)

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        self.asked.append(X.copy())
        return self.inner.predict_proba(X)


@cache
def boundary_search() -> Matrix:
    """What a black-box evasion asks for one row after another."""
    recorder, fresh = Recorder(table_model()), rows()[2]
    for row in range(6):
        threat = FeasibleChange(budget=0.02)
        evasion(recorder, fresh.take([row]), threat=threat, rng=np.random.default_rng(row), max_queries=40)
    return np.vstack(recorder.asked)


@cache
def picture_search() -> Queries:
    """A random search that moves squares of pixels by a fixed step, as the Square attack does."""
    rng, fresh, asked = np.random.default_rng(0), pictures()[2], []
    for original, label in zip(fresh.pixels[:5].astype(np.int64), fresh.y[:5], strict=True):
        best, lowest = original, 2.0
        for _ in range(80):
            side = rng.integers(1, 4)
            row, column = rng.integers(0, 8 - side, size=2)
            query = best.copy()
            query[row : row + side, column : column + side] = (
                original[row : row + side, column : column + side] + rng.choice([-STEP, STEP])
            ).clip(0, 255)
            asked.append(query.astype(np.uint8))
            if (said := probabilities(asked[-1][None])[0, label]) < lowest:
                best, lowest = query, said
    return np.array(asked)


def fine_noise() -> Queries:
    """The worst change of every pixel by 30 levels, for the class that the weights make nearest."""
    fresh, W = pictures()[2].take(range(200)), _classifier().coef_
    order = np.argsort(logits(fresh.pixels), axis=1)
    towards = np.sign(W[order[:, -2]] - W[order[:, -1]]).reshape(fresh.pixels.shape)
    return (fresh.pixels + 30 * towards).clip(0, 255).astype(np.uint8)


def noise(n: int = 200) -> Queries:
    """Pictures of nothing."""
    return np.random.default_rng(1).integers(0, 256, size=(n, 8, 8, 1), dtype=np.uint8)


def made_up_rows(n: int = 200) -> Matrix:
    """What an extraction asks that knows the schema and nothing else."""
    return synthetic_rows(tumour_schema(), n, np.random.default_rng(2))


def _table(statistic: Statistic, attack: Matrix) -> Case:
    detector = calibrate(statistic, rows()[1], false_alarm_rate=RATE, rng=np.random.default_rng(3))
    return Case(detector, rows()[2].X, attack)


def _picture(statistic: Statistic, attack: Queries, model: Callable[[Queries], Matrix] | None = None) -> Case:
    detector = calibrate(statistic, pictures()[1], false_alarm_rate=RATE, rng=np.random.default_rng(3))
    return Case(detector, pictures()[2].pixels, attack, model)


CASES: dict[str, Callable[[], Case]] = {
    "near rows": cache(lambda: _table(NearQueries(view=view_of(rows()[0]), window=4), boundary_search())),
    "near pictures": cache(lambda: _picture(NearQueries(view=view_of(pictures()[0]), window=8), picture_search())),
    "spread rows": cache(
        lambda: _table(QueryDistances.of(rows()[0], rng=np.random.default_rng(0), window=8), made_up_rows())
    ),
    "spread pictures": cache(
        lambda: _picture(QueryDistances.of(pictures()[0], rng=np.random.default_rng(0), window=8), noise())
    ),
    "fingerprints": cache(
        lambda: _picture(Fingerprints(view=view_of(pictures()[0]), window=8, secret=bytes(32)), picture_search())
    ),
    "far rows": cache(lambda: _table(Neighbours.of(rows()[0], rng=np.random.default_rng(0)), made_up_rows())),
    "far pictures": cache(lambda: _picture(Neighbours.of(pictures()[0], rng=np.random.default_rng(0)), noise())),
    "squeezed pictures": cache(
        lambda: _picture(
            Squeezing(view=view_of(pictures()[0]), predict=probabilities, levels=6, blur=1),
            fine_noise(),
            probabilities,
        )
    ),
    "energy": cache(lambda: _picture(Energy(view=view_of(pictures()[0]), logits=logits), noise(), logits)),
}
