"""Robust trees as models of a schema, so that they are sealed, attacked and served like any model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.data import Matrix, Schema
from holdfast.hardening.trees.tree import RobustTree
from holdfast.models import Encoding, OnnxModel
from holdfast.models.links import Link
from holdfast.models.trees import Column, Ensemble, Rule, Tree, model_of_trees
from holdfast.models.trees.cuts import up_to_float32


def model_of_scores(schema: Schema, trees: Sequence[RobustTree], *, base: float) -> OnnxModel:
    """A classifier whose second class has the probability sigmoid(base + what the trees reach)."""
    plain = tuple(_tree(tree, tree.value[tree.is_leaf][:, None]) for tree in trees)
    return _model(schema, plain, base=np.array([base]), link="logistic")


def model_of_shares(schema: Schema, trees: Sequence[RobustTree]) -> OnnxModel:
    """A classifier whose second class has the probability (1 + what the trees reach) / 2."""
    plain = tuple(_tree(tree, tree.value[tree.is_leaf][:, None] * [-0.5, 0.5]) for tree in trees)
    return _model(schema, plain, base=np.array([0.5, 0.5]), link="identity")


def _model(schema: Schema, trees: tuple[Tree, ...], *, base: Matrix, link: Link) -> OnnxModel:
    ensemble = Ensemble(
        columns=(Column(),) * Encoding(schema).width,
        trees=trees,
        base=base,
        link=link,
        classes=schema.classes,
        kind=f"{len(trees)} robust trees",
        cut=up_to_float32,
    )
    return model_of_trees(schema, ensemble, kind="trees")


def _tree(tree: RobustTree, leaves: Matrix) -> Tree:
    """A robust tree as a neutral one, with these values for its leaves."""
    split = ~tree.is_leaf
    place = np.where(split, np.cumsum(split) - 1, ~(np.cumsum(tree.is_leaf) - 1))
    edges = up_to_float32(tree.cut[split])
    rules = zip(tree.column[split], edges, strict=True)
    return Tree(
        rules=tuple(Rule(feature=int(column), edges=(float(edge),)) for column, edge in rules),
        children=place[np.column_stack([tree.left, tree.right])[split]],
        leaves=leaves,
    )
