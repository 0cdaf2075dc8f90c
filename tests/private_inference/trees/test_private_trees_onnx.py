"""Trees in ONNX, as converters and Holdfast write them, give ONNX Runtime's predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn import ensemble as forests
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tests.private_inference.trees.tree_models import (
    DIABETES,
    IRIS,
    IRIS_CLASSES,
    PROGRESS,
    TUMOUR,
    TUMOUR_CLASSES,
    Floats,
    fitted,
    quiet,
)

from holdfast.data import Dataset, Feature, Schema
from holdfast.errors import UnsupportedError, WireError
from holdfast.models import fit_estimator
from holdfast.models.links import prediction
from holdfast.private_inference.trees import knows, read
from holdfast.private_inference.trees.compile import program_scores

FEW = {"n_estimators": 6, "max_depth": 4, "random_state": 0}
CASES = {
    "tree": (DecisionTreeClassifier(max_depth=4), IRIS, IRIS_CLASSES),
    "forest": (forests.RandomForestClassifier(**FEW), TUMOUR, TUMOUR_CLASSES),
    "forest regression": (forests.RandomForestRegressor(**FEW), DIABETES, PROGRESS / 100),
    "boosting": (forests.GradientBoostingClassifier(**FEW), TUMOUR, TUMOUR_CLASSES),
    "boosting multiclass": (forests.GradientBoostingClassifier(**FEW), IRIS, IRIS_CLASSES),
    "boosting regression": (forests.GradientBoostingRegressor(**FEW), DIABETES, PROGRESS / 100),
    "histograms": (forests.HistGradientBoostingClassifier(max_iter=6), TUMOUR, TUMOUR_CLASSES),
    "histograms multiclass": (forests.HistGradientBoostingClassifier(max_iter=4), IRIS, IRIS_CLASSES),
}


def converted(model: Any, width: int) -> Any:
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    types = [("rows", FloatTensorType([None, width]))]
    with quiet():
        return convert_sklearn(model, initial_types=types, options=options, target_opset={"": 18, "ai.onnx.ml": 3})


def run(graph: Any, X: Floats) -> Any:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (name,) = [item.name for item in session.get_inputs()]
    return session.run(None, {name: X.astype(np.float32)})[-1]


@pytest.mark.parametrize("name", CASES)
def test_a_converted_model_gives_the_predictions_of_onnx_runtime(name: str, tmp_path: Path) -> None:
    estimator, X, y = CASES[name]
    graph = converted(fitted(estimator, X.astype(np.float32), y), X.shape[1])
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    assert knows(graph)
    assert knows(tmp_path / "model.onnx")
    reading = read(tmp_path / "model.onnx", X=X)
    ours = prediction(reading.clear(X), reading.link, classes=len(reading.classes))
    np.testing.assert_allclose(ours, run(graph, X).reshape(len(X), -1), atol=1e-5)
    scores = program_scores(reading.program, reading.encoding.encode(X))
    np.testing.assert_allclose(scores, reading.clear(X), atol=1e-3)


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def one_split(mode: str, *, tracks: int, **changes: Any) -> Any:
    """A graph of one tree: 1 where the comparison of the first feature with 0.1 holds, else 2."""
    attributes: dict[str, Any] = {
        "n_targets": 1,
        "nodes_treeids": [0, 0, 0, 0, 0],
        "nodes_nodeids": [0, 1, 2, 3, 4],
        "nodes_featureids": [0, 0, 1, 0, 0],
        "nodes_modes": [mode, "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.1, 0.0, 0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 3, 0, 0],
        "nodes_falsenodeids": [2, 0, 4, 0, 0],
        "nodes_missing_value_tracks_true": [tracks, 0, 1, 0, 0],
        "target_treeids": [0, 0, 0],
        "target_nodeids": [1, 3, 4],
        "target_ids": [0, 0, 0],
        "target_weights": [1.0, 2.0, 4.0],
    }
    node = helper.make_node("TreeEnsembleRegressor", ["rows"], ["out"], domain="ai.onnx.ml", **attributes | changes)
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


@pytest.mark.parametrize("tracks", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_every_comparison_is_that_of_onnx_runtime_at_the_threshold_and_beside_it(mode: str, tracks: int) -> None:
    graph = one_split(mode, tracks=tracks)
    at = np.float32(0.1)
    first = [at, np.nextafter(at, np.float32(1)), np.nextafter(at, np.float32(0)), np.float32(-3), np.float32("nan")]
    X = np.array([[value, other] for value in first for other in (0.0, 1.0, np.nan)], dtype=np.float64)
    reading = read(graph, X=X)
    np.testing.assert_array_equal(reading.clear(X), run(graph, X))
    scores = program_scores(reading.program, reading.encoding.encode(X))
    np.testing.assert_allclose(scores, run(graph, X), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes_truenodeids": [0, 0, 3, 0, 0]}, "below its root"),
        ({"nodes_truenodeids": [2, 0, 3, 0, 0]}, "reached twice"),
        ({"nodes_truenodeids": [9, 0, 3, 0, 0]}, "without what it has"),
        ({"nodes_featureids": [-1, 0, 1, 0, 0]}, "every split on one of"),
        ({"nodes_values": [float("nan"), 0.0, 0.5, 0.0, 0.0]}, "at a number"),
        ({"nodes_values": [0.1, 0.0]}, "without what it has"),
        ({"nodes_modes": ["BRANCH_IN", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"]}, "without what it has"),
        ({"nodes_nodeids": [0, 1, 2, 3, 3]}, "every node of a tree once"),
        ({"target_ids": [0, 0, 7]}, "without what it has"),
        ({"target_weights": [1.0, 2.0, float("inf")]}, "finite leaf values"),
    ],
)
def test_malformed_trees_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WireError, match=message):
        read(one_split("BRANCH_LT", tracks=0, **changes))


def test_operators_around_the_trees_are_refused_by_name() -> None:
    behind = one_split("BRANCH_LT", tracks=0)
    behind.graph.node.append(helper.make_node("Sigmoid", ["out"], ["shares"]))
    with pytest.raises(UnsupportedError, match="operator Sigmoid behind the trees"):
        read(behind)
    before = one_split("BRANCH_LT", tracks=0)
    before.graph.node[0].input[0] = "scaled"
    before.graph.node.insert(0, helper.make_node("Scaler", ["rows"], ["scaled"], domain="ai.onnx.ml"))
    with pytest.raises(UnsupportedError, match="operator Scaler in front of the trees"):
        read(before)
    with pytest.raises(UnsupportedError, match="MIN"):
        read(one_split("BRANCH_LT", tracks=0, aggregate_function="MIN"))


def test_a_graph_without_trees_is_left_to_others(tmp_path: Path) -> None:
    graph = converted(fitted(LogisticRegression(), IRIS, IRIS_CLASSES), 4)
    assert not knows(graph)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(WireError):
        knows(tmp_path / "model.onnx")


SCHEMA = Schema(
    features=(
        Feature(name="age", kind="integer", low=0, high=100),
        Feature(name="dose", kind="real", low=-3.0, high=7.5, nullable=True),
        Feature(name="kind", kind="category", categories=("x", "y", "z"), nullable=True),
        Feature(name="lab", kind="category", categories=("p", "q")),
    ),
    target="ill",
    classes=("no", "yes"),
)


def mixed(n: int = 400) -> Dataset:
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.integers(0, 101, n), rng.uniform(-3, 7.5, n), rng.integers(0, 3, n), rng.integers(0, 2, n)]
    ).astype(np.float64)
    y = (X[:, 0] > 50) ^ (X[:, 1] > 2) ^ (X[:, 2] == 1) ^ (X[:, 3] == 1)
    X[::7, 1], X[::5, 2] = np.nan, np.nan
    return Dataset(SCHEMA, X, y.astype(np.int64))


@pytest.mark.parametrize(
    "estimator",
    [
        forests.RandomForestClassifier(**FEW | {"max_depth": 6}),
        forests.GradientBoostingClassifier(**FEW),
        forests.HistGradientBoostingClassifier(max_iter=8),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_model_that_holdfast_keeps_takes_rows_of_its_schema(estimator: Any) -> None:
    data = mixed()
    model = fit_estimator(estimator, data)
    reading = read(model, X=data.X)
    assert knows(model)
    assert reading.classes == SCHEMA.classes
    assert reading.encoding.n_features == len(SCHEMA.features)
    # The ends of the ranges, and numbers next to every cut of the grid.
    grids = [np.array(bins.grid) for block in reading.encoding.blocks[:2] for bins in block.bins]  # type: ignore
    rows = data.X[np.arange(600) % len(data)].copy()
    for feature, grid in enumerate(grids):
        near = np.concatenate([grid, np.nextafter(grid, -np.inf), np.nextafter(grid, np.inf)])
        near = near[(near >= SCHEMA.features[feature].low) & (near <= SCHEMA.features[feature].high)]
        rows[: len(near), feature] = near[:600]
    ours = prediction(reading.clear(rows), reading.link, classes=2)
    np.testing.assert_allclose(ours, model.predict_proba(rows), atol=1e-6)
    scores = program_scores(reading.program, reading.encoding.encode(rows))
    np.testing.assert_allclose(scores, reading.clear(rows), atol=1e-4)
    assert onnx.load_model_from_string(model.onnx).graph.node  # the model itself is untouched
