"""Random forests that expect to be attacked: each tree splits by the Gini impurity at the worst points.

The splits are those of GROOT (Vos and Verwer, "Efficient training of robust decision trees against adversarial
examples", ICML 2021) in that the attacker moves each row to the side that hurts; here both orders of the two sides are
tried, and the rows that an attacker can place on either side are kept on both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from holdfast.data import Matrix, Schema
from holdfast.hardening.trees.as_onnx import model_of_shares
from holdfast.hardening.trees.box import Box, Mask
from holdfast.hardening.trees.classifier import RobustTreeClassifier, check_number
from holdfast.hardening.trees.grow import Growth, grow
from holdfast.hardening.trees.places import Places
from holdfast.hardening.trees.tree import RobustTree
from holdfast.models import OnnxModel


class RobustForestClassifier(RobustTreeClassifier):
    """A forest for two classes whose trees are grown, each on a bootstrap of the rows, at the worst point of each box.

    The score of a row is the mean over the trees of 2 p - 1, with p the share of the second class in its leaf.

    Args:
        radius: how far an attacker moves a column: one number, one for each column, (columns, 2) down and up, or
            (rows, columns, 2) for each row of its own.
        source_class: the label whose rows an attacker changes; None for both.
        n_estimators: trees.
        max_depth: splits on a path.
        min_weight: above 0, rows that each side of a split needs.
        max_bins: 2 to 256, the places that a column is cut into.
        random_state: seed of the bootstraps and of the columns that splits are offered, as in scikit-learn.
    """

    def __init__(
        self,
        radius: Any = 0.1,
        *,
        source_class: Any = None,
        n_estimators: int = 100,
        max_depth: int = 8,
        min_weight: float = 2.0,
        max_bins: int = 64,
        random_state: Any = None,
    ) -> None:
        self.radius = radius
        self.source_class = source_class
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_weight = min_weight
        self.max_bins = max_bins
        self.random_state = random_state

    def _trees(self, box: Box, places: Places, positive: Mask) -> tuple[float, tuple[RobustTree, ...]]:
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        columns, rows = box.low.shape
        offered = math.ceil(math.sqrt(columns))
        growth = Growth(depth=self.max_depth, l2=0.0, min_weight=self.min_weight, offered=offered)
        away = np.where(positive, -1.0, 1.0)
        trees = []
        for _ in range(self.n_estimators):
            copies = np.bincount(rng.integers(rows, size=rows), minlength=rows).astype(np.float64)
            tree = grow(places, positive, away * copies, copies, growth=growth, rng=rng)
            trees.append(tree.times(1 / self.n_estimators))
        return 0.0, tuple(trees)

    def _model(self, schema: Schema) -> OnnxModel:
        return model_of_shares(schema, self.trees_)

    def _probability(self, scores: Matrix) -> Matrix:
        return np.asarray((1 + scores) / 2)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("min_weight", self.min_weight, above=0)
