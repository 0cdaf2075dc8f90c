"""Robust trees: how many decisions they keep, beside published figures and GROOT.

Prints one JSON line for each case: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"} and more where
there is more to know. Robust error is the share of test rows that are wrong, or that an attacker within the radius can
make wrong. It is exact, by `holdfast.attacks.trees`, for our trees and for the peer's alike; rows that the solver
leaves open are counted as lost for ours and as kept for the peer.

    mnist-2-6-robust-error     MNIST, 2 against 6, Linf 0.3; peer: the best published (Andriushchenko and Hein 2019)
    tumour-robust-error-…      scikit-learn's tumour data scaled to 0..1, five-fold; peer: the forest of GROOT 0.0.17
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from data_checks import DATA
from peers.environments import Peer, PeerMissing
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold

from holdfast.attacks.trees import Reach, robust_error
from holdfast.data import Dataset, Feature, Labels, Matrix, Schema
from holdfast.hardening.trees import RobustBoostingClassifier, RobustForestClassifier, fit_robust_trees
from holdfast.models.trees import Column, Ensemble, Rule, Tree, read_trees
from holdfast.models.trees.cuts import up_to

PUBLISHED = 0.038
RADII = (0.05, 0.1, 0.3)
TUMOUR_ESTIMATORS = (
    ("boosting", RobustBoostingClassifier(max_depth=4, l2=10.0, min_weight=1.0)),
    ("forest", RobustForestClassifier(min_weight=20.0)),
)
"""For a few hundred rows; chosen on other folds than those measured."""
GROOT = Peer(
    name="GROOT 0.0.17",
    script="groot_trees",
    cases=("forest",),
    # Released for the scikit-learn of its day; SciPy 1.11 is the last that runs with NumPy 1.24.
    installs=(
        (
            *("groot-trees==0.0.17", "scikit-learn==1.4.*", "numpy==1.24.*", "scipy==1.11.*"),
            *("pandas==2.1.*", "matplotlib==3.8.*", "contourpy<1.3"),
        ),
    ),
)


def cases() -> Iterator[dict[str, Any]]:
    """All figures of this script."""
    if (DATA / "mnist.npz").is_file():
        yield mnist()
    yield from tumour()


def mnist() -> dict[str, Any]:
    """The full set, 11,876 pictures to train on and 1,990 to test."""
    with np.load(DATA / "mnist.npz", allow_pickle=False) as file:
        sets = [(file[f"x_{part}"].reshape(-1, 784) / 255, file[f"y_{part}"]) for part in ("train", "test")]
    train, test = (unit_table(X[np.isin(y, (2, 6))], (y[np.isin(y, (2, 6))] == 2).astype(np.int64)) for X, y in sets)
    start = time.process_time()
    model = fit_robust_trees(
        RobustBoostingClassifier(n_estimators=150, max_bins=32), train, evasion_radius=encoded(0.3, train)
    )
    seconds = time.process_time() - start
    lost = robust_error(read_trees(model), test.X, test.y, reach=Reach.linf(784, low=0.0, high=1.0), radius=0.3)
    return figure(
        "mnist-2-6-robust-error",
        ours=lost.at_most,
        peer=PUBLISHED,
        peer_name="Andriushchenko and Hein 2019, published",
        test_error=float(lost.wrong.mean()),
        training_cpu_s=round(seconds, 1),
    )


def tumour() -> Iterator[dict[str, Any]]:
    """Five folds, the same for both, scaled by the training rows."""
    X, y = load_breast_cancer(return_X_y=True)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    for radius in RADII:
        ours: dict[str, list[float]] = {"boosting": [], "forest": [], "peer": []}
        for train, test in folds:
            low, high = X[train].min(axis=0), X[train].max(axis=0)
            scaled = np.clip((X - low) / (high - low), 0.0, 1.0)
            fit, held_out = (unit_table(scaled[rows], y[rows]) for rows in (train, test))
            for name, estimator in TUMOUR_ESTIMATORS:
                model = fit_robust_trees(estimator, fit, evasion_radius=encoded(radius, fit))
                ours[name].append(lost_by(read_trees(model), held_out, radius).at_most)
            try:
                ours["peer"].append(lost_by(groot_forest(fit.X, fit.y, radius), held_out, radius).found)
            except PeerMissing as reason:
                print(json.dumps({"bench": "harden_trees", "peer_name": GROOT.name, "skipped": str(reason)}))
        for name in ("boosting", "forest"):
            peer = float(np.mean(ours["peer"])) if ours["peer"] else None
            value = float(np.mean(ours[name]))
            yield figure(f"tumour-robust-error-{name}-{radius}", ours=value, peer=peer, peer_name=GROOT.name)


def lost_by(ensemble: Ensemble, data: Dataset, radius: float) -> Any:
    """The robust error of an ensemble on rows between 0 and 1."""
    reach = Reach.linf(ensemble.n_features, low=0.0, high=1.0)
    return robust_error(ensemble, data.X, data.y, reach=reach, radius=radius, time_limit_s=20.0)


def groot_forest(X: Matrix, y: Labels, radius: float) -> Ensemble:
    """GROOT's forest, which says the second class where its leaves add up to 0 or more.

    Raises:
        PeerMissing: it cannot be installed or run here.
    """
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "rows.npz"
        np.savez(arrays, X=X, y=y, radius=radius)
        trees = GROOT.run("forest", arrays)["trees"]
    return Ensemble(
        columns=tuple(Column() for _ in range(X.shape[1])),
        trees=tuple(map(tree_of, trees)),
        base=np.zeros(1),
        link="decision",
        classes=("0", "1"),
        kind="GROOT forest",
        cut=up_to,
    )


def tree_of(nodes: list[list[float]]) -> Tree:
    """A tree from nodes [feature, threshold, left, right, value]."""
    table = np.array(nodes)
    leaf = table[:, 0] < 0
    place = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1)
    splits = table[~leaf]
    return Tree(
        rules=tuple(Rule(feature=int(f), edges=(float(up_to(t)),)) for f, t in splits[:, :2]),
        children=place[splits[:, 2:4].astype(np.int64)].reshape(-1, 2),
        leaves=table[leaf, 4:],
    )


def unit_table(X: Matrix, y: Labels) -> Dataset:
    """Rows between 0 and 1 of two classes, as a data set."""
    features = tuple(Feature(name=f"x{i}", kind="real", low=0, high=1) for i in range(X.shape[1]))
    return Dataset(Schema(features=features, target="class", classes=("first", "second")), X, y)


def encoded(radius: float, data: Dataset) -> Matrix:
    """A radius of columns between 0 and 1 in encoded units, where they span 2."""
    return np.full(data.X.shape[1], 2 * radius)


def figure(case: str, *, ours: float, peer: float | None, peer_name: str, **more: Any) -> dict[str, Any]:
    """One line of figures; shares, with their ratio where there is a peer."""
    ratio = round(ours / peer, 4) if peer else None
    line = {"bench": "harden_trees", "case": case, "ours": round(ours, 4), "peer": peer and round(peer, 4)}
    return line | {"peer_name": peer_name, "ratio": ratio, "unit": "share"} | more


if __name__ == "__main__":
    for line in cases():
        print(json.dumps(line), flush=True)
