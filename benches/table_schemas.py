"""Schemas of real tables with their published constraints: consumer loans (LCLD) and botnet traffic (CTU-13, Neris).

Features, types, ranges and what can be changed are the files of MoEvA2 (Simonetto et al., IJCAI 2022); the relations
are those of its paper, written as relations of a schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from holdfast.attacks import ranges, repair
from holdfast.data import Feature, Matrix, Relation, Schema

_GROUPS = ("home_ownership", "verification_status", "purpose")
_LOAN_RELATIONS = (
    "open_acc <= total_acc",
    "pub_rec_bankruptcies <= pub_rec",
    "ratio_loan_amnt_annual_inc == loan_amnt / annual_inc",
    "ratio_open_acc_total_acc == open_acc / total_acc",
    "ratio_pub_rec_diff_issue_d_earliest_cr_line == pub_rec / diff_issue_d_earliest_cr_line",
    "ratio_pub_rec_bankruptcies_diff_issue_d_earliest_cr_line == pub_rec_bankruptcies / diff_issue_d_earliest_cr_line",
    "annuity == installment / loan_amnt",
)
_WHOLE = {"open_acc", "pub_rec", "total_acc", "mort_acc", "pub_rec_bankruptcies", "diff_issue_d_earliest_cr_line"}


def loan_schema(features: Path) -> Schema:
    """LCLD. One-hot groups become categories; counts are whole numbers.

    The installment is the amount times a rate of interest and term. That rate is `annuity`, a feature of its own, which
    is fixed as interest and term are; so the formula with its power becomes a quotient.
    """
    table = pd.read_csv(features)
    columns = [_column(row) for row in _rows(table) if not row["type"].startswith("ohe")]
    columns += [_group(table, name) for name in _GROUPS]
    columns.append(Feature(name="annuity", kind="real", low=0.01, high=0.1, mutability="fixed"))
    return Schema(
        features=tuple(columns),
        target="charged_off",
        classes=("no", "yes"),
        relations=tuple(map(Relation.parse, _LOAN_RELATIONS)),
    )


def botnet_schema(features: Path) -> Schema:
    """CTU-13: what is sent may only grow from where it is; bytes add up over protocols; packets hold 1,500 bytes."""
    table = pd.read_csv(features)
    columns = tuple(
        Feature(
            name=row["feature"],
            kind="integer" if row["type"] == "int" else "real",
            low=0.0,
            high=max(1.0, float(row["max"])),
            mutability="increase" if row["mutable"] and float(row["max"]) > 0 else "fixed",
        )
        for row in _rows(table)
    )
    names = list(table["feature"])
    return Schema(
        features=columns,
        target="botnet",
        classes=("no", "yes"),
        relations=tuple(map(Relation.parse, _traffic_relations(names))),
    )


def loan_rows(schema: Schema, n: int, rng: np.random.Generator) -> Matrix:
    """Made-up loans that keep to the schema: amounts, incomes and rates like those of real ones, the rest follows."""
    box = ranges(schema, rows=n)
    X = box.low + rng.random(box.low.shape) ** 2 * (box.high - box.low)
    amounts, annuities = rng.uniform(1_000, 40_000, n), rng.uniform(0.021, 0.036, n)
    for name, values in {
        "loan_amnt": amounts,
        "annuity": annuities,
        "installment": amounts * annuities,
        "annual_inc": np.exp(rng.normal(11.1, 0.6, n)),
        "total_acc": rng.integers(5, 60, n),
        "open_acc": rng.integers(1, 20, n),
        "dti": rng.uniform(0, 40, n),
        "revol_bal": np.exp(rng.normal(9.3, 1.0, n)),
        "revol_util": rng.uniform(0, 100, n),
        "pub_rec": rng.integers(0, 3, n),
    }.items():
        X[:, schema.index(name)] = values
    for position, feature in enumerate(schema.features):
        if feature.kind == "category":
            X[:, position] = rng.integers(len(feature.categories), size=n)
    return repair(X, box, schema)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _column(row: dict[str, Any]) -> Feature:
    name = row["feature"]
    return Feature(
        name=name,
        kind="integer" if row["type"] == "int" or name in _WHOLE else "real",
        low=float(row["min"]),
        high=float(row["max"]),
        mutability="free" if row["mutable"] and name != "term" else "fixed",
    )


def _group(table: pd.DataFrame, group: str) -> Feature:
    own = table[table["feature"].str.startswith(f"{group}_")]
    names = tuple(name.removeprefix(f"{group}_") for name in own["feature"])
    return Feature(
        name=group, kind="category", categories=names, mutability="free" if bool(own["mutable"].all()) else "fixed"
    )


def _traffic_relations(names: list[str]) -> list[str]:
    relations = []
    for way in ("s", "d"):
        by_protocol = [n for n in names if n.startswith(tuple(f"{p}_sum_{way}_" for p in ("icmp", "udp", "tcp")))]
        in_all = [n for n in names if n.startswith((f"bytes_in_sum_{way}_", f"bytes_out_sum_{way}_"))]
        relations.append(f"{' + '.join(by_protocol)} == {' + '.join(in_all)}")
    for name in names:
        if name.startswith("bytes_out_sum_"):
            relations.append(f"{name} <= 1500 * {name.replace('bytes_', 'pkts_', 1)}")
        for what in ("bytes_in", "bytes_out", "pkts_in", "pkts_out", "duration"):
            if name.startswith(f"{what}_min_"):
                rest = name.removeprefix(f"{what}_min_")
                relations += [f"{name} <= {what}_max_{rest}", f"{what}_max_{rest} <= {what}_sum_{rest}"]
    return relations
