"""Evasion of trees, exactly and fast; cases for `benches/attacks.py`, or alone.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}.

    python benches/attack_trees.py

Distances are Linf on features scaled to 0..1, for rows of a held-out fifth that the model gets right. The exact attack
is timed on XGBoost with 100 trees of depth 6 on 30 features (synthetic, as there the trees grow full, and the tumour
data); its peer is the same program over the whole ensemble, without the fast search, the ball and the bound before it.
MNIST 2 against 6 is read from the folder that HOLDFAST_DATA names, by default ../shared/data beside the repository;
beside our figure stand the robust error published for normal boosting, whose trees were others, and what 250 random
corners of the box find, for a feeling of how much a weak attack misses.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, make_classification
from xgboost import XGBClassifier

from holdfast.attacks.trees import Flips, Reach, robust_error, smallest_flips
from holdfast.attacks.trees.attack import TreeAttack
from holdfast.attacks.trees.ball import Margin
from holdfast.attacks.trees.program import solve
from holdfast.data import Labels, Matrix
from holdfast.models.trees import Ensemble, read_trees

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROWS = 100
WHOLE_ROWS = 3
WHOLE_LIMIT_S = 20.0
PUBLISHED_NORMAL = 0.896
MNIST_RADIUS = 0.3
CORNERS = 250
CORNER_ROWS = 100

Line = dict[str, Any]


def cases() -> Iterator[Line]:
    """Every figure, as it is known."""
    yield from distances("synthetic", *make_classification(5_000, 30, n_informative=20, random_state=0))
    yield from distances("tumour", *load_breast_cancer(return_X_y=True))
    yield from mnist()


def distances(name: str, X: Matrix, y: Labels) -> Iterator[Line]:
    """Time of the exact and of the fast attack, and what the fast one overstates."""
    model, X, y = fitted(X, y)
    ensemble, reach = read_trees(model), Reach.linf(X.shape[1])
    fast, fast_s = row_by_row(ensemble, X, y, reach, time_limit_s=0.0)
    exact, exact_s = row_by_row(ensemble, X, y, reach, time_limit_s=60.0)
    whole_s = [whole_program_s(ensemble, x, int(own), reach) for x, own in zip(X[:WHOLE_ROWS], y, strict=False)]
    if not (model.predict(exact.X) != y).all():
        raise RuntimeError("expected every found row to flip XGBoost's own answer")
    same = f"the whole program, median of {WHOLE_ROWS} rows, at most {WHOLE_LIMIT_S:.0f} s each"
    yield line(f"trees-exact-s-per-row-{name}", np.median(exact_s), np.median(whole_s), same, "s CPU, median")
    yield line(f"trees-exact-slowest-s-{name}", exact_s.max(), None, None, "s CPU, slowest row")
    yield line(f"trees-exact-undecided-{name}", exact.undecided.mean(), None, None, "share of rows")
    exact_ms = 1e3 * np.median(exact_s)
    yield line(f"trees-fast-ms-per-row-{name}", 1e3 * np.median(fast_s), exact_ms, "our exact attack", "ms CPU, median")
    over = fast.distance / exact.distance
    yield line(f"trees-fast-gap-{name}", over.mean() - 1, None, None, "of the exact distance, mean over rows")
    yield line(f"trees-fast-gap-worst-{name}", over.max() - 1, None, None, "of the exact distance, worst row")
    yield line(f"trees-fast-exact-rows-{name}", (over < 1 + 1e-9).mean(), None, None, "share of rows")


def fitted(X: Matrix, y: Labels) -> tuple[Any, Matrix, Labels]:
    """XGBoost on four fifths of the rows, and rows of the rest that it gets right."""
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    order = np.random.default_rng(0).permutation(len(X))
    learned, held = np.split(order, [int(0.8 * len(X))])
    model = XGBClassifier(n_estimators=100, max_depth=6, n_jobs=1).fit(X[learned], y[learned])
    right = held[model.predict(X[held]) == y[held]][:ROWS]
    return model, X[right], y[right].astype(np.int64)


def row_by_row(ensemble: Ensemble, X: Matrix, y: Labels, reach: Reach, *, time_limit_s: float) -> tuple[Flips, Matrix]:
    """The flips, and the CPU seconds of each row."""
    marks = [time.process_time()]

    def progress(done: int, rows: int) -> None:
        del done, rows
        marks.append(time.process_time())

    smallest_flips(ensemble, X[:1], y[:1], reach=reach, time_limit_s=time_limit_s)
    flips = smallest_flips(ensemble, X, y, reach=reach, time_limit_s=time_limit_s, progress=progress)
    seconds = np.diff(marks)
    return flips, seconds[1:]  # the first holds the preparation, too


def whole_program_s(ensemble: Ensemble, x: Matrix, own: int, reach: Reach) -> float:
    """CPU seconds of the mixed-integer program over all that the reach allows, nothing known before."""
    margin: Margin = TreeAttack(ensemble, reach).margins(x, own)[0]
    costs = margin.origin.box_cost
    start = time.process_time()
    solve(margin.ball(float(costs[np.isfinite(costs)].max())), nearest=True, at_least=0.0, time_limit_s=WHOLE_LIMIT_S)
    return time.process_time() - start


def mnist() -> Iterator[Line]:
    """Normal boosting on MNIST 2 against 6, with the settings of Chen et al. 2019 (1,000 trees, depth 4, rate 0.02)."""
    path = DATA / "mnist.npz"
    if not path.exists():
        yield {"bench": "attack_trees", "case": "mnist-2-6-natural", "skipped": f"there is no {path}"}
        return
    with np.load(path, allow_pickle=False) as file:
        X, y = two_and_six(file["x_train"], file["y_train"])
        held, truth = two_and_six(file["x_test"], file["y_test"])
    model = XGBClassifier(n_estimators=1_000, max_depth=4, learning_rate=0.02, n_jobs=1).fit(X, y)
    start = time.process_time()
    reach = Reach.linf(X.shape[1], low=0.0, high=1.0)
    error = robust_error(read_trees(model), held, truth, reach=reach, radius=MNIST_RADIUS)
    seconds = (time.process_time() - start) / len(held)
    if not (model.predict(error.X[error.flipped]) != truth[error.flipped]).all():
        raise RuntimeError("expected every found row to flip XGBoost's own answer")
    published = "as published for normal boosting, of other trees"
    yield line("mnist-2-6-natural", error.found, PUBLISHED_NORMAL, published, "robust error at 0.3, at least")
    yield line("mnist-2-6-natural-at-most", error.at_most, None, None, "robust error at 0.3, at most")
    yield line("mnist-2-6-natural-clean", error.wrong.mean(), None, None, "error")
    yield line("mnist-2-6-natural-s-per-row", seconds, None, None, "s CPU")
    few, own = held[:CORNER_ROWS], truth[:CORNER_ROWS]
    yield line("mnist-2-6-natural-corners", by_corners(model.predict, few, own), None, None, "robust error, at least")


def two_and_six(images: Any, digits: Any) -> tuple[Matrix, Labels]:
    """Pictures of a 2 (class 0) or a 6 (class 1) as rows in 0..1."""
    chosen = (digits == 2) | (digits == 6)
    return images[chosen].reshape(chosen.sum(), -1) / 255.0, (digits[chosen] == 6).astype(np.int64)


def by_corners(predict: Callable[[Matrix], Any], X: Matrix, y: Labels) -> float:
    """The share of rows that are wrong in themselves or at one of some random corners of the box."""
    rng = np.random.default_rng(0)
    wrong = predict(X) != y
    for _ in range(CORNERS):
        wrong |= predict(np.clip(X + MNIST_RADIUS * rng.choice([-1.0, 1.0], X.shape), 0.0, 1.0)) != y
    return float(wrong.mean())


def line(case: str, ours: Any, peer: Any, peer_name: str | None, unit: str) -> Line:
    """One figure."""
    ratio = float(ours / peer) if peer else None
    other = None if peer is None else float(peer)
    return {"bench": "attack_trees", "case": case, "ours": float(ours), "peer": other, "peer_name": peer_name} | {
        "ratio": ratio,
        "unit": unit,
    }


if __name__ == "__main__":
    for figure in cases():
        print(json.dumps(figure), flush=True)
