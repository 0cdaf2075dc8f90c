"""The table of readers: which model of trees is read by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import onnx

from holdfast.errors import UnsupportedError
from holdfast.models.onnx_model import OnnxModel
from holdfast.models.trees.ensemble import Ensemble
from holdfast.models.trees.on_schema import on_schema
from holdfast.models.trees.read_hist import read_hist
from holdfast.models.trees.read_lightgbm import read_lightgbm, read_lightgbm_file
from holdfast.models.trees.read_onnx import holds_trees, load_onnx, read_onnx, read_onnx_model
from holdfast.models.trees.read_sklearn import read_boosting, read_forest, read_tree
from holdfast.models.trees.read_xgboost import read_xgboost, read_xgboost_file

_OBJECTS: Final[Mapping[str, Callable[[Any], Ensemble]]] = MappingProxyType(
    {
        "xgboost.XGBModel": read_xgboost,
        "xgboost.Booster": read_xgboost,
        "lightgbm.LGBMModel": read_lightgbm,
        "lightgbm.Booster": read_lightgbm,
        "sklearn.BaseDecisionTree": read_tree,
        "sklearn.BaseForest": read_forest,
        "sklearn.BaseGradientBoosting": read_boosting,
        "sklearn.BaseHistGradientBoosting": read_hist,
        "holdfast.OnnxModel": read_onnx_model,
        "onnx.ModelProto": read_onnx,
    }
)
"""By the library and the class, or one that it inherits from; so no library is imported that the user has not."""
_FILES: Final[Mapping[str, Callable[[Path], Ensemble]]] = MappingProxyType(
    {
        ".json": read_xgboost_file,
        ".ubj": read_xgboost_file,
        ".txt": read_lightgbm_file,
        ".onnx": lambda path: read_onnx(load_onnx(path)),
    }
)


def tree_reader(model: Any) -> Callable[[Any], Ensemble] | None:
    """Who reads a model, by its class or its path; None where nobody does.

    A graph in ONNX has a reader, though it may hold something else; see `holds_trees`.
    """
    if isinstance(model, str | Path):
        read_file = _FILES.get(Path(model).suffix)
        return None if read_file is None else lambda path: read_file(Path(path))
    for cls in type(model).__mro__:
        if found := _OBJECTS.get(f"{cls.__module__.partition('.')[0]}.{cls.__name__}"):
            return found
    return None


def is_trees(model: Any) -> bool:
    """Whether a model is an ensemble of trees, or the path of a file that may hold one."""
    if isinstance(model, str | Path) and Path(model).suffix == ".onnx":
        return holds_trees(load_onnx(Path(model)))
    if isinstance(model, OnnxModel):
        return holds_trees(onnx.load_model_from_string(model.onnx))
    if isinstance(model, onnx.ModelProto):
        return holds_trees(model)
    return tree_reader(model) is not None


def read_trees(model: Any) -> Ensemble:
    """A model as a sum of trees over its own features; those of the schema where Holdfast keeps the model.

    Args:
        model: a fitted model of XGBoost, LightGBM or scikit-learn, a graph in ONNX, an `OnnxModel`, or the path of a
            file: XGBoost's .json and .ubj, LightGBM's .txt, .onnx.

    Raises:
        UnsupportedError: nobody reads it, or it is of a kind that is not read.
        WireError: a file is malformed.
    """
    reader = tree_reader(model)
    if reader is None:
        raise UnsupportedError(
            f"no reader of trees knows {type(model).__module__}.{type(model).__qualname__}",
            hint="give a fitted model of XGBoost, LightGBM or scikit-learn that is made of trees",
        )
    found = reader(model)
    return on_schema(found, model.schema) if isinstance(model, OnnxModel) else found
