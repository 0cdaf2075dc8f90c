"""Bytes that are not exactly a manifest, a part of a key set, a query or an answer are refused in one sentence."""

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
Door = tuple[bytes, Callable[[bytes], object]]


def resealed(data: bytes) -> bytes:
    """The message with a checksum that fits, as an attacker would send it."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def changed(data: bytes, at: int, value: bytes) -> bytes:
    return resealed(data[:at] + value + data[at + len(value) :])


@pytest.fixture(scope="module")
def doors(pair: Pair) -> dict[str, Door]:
    """What each entrance takes, and the entrance."""
    query = pair.session.encrypt(ROW)
    keys = pair.session.keys("row")
    manifest = pair.evaluator.read_manifest(keys.manifest)
    return {
        "manifest": (keys.manifest, pair.evaluator.read_manifest),
        "part": (keys.parts[0], lambda data: pair.evaluator.check_part(manifest, 0, data)),
        "query": (query, lambda data: pair.evaluator.answer(data, keys=pair.keys)),
        "answer": (pair.evaluator.answer(query, keys=pair.keys), pair.session.decrypt),
    }


DOORS = pytest.mark.parametrize("door", ["manifest", "part", "query", "answer"])


@DOORS
@FUZZ
@given(data=st.data())
def test_one_flipped_bit_is_refused(doors: dict[str, Door], door: str, data: st.DataObject) -> None:
    message, enter = doors[door]
    at = data.draw(st.integers(0, len(message) - 1))
    flipped = bytearray(message)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((WireError, IntegrityError)):
        enter(bytes(flipped))


@DOORS
@FUZZ
@given(data=st.data())
def test_a_cut_or_longer_message_is_refused(doors: dict[str, Door], door: str, data: st.DataObject) -> None:
    message, enter = doors[door]
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
@given(data=st.binary(max_size=400), prefix=st.integers(0, 160))
def test_random_bytes_are_refused(doors: dict[str, Door], door: str, data: bytes, prefix: int) -> None:
    message, enter = doors[door]
    for malformed in (data, message[:prefix] + data, resealed(message[:prefix] + data + bytes(32))):
        if len(malformed) != len(message):  # of the right size and sealed, a manifest may name any digest
            with pytest.raises((WireError, IntegrityError)):
                enter(malformed)


@FUZZ
@given(data=st.data())
def test_a_resealed_change_never_crashes_the_server(pair: Pair, doors: dict[str, Door], data: st.DataObject) -> None:
    message, enter = doors["query"]
    at = data.draw(st.one_of(st.integers(0, 140), st.integers(0, len(message) - 40)))
    value = data.draw(st.binary(min_size=1, max_size=8))
    malformed = changed(message, at, value)
    try:
        answer = enter(malformed)
    except WireError:
        return
    # Residues that were in range, or fewer than 17 rows: an answer, if to nonsense.
    n_rows = pair.evaluator.read_header(malformed).n_rows
    assert len(answer) == wire.answer_bytes(pair.plan.public.layout("row"), n_rows)  # type: ignore[arg-type]


@DOORS
@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (0, b"PK", "of something else"),
        (4, b"\1", "in version 2 of the wire format, got version 1"),
        (5, b"\x09", "a message of an unknown kind"),
        (6, b"\2", "in a known layout, got 2, 0"),
        (7, b"\1", "in a known layout, got 0, 1"),
    ],
)
def test_a_wrong_header_is_named(doors: dict[str, Door], door: str, at: int, value: bytes, sentence: str) -> None:
    message, enter = doors[door]
    with pytest.raises(WireError, match=sentence):
        enter(changed(message, at, value))


def test_messages_of_version_1_are_refused_with_what_to_do(doors: dict[str, Door]) -> None:
    for message, enter in doors.values():
        with pytest.raises(WireError) as caught:
            enter(changed(message, 4, b"\1"))
        assert "seal the model again" in caught.value.hint


def test_each_kind_is_refused_where_another_is_expected(doors: dict[str, Door]) -> None:
    for kind, (message, _) in doors.items():
        for door, (_, enter) in doors.items():
            if door != kind:
                with pytest.raises(WireError, match=r"expected a .*, got a "):
                    enter(message)


@pytest.mark.parametrize("layout", [b"\1"])
@DOORS
def test_a_layout_that_the_plan_does_not_have_is_refused(doors: dict[str, Door], door: str, layout: bytes) -> None:
    message, enter = doors[door]
    with pytest.raises((WireError, IntegrityError)):
        enter(changed(message, 6, layout))


@pytest.mark.parametrize(("door", "offset"), [("part", 8 + 32 + 4 + 32), ("query", 8 + 68 + 32)])
def test_a_residue_that_is_not_below_its_prime_is_refused(
    pair: Pair, doors: dict[str, Door], door: str, offset: int
) -> None:
    message, _ = doors[door]
    width = pair.plan.public.layout("row").parameters.primes[0].bit_length()
    spoilt = changed(message, offset, b"\xff" * (width // 8 + 1))
    if door == "query":
        with pytest.raises(WireError, match="not below its prime"):
            pair.evaluator.answer(spoilt, keys=pair.keys)
        return
    manifest = pair.session.keys("row").manifest
    claimed = pair.evaluator.read_manifest(changed(manifest, 8 + 32 + 4, spoilt[-32:]))
    with pytest.raises(WireError, match="not below its prime"):
        pair.evaluator.check_part(claimed, 0, spoilt)


def test_damage_is_told_from_malice_by_the_checksum(pair: Pair, doors: dict[str, Door]) -> None:
    message, enter = doors["query"]
    damaged = message[:500] + bytes([message[500] ^ 1]) + message[501:]
    with pytest.raises(WireError, match="damaged on its way"):
        enter(damaged)


@pytest.mark.parametrize("n_rows", [0, 2**32 - 1])
def test_a_number_of_rows_out_of_bounds_is_refused_before_anything_is_allocated(pair: Pair, n_rows: int) -> None:
    malformed = changed(pair.session.encrypt(ROW), 72, n_rows.to_bytes(4, "little"))
    for enter in (pair.evaluator.read_header, lambda query: pair.evaluator.answer(query, keys=pair.keys)):
        with pytest.raises(WireError, match=f"1 to 1280 rows, got {n_rows}"):
            enter(malformed)


def test_rows_that_the_size_does_not_bear_out_are_refused(pair: Pair) -> None:
    malformed = changed(pair.session.encrypt(ROW), 72, (17).to_bytes(4, "little"))
    with pytest.raises(WireError, match=r"bytes for 17 rows, got"):
        pair.evaluator.read_header(malformed)


def test_the_sizes_are_those_that_the_layout_tells(pair: Pair) -> None:
    layout = pair.plan.public.layout("row")
    for n_rows in (1, 16, 17):
        query = pair.session.encrypt(np.zeros((n_rows, 3)))
        assert len(query) == wire.query_bytes(layout, n_rows)
        assert len(pair.evaluator.answer(query, keys=pair.keys)) == wire.answer_bytes(layout, n_rows)


def test_the_largest_query_is_a_request_that_the_service_takes(pair: Pair) -> None:
    query = pair.session.encrypt(np.zeros((pair.plan.public.max_rows, 3)))
    assert len(query) <= MAX_REQUEST_BYTES
    assert len(pair.session.encrypt(ROW)) < 200_000


def test_a_query_for_another_model_is_refused(pair: Pair) -> None:
    other = Evaluator(random_plan(3, 1, seed=5))
    with pytest.raises(WireError, match="expected a query for the plan") as caught:
        other.answer(pair.session.encrypt(ROW), keys=pair.keys)
    assert "public plan" in caught.value.hint


def test_a_query_under_other_keys_is_refused(pair: Pair) -> None:
    other = PrivateSession(pair.plan.public)
    with pytest.raises(WireError, match="expected a query under the keys"):
        pair.evaluator.answer(other.encrypt(ROW), keys=pair.keys)


def test_the_header_tells_keys_and_rows_before_any_work(pair: Pair) -> None:
    header = pair.evaluator.read_header(pair.session.encrypt(np.zeros((5, 3))))
    assert (header.key_digest, header.layout, header.n_rows) == (pair.keys.digest, "row", 5)
    assert header.key_digest == pair.session.key_digest("row")


def test_rows_beyond_one_query_are_refused_at_the_client(pair: Pair) -> None:
    for n_rows in (0, pair.plan.public.max_rows + 1):
        with pytest.raises(UsageError, match=f"1 to 1280 rows for one private query, got {n_rows}"):
            pair.session.encrypt(np.zeros((n_rows, 3)))
