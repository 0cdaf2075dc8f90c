"""The models that private inference is measured on, each with the rows it is asked about and the clear model's scores.

The tumour data comes with scikit-learn. MNIST and PneumoniaMNIST are read from the folder that HOLDFAST_DATA names, by
default ../shared/data beside the repository, and their networks are trained by `networks.py`, once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.measure import Arrays, Figures
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from holdfast.private_inference import PrivatePlan
from holdfast.private_inference.program import NetworkProgram

Matrix = NDArray[np.float64]

REFERENCE_IMAGES = 2_000
"""Images for the compiler, drawn from the training set."""


class CaseMissing(Exception):
    """A case cannot be run here; the message is the reason."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """One workload.

    Args:
        name: as the figures are printed.
        model: what `compile_private` takes.
        reference: rows for the compiler, (rows, n_features), or images as the network takes them.
        X: rows to ask about, (rows, n_features); none of them in `reference`.
        y: their true classes, as positions.
        scores: the clear model's scores (rows, outputs) of rows.
        peer_arrays: the model and its rows as the peers take them.
        repeats: how often the server's time is taken.
        query_rows: rows of one query.
        classes: their names, where the model does not know them.
        beside: figures of something else in the clear, by its name, to be printed beside ours.
    """

    name: str
    model: Any
    reference: Matrix
    X: Matrix
    y: NDArray[Any]
    scores: Callable[[Matrix], Matrix] = field(repr=False)
    peer_arrays: Callable[[PrivatePlan], Arrays] = field(repr=False)
    repeats: int
    query_rows: int = 1
    classes: tuple[str, ...] | None = None
    beside: dict[str, Figures] = field(default_factory=dict)


def tumour() -> tuple[Matrix, Matrix, NDArray[Any], NDArray[Any]]:
    """X_train, X_test, y_train, y_test: 569 records, 30 features, half of them to be asked about."""
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
    return X_train, X_test, y_train, y_test


def logistic() -> Case:
    X_train, X, y_train, y = tumour()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
    scaler, linear = model[0], model[1]

    def arrays(_: PrivatePlan) -> Arrays:
        training = {"X_train": scaler.transform(X_train), "y_train": y_train}
        weights = {"W0": linear.coef_, "b0": linear.intercept_}
        return {"X": scaler.transform(X[:20]), "expected": scores(X[:20]), **weights, **training}

    def scores(rows: Matrix) -> Matrix:
        return np.asarray(model.decision_function(rows)[:, None])

    return Case(
        name="logistic", model=model, reference=X_train, X=X, y=y, scores=scores, peer_arrays=arrays, repeats=200
    )


def ebm() -> Case:
    """Main effects alone, 30 of them; no peer has explainable boosting machines."""
    try:
        from interpret.glassbox import ExplainableBoostingClassifier
    except ImportError as error:
        raise CaseMissing(str(error)) from None
    X_train, X, y_train, y = tumour()
    model = ExplainableBoostingClassifier(interactions=0, outer_bags=4, n_jobs=1, random_state=0).fit(X_train, y_train)
    return Case(
        name="ebm",
        model=model,
        reference=X_train,
        X=X,
        y=y,
        scores=lambda rows: np.asarray(model.decision_function(rows)).reshape(len(rows), -1),
        peer_arrays=lambda _: {},
        repeats=200,
    )


def xgboost_50x4() -> Case:
    return boosted("xgboost-50x4", tumour(), n_trees=50, depth=4)


def xgboost_100x6() -> Case:
    X, y = make_classification(n_samples=4_000, n_features=30, n_informative=20, random_state=0)
    split = train_test_split(X, y, test_size=0.25, random_state=0)
    return boosted("xgboost-100x6", tuple(split), n_trees=100, depth=6)


def boosted(name: str, data: tuple[Any, ...], *, n_trees: int, depth: int) -> Case:
    """Gradient-boosted trees with XGBoost's own defaults."""
    try:
        from xgboost import XGBClassifier
    except ImportError as error:
        raise CaseMissing(str(error)) from None
    X_train, X, y_train, y = data
    model = XGBClassifier(n_estimators=n_trees, max_depth=depth, n_jobs=1, random_state=0).fit(X_train, y_train)

    def scores(rows: Matrix) -> Matrix:
        return np.asarray(model.predict(rows, output_margin=True), dtype=np.float64)[:, None]

    def arrays(_: PrivatePlan) -> Arrays:
        rows = {"X": X[:20], "expected": scores(X[:20]), "X_train": X_train, "y_train": y_train}
        return rows | complete_trees(model.get_booster(), depth=depth, margin=scores(X[:1])[0, 0], row=X[0])

    return Case(name=name, model=model, reference=X_train, X=X, y=y, scores=scores, peer_arrays=arrays, repeats=20)


