"""What robust trees certify is true: nobody who tries every place in the box finds a worse score."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hardening.trees.tree_cases import scores_at_all_places, two_blobs

from holdfast.errors import DataError, UsageError
from holdfast.hardening.trees import RobustBoostingClassifier, RobustForestClassifier
from holdfast.hardening.trees.box import box_around, two_sided
from holdfast.hardening.trees.classifier import RobustTreeClassifier
from holdfast.hardening.trees.tree import worst_scores

SMALL = [
    RobustBoostingClassifier(0.3, n_estimators=3, max_depth=2, max_bins=8),
    RobustForestClassifier(0.3, n_estimators=3, max_depth=3, max_bins=8, random_state=0),
]


@pytest.mark.parametrize("estimator", SMALL, ids=lambda e: type(e).__name__)
@given(seed=st.integers(0, 10_000), down=st.sampled_from([0.0, 0.2, 1.0]), up=st.sampled_from([0.0, 0.5]))
@settings(max_examples=8)
def test_no_place_in_the_box_is_worse_than_the_bound(
    estimator: RobustTreeClassifier, seed: int, down: float, up: float
) -> None:
    X, y = two_blobs(30, 3, seed)
    model = estimator.fit(X, y)
    box = box_around(X, np.array([[down, up]] * 3))
    worst = worst_scores(model.trees_, box, y == 1, base=model.base_)
    for x, label, bound in zip(X[:5], y[:5], worst[:5], strict=True):
        scores = scores_at_all_places(model, x, down, up)
        found = scores.min() if label else scores.max()
        assert (found >= bound - 1e-12) if label else (found <= bound + 1e-12)  # sums of three in another order


@given(seed=st.integers(0, 10_000), radius=st.sampled_from([0.1, 0.5, 1.5]))
@settings(max_examples=8)
def test_the_bound_of_a_single_tree_is_reached_somewhere(seed: int, radius: float) -> None:
    X, y = two_blobs(30, 3, seed)
    model = RobustBoostingClassifier(radius, n_estimators=1, max_depth=3, max_bins=8).fit(X, y)
    worst = worst_scores(model.trees_, box_around(X, two_sided(radius, X.shape)), y == 1, base=model.base_)
    for x, label, bound in zip(X[:5], y[:5], worst[:5], strict=True):
        scores = scores_at_all_places(model, x, radius, radius)
        assert bound == (scores.min() if label else scores.max())


@pytest.mark.parametrize("estimator", SMALL, ids=lambda e: type(e).__name__)
def test_certified_rows_are_right_and_fewer_as_the_radius_grows(estimator: RobustTreeClassifier) -> None:
    X, y = two_blobs(200, 3, 0)
    model = estimator.fit(X, y)
    masks = [model.certified(X, y, radius=radius) for radius in (0.0, 0.3, 0.6, 50.0)]
    np.testing.assert_array_equal(masks[0], model.predict(X) == y)
    np.testing.assert_array_equal(masks[1], model.certified(X, y))
    for narrow, wide in pairwise(masks):
        assert (narrow | ~wide).all()
    assert 0.5 < masks[1].mean() < masks[0].mean()
    assert masks[3].mean() == 0  # both classes move anywhere, and the model is no constant


def test_rows_of_a_class_that_does_not_move_have_to_be_right_only() -> None:
    X, y = two_blobs(200, 3, 1)
    names = np.array(["fraud", "fine"])[y]
    model = RobustBoostingClassifier(0.5, source_class="fraud", n_estimators=10).fit(X, names)
    certified, right = model.certified(X, names), model.predict(X) == names
    np.testing.assert_array_equal(certified[names == "fine"], right[names == "fine"])
    assert certified[names == "fraud"].mean() < right[names == "fraud"].mean()


def test_a_column_that_nobody_can_change_is_what_the_trees_rely_on() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 400)
    X = np.column_stack([2.0 * y + 0.3 * rng.standard_normal(400), y + 0.6 * rng.standard_normal(400)])
    plain = RobustBoostingClassifier(0.0, n_estimators=8).fit(X, y)
    robust = RobustBoostingClassifier([3.0, 0.0], n_estimators=8).fit(X, y)
    assert plain.certified(X, y, radius=[3.0, 0.0]).mean() < 0.05
    assert robust.certified(X, y).mean() > 0.75
    assert all((tree.column != 0).all() for tree in robust.trees_)


def test_a_one_sided_move_leaves_the_other_side_alone() -> None:
    X, y = two_blobs(300, 2, 3)
    model = RobustBoostingClassifier([[0.8, 0.0]] * 2, n_estimators=8).fit(X, y)
    # The second class has the larger values: moving down hurts its rows, and hardly those of the first.
    certified = model.certified(X, y)
    lost = (model.predict(X) == y) & ~certified
    assert lost[y == 1].mean() > 5 * lost[y == 0].mean()
    assert certified.mean() > model.certified(X, y, radius=0.8).mean()


@pytest.mark.parametrize("radius", [-0.1, np.nan, np.inf, [0.1, 0.1, 0.1], [[0.1, 0.1]], "much", None])
def test_a_radius_that_means_nothing_is_refused(radius: object) -> None:
    X, y = two_blobs(20, 2, 0)
    with pytest.raises(UsageError, match="radi"):
        RobustBoostingClassifier(radius, n_estimators=1).fit(X, y)
    fitted = RobustBoostingClassifier(0.1, n_estimators=1).fit(X, y)
    if radius is not None:
        with pytest.raises(UsageError, match="radi"):
            fitted.certified(X, y, radius=radius)


def test_labels_that_were_not_trained_on_are_refused() -> None:
    X, y = two_blobs(20, 2, 0)
    fitted = RobustBoostingClassifier(0.1, n_estimators=1).fit(X, y)
    with pytest.raises(DataError, match="20 labels of"):
        fitted.certified(X, y + 1)
    with pytest.raises(DataError, match="20 labels of"):
        fitted.certified(X, y[:5])
