"""What private training of tables reaches: each estimator beside one without privacy, and beside peers.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; a ratio is ours
over the peer, above 1 where we are better, and for errors the peer over ours. delta is 1e-5; figures are means of five
trainings, on five splits of 80/20 by the content of the rows, or on the official split of UCI Adult.

Data: the tumour data and diabetes of scikit-learn; UCI Adult (test error; ranges and categories from its description)
and the sample of the ULB card fraud data (average precision) are read from the folder that HOLDFAST_DATA names, by
default ../shared/data beside the repository, and left out with a line that says so where they are absent.

The peer on tables is DP-EBM of interpret, with the same public ranges. Name cases to run only those.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import average_precision_score, r2_score

from holdfast.data import Dataset, Feature, Schema, from_frame
from holdfast.data.frames import columns_from_frame
from holdfast.data.tumour import tumour_frame, tumour_schema
from holdfast.models import Encoding
from holdfast.training.estimators import DPGradientBoostingClassifier, DPLinearRegression, DPLogisticRegression
from holdfast.training.estimators.inputs import into_ranges, schema_for
from holdfast.training.estimators.mlp import DPMLPClassifier

DATA: Final = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
DELTA: Final = 1e-5
RUNS: Final = 5
PEER: Final = "interpret DP-EBM"

ADULT_COLUMNS: Final = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
)
ADULT_RANGES: Final = {
    "age": (17, 90),
    "fnlwgt": (0, 1_500_000),
    "education-num": (1, 16),
    "capital-gain": (0, 99_999),
    "capital-loss": (0, 5_000),
    "hours-per-week": (1, 99),
}
FRAUD_RANGES: Final = {"Time": (0, 172_800), "Amount": (0, 30_000)}
"""Two days in seconds, and a limit of cards; the 28 components have no unit, and (-100, 100) for a range."""


@dataclass(frozen=True)
class Task:
    """A classification task: its splits, its public features, and how a fitted estimator is scored."""

    name: str
    splits: tuple[tuple[Dataset, Dataset], ...]
    unit: str
    score: Callable[[Any, Any, Any], float]


def accuracy(fitted: Any, X: Any, y: Any) -> float:
    return float(np.mean(fitted.predict(X) == y))


def error(fitted: Any, X: Any, y: Any) -> float:
    return 1 - accuracy(fitted, X, y)


def precision(fitted: Any, X: Any, y: Any) -> float:
    return float(average_precision_score(y, fitted.predict_proba(X)[:, 1]))


def tumour() -> Task:
    data = from_frame(tumour_frame(), tumour_schema())
    splits = tuple(data.split(test_fraction=0.2, seed=seed) for seed in range(RUNS))
    return Task("tumour", splits, "accuracy", accuracy)


def adult() -> Task:
    tables = [read(f"uci_adult_{part}.csv.gz", names=ADULT_COLUMNS) for part in ("train", "test")]
    schema = Schema(features=adult_features(tables[0]), target="income", classes=("<=50K", ">50K"))
    train, test = (from_frame(table.assign(income=table["income"].str.rstrip(".")), schema) for table in tables)
    return Task("adult", ((train, test),) * RUNS, "test error", error)


def adult_features(table: pd.DataFrame) -> tuple[Feature, ...]:
    """The description of the data set lists the categories, and all of them occur; "?" is one of its own."""

    def feature(name: str) -> Feature:
        if name in ADULT_RANGES:
            low, high = ADULT_RANGES[name]
            return Feature(name=name, kind="integer", low=low, high=high)
        return Feature(name=name, kind="category", categories=tuple(sorted(set(table[name]))))

    return tuple(feature(name) for name in ADULT_COLUMNS[:-1])


def fraud() -> Task:
    table = read("ulb_creditcard_sample.csv.gz").astype({"Class": int})
    names = [name for name in table.columns if name != "Class"]
    ranges = {name: FRAUD_RANGES.get(name, (-100, 100)) for name in names}
    features = tuple(Feature(name=n, kind="real", low=low, high=high) for n, (low, high) in ranges.items())
    schema = Schema(features=features, target="Class", classes=("0", "1"))
    X = into_ranges(columns_from_frame(table, features), features)
    data = Dataset(schema, X, table["Class"].to_numpy())
    splits = tuple(data.split(test_fraction=0.2, seed=seed) for seed in range(RUNS))
    return Task("fraud", splits, "average precision", precision)


def read(name: str, *, names: tuple[str, ...] | None = None) -> pd.DataFrame:
    """A table, with the names of its columns where it does not say them."""
    table = pd.read_csv(DATA / name, skipinitialspace=True, header=None if names else "infer")
    return table.set_axis(list(names), axis=1) if names else table


def private(task: Task, make: Callable[..., Any], *, epsilon: float) -> float:
    def one(train: Dataset, test: Dataset) -> float:
        fitted = make(epsilon, delta=DELTA, features=train.schema.features).fit(train.X, train.y)
        return task.score(fitted, test.X, test.y)

    return statistics.mean(one(train, test) for train, test in task.splits)


def plain(task: Task, estimator: Any) -> float:
    """The mean without privacy, on the encoded rows scaled by their own spread."""

    def one(train: Dataset, test: Dataset) -> float:
        encoding = Encoding(train.schema)
        rows, others = encoding.encode(train.X), encoding.encode(test.X)
        spread = np.maximum(rows.std(axis=0), 1e-9)
        return task.score(estimator.fit(rows / spread, train.y), others / spread, test.y)

    return statistics.mean(one(train, test) for train, test in dict.fromkeys(task.splits))


def peer(task: Task, *, epsilon: float) -> float:
    """DP-EBM of interpret, which warns of options it takes from the data; bounds and the budget are given."""
    from interpret.privacy import DPExplainableBoostingClassifier

    def one(train: Dataset, test: Dataset) -> float:
        features = train.schema.features
        bounds = {n: (f.low, f.high) for n, f in enumerate(features) if f.kind != "category"}
        kinds = ["nominal" if f.kind == "category" else "continuous" for f in features]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = DPExplainableBoostingClassifier(
                epsilon=epsilon, delta=DELTA, feature_types=kinds, privacy_bounds=bounds, n_jobs=1
            )
            return task.score(model.fit(train.X, train.y), test.X, test.y)

    return statistics.mean(one(train, test) for train, test in task.splits)


def line(case: str, mine: float, theirs: float, name: str, *, unit: str) -> None:
    ratio = theirs / mine if unit.endswith("error") else mine / theirs
    print(
        json.dumps(
            {
                "bench": "dp_utility",
                "case": case,
                "ours": round(mine, 4),
                "peer": round(theirs, 4),
                "peer_name": name,
                "ratio": round(ratio, 3),
                "unit": unit,
            }
        ),
        flush=True,
    )


ESTIMATORS: Final[dict[str, Callable[..., Any]]] = {
    "logistic": DPLogisticRegression,
    "boosting": DPGradientBoostingClassifier,
    "mlp": DPMLPClassifier,
}
TASKS: Final[dict[str, tuple[Callable[[], Task], tuple[float, ...]]]] = {
    "tumour": (tumour, (1.0, 3.0, 8.0)),
    "adult": (adult, (1.0, 3.0)),
    "fraud": (fraud, (1.0, 3.0)),
}


def compare(task: Task, epsilons: tuple[float, ...]) -> None:
    logistic = plain(task, LogisticRegression(max_iter=5_000))
    boosted = plain(task, HistGradientBoostingClassifier(random_state=0))
    for epsilon in epsilons:
        other = peer(task, epsilon=epsilon)
        for name, make in ESTIMATORS.items():
            case, reached = f"{task.name} {name}, epsilon {epsilon:g}", private(task, make, epsilon=epsilon)
            line(case, reached, other, PEER, unit=task.unit)
            line(case, reached, logistic, "LogisticRegression without privacy", unit=task.unit)
            line(case, reached, boosted, "HistGradientBoosting without privacy", unit=task.unit)


def regressions() -> Iterator[tuple[str, Any, Any, Any, Any, dict[str, Any]]]:
    """Name, rows and target to train and test on, and what is public."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    ranges = ([18, 1, 10, 50, 50, 0, 0, 1, 2, 50], [100, 2, 60, 200, 500, 400, 150, 15, 8, 200])
    for seed in range(RUNS):
        held = np.random.default_rng(seed).random(len(y)) < 0.2
        yield "diabetes", X[~held], y[~held], X[held], y[held], {"feature_ranges": ranges, "target_range": (25, 350)}
    if not (DATA / "uci_adult_train.csv.gz").exists():
        return
    task = adult()
    hours = task.splits[0][0].schema.index("hours-per-week")
    (A, a), (B, b) = ((np.delete(part.X, hours, axis=1), part.X[:, hours]) for part in task.splits[0])
    features = [f for n, f in enumerate(task.splits[0][0].schema.features) if n != hours]
    for _ in range(RUNS):
        yield "adult hours", A, a, B, b, {"features": features, "target_range": (1, 99)}


