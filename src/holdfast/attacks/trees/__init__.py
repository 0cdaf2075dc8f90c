"""Evasion of trees: the smallest change that flips a decision, exactly.

    Ensemble --regions--> cells and boxes --row--> Ball --descent--> a near flip --program--> proof that none is nearer

`holdfast.models.trees.read_trees` makes an `Ensemble` of a model; a `Reach` says what its features may do.
`feasible_flips` does both for a model of tables and its schema.
"""

from holdfast.attacks.trees.attack import TreeAttack
from holdfast.attacks.trees.feasible import attackable, feasible_flips
from holdfast.attacks.trees.flips import Flips, RobustError, robust_error, smallest_flips
from holdfast.attacks.trees.reach import Reach

__all__ = [
    "Flips",
    "Reach",
    "RobustError",
    "TreeAttack",
    "attackable",
    "feasible_flips",
    "robust_error",
    "smallest_flips",
]
