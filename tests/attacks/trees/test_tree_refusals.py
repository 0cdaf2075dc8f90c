"""What an attack on trees refuses, in one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.attacks.trees.tree_cases import labels, random_classifier

from holdfast.attacks.trees import Reach, TreeAttack, robust_error, smallest_flips
from holdfast.errors import DataError, HoldfastError, UnsupportedError, UsageError
from holdfast.models.trees import read_trees

ENSEMBLE = replace(
    random_classifier(np.random.default_rng(0)), classes=("a", "b"), link="logistic", trees=(), base=np.zeros(1)
)
X, Y = np.zeros((2, 3)), np.zeros(2, dtype=np.int64)
REACH = Reach.linf(3)


def changed(**parts: Any) -> Callable[[], Any]:
    return lambda: Reach(**(vars(REACH) | parts))


CASES: dict[str, tuple[Callable[[], Any], type[HoldfastError], str]] = {
    "regression": (lambda: TreeAttack(replace(ENSEMBLE, classes=()), REACH), UnsupportedError, "tell classes apart"),
    "another width": (lambda: TreeAttack(ENSEMBLE, Reach.linf(4)), UsageError, "over 3 features, got one over 4"),
    "time": (lambda: TreeAttack(ENSEMBLE, REACH, time_limit_s=-1.0), UsageError, "0 seconds or more, got -1.0"),
    "rows": (lambda: smallest_flips(ENSEMBLE, X[:, :2], Y, reach=REACH), DataError, "rows of 3 features"),
    "labels": (lambda: smallest_flips(ENSEMBLE, X, Y + 2, reach=REACH), DataError, "from 0 to 1"),
    "fewer labels": (lambda: smallest_flips(ENSEMBLE, X, Y[:1], reach=REACH), DataError, "one class for each row"),
    "radius": (lambda: robust_error(ENSEMBLE, X, Y, reach=REACH, radius=-1.0), UsageError, "radius of 0 or more"),
    "no number": (lambda: robust_error(ENSEMBLE, X, Y, reach=REACH, radius=np.nan), UsageError, "got nan"),
    "unit": (changed(unit=np.array([1.0, 0.0, 1.0])), UsageError, "units above 0"),
    "range": (changed(low=np.full(3, np.inf), high=np.zeros(3)), UsageError, "low is at most their high"),
    "lengths": (changed(unit=np.ones(2)), UsageError, "one entry for each feature"),
    "switches": (changed(max_switches=-1), UsageError, "0 or more, got -1"),
    "no trees": (lambda: read_trees(LogisticRegression()), UnsupportedError, "no reader of trees knows sklearn"),
}


@pytest.mark.parametrize("name", CASES)
def test_nonsense_is_refused_in_a_sentence(name: str) -> None:
    act, kind, words = CASES[name]
    with pytest.raises(kind, match=words):
        act()


def test_what_is_refused_is_not_the_ordinary_case() -> None:
    assert smallest_flips(ENSEMBLE, X, labels(ENSEMBLE, X), reach=REACH).at_least.tolist() == [np.inf, np.inf]
