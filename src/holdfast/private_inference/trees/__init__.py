"""Trees and additive models as programs.

    model --reader--> Ensemble or Additive --compile_trees--> BinEncoding (public), a program (secret)

XGBoost, LightGBM, scikit-learn, interpret and ONNX each have a reader; `read` finds the right one and does both steps.
"""

from holdfast.private_inference.trees.additive import Additive, Term
from holdfast.private_inference.trees.bins import CategoryBins, NumberBins
from holdfast.private_inference.trees.compile import Agreement, agreement, compile_trees, tree_program
from holdfast.private_inference.trees.encoding import BinEncoding, Block
from holdfast.private_inference.trees.reading import knows, read

__all__ = [
    "Additive",
    "Agreement",
    "BinEncoding",
    "Block",
    "CategoryBins",
    "NumberBins",
    "Term",
    "agreement",
    "compile_trees",
    "knows",
    "read",
    "tree_program",
]