def compare_regression() -> None:
    cases = list(regressions())
    for name in dict.fromkeys(case[0] for case in cases):
        own = [case for case in cases if case[0] == name]
        without = statistics.mean(plain_r2(*case[1:]) for case in own)
        for epsilon in (1.0, 3.0, 8.0):
            reached = statistics.mean(
                DPLinearRegression(epsilon, delta=DELTA, **public).fit(A, a).score(B, b)
                for _, A, a, B, b, public in own
            )
            line(f"{name}, epsilon {epsilon:g}", reached, without, "LinearRegression without privacy", unit="R2")


def plain_r2(A: Any, a: Any, B: Any, b: Any, public: dict[str, Any]) -> float:
    if "features" in public:
        encoding = Encoding(schema_for(public["features"]))
        A, B = encoding.encode(A), encoding.encode(B)
    return float(r2_score(b, LinearRegression().fit(A, a).predict(B)))


def main() -> None:
    wanted = sys.argv[1:] or [*TASKS, "regression"]
    for name in wanted:
        if name == "regression":
            compare_regression()
            continue
        make, epsilons = TASKS[name]
        try:
            task = make()
        except FileNotFoundError as missing:
            print(json.dumps({"bench": "dp_utility", "skipped": name, "reason": str(missing)}), flush=True)
            continue
        compare(task, epsilons)


if __name__ == "__main__":
    main()
