"""How many poisoned records partitioned training withstands, and what it costs in accuracy.

Prints one JSON line for each data set and number of partitions: {"bench", "case", "accuracy", "plain", "certified",
"median_records", "seconds"}. `plain` is one model trained on all records, `certified` the share of test rows that are
answered rightly whatever 1, 10 and 50 records are added, removed or relabelled. The base learner is a logistic
regression for the tables and for the 10,000 pictures of MNIST that train here, so its own accuracy is modest.

The tumour data comes with scikit-learn, Adult and MNIST are read as in data_checks.py.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from data_checks import DATA, tables
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from holdfast.data import Dataset
from holdfast.data.images import Images
from holdfast.models import Encoding
from holdfast.training.partitions.certificate import PoisonCertificate, certify, certify_pictures
from holdfast.training.partitions.train import train_partitioned, train_partitioned_pictures

RECORDS = (1, 10, 50)


class Plain:
    """A scikit-learn pipeline as a model, without the way through ONNX."""

    def __init__(self, data: Dataset) -> None:
        self.schema, self._encoding = data.schema, Encoding(data.schema)
        estimator = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        self._fitted = estimator.fit(self._encoding.encode(data.X), data.y)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(rows, features) to (rows, classes)."""
        return np.asarray(self._fitted.predict_proba(self._encoding.encode(X)))


def table_trainer(data: Dataset, *, seed: int) -> Plain:
    """A logistic regression."""
    del seed
    return Plain(data)


def picture_trainer(data: Images, *, seed: int) -> Any:
    """A logistic regression on the pixels."""
    del seed
    fitted = LogisticRegression(C=0.01, max_iter=100).fit(data.pixels.reshape(len(data), -1) / 255, data.y)
    return lambda pixels: fitted.predict(pixels.reshape(len(pixels), -1) / 255)


def tell(case: str, certificate: PoisonCertificate, start: float) -> None:
    """One JSON line."""
    figures = {
        "bench": "poison_certificates",
        "case": case,
        "accuracy": round(certificate.certified_accuracy(0).value, 4),
        "plain": round(certificate.plain_accuracy or 0.0, 4),
        "certified": {str(n): round(certificate.certified_accuracy(n).value, 4) for n in RECORDS},
        "median_records": certificate.median_radius,
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(figures), flush=True)


def main() -> None:
    """Every data set."""
    for name, data in tables():
        train, test = data.split(test_fraction=0.3, seed=0)
        plain = table_trainer(train, seed=0)
        for partitions in (15, 51) if len(data) < 1000 else (51, 201, 1001):
            start = time.perf_counter()
            model = train_partitioned(train, table_trainer, partitions=partitions, seed=0)
            tell(f"{name}/{partitions}", certify(model, test, plain=plain), start)
    if (path := DATA / "mnist.npz").is_file():
        with np.load(path, allow_pickle=False) as arrays:
            pictures = Images.of(arrays["x_train"][:10_000], arrays["y_train"][:10_000])
            asked = Images.of(arrays["x_test"][:2_000], arrays["y_test"][:2_000])
        classifier = picture_trainer(pictures, seed=0)
        for partitions in (51, 201):
            start = time.perf_counter()
            voters = train_partitioned_pictures(pictures, picture_trainer, partitions=partitions, seed=0)
            tell(f"mnist/{partitions}", certify_pictures(voters, asked, plain=classifier), start)


if __name__ == "__main__":
    main()
