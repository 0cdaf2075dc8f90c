"""A server that means ill: whatever it gives out as a plan is refused in one sentence, or harmless to ask."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.private_inference.private_pair import random_plan
from tests.private_inference.slots.slot_programs import network_program, tree_program

from holdfast.errors import DataError, IntegrityError, UsageError, WireError
from holdfast.he import KeyRequest, Parameters
from holdfast.limits import MAX_QUERY_BYTES
from holdfast.private_inference import PrivatePlan, PrivateSession, PublicPlan, SecretPlan, wire
from holdfast.private_inference.encoding import NumericEncoding, NumericFeature
from holdfast.private_inference.slots import SlotLayout, choose_layout
from holdfast.private_inference.trees import BinEncoding, Block, NumberBins

TREES, (NETWORK, _) = tree_program(64, 32, 3), network_program((8, 4, 2))
BITS = BinEncoding(
    n_features=4,
    blocks=tuple(
        Block(features=(i,), bins=(NumberBins(grid=tuple(map(float, range(8))), missing=False),), coding="thermometer")
        for i in range(4)
    ),
    width=32,
)
NUMBERS = NumericEncoding(features=tuple(NumericFeature(name=f"x{i}", low=-1.0, high=1.0) for i in range(8)))


def document(encoding: Any, **layouts: SlotLayout) -> Any:
    plan = PublicPlan(
        kind="trees",
        encoding=encoding,
        layouts=layouts,
        link="identity",
        classes=(),
        measured=None,
        notes=("a note",),
        commitment="sha256:" + "0" * 64,
    )
    return json.loads(json.dumps(plan.to_json()))


DOCUMENTS = [
    random_plan(4, 3).public.to_json(),
    document(BITS, row=choose_layout(TREES, width=32), batch=choose_layout(TREES, width=32, batch=True)),
    document(NUMBERS, row=choose_layout(NETWORK, width=8), batch=choose_layout(NETWORK, width=8, batch=True)),
]
NASTY = st.one_of(
    st.sampled_from([-1, 0, 1, 2, 3, 8, 64, 8192, 2**20, 2**31, 2**53, 2**63, 2**64, 10**30, None, True, False]),
    st.sampled_from([0.0, 0.5, -1.5, 1e-300, 2.0**299, 1e308, float("nan"), float("inf"), "", "row", "\ud800"]),
    st.sampled_from([[], {}, [[]], [0], [1, 2], [[0, 1]], {"kind": "slots"}, [None], ["x"]]),
)
Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where something could be exchanged; of a long list, the first few."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list):
        for i, part in enumerate(value[:4]):
            yield from places(part, (*path, i))


PLACES = [(index, path) for index, found in enumerate(DOCUMENTS) for path in places(found)]


def exchanged(index: int, path: Path, value: object) -> Any:
    changed = copy.deepcopy(DOCUMENTS[index])
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def use(plan: PublicPlan) -> None:
    """All that a client does with a plan before it has an answer, but for keys, of which the sizes are enough."""
    assert plan.digest.startswith("sha256:")
    assert plan.leakage
    assert plan.security
    session = PrivateSession(plan, key_digests=dict.fromkeys(plan.layouts, "sha256:" + "0" * 64))
    assert sum(1 for _ in plan.split(20)) <= 20
    try:
        query = session.encrypt(np.zeros((1, plan.n_features)))
    except (DataError, UsageError):  # the encoding, or the ring, has no place for zeros
        return
    assert len(query) <= MAX_QUERY_BYTES


@settings(max_examples=250, deadline=None)
@given(at=st.sampled_from(PLACES), value=NASTY)
def test_a_plan_with_anything_exchanged_is_refused_or_can_be_asked(at: tuple[int, Path], value: object) -> None:
    try:
        plan = PublicPlan.from_json(exchanged(*at, value))
    except WireError:
        return
    use(plan)


@settings(max_examples=80, deadline=None)
@given(at=st.sampled_from(PLACES), by=st.sampled_from([-1000, -2, -1, 1, 2, 1000]))
def test_a_plan_with_a_number_moved_is_refused_or_can_be_asked(at: tuple[int, Path], by: int) -> None:
    index, path = at
    inner = DOCUMENTS[index]
    for step in path:
        inner = inner[step]
    try:
        plan = PublicPlan.from_json(exchanged(index, path, inner + by if type(inner) in (int, float) else by))
    except WireError:
        return
    use(plan)


def with_layout(**changes: object) -> Any:
    changed = copy.deepcopy(DOCUMENTS[1])
    changed["layouts"]["row"] |= changes
    return changed


def parameters(**changes: object) -> dict[str, Any]:
    return DOCUMENTS[1]["layouts"]["row"]["parameters"] | changes  # type: ignore[no-any-return]


FEW = parameters()["primes"][:3]
T = parameters()["plaintext_modulus"]
HOSTILE: dict[str, tuple[dict[str, object], str]] = {
    "a modulus above the table": (
        {
            "parameters": Parameters.generate(16384, bits=[43] * 9, plaintext_modulus=T).to_json()
            | {"special_primes": parameters()["special_primes"]}
        },
        "430 bits is 128-bit secure",
    ),
    "a ring that is too small": ({"parameters": parameters(degree=1024)}, "expected a ring degree"),
    "a modulus that is no prime": (
        {"parameters": parameters(primes=[FEW[1] - 2 * 16384 * T * i for i in (0, 1, 2)])},
        "expected primes between",
    ),
    "one prime twice": ({"parameters": parameters(primes=[FEW[0], FEW[0]])}, "all different"),
    "a plaintext modulus that is a prime of the ring": (
        {"parameters": parameters(plaintext_modulus=FEW[0])},
        "expected a plaintext modulus",
    ),
    "a key of the identity": (
        {"key_request": {"relinearise_level": 1, "rotations": [[1, 1]]}},
        "odd Galois elements below 32768, got 1",
    ),
    "a second relinearisation key": (
        {"key_request": {"relinearise_level": 1, "rotations": [[0, 2]]}},
        "odd Galois elements below 32768, got 0",
    ),
    "an even Galois element": (
        {"key_request": {"relinearise_level": 1, "rotations": [[4, 2]]}},
        "odd Galois elements below 32768, got 4",
    ),
    "a key above all levels": (
        {"key_request": {"relinearise_level": 99, "rotations": []}},
        "expected a key at a level from 1 to",
    ),
    "keys of more than 40 MB": (
        {"key_request": {"relinearise_level": 3, "rotations": [[i, 3] for i in range(3, 399, 2)]}},
        "evaluation keys of at most 40000000 bytes",
    ),
    "an answer before the query": ({"answer_level": 99}, "expected answer_level"),
    "answers of a bit": ({"answer_bits": 1}, "expected answer_bits"),
    "answers of 64 bits": ({"answer_bits": 64}, "expected answer_bits"),
    "a flood of more than any modulus": ({"flood_bits": 10**6}, "expected flood_bits"),
    "many samples in the layout for one row": (DOCUMENTS[1]["layouts"]["batch"], "takes single rows, got one of"),
    "no samples at all": ({"interleave": 0}, "expected interleave"),
    "a width of many ciphertexts": ({"width": 2**20, "n_parts": 80}, "expected inputs that fit"),
    "ten thousand ciphertexts": ({"n_parts": 10**4}, "expected n_parts"),
    "a million scores": ({"n_outputs": 10**6}, "expected n_outputs"),
    "baby steps beyond the slots": ({"baby_steps": [2**30]}, "expected baby steps"),
    "an input map out of the row": ({"input_map": [0, 32]}, "expected inputs that fit"),
    "a scale of zero": ({"score_scale": 0.0}, "expected finite scales"),
}


@pytest.mark.parametrize(("changes", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_a_plan_that_means_ill_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(WireError, match=sentence):
        PublicPlan.from_json(with_layout(**changes))


def test_deep_nesting_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(WireError):
        PublicPlan.from_json(DOCUMENTS[0] | {"notes": nested})


def test_every_ring_has_a_secret_of_its_own() -> None:
    """The same session secret in two rings is two secrets; else a ring of a server's choice gave away the other."""
    row = PublicPlan.from_json(DOCUMENTS[1])
    layout = row.layout("row")
    assert isinstance(layout, SlotLayout)
    shorter = replace(layout.parameters, special_primes=layout.parameters.special_primes[:-1])
    other = replace(row, layouts={"row": replace(layout, parameters=shorter, key_request=KeyRequest())})
    first, second = (PrivateSession(plan, secret=bytes(32))._secret("row") for plan in (row, other))
    again = PrivateSession(row, secret=bytes(32))._secret("row")
    assert first.secret_bytes() == again.secret_bytes()
    assert len({bytes(32), first.secret_bytes(), second.secret_bytes()}) == 3


