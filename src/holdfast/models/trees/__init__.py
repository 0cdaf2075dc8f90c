"""Trees as frozen values, whichever library grew them.

    model --reader--> Ensemble: every split `x < cut` in float64, exactly as the library compares

XGBoost, LightGBM, scikit-learn and ONNX each have a reader; `read_trees` finds the right one. `model_of_trees` goes the
other way, to ONNX.
"""

from holdfast.models.trees.as_onnx import model_of_trees
from holdfast.models.trees.ensemble import Column, Ensemble, Rule, Tree
from holdfast.models.trees.reading import is_trees, read_trees, tree_reader

__all__ = ["Column", "Ensemble", "Rule", "Tree", "is_trees", "model_of_trees", "read_trees", "tree_reader"]
