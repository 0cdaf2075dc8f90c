"""Gradient boosting that expects to be attacked: each tree lowers a bound on the loss at the worst points.

The bound is that of Andriushchenko and Hein, "Provably robust boosted decision stumps and trees against adversarial
attacks" (NeurIPS 2019): each row's score is taken at the worst leaf of each tree, and the worst leaves add up. It is
minimised by Newton steps on the logistic loss, as Chen and Guestrin's XGBoost (KDD 2016) does at the rows themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit

from holdfast.data import Matrix, Schema
from holdfast.hardening.trees.as_onnx import model_of_scores
from holdfast.hardening.trees.box import Box, Mask
from holdfast.hardening.trees.classifier import RobustTreeClassifier, check_number
from holdfast.hardening.trees.grow import Growth, grow
from holdfast.hardening.trees.places import Places
from holdfast.hardening.trees.tree import RobustTree, worst_scores
from holdfast.models import OnnxModel


class RobustBoostingClassifier(RobustTreeClassifier):
    """Boosted trees for two classes that minimise a bound on the logistic loss at the worst point of each row's box.

    Deterministic. With a radius of 0 it is ordinary boosting on binned columns.

    Args:
        radius: how far an attacker moves a column: one number, one for each column, (columns, 2) down and up, or
            (rows, columns, 2) for each row of its own.
        source_class: the label whose rows an attacker changes (fraud that wants to pass); None for both.
        n_estimators: trees at most; fewer where no split helps any more.
        max_depth: splits on a path.
        learning_rate: above 0 and at most 1, the share of a Newton step that is taken.
        l2: 0 or more, added to the curvature of each leaf.
        min_weight: above 0, the curvature that each side of a split needs; a row near the boundary has 0.25.
        max_bins: 2 to 256, the places that a column is cut into.
    """

    def __init__(
        self,
        radius: Any = 0.1,
        *,
        source_class: Any = None,
        n_estimators: int = 100,
        max_depth: int = 6,
        learning_rate: float = 0.2,
        l2: float = 1.0,
        min_weight: float = 0.1,
        max_bins: int = 64,
    ) -> None:
        self.radius = radius
        self.source_class = source_class
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.l2 = l2
        self.min_weight = min_weight
        self.max_bins = max_bins

    def _trees(self, box: Box, places: Places, positive: Mask) -> tuple[float, tuple[RobustTree, ...]]:
        growth = Growth(depth=self.max_depth, l2=self.l2, min_weight=self.min_weight)
        base = float(logit(positive.mean()))
        scores = np.full(len(positive), base)
        trees: list[RobustTree] = []
        for _ in range(self.n_estimators):
            chance = expit(scores)
            tree = grow(places, positive, chance - positive, chance * (1 - chance), growth=growth)
            if trees and len(tree.column) == 1:
                break
            trees.append(tree.times(self.learning_rate))
            scores += worst_scores(trees[-1:], box, positive, base=0.0)
        return base, tuple(trees)

    def _model(self, schema: Schema) -> OnnxModel:
        return model_of_scores(schema, self.trees_, base=self.base_)

    def _probability(self, scores: Matrix) -> Matrix:
        return np.asarray(expit(scores))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("learning_rate", self.learning_rate, above=0, most=1)
        check_number("l2", self.l2, least=0)
        check_number("min_weight", self.min_weight, above=0)
