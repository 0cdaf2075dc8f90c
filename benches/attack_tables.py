"""Evasion of tables on real data and under real constraints; cases for `benches/attacks.py`, or alone.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}.

    python benches/attack_tables.py

Each table is learned by a network and by gradient boosting, on half of it, and attacked on rows of the other half:
fraud that wants to pass (ULB), phishing that wants to pass (URLs of Hannousse and Yahiouche), and made-up loans under
the published constraints of LCLD, whose labels follow a rule with noise. Flips are counted within the schema; the peer
of a success is the same attack told nothing of relations, of which only rows that happen to keep them count.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.neural_network import MLPClassifier
from table_schemas import botnet_schema, loan_rows, loan_schema

from holdfast.attacks import EvasionResult, FeasibleChange, evasion
from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.tables.moves import Moves
from holdfast.data import Dataset, Feature, Matrix, Relation, Schema
from holdfast.models import LinearModel, Model, fit_estimator, predict
from holdfast.models.perceptron import perceptron

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ATTACKED = 200
"""Rows of the class that wants another answer."""
MAX_QUERIES = 300

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table to attack: rows, the class that wants to pass as the other, and what may be changed."""

    name: str
    data: Dataset
    source_class: str
    threat: FeasibleChange


def cases() -> Iterator[Line]:
    """Every figure, as it is known."""
    yield from settling()
    yield from beside_exact()
    for table in (fraud(), phishing(), loans()):
        train, test = table.data.split(test_fraction=0.5, seed=0)
        for name, estimator in (
            ("network", MLPClassifier((32, 32), max_iter=60, random_state=0)),
            ("boosting", GradientBoostingClassifier(n_estimators=60, max_depth=3, random_state=0)),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # sixty rounds are enough for an example, converged or not
                model = fit_estimator(estimator, train)
            yield from attacked(table, f"{table.name}-{name}", model, test)


def settling() -> Iterator[Line]:
    """How often a wild proposal becomes a row that keeps every relation, and in what time."""
    rng = np.random.default_rng(0)
    botnet = botnet_schema(DATA / "ctu13_neris_features.csv.gz")
    with np.load(DATA / "ctu13_neris_botnet_candidates.npz", allow_pickle=False) as file:
        traffic = file["x"]
    loan = loan_schema(DATA / "lcld_features.csv.gz")
    for name, schema, X in (("ctu13", botnet, traffic), ("lcld", loan, loan_rows(loan, 1_000, rng))):
        threat = FeasibleChange(budget=0.1, max_category_changes=1)
        moves = Moves(X, threat, schema)
        box, chosen = moves.box, rng.random(X.shape) < 0.1
        wild = np.where(chosen, box.low + rng.random(X.shape) * (box.high - box.low), X)
        begun = time.process_time()
        after = moves.settle(wild, X, np.arange(len(X)), rng)
        spent = time.process_time() - begun
        threat.check(X, after, schema)
        proposed = (wild != X).any(axis=1)
        moved = float(((after != X).any(axis=1) & proposed).sum() / proposed.sum())
        yield line(f"tables-{name}-proposals-settled", moved, float(keeps(wild, schema)[proposed].mean()), "unrepaired")
        yield line(f"tables-{name}-settle-ms-per-row", 1_000 * spent / len(X), None, None, "ms")


def beside_exact() -> Iterator[Line]:
    """What search and gradients find of what can be found: a linear model, whose exact attack knows.

    Income and number of accounts are fixed here, so that LCLD's quotients are linear.
    """
    table = loans()
    features = tuple(
        replace(each, mutability="fixed") if each.name in ("annual_inc", "total_acc") else each
        for each in table.data.schema.features
    )
    data = Dataset(replace(table.data.schema, features=features), table.data.X, table.data.y)
    train, test = data.split(test_fraction=0.5, seed=0)
    model = fit_estimator(LogisticRegression(max_iter=2_000), train)
    if not isinstance(model, LinearModel):
        raise TypeError(f"expected a linear model, got {type(model).__name__}")
    some = test.take(np.flatnonzero(test.y == 1)[:ATTACKED])
    threat = replace(table.threat, budget=0.02)
    network = perceptron(
        data.schema, [(np.vstack([-model.coef, model.coef]), np.hstack([-model.intercept, model.intercept]))]
    )
    exact = attack(model, some, threat)
    if not exact.exact:
        raise RuntimeError("expected the attack on a linear model to be exact")
    hidden = attack(Unrelated(model, data.schema), some, threat)
    climbed = evasion(network, some, threat=threat, rng=np.random.default_rng(0), max_queries=1)
    for name, found in (("search", hidden), ("gradients", climbed)):
        share = float(found.evaded.sum() / exact.correct.sum())
        yield line(
            f"tables-lcld-linear-{name}-success", share, float(exact.evaded.sum() / exact.correct.sum()), "exact"
        )


def attacked(table: Table, name: str, model: Model, test: Dataset) -> Iterator[Line]:
    """One model under attack by the rows that want to pass."""
    own = test.schema.classes.index(table.source_class)
    some = np.flatnonzero(test.y == own)[:ATTACKED]
    others = np.flatnonzero(test.y != own)[: 5 * ATTACKED]
    data = test.take(some)
    begun = time.process_time()
    result = attack(model, data, table.threat)
    seconds = time.process_time() - begun
    truth, rest = np.concatenate([data.y, test.y[others]]), predict(model, test.X[others])
    mcc = [
        float(matthews_corrcoef(truth, np.concatenate([predict(model, X), rest]))) for X in (data.X, result.adversarial)
    ]
    success = result.attack_success.value if result.attack_success is not None else 0.0
    peer = unconstrained(model, data, table.threat) if test.schema.relations else None
    yield line(f"tables-{name}-success", success, peer, "same attack, relations unknown" if peer is not None else None)
    yield line(f"tables-{name}-robust-accuracy", result.robust_accuracy.value, result.accuracy.value, "clean")
    yield line(f"tables-{name}-robust-mcc", mcc[1], mcc[0], "clean", "correlation")
    yield line(f"tables-{name}-seconds-per-row", seconds / len(data), None, None, "s")


def attack(model: Model, data: Dataset, threat: FeasibleChange) -> EvasionResult:
    return evasion(model, data, threat=threat, rng=np.random.default_rng(0), max_queries=MAX_QUERIES)


@dataclass(frozen=True)
class Unrelated:
    """A model under a schema whose relations nobody told."""

    inner: Model
    schema: Schema

    def predict_proba(self, X: Matrix) -> Matrix:  # noqa: D102 - as every model has it
        return self.inner.predict_proba(X)


def unconstrained(model: Model, data: Dataset, threat: FeasibleChange) -> float:
    """The share of right decisions that an attack flips by rows that keep the relations by accident."""
    schema = replace(data.schema, relations=())
    result = attack(Unrelated(model, schema), Dataset(schema, data.X, data.y), threat)
    return float((result.evaded & keeps(result.adversarial, data.schema)).sum() / max(1, result.correct.sum()))


def fraud() -> Table:
    """ULB: amount and components may move by a twentieth of the middle 99 % of their values; the time is fixed."""
    frame = pd.read_csv(DATA / "ulb_creditcard_sample.csv.gz")
    return Table(
        name="ulb",
        data=numeric(frame.drop(columns="Class"), frame["Class"], classes=("legitimate", "fraud"), fixed={"Time"}),
        source_class="fraud",
        threat=FeasibleChange(budget=0.05),
    )


def phishing() -> Table:
    """URLs: what the page and its address say may be changed; what registries and search engines say may not."""
    frame = pd.read_csv(DATA / "phishing_url_hannousse_B_05_2020.csv.gz").drop(columns="index")
    y = (frame["status"] == "phishing").astype(int)
    outside = {"whois_registered_domain", "domain_registration_length", "domain_age", "web_traffic", "dns_record"}
    outside |= {"google_index", "page_rank", "statistical_report", "suspecious_tld"}
    relations = (
        "length_hostname <= length_url",
        "shortest_words_raw <= avg_words_raw",
        "avg_words_raw <= longest_words_raw",
    )
    data = numeric(
        frame.drop(columns="status"), y, classes=("legitimate", "phishing"), fixed=outside, relations=relations
    )
    return Table(name="url", data=data, source_class="phishing", threat=FeasibleChange(budget=0.1))


def loans() -> Table:
    """LCLD's constraints over made-up rows: who owes much and earns little tends to fail, with noise."""
    rng, schema = np.random.default_rng(1), loan_schema(DATA / "lcld_features.csv.gz")
    X = loan_rows(schema, 4_000, rng)
    ratio, use, dti = (X[:, schema.index(n)] for n in ("ratio_loan_amnt_annual_inc", "revol_util", "dti"))
    risk = 6 * ratio + use / 50 + dti / 20 + rng.normal(0, 0.5, len(X))
    y = (risk > np.quantile(risk, 0.7)).astype(np.int64)
    # an income is costly to raise: by 11,000 at most, after which nothing is left for the amount
    costs = {"annual_inc": 100.0, "loan_amnt": 1.0}
    threat = FeasibleChange(budget=0.05, max_category_changes=1, costs=costs, max_cost=0.1)
    return Table(name="lcld", data=Dataset(schema, X, y), source_class="yes", threat=threat)


def numeric(
    frame: pd.DataFrame, y: Any, *, classes: tuple[str, str], fixed: set[str], relations: tuple[str, ...] = ()
) -> Dataset:
    """A table of numbers; values beyond the middle 99 % are moved to its ends, which keeps orders between columns."""
    X = frame.to_numpy(dtype=np.float64)
    whole = (np.rint(X) == X).all(axis=0)
    low, high = np.quantile(X, [0.005, 0.995], axis=0)
    low, high = np.where(whole, np.floor(low), low), np.where(whole, np.ceil(high), high)
    high = np.where(high > low, high, low + 1)
    features = tuple(
        Feature(
            name=str(name),
            kind="integer" if whole[at] else "real",
            low=float(low[at]),
            high=float(high[at]),
            mutability="fixed" if name in fixed else "free",
        )
        for at, name in enumerate(frame.columns)
    )
    rows = np.clip(X, low, high)
    schema = Schema(features=features, target="class", classes=classes)
    told = replace(schema, relations=tuple(map(Relation.parse, relations)))
    kept = keeps(rows, told)
    return Dataset(told, rows[kept], np.asarray(y, dtype=np.int64)[kept])


def line(case: str, ours: float, peer: float | None, peer_name: str | None, unit: str = "share") -> Line:
    ratio = ours / peer if peer else None
    return {
        "bench": "attacks",
        "case": case,
        "ours": ours,
        "peer": peer,
        "peer_name": peer_name,
        "ratio": ratio,
        "unit": unit,
    }


if __name__ == "__main__":
    for each in cases():
        print(json.dumps(each), flush=True)
