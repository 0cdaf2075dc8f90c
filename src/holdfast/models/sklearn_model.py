"""Estimators of scikit-learn, XGBoost and LightGBM: fitted on the encoded rows, kept as ONNX and never as a pickle."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.compose import add_prefix

from holdfast.arguments import check_kind
from holdfast.data import Dataset
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.models.encoding import Encoding
from holdfast.models.linear import LinearModel
from holdfast.models.onnx_graph import ENCODED, OUTPUT, encoding_nodes, to_bytes
from holdfast.models.onnx_model import OnnxModel
from holdfast.models.trees import model_of_trees, tree_reader
from holdfast.models.trees.read_lightgbm import read_lightgbm
from holdfast.models.trees.read_xgboost import read_xgboost

_AGREEMENT_ROWS = 1_000
_MAX_GAP = 1e-4


def fit_estimator(estimator: Any, data: Dataset) -> LinearModel | OnnxModel:
    """Fit a fresh copy of a classifier of scikit-learn, XGBoost or LightGBM on a data set.

    The classifier sees the encoded rows as float32 (see `Encoding`), the precision in which scikit-learn's trees
    and their ONNX form compare, so both take the same side of every split. Categories and missing values are columns
    of the encoding: XGBoost and LightGBM need no treatment of their own for them, and get none.

    Raises:
        UsageError: the data is no `Dataset`, or the estimator a class.
        DataError: a class of the schema has no row.
        UnsupportedError: the estimator has no probabilities, has no ONNX form, or its ONNX form disagrees with it.
    """
    from sklearn.base import clone

    check_kind("data", data, Dataset, example="load(frame, schema)")
    if isinstance(estimator, type):
        name = estimator.__name__
        raise UsageError(f"expected a classifier, got the class {name}", hint=f"make one of it: {name}()")
    if not hasattr(estimator, "predict_proba"):
        raise UnsupportedError(
            f"{type(estimator).__name__} has no predict_proba", hint="wrap it in CalibratedClassifierCV"
        )
    present = np.unique(data.y)
    if len(present) != len(data.schema.classes):
        absent = data.schema.classes[int(np.setdiff1d(np.arange(len(data.schema.classes)), present)[0])]
        raise DataError(f"class {absent!r} has no row to train on")
    encoding = Encoding(data.schema)
    rows = encoding.encode(data.X).astype(np.float32)
    fitted = clone(estimator).fit(rows, data.y)
    if type(fitted).__name__ == "LogisticRegression":
        return LinearModel(data.schema, fitted.coef_.astype(np.float64), fitted.intercept_.astype(np.float64))
    if (read := tree_reader(fitted)) in (read_xgboost, read_lightgbm):
        model = model_of_trees(data.schema, read(fitted), kind=type(fitted).__name__)
    else:
        model = OnnxModel(_to_onnx(fitted, encoding))
    _check_agreement(fitted, rows[:_AGREEMENT_ROWS], model, data.X[:_AGREEMENT_ROWS])
    return model


def _to_onnx(fitted: Any, encoding: Encoding) -> bytes:
    """The encoding's graph with the estimator's behind it."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converter warns of versions newer than it knows; we check agreement
            converted = convert_sklearn(
                fitted,
                initial_types=[("rows", FloatTensorType([None, encoding.width]))],
                options={id(fitted): {"zipmap": False}},
                target_opset={"": 18, "ai.onnx.ml": 3},
            )
    except Exception as error:  # noqa: BLE001 - the converter raises types of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UnsupportedError(
            f"{type(fitted).__name__} cannot be written as ONNX: {first}",
            hint="choose an estimator that skl2onnx supports, such as gradient boosting, a forest or an MLP",
        ) from None
    converted = add_prefix(converted, "estimator/")
    nodes, constants = encoding_nodes(encoding)
    scores = converted.graph.output[1].name
    nodes.append(helper.make_node("Cast", [ENCODED], [converted.graph.input[0].name], to=TensorProto.FLOAT))
    nodes += list(converted.graph.node)
    nodes.append(helper.make_node("Cast", [scores], [OUTPUT], to=TensorProto.DOUBLE))
    opsets = [item for item in converted.opset_import if item.domain]
    constants += list(converted.graph.initializer)
    return to_bytes(nodes, constants, encoding.schema, kind=type(fitted).__name__, opsets=opsets)


def _check_agreement(fitted: Any, rows: Any, model: OnnxModel, X: Any) -> None:
    gap = float(np.abs(fitted.predict_proba(rows) - model.predict_proba(X)).max())
    if not gap <= _MAX_GAP:
        raise UnsupportedError(
            f"the ONNX form of {type(fitted).__name__} differs from it by {gap:.2g} in a probability, "
            f"at most {_MAX_GAP:g} is accepted",
            hint="choose another estimator",
        )