def complete_trees(booster: Any, *, depth: int, margin: float, row: Matrix) -> Arrays:
    """Every tree filled up to the same depth: features and thresholds (trees, 2^depth - 1), leaves (trees, 2^depth).

    `x < threshold`, in single precision, goes left. Below a leaf that comes early both sides have its value. The base
    score is what is missing from the model's own margin of one row.
    """
    trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    n_splits = 2**depth - 1
    features, thresholds = np.zeros((len(trees), n_splits), int), np.zeros((len(trees), n_splits))
    leaves = np.zeros((len(trees), n_splits + 1))

    def fill(i: int, at: int, node: int) -> None:
        tree = trees[i]
        children = tree["left_children"][node], tree["right_children"][node]
        if at >= n_splits:
            leaves[i, at - n_splits] = tree["split_conditions"][node]
            return
        if -1 not in children:
            features[i, at], thresholds[i, at] = tree["split_indices"][node], tree["split_conditions"][node]
        for side, child in enumerate(children, start=1):
            fill(i, 2 * at + side, node if child == -1 else child)

    for i in range(len(trees)):
        fill(i, 0, 0)
    base = margin - clear_trees(features, thresholds, leaves, row)
    return {"features": features, "thresholds": thresholds, "leaves": leaves, "base": np.array([base])}


def clear_trees(features: NDArray[Any], thresholds: Matrix, leaves: Matrix, row: Matrix) -> float:
    """The sum of complete trees for one row."""
    at, trees, row = np.zeros(len(features), dtype=int), np.arange(len(features)), row.astype(np.float32)
    while at[0] < features.shape[1]:
        at = 2 * at + 2 - (row[features[trees, at]] < thresholds[trees, at])
    return float(leaves[trees, at - features.shape[1]].sum())


def network(name: str, *, recipe: str, repeats: int, query_rows: int = 1) -> Case:
    """A network with polynomial activations on images; the one with ReLU, from which it comes, stands beside it."""
    try:
        import networks
        import torch

        trained = networks.trained(recipe)
    except (ImportError, OSError) as error:
        raise CaseMissing(str(error)) from None
    shape = trained.data.X.shape[1:]

    def scores(rows: Matrix) -> Matrix:
        images = torch.from_numpy(rows.reshape(-1, *shape).astype(np.float32))
        with torch.no_grad():
            return np.asarray(trained.module(images).numpy(), dtype=np.float64)

    rng = np.random.default_rng(0)  # PneumoniaMNIST has one class after the other
    drawn, order = rng.permutation(len(trained.data.X))[:REFERENCE_IMAGES], rng.permutation(len(trained.data.X_test))
    asked = trained.data.X_test[order].reshape(len(order), -1).astype(np.float64)
    return Case(
        name=name,
        model=trained.module,
        reference=trained.data.X[drawn].astype(np.float64),
        X=asked,
        y=trained.data.y_test[order],
        scores=scores,
        peer_arrays=lambda plan: network_arrays(plan, asked[:20]),
        repeats=repeats,
        query_rows=query_rows,
        classes=trained.data.classes,
        beside={"the network with ReLU, in the clear": {"accuracy": trained.figures.relu_accuracy}},
    )


def network_arrays(plan: PrivatePlan, rows: Matrix) -> Arrays:
    """The plan's own affine maps, whole, and encoded rows with their scores; for convolutions the rows alone."""
    program, X = plan.secret.program, plan.public.encoding.encode(rows)
    arrays: Arrays = {"X": X, "expected": plan.clear_scores(rows)}
    if isinstance(program, NetworkProgram) and program.input_map is None:
        for i, layer in enumerate(program.layers):
            arrays |= {f"W{i}": np.kron(layer.weights, np.eye(layer.block)), f"b{i}": layer.bias}
    return arrays


CASES: dict[str, Callable[[], Case]] = {
    "logistic": logistic,
    "ebm": ebm,
    "xgboost-50x4": xgboost_50x4,
    "xgboost-100x6": xgboost_100x6,
    "mlp-784": partial(network, "mlp-784", recipe="mlp-784", repeats=10),
    "cnn-mnist": partial(network, "cnn-mnist", recipe="cnn-mnist", repeats=10),
    "cnn-pneumonia": partial(network, "cnn-pneumonia", recipe="cnn-pneumonia", repeats=10),
    "mlp-784-batch-1000": partial(network, "mlp-784-batch-1000", recipe="mlp-784", repeats=3, query_rows=1_000),
}
