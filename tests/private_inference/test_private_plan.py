"""A plan's halves are read strictly, belong together, and tell what they leak."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tests.private_inference.private_pair import random_model, random_plan

from holdfast.errors import IntegrityError, UsageError, WireError
from holdfast.models import LinearModel
from holdfast.private_inference import Measured, PrivatePlan, PublicPlan, SecretPlan, compile_private
from holdfast.private_inference.program import Affine, NetworkProgram, Program, TreeProgram
from holdfast.private_inference.tensors import read_tensors, write_tensors

MODEL = random_model(4, 3)
PLAN = compile_private(MODEL, X=np.random.default_rng(0).uniform(-1, 1, (20, 4)))


def test_both_halves_survive_their_files() -> None:
    public = PublicPlan.from_json(json.loads(json.dumps(PLAN.public.to_json())))
    secret = SecretPlan.from_bytes(PLAN.secret.to_bytes())
    X = np.random.default_rng(0).uniform(-1, 1, (5, 4))
    assert public.digest == PLAN.public.digest
    assert (PrivatePlan(public=public, secret=secret).clear_scores(X) == PLAN.clear_scores(X)).all()


NETWORK = NetworkProgram(
    layers=(
        Affine(weights=np.eye(2), bias=np.arange(8.0), block=4),
        Affine(weights=np.ones((1, 8)), bias=np.zeros(1)),
    ),
    bounds=(2.5, 8.0),
    input_map=np.array([0, 1, 2, 3, -1, 4, 0, 1]),
)
TREES = TreeProgram(
    selection=np.array([[1, -1, 0], [0, 1, 0]]),
    offset=np.array([1, 0]),
    depth=2,
    values=np.array([[70_000, -3]]),
    intercept=np.array([5]),
    scale=1024.5,
)


@pytest.mark.parametrize("program", [PLAN.secret.program, TREES, NETWORK], ids=["linear", "trees", "network"])
def test_every_program_survives_its_file_to_the_bit(program: Program) -> None:
    secret = SecretPlan(program=program, salt=bytes(range(32)))
    again = SecretPlan.from_bytes(secret.to_bytes())
    assert again.to_bytes() == secret.to_bytes()
    assert again.commitment == secret.commitment
    width = {"LinearProgram": 4, "TreeProgram": 3, "NetworkProgram": 5}[type(program).__name__]
    rows = np.random.default_rng(1).integers(0, 2, (6, width)).astype(np.float64)
    ours: Any = program
    theirs: Any = again.program
    assert (ours.clear(rows) == theirs.clear(rows)).all()


def test_the_public_half_holds_no_weight() -> None:
    models = [MODEL, LinearModel(MODEL.schema, -MODEL.coef, MODEL.intercept)]
    documents = [compile_private(model).public.to_json() for model in models]
    differing = {name for name in documents[0] if documents[0][name] != documents[1][name]}
    assert differing == {"commitment"}


def test_the_commitment_of_one_model_differs_every_time_so_that_no_guess_can_be_tested() -> None:
    first, second = (compile_private(MODEL) for _ in range(2))
    assert first.secret.to_bytes()[-100:] == second.secret.to_bytes()[-100:]
    assert first.public.commitment != second.public.commitment


def test_weights_do_not_print_themselves() -> None:
    assert repr(float(MODEL.coef[0, 0]))[:8] not in repr(PLAN)
    assert PLAN.secret.salt.hex() not in repr(PLAN)
    assert repr(PLAN.secret.salt) not in repr(PLAN)


def test_halves_of_different_models_are_refused() -> None:
    other = random_plan(4, 3, seed=9)
    with pytest.raises(IntegrityError, match="different models"):
        PrivatePlan(public=PLAN.public, secret=other.secret)


PUBLIC_CHANGES: list[dict[str, object]] = [
    {"format": "holdfast-private-plan-public-1"},
    {"format": None},
    {"kind": "oracle"},
    {"kind": 3},
    {"link": "sigmoid"},
    {"link": "logistic"},
    {"encoding": None},
    {"encoding": {"kind": "none"}},
    {"encoding": {"kind": ["numeric"]}},
    {"encoding": {"kind": "numeric", "features": []}},
    {"layouts": {}},
    {"layouts": []},
    {"layouts": {"batch": PLAN.public.layout("row").to_json()}},
    {"layouts": {"row": PLAN.public.layout("row").to_json(), "other": PLAN.public.layout("row").to_json()}},
    {"layouts": {"row": {"kind": "rows"}}},
    {"layouts": {"row": 7}},
    {"classes": "abc"},
    {"classes": ["a"]},
    {"classes": [1, 2, 3]},
    {"classes": ["a", "b", "b"]},
    {"classes": ["a", "b", ""]},
    {"classes": ["a", "b", "c" * 201]},
    {"measured": 5},
    {"measured": {"rows": 3}},
    {"notes": "abc"},
    {"notes": [1]},
    {"notes": ["a" * 2_001]},
    {"commitment": "sha256:00"},
    {"commitment": 7},
    {"extra": 1},
]


@pytest.mark.parametrize("change", PUBLIC_CHANGES, ids=lambda change: str(change)[:60])
def test_a_malformed_public_half_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WireError):
        PublicPlan.from_json(PLAN.public.to_json() | change)


LAYOUT_CHANGES: list[dict[str, object]] = [
    {"width": 5},
    {"width": 0},
    {"width": True},
    {"width": 2.0},
    {"n_outputs": 2},
    {"n_outputs": "3"},
    {"prime_bits": []},
    {"prime_bits": [50] * 5},
    {"prime_bits": [51, 50]},
    {"prime_bits": 50},
    {"prime_bits": [None]},
    {"scale_bits": 10**9},
    {"weight_bits": -61},
    {"scale_bits": 9},
    {"answer_bits": 65},
    {"flood_bits": 0},
    {"error_bits": 61},
    {"error_bits": -61},
    {"extra": 1},
]


@pytest.mark.parametrize("change", LAYOUT_CHANGES, ids=str)
def test_a_malformed_layout_is_refused(change: dict[str, object]) -> None:
    row = PLAN.public.layout("row").to_json() | change
    with pytest.raises(WireError):
        PublicPlan.from_json(PLAN.public.to_json() | {"layouts": {"row": row}})


@pytest.mark.parametrize("missing", sorted(PLAN.public.to_json()))
def test_a_public_half_with_a_field_missing_is_refused(missing: str) -> None:
    document = PLAN.public.to_json()
    del document[missing]
    with pytest.raises(WireError):
        PublicPlan.from_json(document)


def test_a_plan_of_format_1_is_refused_with_what_to_do() -> None:
    with pytest.raises(WireError) as caught:
        PublicPlan.from_json({"format": "holdfast-private-plan-public-1", "n_features": 3})
    assert caught.value.hint == "seal the model again"


@pytest.mark.parametrize("document", [None, [], "plan", 3])
def test_something_else_is_no_plan(document: object) -> None:
    with pytest.raises(WireError, match="expected a plan"):
        PublicPlan.from_json(document)


def test_a_plan_that_asks_for_huge_keys_is_refused_by_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.private_inference.public_plan.MAX_KEY_SET_BYTES", 1_000)
    with pytest.raises(WireError, match="keys of at most 1000 bytes"):
        PublicPlan.from_json(PLAN.public.to_json())


@pytest.mark.parametrize(
    "values",
    [
        {"rows": -1},
        {"rows": 1.5},
        {"same_class": 21},
        {"encrypted_rows": 21},
        {"worst_error": -1.0},
        {"worst_error": float("nan")},
        {"encrypted_error": "0"},
    ],
    ids=str,
)
def test_a_measurement_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    right = {"rows": 20, "same_class": 20, "worst_error": 0.0, "encrypted_rows": 2, "encrypted_error": 0.0}
    Measured(**right)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Measured(**right | values)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_secret_half_with_a_byte_changed_never_is_the_plans(data: st.DataObject) -> None:
    secret = PLAN.secret.to_bytes()
    at = data.draw(st.integers(0, len(secret) - 1))
    changed = bytearray(secret)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((WireError, IntegrityError)):
        PrivatePlan(public=PLAN.public, secret=SecretPlan.from_bytes(bytes(changed)))


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=300))
def test_random_bytes_are_no_secret_half(junk: bytes) -> None:
    for data in (junk, len(junk).to_bytes(8, "little") + junk, PLAN.secret.to_bytes()[:100] + junk):
        with pytest.raises(WireError):
            SecretPlan.from_bytes(data)


@settings(max_examples=60, deadline=None)
@given(
    floats=arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e9, 1e9)),
    integers=arrays(np.int64, array_shapes(max_dims=2, max_side=4), elements=st.integers(-(2**63), 2**63 - 1)),
)
def test_tensors_survive_and_have_one_form(floats: np.ndarray, integers: np.ndarray) -> None:
    data = write_tensors({"b": floats, "a": integers}, {"name": "value"})
    again, metadata = read_tensors(data)
    assert (again["b"] == floats).all()
    assert (again["a"] == integers).all()
    assert metadata == {"name": "value"}
    assert write_tensors(again, metadata) == data


def test_tensors_of_other_types_are_refused() -> None:
    with pytest.raises(UsageError, match="float64 or signed integers"):
        write_tensors({"a": np.zeros(3, dtype=np.float32)}, {})


def test_the_statements_carry_the_figures() -> None:
    assert "N = 8192, log2 QP = " in PLAN.public.security
    assert "2^-40" in PLAN.public.security
    assert "n_features + 1 rows" in PLAN.public.leakage
    assert "3 score(s)" in PLAN.public.leakage
    assert "Only a query budget bounds this" in PLAN.public.leakage


def test_a_model_is_solved_from_as_many_rows_as_the_leakage_statement_says() -> None:
    X = np.concatenate([np.zeros((1, 4)), np.eye(4)])
    scores = PLAN.clear_scores(X)
    assert pytest.approx(MODEL.coef) == (scores[1:] - scores[0]).T
    assert scores[0] == pytest.approx(MODEL.intercept)
