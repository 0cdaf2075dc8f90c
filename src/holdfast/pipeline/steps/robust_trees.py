"""Hardening of trees: boosting that chooses its splits against the attacker, as strongly as its price allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holdfast.attacks import FeasibleChange, evasion
from holdfast.attacks.trees import attackable
from holdfast.data import Dataset
from holdfast.hardening import HardeningResult, strongest_affordable
from holdfast.hardening.harden import right_on
from holdfast.hardening.result import compare
from holdfast.hardening.trees import RobustBoostingClassifier, feasible_radius, fit_robust_trees
from holdfast.models import Model, OnnxModel, Trainer
from holdfast.models.trees import read_trees
from holdfast.pipeline.steps.advance import Advance

METHOD: Final = "robust boosted trees"
_SHARES: Final = (1.0, 0.75, 0.5, 0.25)
"""Of what the attacker may change, the strongest first; the first that keeps 97 % of the average precision is taken."""
_MOST_TREES: Final = 100
_MOST_DEPTH: Final = 6


@dataclass(frozen=True, kw_only=True)
class RobustTreesTrainer:
    """Trains robust boosted trees, for the project's model and for those that attacks compare it with.

    Args:
        threat: what an attacker may change.
        share: of that, what the training defends against.
        source_class: whose rows an attacker changes; None for all.
        size: of the trees, as parameters of `RobustBoostingClassifier`.
    """

    threat: FeasibleChange
    share: float
    source_class: str | None
    size: dict[str, Any]

    def __call__(self, data: Dataset, *, seed: int) -> OnnxModel:
        """Train; the seed decides nothing, as the training is deterministic."""
        estimator = RobustBoostingClassifier(source_class=self.source_class, **self.size)
        radius = self.share * feasible_radius(self.threat, data)
        return fit_robust_trees(estimator, data, evasion_radius=radius, seed=seed)


def takes_robust_trees(model: Model) -> bool:
    """Whether robust trees can stand in for a model: it is of trees, and tells two classes apart."""
    return len(model.schema.classes) == 2 and attackable(model)


def harden_trees(
    model: Model,
    data_train: Dataset,
    data_test: Dataset,
    *,
    plain: Trainer,
    threat: FeasibleChange,
    source_class: str | None,
    rng: np.random.Generator,
    advance: Advance,
) -> tuple[HardeningResult[Model], RobustTreesTrainer] | None:
    """Put robust trees in the place of a model of trees, and attack both on the same rows; with the way they were made.

    Args:
        model: as it is; see `takes_robust_trees`.
        data_train: rows to train on, and to choose the strength by.
        data_test: rows to attack, or whose rows of `source_class` to attack; they decide nothing.
        plain: the way the model was trained, whose average precision is the measure.
        threat: what an attacker may change.
        source_class: whose rows; None for all.
        rng: for the folds and the searches.
        advance: hears of progress.

    Returns:
        None where every strength costs too much precision.
    """
    schema = data_train.schema
    rarer = schema.classes[int(np.bincount(data_train.y, minlength=2).argmin())]
    ways = [
        RobustTreesTrainer(threat=threat, share=share, source_class=source_class, size=size)
        for share in _SHARES
        for size in _sizes(model)
    ]
    choice = strongest_affordable(
        plain, ways, data_train, source_class=source_class or rarer, rng=rng, progress=advance
    )
    if choice.position is None:
        return None
    way = ways[choice.position]
    hardened: Model = way(data_train, seed=int(rng.integers(2**31)))
    before, after = (
        evasion(each, data_test, threat=threat, rng=rng, source_class=source_class) for each in (model, hardened)
    )
    details = {
        "share_of_the_threat": way.share,
        "trees": way.size,
        "average_precision_before": choice.plain,
        "average_precision_after": choice.hardened[-1],
    }
    right = (right_on(model, data_test), right_on(hardened, data_test))
    return compare(hardened, method=METHOD, before=before, after=after, right=right, details=details), way


def _sizes(model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """About the size of the trees that are to be replaced; and smaller ones, which keep more of the precision."""
    trees = read_trees(model).trees
    count = min(len(trees), _MOST_TREES)
    depth = min(max(math.ceil(math.log2(len(tree.leaves))) for tree in trees), _MOST_DEPTH)
    small = {"n_estimators": max(count // 2, 1), "max_depth": max(depth - 2, 1), "learning_rate": 0.1}
    return {"n_estimators": count, "max_depth": max(depth, 1)}, small
