"""How good a copy queries make, with and without each output defence, for attackers who know the defence.

Prints one JSON line for each model and defence: {"bench", "case", "fidelity", "beyond_baseline", "attacker", "method",
"queries", "curve", "gap", "log_loss", "calibration_error", "membership_auc", "cpu_s"}. `fidelity` is the share of test
rows on which the best copy and the model agree; `beyond_baseline` is 0 for always saying the most frequent class and 1
for agreeing on all rows; `curve` is fidelity by queries; `gap` the mean difference of probabilities; `membership_auc`
how well the loss tells training rows from test rows. Every attacker has the same number of queries, knows the schema
and the defence, and no record.

The models are logistic regression, boosted trees and a perceptron on the tumour data, which comes with scikit-learn,
and on the ULB sample of card payments, read from the folder that HOLDFAST_DATA names, by default ../shared/data beside
the repository. `--peer` has ART's KnockoffNets copy the undefended models in an environment of its own, with rows all
over the schema to ask about and a network as large as ours; it prints {"ours", "peer", "peer_name", "ratio", "unit"}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers.environments import Peer, PeerMissing
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from holdfast.attacks import extraction, levelled_rows
from holdfast.data import Dataset, inspect_table, load, tumour_frame, tumour_schema
from holdfast.hardening.outputs import HardenedOutput, OutputDefence
from holdfast.hardening.outputs_price import OutputPrice, OutputQuality, price
from holdfast.models import Encoding, Model, fit_estimator

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
QUERIES = 1_000
KEY = bytes(range(32))
"""Of the noise; a bench gives the same figures twice."""
ESTIMATORS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=2_000),
    "boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
    "perceptron": make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=300, random_state=0)),
}
DEFENCES = {
    "2-decimals": OutputDefence(decimals=2),
    "1-decimal": OutputDefence(decimals=1),
    "temperature-3": OutputDefence(temperature=3.0),
    "noise-0.2": OutputDefence(noise=0.2),
    "noise-1": OutputDefence(noise=1.0),
    "labels": OutputDefence(top=1),
}
ART = Peer(
    name="ART 1.20.1 KnockoffNets",
    script="art_extraction",
    cases=("knockoff",),
    installs=(("torch==2.13.0", "adversarial-robustness-toolbox==1.20.1", "numpy", "pandas", "scikit-learn"),),
)


def tables() -> Iterator[tuple[str, Dataset]]:
    """The tables by name; one that is not there is left out and said so."""
    yield "tumour", load(tumour_frame(), tumour_schema())
    path = DATA / "ulb_creditcard_sample.csv.gz"
    if not path.is_file():
        print(f"ulb: skipped, {path} is not there", file=sys.stderr)
        return
    frame = pd.read_csv(path).astype({"Class": int}).drop_duplicates()
    yield "ulb", load(frame, inspect_table(frame, target="Class").schema)


def tell(case: str, quality: OutputQuality, seconds: float) -> None:
    """One JSON line."""
    best = quality.by_attacker[quality.best_attacker]
    baseline = best.baseline_fidelity.value
    figures = {
        "bench": "attack_extraction",
        "case": case,
        "fidelity": round(quality.fidelity.value, 4),
        "beyond_baseline": round((quality.fidelity.value - baseline) / (1 - baseline), 4),
        "attacker": quality.best_attacker,
        "method": best.method,
        "queries": best.queries,
        "curve": {int(n): round(float(f), 4) for n, f in zip(best.curve_queries, best.curve_fidelity, strict=True)},
        "gap": round(float(best.gaps.mean()), 4),
        "log_loss": round(quality.log_loss, 4),
        "calibration_error": round(quality.calibration_error, 4),
        "membership_auc": round(quality.membership_auc.value, 4),
        "cpu_s": round(seconds, 1),
    }
    print(json.dumps(figures), flush=True)


def measure(name: str, model: Model, train: Dataset, test: Dataset, queries: int) -> None:
    """A line without a defence, and one for each."""
    plain: OutputPrice | None = None
    for defence_name, defence in DEFENCES.items():
        start = time.process_time()
        rng = np.random.default_rng(0)
        hardened = HardenedOutput(model, defence, KEY)
        result = price(model, hardened, members=train, non_members=test, queries=queries, rng=rng)
        if plain is None:
            plain = result
            tell(f"{name}/none", plain.before, time.process_time() - start)
        tell(f"{name}/{defence_name}", result.after, time.process_time() - start)


def beside_art(name: str, model: Model, test: Dataset, queries: int) -> None:
    """The same number of queries, rows all over the schema, and what each made of the answers."""
    rng = np.random.default_rng(0)
    X = levelled_rows(model.schema, queries, rng)
    encode = Encoding(model.schema).encode
    arrays = {
        "X": encode(X).astype(np.float32),
        "P": model.predict_proba(X).astype(np.float32),
        "X_test": encode(test.X).astype(np.float32),
        "labels": model.predict_proba(test.X).argmax(axis=1),
    }
    start = time.process_time()
    ours = extraction(model, reference=test, queries=queries, rng=np.random.default_rng(0))
    seconds = time.process_time() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.npz"
        np.savez(path, **arrays)
        try:
            theirs = ART.run("knockoff", path)
        except PeerMissing as error:
            print(f"{name}: {ART.name} skipped, {error}", file=sys.stderr)
            return
    for case, mine, peer, unit in (
        ("fidelity", ours.fidelity.value, theirs["fidelity"], "share"),
        ("cpu", seconds, theirs["cpu_s"], "s"),
    ):
        figures = {"ours": round(mine, 4), "peer": round(peer, 4), "peer_name": ART.name, "unit": unit}
        figures |= {"ratio": round(mine / peer, 3)}
        print(json.dumps({"bench": "attack_extraction", "case": f"{name}/knockoff/{case}"} | figures), flush=True)


def main() -> None:
    """Every table, model and defence, or those named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--only", nargs="*", default=["tumour", "ulb"])
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    for table, data in tables():
        if table not in options.only:
            continue
        train, test = data.split(test_fraction=0.3, seed=0)
        for name, estimator in ESTIMATORS.items():
            model = fit_estimator(estimator, train)
            if options.peer:
                beside_art(f"{table}/{name}", model, test, options.queries)
            else:
                measure(f"{table}/{name}", model, train, test, options.queries)


if __name__ == "__main__":
    main()
