"""How good a copy queries make, with and without each output defence, for attackers who know the defence.

Prints one JSON line for each model and defence: {"bench", "case", "fidelity", "lowest", "highest", "beyond_baseline",
"attackers", "queries", "curve", "log_loss", "calibration_error", "membership_auc", "cpu_s"}. `fidelity` is the share of
test rows on which the best copy and the model agree, a mean over the seeds of three attacks, between `lowest` and
`highest`; `beyond_baseline` is 0 for always saying the most frequent class and 1 for agreeing on all rows; `curve` is
the fidelity of the best copy by queries, of whichever attacker; `attackers` are who made the three best and how;
`membership_auc` how well the loss tells training rows from test rows. Every attacker has the same number of queries,
knows the schema and the defence, and no record.

The models are logistic regression, boosted trees and a perceptron on the tumour data, which comes with scikit-learn,
and on the ULB sample of card payments, read from the folder that HOLDFAST_DATA names, by default ../shared/data beside
the repository. `--peer` has ART's KnockoffNets copy the undefended models, and its CopycatCNN those that answer with
labels alone, in an environment of its own, with rows all over the schema to ask about and a network as large as ours;
it prints {"ours", "peer", "peer_name", "ratio", "unit"}, means over the seeds: `fidelity` of our best copy by questions
of its own, `same-questions` of our network from ART's questions and answers.
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
from holdfast.attacks.stealing.adaptive import LabelsAlone
from holdfast.attacks.stealing.surrogates import network_copy
from holdfast.data import Dataset, Labels, Matrix, Schema, inspect_table, load, tumour_frame, tumour_schema
from holdfast.hardening.outputs import HardenedOutput, OutputDefence
from holdfast.hardening.outputs_price import OutputQuality, price
from holdfast.models import Encoding, Model, fit_estimator

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
QUERIES = 1_000
SEEDS = (0, 1, 2)
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
    name="ART 1.20.1",
    script="art_extraction",
    cases=("knockoff", "copycat"),
    installs=(
        (
            *("torch==2.13.0", "adversarial-robustness-toolbox==1.20.1", "numpy", "pandas", "scikit-learn"),
            *("packaging", "multiprocess"),  # it imports both and names neither
        ),
    ),
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


def tell(case: str, attacks: list[OutputQuality], seconds: float) -> None:
    """One JSON line."""
    best = [quality.by_attacker[quality.best_attacker] for quality in attacks]
    fidelity = [copy.fidelity.value for copy in best]
    baseline = best[0].baseline_fidelity.value
    curves = [np.max([copy.curve_fidelity for copy in quality.by_attacker.values()], axis=0) for quality in attacks]
    asked = np.rint(QUERIES * best[0].curve_queries / best[0].queries).astype(int).tolist()
    quality = attacks[0]  # but for the copies, all attacks meet the same answers
    figures = {
        "bench": "attack_extraction",
        "case": case,
        "fidelity": round(float(np.mean(fidelity)), 4),
        "lowest": round(min(fidelity), 4),
        "highest": round(max(fidelity), 4),
        "beyond_baseline": round((float(np.mean(fidelity)) - baseline) / (1 - baseline), 4),
        "attackers": [f"{each.best_attacker}, {copy.method}" for each, copy in zip(attacks, best, strict=True)],
        "queries": QUERIES,
        "curve": dict(zip(asked, np.mean(curves, axis=0).round(4).tolist(), strict=True)),
        "log_loss": round(quality.log_loss, 4),
        "calibration_error": round(quality.calibration_error, 4),
        "membership_auc": round(quality.membership_auc.value, 4),
        "cpu_s": round(seconds, 1),
    }
    print(json.dumps(figures), flush=True)


def measure(name: str, model: Model, train: Dataset, test: Dataset) -> None:
    """A line without a defence, and one for each."""
    for number, (defence_name, defence) in enumerate(DEFENCES.items()):
        start = time.process_time()
        prices = [
            price(
                model,
                HardenedOutput(model, defence, KEY),
                members=train,
                non_members=test,
                queries=QUERIES,
                rng=np.random.default_rng(seed),
            )
            for seed in SEEDS
        ]
        seconds = time.process_time() - start
        if not number:
            tell(f"{name}/none", [each.before for each in prices], seconds)
        tell(f"{name}/{defence_name}", [each.after for each in prices], seconds)


def beside_art(name: str, attack: str, oracle: Model, test: Dataset) -> None:
    """Means over the seeds: ours by its own questions, our network by ART's questions, and what ART made of them."""
    lines: list[tuple[float, float, float, float, float]] = []
    labels = oracle.predict_proba(test.X).argmax(axis=1)
    for seed in SEEDS:
        X = levelled_rows(oracle.schema, QUERIES, np.random.default_rng(seed))
        P = oracle.predict_proba(X)
        try:
            theirs = by_art(attack, oracle.schema, X, P, test.X, labels)
        except PeerMissing as error:
            print(f"{name}: {ART.name} skipped, {error}", file=sys.stderr)
            return
        start = time.process_time()
        ours = extraction(oracle, reference=test, queries=QUERIES, rng=np.random.default_rng(seed))
        seconds = time.process_time() - start
        network = network_copy(oracle.schema, X, P, seed=seed).predict_proba(test.X).argmax(axis=1)
        same = float(np.mean(network == labels))
        lines.append((ours.fidelity.value, same, seconds, theirs["fidelity"], theirs["cpu_s"]))
    own, same, seconds, peer, peer_seconds = np.mean(lines, axis=0).tolist()
    for case, ours_mean, peer_mean, unit, ratio in (
        ("fidelity", own, peer, "share", own / peer),
        ("same-questions", same, peer, "share", same / peer),
        ("cpu", seconds, peer_seconds, "s", peer_seconds / seconds),
    ):
        figures = {
            "ours": round(ours_mean, 4),
            "peer": round(peer_mean, 4),
            "peer_name": f"{ART.name} {attack}",
            "unit": unit,
        }
        figures |= {"ratio": round(ratio, 3)}
        print(json.dumps({"bench": "attack_extraction", "case": f"{name}/{attack}/{case}"} | figures), flush=True)


def by_art(attack: str, schema: Schema, X: Matrix, P: Matrix, X_test: Matrix, labels: Labels) -> dict[str, Any]:
    """ART's copy from these questions and answers, measured on test rows."""
    encode = Encoding(schema).encode
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.npz"
        asked = {"X": encode(X), "P": P, "X_test": encode(X_test)}
        arrays: dict[str, Any] = {key: array.astype(np.float32) for key, array in asked.items()}
        np.savez(path, labels=labels, **arrays)
        return ART.run(attack, path)


def main() -> None:
    """Every table, model and defence, or those named."""
    parser = argparse.ArgumentParser()
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
                beside_art(f"{table}/{name}", "knockoff", model, test)
                beside_art(f"{table}/{name}", "copycat", LabelsAlone(oracle=model), test)
            else:
                measure(f"{table}/{name}", model, train, test)


if __name__ == "__main__":
    main()
