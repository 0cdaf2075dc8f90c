"""Bytes that are not exactly a key, a query or an answer are refused in one sentence, and nothing crashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.private_inference.private_pair import Pair, random_plan

from holdfast.errors import IntegrityError, UsageError, WireError
from holdfast.limits import MAX_REQUEST_BYTES
from holdfast.private_inference import Evaluator, PrivateSession, wire

ROW = np.array([[0.5, -0.25, 1.0]])
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def resealed(data: bytes) -> bytes:
    """The message with a checksum that fits, as an attacker would send it."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def changed(data: bytes, at: int, value: bytes) -> bytes:
    return resealed(data[:at] + value + data[at + len(value) :])


def doors(pair: Pair) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    query = pair.session.encrypt(ROW)
    return {
        "key": (pair.session.public_key_bytes(), pair.evaluator.load_key),
        "query": (query, lambda data: pair.evaluator.answer(data, key=pair.key)),
        "answer": (pair.evaluator.answer(query, key=pair.key), pair.session.decrypt),
    }


DOORS = pytest.mark.parametrize("door", ["key", "query", "answer"])


@DOORS
def test_encoding_is_canonical(pair: Pair, door: str) -> None:
    data, _ = doors(pair)[door]
    layout = pair.plan.public.layout
    again = {
        "key": lambda: wire.encode_key(wire.decode_key(data)),
        "query": lambda: wire.encode_query(wire.decode_query(data, layout)),
        "answer": lambda: wire.encode_answer(wire.decode_answer(data, layout, n_rows=1)),
    }
    assert again[door]() == data


@DOORS
@FUZZ
@given(data=st.data())
def test_one_flipped_bit_is_refused(pair: Pair, door: str, data: st.DataObject) -> None:
    message, enter = doors(pair)[door]
    at = data.draw(st.integers(0, len(message) - 1))
    flipped = bytearray(message)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((WireError, IntegrityError)):
        enter(bytes(flipped))


@DOORS
@FUZZ
@given(data=st.data())
def test_a_cut_or_longer_message_is_refused(pair: Pair, door: str, data: st.DataObject) -> None:
    message, enter = doors(pair)[door]
    size = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(message) - 1)))
    tail = data.draw(st.binary(min_size=1, max_size=40))
    for malformed in (
        message[:size],
        resealed(message[: size + 32]),
        message + tail,
        resealed(message + tail + bytes(32)),
    ):
        if malformed != message:
            with pytest.raises((WireError, IntegrityError)):
                enter(malformed)


@DOORS
@FUZZ
@given(data=st.binary(max_size=400), prefix=st.integers(0, 120))
def test_random_bytes_are_refused(pair: Pair, door: str, data: bytes, prefix: int) -> None:
    message, enter = doors(pair)[door]
    for malformed in (data, message[:prefix] + data, resealed(message[:prefix] + data + bytes(32))):
        with pytest.raises((WireError, IntegrityError)):
            enter(malformed)


@FUZZ
@given(data=st.data())
def test_a_resealed_change_never_crashes_the_server(pair: Pair, data: st.DataObject) -> None:
    message, enter = doors(pair)["query"]
    at = data.draw(st.one_of(st.integers(0, 140), st.integers(0, len(message) - 40)))
    value = data.draw(st.binary(min_size=1, max_size=8))
    try:
        answer = enter(changed(message, at, value))
    except WireError:
        return
    assert len(answer) == 98_456  # type: ignore[arg-type]  # residues that were in range: an answer, if to nonsense


@DOORS
@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (0, b"PK", "of something else"),
        (4, b"\2", "in version 1 of the wire format, got version 2"),
        (5, b"\7", "a message of an unknown kind"),
        (6, b"\2", "under parameter set 1, got 2, 0"),
        (7, b"\1", "under parameter set 1, got 1, 1"),
    ],
)
def test_a_wrong_header_is_named(pair: Pair, door: str, at: int, value: bytes, sentence: str) -> None:
    message, enter = doors(pair)[door]
    with pytest.raises(WireError, match=sentence):
        enter(changed(message, at, value))


def test_each_kind_is_refused_where_another_is_expected(pair: Pair) -> None:
    entrances = doors(pair)
    for kind, (message, _) in entrances.items():
        for door, (_, enter) in entrances.items():
            if door != kind:
                with pytest.raises(WireError, match=r"expected a .*, got a "):
                    enter(message)


@pytest.mark.parametrize(("door", "offset"), [("key", 40), ("query", 108), ("answer", 108)])
def test_a_residue_that_is_not_below_its_prime_is_refused(pair: Pair, door: str, offset: int) -> None:
    message, enter = doors(pair)[door]
    prime = (2147352577).to_bytes(4, "little")
    with pytest.raises(WireError, match="not below its prime"):
        enter(changed(message, offset, prime))


def test_damage_is_told_from_malice_by_the_checksum(pair: Pair) -> None:
    message, enter = doors(pair)["query"]
    damaged = message[:500] + bytes([message[500] ^ 1]) + message[501:]
    with pytest.raises(WireError, match="damaged on its way"):
        enter(damaged)


@pytest.mark.parametrize("n_rows", [0, 2**32 - 1])
def test_a_number_of_rows_out_of_bounds_is_refused_before_anything_is_allocated(pair: Pair, n_rows: int) -> None:
    malformed = changed(pair.session.encrypt(ROW), 72, n_rows.to_bytes(4, "little"))
    for enter in (pair.evaluator.read_header, lambda query: pair.evaluator.answer(query, key=pair.key)):
        with pytest.raises(WireError, match=f"1 to 1280 rows, got {n_rows}"):
            enter(malformed)


def test_rows_that_the_size_does_not_bear_out_are_refused(pair: Pair) -> None:
    malformed = changed(pair.session.encrypt(ROW), 72, (17).to_bytes(4, "little"))
    with pytest.raises(WireError, match="393356 bytes for 17 rows, got 196748"):
        pair.evaluator.read_header(malformed)


def test_the_largest_query_is_a_request_that_the_service_takes(pair: Pair) -> None:
    query = pair.session.encrypt(np.zeros((pair.plan.public.max_rows, 3)))
    assert len(query) <= MAX_REQUEST_BYTES
    assert len(pair.session.encrypt(ROW)) < 300_000


def test_a_query_for_another_model_is_refused(pair: Pair) -> None:
    other = Evaluator(random_plan(3, 1, seed=5))
    with pytest.raises(WireError, match="expected a query for the plan") as caught:
        other.answer(pair.session.encrypt(ROW), key=pair.key)
    assert "public plan" in caught.value.hint


def test_a_query_under_another_key_is_refused(pair: Pair) -> None:
    other = PrivateSession(pair.plan.public)
    with pytest.raises(WireError, match="expected a query under the key"):
        pair.evaluator.answer(other.encrypt(ROW), key=pair.key)


def test_the_header_tells_key_and_rows_before_any_work(pair: Pair) -> None:
    header = pair.evaluator.read_header(pair.session.encrypt(np.zeros((5, 3))))
    assert (header.key_digest, header.n_rows) == (pair.key.digest, 5)
    assert header.key_digest == pair.session.key_digest


def test_rows_beyond_one_query_are_refused_at_the_client(pair: Pair) -> None:
    for n_rows in (0, pair.plan.public.max_rows + 1):
        with pytest.raises(UsageError, match=f"1 to 1280 rows for one private query, got {n_rows}"):
            pair.session.encrypt(np.zeros((n_rows, 3)))
