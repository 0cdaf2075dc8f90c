"""Concrete ML: Zama's TFHE compiler for scikit-learn and XGBoost, through its client and server for deployment.

It trains models of its own on the case's data, with as many trees and as deep, and quantises them; agreement is with
its own clear model. One row a query. Its licence grants no patents: a peer here, and nothing else.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peers.measure import Arrays, Figures, main, median_ms, peak_memory

N_BITS_LINEAR = 8
N_BITS_TREES = 6


def prepare_torch() -> None:
    """Give it what it knows from torch 2.3: the old ONNX exporter, and a method that is gone."""
    warnings.simplefilter("ignore")
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    torch.Tensor.rename = lambda self, *_, **__: self  # type: ignore[attr-defined]


def logistic(case: Arrays) -> Figures:
    from concrete.ml.sklearn import LogisticRegression

    return measure(LogisticRegression(n_bits=N_BITS_LINEAR), case, n_rows=20, repeats=20)


def trees(case: Arrays) -> Figures:
    """Minutes of compilation, and seconds to minutes for one row."""
    from concrete.ml.sklearn import XGBClassifier

    n_trees, n_splits = case["features"].shape
    model = XGBClassifier(n_bits=N_BITS_TREES, n_estimators=n_trees, max_depth=int(np.log2(n_splits + 1)))
    return measure(model, case, n_rows=1, repeats=1)


def measure(model: Any, case: Arrays, *, n_rows: int, repeats: int) -> Figures:
    """Fit, compile, deploy; the server's time for one row, sizes, and agreement on n_rows."""
    from concrete.ml.deployment import FHEModelClient, FHEModelDev, FHEModelServer

    model.fit(case["X_train"], case["y_train"])
    model.compile(case["X_train"][:200])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "deployed"
        FHEModelDev(str(folder), model).save()
        client, server = FHEModelClient(str(folder)), FHEModelServer(str(folder))
        server.load()
    keys = client.get_serialized_evaluation_keys()
    rows = case["X"][:n_rows]
    queries = [client.quantize_encrypt_serialize(row[None]) for row in rows]
    answers: list[bytes] = []

    def serve(query: bytes) -> None:
        answers.append(server.run(query, keys))

    server_ms = median_ms(lambda: serve(queries[0]), repeats=repeats)
    for query in queries[1:]:
        serve(query)
    predicted = [client.deserialize_decrypt_dequantize(answer).argmax() for answer in answers[-len(rows) :]]
    return {
        "server": server_ms,
        "query": len(queries[0]),
        "answer": len(answers[0]),
        "keys": len(keys),
        "memory": peak_memory(),
        "agreement": float(np.mean(predicted == model.predict(rows))),
        "rows": len(rows),
    }


if __name__ == "__main__":
    prepare_torch()
    main({"logistic": logistic, "xgboost-50x4": trees, "xgboost-100x6": trees})
