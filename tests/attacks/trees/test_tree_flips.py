"""The exact attack is exact, the fast one never claims more, and every changed row is one that the reach allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.trees.tree_cases import (
    allowed,
    distance_by_trying,
    labels,
    random_classifier,
    random_reach,
    random_row,
)

from holdfast.attacks.trees import Reach, robust_error, smallest_flips
from holdfast.models.trees import Rule, Tree

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_smallest_flip_is_the_one_found_by_trying_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ensemble, reach = random_classifier(rng), random_reach(rng)
    X = np.array([random_row(rng, reach) for _ in range(3)])
    y = labels(ensemble, X)
    truth = np.array([distance_by_trying(ensemble, reach, x) for x in X])
    exact = smallest_flips(ensemble, X, y, reach=reach)
    np.testing.assert_allclose(exact.distance, truth, rtol=1e-9)
    np.testing.assert_allclose(exact.at_least, truth, rtol=1e-9)
    fast = smallest_flips(ensemble, X, y, reach=reach, time_limit_s=0)
    assert (fast.distance >= truth * (1 - 1e-9)).all()
    assert (fast.at_least <= truth * (1 + 1e-9)).all()
    for flips in (exact, fast):
        known = np.isfinite(flips.distance)
        assert (labels(ensemble, flips.X[known]) != y[known]).all()
        moves = np.nan_to_num(np.abs(flips.X - X) / reach.unit, nan=0.0).max(axis=1)
        np.testing.assert_allclose(moves[known], flips.distance[known])
        np.testing.assert_array_equal(flips.X[~known], X[~known])
        for before, after in zip(X, flips.X, strict=True):
            assert all(allowed(reach, j, before[j], after[j]) for j in range(3))
            assert sum((before != after) & reach.switch & ~np.isnan(before)) <= reach.max_switches


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_the_robust_error_is_the_share_of_rows_that_trying_everything_flips(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    ensemble, reach = random_classifier(rng), random_reach(rng)
    X = np.array([random_row(rng, reach) for _ in range(4)])
    y = rng.integers(len(ensemble.classes), size=4)
    wrong = labels(ensemble, X) != y
    truth = wrong | [distance_by_trying(ensemble, reach, x) <= radius for x in X]
    exact = robust_error(ensemble, X, y, reach=reach, radius=radius)
    assert exact.found == exact.at_most == truth.mean()
    np.testing.assert_array_equal(exact.wrong, wrong)
    np.testing.assert_array_equal(exact.flipped, truth & ~wrong)
    fast = robust_error(ensemble, X, y, reach=reach, radius=radius, time_limit_s=0)
    assert fast.found <= truth.mean() <= fast.at_most
    assert (labels(ensemble, fast.X[fast.flipped]) != y[fast.flipped]).all()


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.1, 3.0))
def test_within_a_radius_the_answer_is_the_same_and_beyond_it_there_is_none(seed: int, within: float) -> None:
    rng = np.random.default_rng(seed)
    ensemble, reach = random_classifier(rng), random_reach(rng)
    X = np.array([random_row(rng, reach) for _ in range(3)])
    y = labels(ensemble, X)
    every = smallest_flips(ensemble, X, y, reach=reach).distance
    near = smallest_flips(ensemble, X, y, reach=reach, within=within)
    np.testing.assert_allclose(near.distance, np.where(every <= within, every, np.inf), rtol=1e-9)
    assert not near.undecided.any()


@pytest.mark.parametrize(("y", "distance"), [(1, 1.0), (0, np.inf)])
def test_equal_scores_are_the_first_class_as_in_the_models_own_answer(y: int, distance: float) -> None:
    split = Rule(feature=0, edges=(1.0,))
    tree = Tree(rules=(split,), children=np.array([[~0, ~1]]), leaves=np.array([[2.0 * y - 0.5], [-0.5]]))
    halves = (tree, Tree(rules=(), children=np.zeros((0, 2), dtype=np.int64), leaves=np.array([[0.5]])))
    ensemble = replace(random_classifier(np.random.default_rng(0)), trees=halves, base=np.zeros(1), link="logistic")
    ensemble = replace(ensemble, classes=("a", "b"))
    X = np.array([[0.0, 0.0, 0.0]])
    assert labels(ensemble, X) == [y]
    assert ensemble.scores(X + 1.0) == 0.0
    assert smallest_flips(ensemble, X, np.array([y]), reach=Reach.linf(3)).distance == distance


def test_progress_counts_the_rows_and_wrong_rows_are_flipped_as_they_are() -> None:
    rng = np.random.default_rng(0)
    ensemble = random_classifier(rng)
    X = rng.uniform(0, 4, (5, 3)).round()
    y = labels(ensemble, X)
    y[2] = (y[2] + 1) % len(ensemble.classes)
    seen: list[tuple[int, int]] = []
    flips = smallest_flips(ensemble, X, y, reach=Reach.linf(3), progress=lambda *done: seen.append(done))
    assert seen == [(row, 5) for row in range(1, 6)]
    assert flips.distance[2] == flips.at_least[2] == 0
    np.testing.assert_array_equal(flips.X[2], X[2])


def test_no_rows_give_no_flips() -> None:
    ensemble = random_classifier(np.random.default_rng(0))
    none = np.zeros((0, 3))
    assert smallest_flips(ensemble, none, np.zeros(0, dtype=np.int64), reach=Reach.linf(3)).X.shape == (0, 3)


def test_a_constant_ensemble_is_never_flipped() -> None:
    ensemble = replace(random_classifier(np.random.default_rng(0)), trees=())
    X = np.zeros((2, 3))
    flips = smallest_flips(ensemble, X, labels(ensemble, X), reach=Reach.linf(3))
    assert np.isinf(flips.distance).all()
    assert not flips.undecided.any()
    assert robust_error(ensemble, X, labels(ensemble, X), reach=Reach.linf(3), radius=9.0).at_most == 0


@pytest.mark.parametrize("seed", range(3))
def test_with_too_little_time_the_bound_holds_and_the_row_says_that_it_is_undecided(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ensemble = random_classifier(rng)
    reach = Reach.linf(3, low=-4, high=4)
    X = np.array([random_row(rng, reach) for _ in range(10)])
    y = labels(ensemble, X)
    hurried = smallest_flips(ensemble, X, y, reach=reach, time_limit_s=1e-9)
    exact = smallest_flips(ensemble, X, y, reach=reach)
    assert (hurried.at_least <= exact.distance * (1 + 1e-9)).all()
    assert (exact.distance <= hurried.distance * (1 + 1e-9)).all()
    np.testing.assert_array_equal(hurried.undecided, hurried.at_least < hurried.distance - 1e-9)
