"""The trees of every library: each found row flips the library's own answer, and none is missed right before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble as forests
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.trees.tree_cases import Floats

from holdfast.attacks.trees import Reach, robust_error, smallest_flips
from holdfast.models.trees import read_trees

IRIS, CLASSES = load_iris(return_X_y=True)
X = (IRIS - IRIS.min(axis=0)) / np.ptp(IRIS, axis=0)
y = CLASSES.astype(np.int64)
TWO = y > 0
ROWS = slice(0, None, 9)


def xgboost(rows: Floats, classes: Any) -> Any:
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1).fit(rows, classes)


def lightgbm(rows: Floats, classes: Any) -> Any:
    booster = pytest.importorskip("lightgbm")
    return booster.LGBMClassifier(n_estimators=6, num_leaves=6, n_jobs=1, verbose=-1).fit(rows, classes)


def sklearn(kind: type, **options: Any) -> Callable[[Floats, Any], Any]:
    return lambda rows, classes: kind(random_state=0, **options).fit(rows, classes)


MODELS: dict[str, Callable[[Floats, Any], Any]] = {
    "xgboost": xgboost,
    "lightgbm": lightgbm,
    "tree": sklearn(DecisionTreeClassifier, max_depth=4),
    "forest": sklearn(forests.RandomForestClassifier, n_estimators=7, max_depth=4),
    "boosting": sklearn(forests.GradientBoostingClassifier, n_estimators=5),
    "histograms": sklearn(forests.HistGradientBoostingClassifier, max_iter=5),
}


@pytest.fixture(scope="module", params=[(name, two) for name in MODELS for two in (True, False)], ids=str)
def model(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    name, two = request.param
    rows, classes = (X[TWO], y[TWO] - 1) if two else (X, y)
    return MODELS[name](rows, classes), classes


def rows_of(classes: Any) -> Floats:
    return (X[TWO] if len(np.unique(classes)) == 2 else X)[ROWS]


def said(model: Any, rows: Floats) -> Any:
    return np.asarray(model.predict(rows), dtype=np.int64)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_every_found_row_flips_the_librarys_own_answer(model: tuple[Any, Any]) -> None:
    fitted, classes = model
    rows = rows_of(classes)
    own = said(fitted, rows)
    flips = smallest_flips(read_trees(fitted), rows, own, reach=Reach.linf(4, low=0, high=1))
    found = np.isfinite(flips.distance)
    assert found.mean() > 0.5
    assert not flips.undecided.any()
    assert (said(fitted, flips.X[found]) != own[found]).all()
    assert ((flips.X >= 0) & (flips.X <= 1)).all()
    np.testing.assert_allclose(np.abs(flips.X - rows).max(axis=1)[found], flips.distance[found])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_nearer_than_that_the_library_keeps_its_answer(model: tuple[Any, Any]) -> None:
    """Random corners and points of the box just inside the distance, ten thousand for all rows together."""
    fitted, classes = model
    rows = rows_of(classes)
    own = said(fitted, rows)
    reach = Reach.linf(4, low=0, high=1)
    distance = np.minimum(smallest_flips(read_trees(fitted), rows, own, reach=reach).distance, 1.0)
    rng = np.random.default_rng(0)
    share = np.concatenate([rng.choice([-1.0, 1.0], (400, 1, 4)), rng.uniform(-1, 1, (200, 1, 4))])
    near = np.clip(rows + share * (distance * (1 - 1e-6))[:, None], 0, 1)
    np.testing.assert_array_equal(said(fitted, near.reshape(-1, 4)), np.tile(own, 600))


def test_distances_and_robust_error_say_the_same(model: tuple[Any, Any]) -> None:
    fitted, classes = model
    ensemble, rows, truth = read_trees(fitted), rows_of(classes), classes[ROWS]
    reach = Reach.linf(4, low=0, high=1)
    distance = smallest_flips(ensemble, rows, truth, reach=reach).distance
    for radius in np.quantile(distance[np.isfinite(distance)], [0.2, 0.8]):
        error = robust_error(ensemble, rows, truth, reach=reach, radius=float(radius))
        assert error.found == error.at_most == (distance <= radius).mean()
