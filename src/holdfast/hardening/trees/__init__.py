"""Robust trees: boosting and forests whose splits are chosen against an attacker who moves every row."""

from holdfast.hardening.trees.boosting import RobustBoostingClassifier
from holdfast.hardening.trees.forest import RobustForestClassifier
from holdfast.hardening.trees.trainers import fit_robust_trees, tree_radius

__all__ = ["RobustBoostingClassifier", "RobustForestClassifier", "fit_robust_trees", "tree_radius"]
