"""The program computes every ensemble exactly: laws over random ensembles, thresholds hit to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.private_inference.trees.tree_models import Floats, random_ensemble, random_rows

from holdfast.errors import UnsupportedError, WireError
from holdfast.models.trees import Column, Ensemble, Rule, Tree
from holdfast.models.trees.cuts import up_to
from holdfast.private_inference.program import LinearProgram, TreeProgram
from holdfast.private_inference.trees import compile_trees
from holdfast.private_inference.trees.compile import MAX_SCORE

seeds = st.integers(0, 2**32 - 1)


def fixed_point(ensemble: Ensemble, X: Floats, scale: float) -> Floats:
    """Scores as a sum of rounded leaves, tree by tree: what the program must give."""
    total = np.tile(np.rint(ensemble.base * scale), (len(X), 1))
    for tree in ensemble.trees:
        total += np.rint(tree.leaves * scale)[tree.reached(X)]
    return total


def compiled(ensemble: Ensemble, X: Floats) -> tuple[Floats, TreeProgram]:
    encoding, program = compile_trees(ensemble, X=X)
    assert isinstance(program, TreeProgram)
    return encoding.encode(X), program


def comb(features: int, *, edge: float = 0.0) -> Ensemble:
    """One tree whose longest path asks every feature once."""
    rules = tuple(Rule(feature=j, edges=(edge,)) for j in range(features))
    children = np.array([[~j, j + 1 if j + 1 < features else ~features] for j in range(features)])
    tree = Tree(rules=rules, children=children, leaves=np.arange(features + 1.0)[:, None])
    return Ensemble(
        columns=(Column(),) * features, trees=(tree,), base=np.zeros(1), link="identity", classes=(), kind="", cut=up_to
    )


@settings(max_examples=60, deadline=None)
@given(seed=seeds, outputs=st.integers(1, 3), depth=st.integers(2, 6))
def test_the_program_gives_the_sum_of_the_rounded_leaves_on_every_row(seed: int, outputs: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    ensemble = random_ensemble(rng, outputs=outputs, depth=depth)
    X = random_rows(rng, 60)
    if ensemble.depth < 2:
        return
    bits, program = compiled(ensemble, X)
    assert set(np.unique(bits)) <= {0.0, 1.0}
    np.testing.assert_array_equal(program.clear(bits.astype(np.int64)), fixed_point(ensemble, X, program.scale))


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_mismatches_stay_between_zero_and_the_depth_and_one_leaf_of_a_tree_is_reached(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ensemble = random_ensemble(rng, trees=1, depth=5)
    if ensemble.depth < 2:
        return
    bits, program = compiled(ensemble, random_rows(rng, 60))
    mismatches = bits.astype(np.int64) @ program.selection.T + program.offset
    assert mismatches.min() >= 0
    assert mismatches.max() <= program.depth <= 4  # the features, however often a path asks them
    assert ((mismatches == 0).sum(axis=1) <= 1).all()
    assert set(np.unique(program.selection)) <= {-1, 0, 1}


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_stumps_become_a_linear_program_with_the_same_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ensemble = random_ensemble(rng, trees=8, depth=1, outputs=2)
    X = random_rows(rng, 60)
    encoding, program = compile_trees(ensemble, X=X)
    assert isinstance(program, LinearProgram)
    np.testing.assert_allclose(program.clear(encoding.encode(X)), ensemble.scores(X), atol=1e-12)
    assert (encoding.encode(X).sum(axis=1) == len(encoding.blocks)).all()


@settings(max_examples=40, deadline=None)
@given(seed=seeds, size=st.floats(1e-6, 1e9), base=st.floats(-1e3, 1e3))
def test_no_score_leaves_the_plaintext_and_the_scale_wastes_less_than_a_bit(
    seed: int, size: float, base: float
) -> None:
    rng = np.random.default_rng(seed)
    ensemble = random_ensemble(rng, trees=6)
    trees = tuple(replace(tree, leaves=size * tree.leaves) for tree in ensemble.trees)
    ensemble = replace(ensemble, trees=trees, base=np.array([base * size]))
    if ensemble.depth < 2:
        return
    X = random_rows(rng, 60)
    bits, program = compiled(ensemble, X)
    extremes = [fixed_point(ensemble, X, program.scale)]
    assert np.abs(program.clear(bits.astype(np.int64))).max() < MAX_SCORE
    assert np.abs(extremes).max() < MAX_SCORE
    low = sum(tree.leaves.min() for tree in trees) + base * size
    high = sum(tree.leaves.max() for tree in trees) + base * size
    assert MAX_SCORE / 2.3 < program.scale * max(abs(low), abs(high)) < MAX_SCORE
    assert np.frexp(program.scale)[0] * 16 % 1 == 0  # a scale of four bits tells no more of the model than its size


def test_a_path_that_contradicts_itself_is_no_leaf() -> None:
    rules = (Rule(feature=0, edges=(1.0,)), Rule(feature=0, edges=(2.0,)), Rule(feature=1, edges=(0.0,)))
    tree = Tree(
        rules=rules, children=np.array([[1, 2], [~0, ~1], [~2, ~3]]), leaves=np.array([[1.0], [9.0], [2.0], [4.0]])
    )
    base = comb(2)
    bits, program = compiled(replace(base, trees=(tree,)), np.zeros((1, 2)))
    # Of four leaves one cannot be reached, and one is the intercept.
    assert len(program.selection) == 2
    assert program.clear(bits.astype(np.int64))[0, 0] == np.rint(program.scale)


def test_a_constant_model_is_compiled() -> None:
    ensemble = replace(comb(2), trees=(), base=np.array([0.25]))
    encoding, program = compile_trees(ensemble, X=np.zeros((1, 2)))
    assert isinstance(program, LinearProgram)
    assert program.clear(encoding.encode(np.ones((3, 2)))).tolist() == [[0.25]] * 3


def test_fifteen_features_on_a_path_are_compiled_and_sixteen_are_refused() -> None:
    _, program = compile_trees(comb(15))
    assert isinstance(program, TreeProgram)
    assert program.depth == 15
    with pytest.raises(UnsupportedError, match="a path asks 16 different features") as error:
        compile_trees(comb(16))
    assert "max_depth" in error.value.hint


def test_too_many_leaves_are_refused() -> None:
    ensemble = comb(15)
    with pytest.raises(UnsupportedError, match="9600 leaves, and at most 8192") as error:
        compile_trees(replace(ensemble, trees=ensemble.trees * 600))
    assert error.value.hint


def test_too_many_thresholds_are_refused() -> None:
    trees = tuple(comb(15, edge=float(i)).trees[0] for i in range(300))
    with pytest.raises(UnsupportedError, match="4500 different thresholds") as error:
        compile_trees(replace(comb(15), trees=trees))
    assert "max_bin" in error.value.hint


@pytest.mark.parametrize("leaf", [np.nan, np.inf])
def test_leaves_that_are_no_numbers_are_refused(leaf: float) -> None:
    tree = Tree(rules=(), children=np.zeros((0, 2), dtype=np.int64), leaves=np.array([[leaf]]))
    with pytest.raises(WireError, match="finite leaf values"):
        replace(comb(2), trees=(tree,))
