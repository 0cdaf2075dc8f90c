"""A client that means ill: what it gets for one row of its budget, and that it is no more than the plan says."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingRegressor
from tests.private_inference.private_pair import Pair, random_plan
from tests.private_inference.slots.slot_programs import tree_program

from holdfast.errors import UsageError, WireError
from holdfast.he import EvaluationKeys, PublicKey, SwitchingKey, fresh_seed, rings, sampling
from holdfast.private_inference import (
    Evaluator,
    PrivatePlan,
    PrivateSession,
    PublicPlan,
    compile_private,
    key_wire,
    statements,
    wire,
)
from holdfast.private_inference.slots import choose_layout
from holdfast.private_inference.trees import BinEncoding, Block, NumberBins


@pytest.fixture(scope="module")
def grown() -> Pair:
    """Two trees of two levels on two features."""
    X = np.random.default_rng(0).uniform(0, 1, (200, 2))
    y = np.sin(5 * X[:, 0]) + X[:, 1] * (X[:, 0] > 0.5)
    model = GradientBoostingRegressor(n_estimators=2, max_depth=2, learning_rate=1.0, random_state=0).fit(X, y)
    return Pair.of(compile_private(model, X=X))


def ask_anything(pair: Pair, numbers: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the model answers to encrypted numbers that no encoding makes."""
    with monkeypatch.context() as patched:
        patched.setattr(type(pair.plan.public.encoding), "encode", lambda self, X: numbers)
        return pair.ask(np.zeros((len(numbers), pair.plan.public.n_features)))


