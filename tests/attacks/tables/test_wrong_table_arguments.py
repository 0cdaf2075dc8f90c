"""Tables and trees: an argument of the wrong kind is one sentence of ours, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.attack_cases import loan_schema, own_labels, random_linear

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.attacks.tables.linear import smallest_flips as linear_flips
from holdfast.attacks.trees import Reach, feasible_flips, robust_error, smallest_flips
from holdfast.data import Dataset, Feature, Relation, Schema, from_frame, load
from holdfast.errors import DataError, UsageError
from holdfast.hardening import evasion_radius, robust_logistic, strongest_affordable
from holdfast.models import fit_estimator
from holdfast.models.trees import read_trees

LINEAR = random_linear(loan_schema(), np.random.default_rng(0))
DATA = own_labels(LINEAR, synthetic_rows(LINEAR.schema, 30, np.random.default_rng(1)))
SCHEMA, FRAME = DATA.schema, DATA.to_frame()
SKLEARN = DecisionTreeClassifier(max_depth=2, random_state=0)
MODEL = fit_estimator(SKLEARN, DATA)
X, Y = np.array([[0.2], [0.8]]), np.array([0, 1])
TREES = read_trees(SKLEARN.fit(X, Y))
THREAT, REACH, RNG = FeasibleChange(budget=0.1), Reach.linf(1, low=0, high=1), np.random.default_rng(0)
AGE = Feature(name="age", kind="integer", low=0, high=120)
COLUMNS = {name: getattr(REACH, name) for name in ("unit", "low", "high", "down", "up", "whole", "switch")}


def trainer(data: Dataset, *, seed: int) -> Any:
    """Any model does here."""
    return LINEAR


CALLS: dict[str, tuple[Callable[..., object], dict[str, Any], dict[str, Any]]] = {
    "Feature": (
        Feature,
        {"name": "a", "kind": "real", "low": 0, "high": np.float32(1), "nullable": False},
        {"name": (None, 3, ""), "low": ("0", None), "high": ("1", [1]), "nullable": ("no", None), "kind": (["real"],)},
    ),
    "category": (
        Feature,
        {"name": "a", "kind": "category", "categories": ["x", "y"]},
        {"categories": (None, "xy", (1, 2), ("x", None), 3)},
    ),
    "Schema": (
        Schema,
        {"features": [AGE], "target": "y", "classes": ["0", "1"], "relations": [Relation.parse("age <= 100")]},
        {
            "features": (None, AGE, ("age",), "age"),
            "target": (None, 1),
            "classes": ("01", (0, 1), None),
            "relations": (None, "age <= 100", ("age<=100",), ("age <= 100",), (None,)),
        },
    ),
    "Schema.index": (lambda **given: SCHEMA.index(given["name"]), {"name": SCHEMA.names[0]}, {"name": ("x", None)}),
    "Dataset": (Dataset, {"schema": SCHEMA, "X": DATA.X, "y": DATA.y}, {"schema": ("s", None), "X": ([[1]], None)}),
    "split": (
        lambda **given: DATA.split(test_fraction=given["test_fraction"], seed=1),
        {"test_fraction": np.float32(0.5)},
        {"test_fraction": ("a", None, 0, 1, np.nan)},
    ),
    "synthetic_rows": (
        lambda **given: synthetic_rows(given["schema"], given["n"], given["rng"]),
        {"schema": SCHEMA, "n": np.int64(2), "rng": RNG},
        {"schema": (None, DATA), "n": ("3", 2.5, -1, None), "rng": (0, None)},
    ),
    "load": (
        lambda **given: load(given["source"], given["schema"]),
        {"source": FRAME, "schema": SCHEMA},
        {"source": (None, DATA.X, 3, SCHEMA), "schema": ("schema.json", FRAME, None, SCHEMA.to_json())},
    ),
    "from_frame": (
        lambda **given: from_frame(given["frame"], given["schema"]),
        {"frame": FRAME, "schema": SCHEMA},
        {"frame": (DATA.X, None, SCHEMA), "schema": (FRAME, None)},
    ),
    "fit_estimator": (
        lambda **given: fit_estimator(given["estimator"], given["data"]),
        {"estimator": SKLEARN, "data": DATA},
        {"estimator": (DecisionTreeClassifier,), "data": (DATA.X, FRAME, SKLEARN, None)},
    ),
    "FeasibleChange": (
        FeasibleChange,
        {
            "budget": np.float32(0.5),
            "max_category_changes": np.int64(1),
            "costs": {"income": np.float32(1)},
            "max_cost": 1,
        },
        {
            "budget": ("x", None, np.nan, True, [0.1]),
            "max_category_changes": (1.5, "1", None),
            "costs": ([1, 2], None, "income", 3, {"income": "1"}),
            "max_cost": ("1", np.inf, [1]),
        },
    ),
    "Reach.within": (
        lambda **given: Reach.within(given["threat"], given["schema"]),
        {"threat": THREAT, "schema": SCHEMA},
        {"threat": (SCHEMA, None), "schema": (THREAT, None)},
    ),
    "Reach.linf": (lambda **given: Reach.linf(given["n"]), {"n": np.int64(2)}, {"n": ("3", 2.5, 0, None)}),
    "Reach": (Reach, COLUMNS, {name: ([1], None) for name in COLUMNS}),
    "smallest_flips": (
        lambda **given: smallest_flips(given.pop("ensemble"), given.pop("X"), given.pop("y"), **given),
        {"ensemble": TREES, "X": X, "y": Y, "reach": REACH, "within": np.inf, "time_limit_s": 1},
        {
            "ensemble": (SKLEARN, MODEL, None),
            "X": (X.tolist(), pd.DataFrame(X), None),
            "y": (Y.tolist(), None),
            "reach": (THREAT, None),
            "within": ("1", None, np.nan),
            "time_limit_s": ("1", None, -1),
        },
    ),
    "robust_error": (
        lambda **given: robust_error(given.pop("ensemble"), X, Y, **given),
        {"ensemble": TREES, "reach": REACH, "radius": 0.1},
        {"ensemble": (SKLEARN, None), "reach": (THREAT,), "radius": (".1", None, -1)},
    ),
    "feasible_flips": (
        lambda **given: feasible_flips(given["model"], DATA.X, DATA.y, given["threat"]),
        {"model": MODEL, "threat": THREAT},
        {"model": (SKLEARN, LINEAR, None), "threat": (SCHEMA, None)},
    ),
    "linear flips": (
        lambda **given: linear_flips(given["model"], DATA.X, DATA.y, given["threat"]),
        {"model": LINEAR, "threat": THREAT},
        {"model": (MODEL, SKLEARN, None), "threat": (SCHEMA, None)},
    ),
    "evasion": (
        lambda **given: evasion(given.pop("model"), given.pop("data"), threat=THREAT, rng=RNG, **given),
        {"model": MODEL, "data": DATA, "max_queries": 3},
        {"model": (SKLEARN, None), "data": (DATA.X, None), "max_queries": ("3", 1.5, None, 0)},
    ),
    "evasion_radius": (
        lambda **given: evasion_radius(given["threat"], given["schema"]),
        {"threat": THREAT, "schema": SCHEMA},
        {"threat": (SCHEMA,), "schema": (THREAT, None)},
    ),
    "robust_logistic": (
        lambda **given: robust_logistic(given.pop("data"), **given),
        {"data": DATA, "evasion_radius": evasion_radius(THREAT, SCHEMA), "l2": 1},
        {"data": (DATA.X, None), "evasion_radius": ("x", None, THREAT), "l2": ("1", None, 0)},
    ),
    "strongest_affordable": (
        lambda **given: strongest_affordable(given.pop("plain"), given.pop("hardened"), given.pop("data"), **given),
        {"plain": trainer, "hardened": (trainer,), "data": DATA, "source_class": "no", "rng": RNG, "keep": 1},
        {
            "plain": (None, MODEL),
            "hardened": (trainer, None, (), (None,)),
            "data": (DATA.X, None),
            "rng": (None, 0),
            "keep": ("1", None, 0),
            "source_class": (1, None),
        },
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_the_wrong_kind_is_refused_in_a_sentence(name: str) -> None:
    call, right, wrong = CALLS[name]
    call(**right)
    for argument, values in wrong.items():
        for value in values:
            with pytest.raises(UsageError, match=r"expected|needs|is a|are numbers|must|has no|mean something"):
                call(**{**right, argument: value})


@pytest.mark.parametrize(("X", "y"), [(DATA.X.astype(str), DATA.y), (DATA.X, DATA.y.astype(str))])
def test_arrays_of_texts_are_no_rows_and_no_labels(X: Any, y: Any) -> None:
    with pytest.raises(DataError, match="of numbers, got an array of <U"):
        Dataset(SCHEMA, X, y)
    with pytest.raises(DataError, match="expected rows of numbers and whole classes"):
        smallest_flips(TREES, X, y, reach=REACH)


def test_the_parts_of_a_schema_become_tuples_so_that_it_can_be_looked_up() -> None:
    lists: dict[str, Any] = {"features": [AGE], "target": "y", "classes": ["0", "1"]}
    assert hash(Schema(**lists)) == hash(Schema(features=(AGE,), target="y", classes=("0", "1")))


def test_a_torch_table_takes_schema_and_module_in_this_order() -> None:
    torch = pytest.importorskip("torch")
    from holdfast.attacks.tables.torch_table import TorchTable
    from holdfast.errors import UnsupportedError

    module: Any = torch.nn.Linear(99, 2)
    pairs: list[tuple[Any, Any]] = [(module, SCHEMA), (SCHEMA, torch.nn.Linear), (SCHEMA, None)]
    for schema, given in pairs:
        with pytest.raises(UsageError, match=r"expected (schema|module) to be"):
            TorchTable(schema, given)
    with pytest.raises(UnsupportedError, match=r"expected a module for rows of \d+ encoded columns"):
        TorchTable(SCHEMA, module.double()).predict_proba(DATA.X)