def test_a_seed_never_serves_two_queries() -> None:
    session = PrivateSession(PublicPlan.from_json(DOCUMENTS[0]))
    seeds = {session.encrypt(np.zeros((1, 4)))[76:108] for _ in range(20)}
    assert len(seeds) == 20


def test_a_plan_that_changes_between_two_queries_makes_the_answer_one_of_another() -> None:
    plans = [random_plan(4, 3, seed=seed) for seed in (0, 1)]
    from tests.private_inference.private_pair import Pair

    ours, theirs = map(Pair.of, plans)
    query = ours.session.encrypt(np.zeros((1, 4)))
    with pytest.raises(WireError, match="expected a query for the plan"):
        theirs.evaluator.answer(query, keys=ours.keys)
    answer = theirs.evaluator.answer(theirs.session.encrypt(np.zeros((1, 4))), keys=theirs.keys)
    with pytest.raises(IntegrityError, match="another query"):
        ours.session.decrypt(answer)


SECRETS = {
    "linear": random_plan(4, 3).secret,
    "trees": SecretPlan(program=TREES, salt=bytes(32)),
    "network": SecretPlan(program=NETWORK, salt=bytes(32)),
}


@pytest.mark.parametrize("kind", SECRETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_secret_half_is_refused_or_another_model(kind: str, data: st.DataObject) -> None:
    whole = SECRETS[kind].to_bytes()
    head = 8 + int.from_bytes(whole[:8], "little")
    at = data.draw(st.one_of(st.integers(0, head), st.integers(0, len(whole) - 1)))
    piece = data.draw(st.binary(max_size=12))
    for changed in (whole[:at] + piece + whole[at + len(piece) :], whole[:at] + piece + whole[at:], whole[:at]):
        try:
            read = SecretPlan.from_bytes(changed)
        except WireError:
            continue
        assert read.to_bytes() == changed
        assert (read.commitment == SECRETS[kind].commitment) == (changed == whole)


def test_the_halves_of_a_hostile_plan_do_not_go_together() -> None:
    public = PublicPlan.from_json(DOCUMENTS[1])
    with pytest.raises(IntegrityError, match="different models"):
        PrivatePlan(public=public, secret=SECRETS["trees"])


def test_a_batch_may_not_be_nearly_empty() -> None:
    """One row in a place for many would show as many coefficients as all of them, at the budget of one."""
    batch = choose_layout(TREES, width=32, batch=True)
    least = wire.least_rows(batch)
    assert 1 < batch.interleave // 2 == least
    assert wire.revealed(batch, 1) == wire.revealed(batch, batch.interleave)
    for index in (1, 2):
        plan = PublicPlan.from_json(DOCUMENTS[index])
        for count in (1, 5, 63, 64, 500, 2_000):
            for part in plan.split(count):
                rows = part.rows.stop - part.rows.start
                assert wire.least_rows(plan.layout(part.layout)) <= rows <= plan.layout(part.layout).max_rows