def test_two_weights_come_out_of_one_answer_but_no_more_bits_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of 1 and 2^-18 put two weights side by side into one score."""
    plan = random_plan(8, 1)
    weights = plan.secret.program.weights[0]  # type: ignore[union-attr]
    numbers = np.zeros((1, 8))
    numbers[0, 2], numbers[0, 5] = 1.0, 2.0**-9
    got = float(ask_anything(Pair.of(plan), numbers, monkeypatch)[0, 0]) - plan.secret.program.intercept[0]  # type: ignore[union-attr]
    assert got == pytest.approx(weights[2] + 2.0**-9 * weights[5], abs=2.0**-20)
    layout = plan.public.layout("row")
    bits = statements.bits_per_row(layout)
    assert f"more than {bits} bits about the model for each row" in plan.public.leakage
    assert bits <= layout.answer_bits


def test_bits_that_no_row_has_read_what_no_row_shows(grown: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, program = grown.plan.public.encoding, grown.plan.secret.program
    assert isinstance(encoding, BinEncoding)
    cells = [[-1e9, *(cut for cut in block.bins[0].grid)] for block in encoding.blocks]  # type: ignore[union-attr]
    rows = np.array([[a + 1e-12, b + 1e-12] for a, b in itertools.product(*cells)])
    honest = set(np.rint(grown.plan.clear_scores(rows)[:, 0] * program.scale).tolist())  # type: ignore[union-attr]
    bits = np.random.default_rng(2).integers(0, 2, (12, encoding.width)).astype(np.float64)  # no thermometers
    got = [ask_anything(grown, bits[i : i + 1], monkeypatch)[0, 0] * program.scale for i in range(len(bits))]  # type: ignore[union-attr]
    assert not {round(score) for score in got} <= honest
    assert "reads sums that no row shows" in grown.plan.public.leakage


def test_numbers_that_are_no_bits_give_one_number_modulo_t_and_nothing_else(
    grown: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, t = grown.plan.public.layout("row"), grown.plan.public.layout("row").parameters.plaintext_modulus
    assert t is not None
    numbers = np.random.default_rng(1).integers(-(t // 2), t // 2, (1, layout.width)).astype(np.float64)
    got = ask_anything(grown, numbers, monkeypatch)
    assert got.shape == (1, 1)
    assert abs(got[0, 0] * grown.plan.secret.program.scale) < t / 2  # type: ignore[union-attr]
    assert math.log2(t) <= statements.bits_per_row(layout) <= 31


BITS = BinEncoding(
    n_features=32,
    blocks=tuple(
        Block(features=(i,), bins=(NumberBins(grid=(0.5,), missing=False),), coding="thermometer") for i in range(32)
    ),
    width=32,
)
PLAIN = PublicPlan(
    kind="trees",
    encoding=BITS,
    layouts={"row": choose_layout(tree_program(64, 32, 3), width=32)},
    link="identity",
    classes=(),
    measured=None,
    notes=(),
    commitment="sha256:" + "0" * 64,
)


def resealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def made_up_keys(pair: Pair) -> key_wire.KeySet:
    """Keys that are random numbers: no check can tell them from others."""
    layout = pair.plan.public.layout("row")
    parameters, level = layout.parameters, layout.answer_level
    body = sampling.uniform(parameters.primes[:level], parameters.degree, seed=fresh_seed(), purpose=b"any")
    public = PublicKey(parameters=parameters, seed=fresh_seed(), body=body)
    keys = {}
    for element, at in layout.key_request:
        primes, digits = rings.full(parameters, at).primes, parameters.digits(at)
        bodies = np.stack(
            [sampling.uniform(primes, parameters.degree, seed=fresh_seed(), purpose=b"any") for _ in range(digits)]
        )
        keys[element] = SwitchingKey(parameters=parameters, element=element, seed=fresh_seed(), bodies=bodies)
    return key_wire.encode_keys("row", layout, public, EvaluationKeys(parameters=parameters, keys=keys))


def test_made_up_keys_get_an_answer_of_the_same_size_and_no_sentence(grown: Pair) -> None:
    keys = made_up_keys(grown)
    loaded = grown.evaluator.load_keys(keys.manifest, keys.parts)
    query = grown.session.encrypt(np.zeros((1, 2)))
    query = resealed(query[:40] + bytes.fromhex(keys.digest.removeprefix("sha256:")) + query[72:-32])
    assert len(grown.evaluator.answer(query, keys=loaded)) == wire.answer_bytes(grown.plan.public.layout("row"), 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_in_a_key_or_a_query_get_an_answer_or_one_sentence(grown: Pair, data: st.DataObject) -> None:
    """Checksums fit, so that the bytes themselves are looked at."""
    keys = grown.session.keys("row")
    index = data.draw(st.integers(0, len(keys.parts) - 1))
    part, query = keys.parts[index], grown.session.encrypt(np.zeros((1, 2)))
    for message, enter in (
        (part, lambda changed: grown.evaluator.load_keys(*with_part(keys, index, changed))),
        (query, lambda changed: grown.evaluator.answer(changed, keys=grown.keys)),
    ):
        at = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(message) - 33)))
        value = data.draw(st.one_of(st.binary(min_size=1, max_size=9), st.just(b"\xff" * 7)))
        changed = message[:at] + value + message[at + len(value) :]
        with contextlib.suppress(WireError):
            enter(resealed(changed[: len(message) - 32]))


def with_part(keys: key_wire.KeySet, index: int, part: bytes) -> tuple[bytes, list[bytes]]:
    """A key set with one part exchanged, and a manifest that names it."""
    parts = [part if i == index else other for i, other in enumerate(keys.parts)]
    digests = b"".join(other[-32:] for other in parts)
    return resealed(keys.manifest[: 8 + 32 + 4] + digests), parts


def test_a_query_for_one_row_in_a_batch_is_refused_before_it_costs_a_row() -> None:
    program = tree_program(64, 32, 3)
    layout = choose_layout(program, width=32, batch=True)
    least, header = wire.least_rows(layout), wire.QueryHeader(plan_digest="", key_digest="", layout="batch", n_rows=1)
    assert least > 1
    with pytest.raises(WireError, match=f"expected a query of {least} to"):
        wire.check_size(bytes(wire.query_bytes(layout, 1)), header, layout)


def test_the_bits_of_a_row_are_counted_in_the_worst_query() -> None:
    layout = choose_layout(tree_program(64, 32, 3), width=32, batch=True)
    each = statements.bits_per_row(choose_layout(tree_program(64, 32, 3), width=32))
    worst = max(
        wire.revealed(layout, n) / n
        for n in range(wire.least_rows(layout), min(layout.max_rows, 4 * layout.interleave))
    )
    stated = statements.bits_per_row(layout)
    assert stated <= 2 * 31
    assert stated >= worst * each


def test_a_session_refuses_rows_that_the_server_would_refuse() -> None:
    program = tree_program(64, 32, 3)
    layouts = {name: choose_layout(program, width=32, batch=name == "batch") for name in ("row", "batch")}
    session = PrivateSession(replace(PLAIN, layouts=layouts))
    with pytest.raises(UsageError, match="rows for one private query, got 1"):
        session.encrypt(np.zeros((1, 32)), layout="batch")


def test_an_evaluator_holds_nothing_of_a_query(grown: Pair) -> None:
    """The service may hold it for all clients: two of them get answers that the other cannot read."""
    plan: PrivatePlan = grown.plan
    server = Evaluator(plan)
    before: dict[str, Any] = dict(vars(server))
    server.answer(grown.session.encrypt(np.zeros((1, 2))), keys=grown.keys)
    assert vars(server) == before
