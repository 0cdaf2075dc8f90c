"""Published constraints of real tables as schemas: real rows keep them, and attacks stay within them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from table_schemas import botnet_schema, loan_rows, loan_schema
from tests.attacks.attack_cases import BlackBox, own_labels, random_linear

from holdfast.attacks import FeasibleChange, evasion
from holdfast.attacks.tables.moves import Moves
from holdfast.data import Schema, check_features
from holdfast.errors import DataError

RealData = Callable[[str], Path]


def test_every_botnet_row_keeps_all_398_relations_and_what_is_made_of_it_does(real_data: RealData) -> None:
    schema = botnet_schema(real_data("ctu13_neris_features.csv.gz"))
    with np.load(real_data("ctu13_neris_botnet_candidates.npz"), allow_pickle=False) as file:
        X = file["x"]
    assert len(schema.relations) == 398
    assert Schema.from_json(schema.to_json()) == schema
    check_features(X, schema)
    X, rng = X[::20], np.random.default_rng(0)
    threat = FeasibleChange(budget=0.05)
    moves = Moves(X, threat, schema)
    wild = np.where(rng.random(X.shape) < 0.1, X * rng.uniform(1, 1.5, X.shape) + 20, X)
    after = moves.settle(wild, X, np.arange(len(X)), rng)
    threat.check(X, after, schema)
    assert (after != X).any(axis=1).mean() > 0.9
    sent = schema.index("bytes_out_sum_s_1")
    broken = X.copy()
    broken[3, sent] += 1
    with pytest.raises(DataError, match="row 3 breaks the relation"):
        check_features(broken, schema)


@pytest.fixture(scope="module")
def loans(real_data: RealData) -> tuple[Schema, np.ndarray]:
    schema = loan_schema(real_data("lcld_features.csv.gz"))
    return schema, loan_rows(schema, 60, np.random.default_rng(0))


def test_loans_are_attacked_within_their_quotients(loans: tuple[Schema, np.ndarray]) -> None:
    schema, X = loans
    check_features(X, schema)
    model, rng = random_linear(schema, np.random.default_rng(2)), np.random.default_rng(1)
    threat = FeasibleChange(budget=0.3, max_category_changes=1)
    result = evasion(BlackBox(model), own_labels(model, X), threat=threat, rng=rng, max_queries=60)
    flipped = result.adversarial[result.evaded]
    assert len(flipped) > 5
    column = {name: flipped[:, schema.index(name)] for name in schema.names if schema.features}
    np.testing.assert_allclose(column["installment"], column["annuity"] * column["loan_amnt"], rtol=1e-5)
    np.testing.assert_allclose(column["ratio_open_acc_total_acc"], column["open_acc"] / column["total_acc"], rtol=1e-5)
    assert (column["open_acc"] <= column["total_acc"]).all()
    moved = np.abs(result.adversarial - X) > 0
    assert moved[:, schema.index("loan_amnt")].any()
    assert not moved[:, schema.index("int_rate")].any()
