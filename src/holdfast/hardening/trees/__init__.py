"""Robust trees: boosting and forests whose splits are chosen against an attacker who moves every row."""

from holdfast.hardening.trees.boosting import RobustBoostingClassifier
from holdfast.hardening.trees.forest import RobustForestClassifier
from holdfast.hardening.trees.trainers import feasible_radius, fit_robust_trees

__all__ = ["RobustBoostingClassifier", "RobustForestClassifier", "feasible_radius", "fit_robust_trees"]
