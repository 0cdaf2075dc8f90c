"""Small ensembles, and the truth about them by trying everything."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from tests.private_inference.trees.tree_models import random_ensemble

from holdfast.attacks.trees import Reach
from holdfast.models.links import top_class
from holdfast.models.trees import Ensemble

Floats = NDArray[np.float64]

CODES = 5
"""Categories of the second feature of a random ensemble."""


def random_classifier(rng: np.random.Generator) -> Ensemble:
    """Three features, the second a category; two classes on one output, or three on three."""
    classes = int(rng.integers(2, 4))
    outputs = 1 if classes == 2 else 3
    found = random_ensemble(rng, features=3, outputs=outputs, trees=3, depth=3)
    link = "logistic" if classes == 2 else "softmax"
    return replace(found, link=link, classes=tuple("abc"[:classes]), base=0.3 * found.base)


def random_reach(rng: np.random.Generator) -> Reach:
    """Some features fixed, one-sided or whole; none or one category to be switched."""
    switches = int(rng.integers(2))
    unit = rng.choice([0.5, 1.0, 3.0], 3)
    down, up = rng.random((2, 3)) < 0.8
    unit[1], down[1], up[1] = np.inf, switches, switches
    return Reach(
        unit=unit,
        low=np.array([-4.0, 0.0, -2.5]),
        high=np.array([4.0, CODES - 1.0, 4.0]),
        down=down,
        up=up,
        whole=np.array([rng.random() < 0.5, True, False]),
        switch=np.array([False, True, False]),
        max_switches=switches,
    )


def random_row(rng: np.random.Generator, reach: Reach) -> Floats:
    """A row that the reach is about: between and at the thresholds, with a missing value now and then."""
    row = np.where(rng.random(3) < 0.5, rng.uniform(-2.5, 4, 3), rng.integers(-2, 5, 3))
    row = np.where(reach.whole, np.rint(row), row)
    row[1] = rng.integers(CODES)
    return np.where(rng.random(3) < 0.1, np.nan, row)


def labels(ensemble: Ensemble, X: Floats) -> NDArray[np.int64]:
    """What the ensemble says."""
    return top_class(ensemble.scores(X), ensemble.link, classes=len(ensemble.classes))


def distance_by_trying(ensemble: Ensemble, reach: Reach, x: Floats) -> float:
    """The distance of the nearest row with another label, of all that put each value on either side of each cut."""
    cuts = np.arange(-5.0, 6.0)
    values = [
        [value for value in {own, *cuts, *np.nextafter(cuts, -np.inf)} if allowed(reach, feature, own, value)]
        for feature, own in enumerate(x)
    ]
    rows = np.array(list(product(*values)))
    flipped = labels(ensemble, rows) != labels(ensemble, x[None])[0]
    moves = np.nan_to_num(np.abs(rows - x) / reach.unit, nan=0.0).max(axis=1)
    return float(moves[flipped].min(initial=np.inf))


def allowed(reach: Reach, feature: int, own: float, value: float) -> bool:
    """Whether a value may become another."""
    if np.isnan(own) or np.isnan(value):
        return bool(np.isnan(own) and np.isnan(value))
    if value == own:
        return True
    sided = reach.up[feature] if value > own else reach.down[feature]
    whole = value == np.rint(value) or not reach.whole[feature]
    return bool(sided and whole and reach.low[feature] <= value <= reach.high[feature])
