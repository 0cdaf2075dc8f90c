"""A key set is uploaded part by part; each part is checked as it comes, and nothing else gets in."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from holdfast.errors import WireError
from holdfast.he import EvaluationKeys, KeyRequest, Parameters, PublicKey, SecretKey, galois_element
from holdfast.private_inference import key_wire
from holdfast.private_inference.key_wire import KeyManifest, KeySet

RING = Parameters.generate(8192, bits=(40, 40), special_bits=(40,))
STEP = galois_element(RING, 3)


def layout(**changes: Any) -> Any:
    """What a key set is made for: two rotations at different levels, and relinearisation."""
    request = KeyRequest(relinearise_level=2, rotations={STEP: 1, galois_element(RING, 5): 2})
    return SimpleNamespace(**{"parameters": RING, "key_request": request, "answer_level": 1} | changes)


LAYOUTS: dict[str, Any] = {"row": layout()}


@pytest.fixture(scope="module")
def made() -> tuple[KeySet, PublicKey, EvaluationKeys]:
    secret = SecretKey.generate(RING)
    public, keys = PublicKey.generate(secret, level=1), EvaluationKeys.generate(secret, LAYOUTS["row"].key_request)
    return key_wire.encode_keys("row", LAYOUTS["row"], public, keys), public, keys


@pytest.fixture(scope="module")
def manifest(made: tuple[KeySet, PublicKey, EvaluationKeys]) -> KeyManifest:
    return key_wire.decode_manifest(made[0].manifest, LAYOUTS)


def test_keys_survive_the_wire(made: tuple[KeySet, PublicKey, EvaluationKeys], manifest: KeyManifest) -> None:
    key_set, public, keys = made
    read_public, read_keys = key_wire.decode_keys(manifest, key_set.parts, LAYOUTS["row"])
    assert np.array_equal(read_public.body, public.body)
    assert np.array_equal(read_public.a, public.a)
    assert set(read_keys.keys) == set(keys.keys)
    for element, key in keys.keys.items():
        assert np.array_equal(read_keys[element].rows, key.rows)


def test_the_manifest_tells_digests_and_sizes(made: Any, manifest: KeyManifest) -> None:
    key_set = made[0]
    assert manifest.digest == key_set.digest == "sha256:" + hashlib.sha256(key_set.manifest[:-32]).hexdigest()
    assert manifest.sizes == tuple(map(len, key_set.parts))
    assert manifest.parts == tuple("sha256:" + hashlib.sha256(part[:-32]).hexdigest() for part in key_set.parts)
    assert key_set.size_bytes == len(key_set.manifest) + sum(manifest.sizes)


def test_each_part_is_taken_in_its_place_and_no_other(made: Any, manifest: KeyManifest) -> None:
    parts = made[0].parts
    for index, part in enumerate(parts):
        key_wire.check_part(manifest, index, part, LAYOUTS["row"])
        for other in {*range(len(parts))} - {index}:
            with pytest.raises(WireError):
                key_wire.check_part(manifest, other, part, LAYOUTS["row"])
    for index in (-1, len(parts)):
        with pytest.raises(WireError, match="expected one of 4 parts"):
            key_wire.check_part(manifest, index, parts[0], LAYOUTS["row"])


def test_a_key_set_with_a_part_missing_or_too_many_is_refused(made: Any, manifest: KeyManifest) -> None:
    parts = made[0].parts
    for wrong in (parts[:-1], (*parts, parts[0]), ()):
        with pytest.raises(WireError, match="expected a key set of 4 parts"):
            key_wire.decode_keys(manifest, wrong, LAYOUTS["row"])
    with pytest.raises(WireError):
        key_wire.decode_keys(manifest, (parts[1], parts[0], *parts[2:]), LAYOUTS["row"])


@pytest.mark.parametrize(
    "other",
    [
        layout(parameters=Parameters.generate(8192, bits=(41, 41), special_bits=(41,))),
        layout(key_request=KeyRequest(relinearise_level=2, rotations={STEP: 1})),
        layout(key_request=KeyRequest(relinearise_level=2, rotations={STEP: 2, galois_element(RING, 5): 2})),
        layout(answer_level=2),
    ],
    ids=["ring", "fewer", "levels", "answer"],
)
def test_keys_for_other_parameters_are_refused(made: Any, other: Any) -> None:
    with pytest.raises(WireError, match=r"keys for the parameters of this plan|manifest of"):
        key_wire.decode_manifest(made[0].manifest, {"row": other})


def test_keys_for_a_layout_that_the_plan_does_not_have_are_refused(made: Any) -> None:
    with pytest.raises(WireError, match="expected keys for a layout of this plan"):
        key_wire.decode_manifest(made[0].manifest, {"batch": LAYOUTS["row"]})


def test_a_manifest_that_names_one_part_twice_is_refused(made: Any) -> None:
    data = made[0].manifest
    first = 8 + 32 + 4
    twice = data[: first + 32] + data[first : first + 32] + data[first + 64 : -32]
    with pytest.raises(WireError, match="one part twice"):
        key_wire.decode_manifest(twice + hashlib.sha256(twice).digest(), LAYOUTS)


@pytest.mark.parametrize("count", [0, 3, 5, 2**32 - 1])
def test_a_manifest_of_another_number_of_parts_is_refused(made: Any, count: int) -> None:
    data = made[0].manifest
    wrong = data[:40] + count.to_bytes(4, "little") + data[44:-32]
    with pytest.raises(WireError, match=f"expected a key set of 4 parts, got one of {count}"):
        key_wire.decode_manifest(wrong + hashlib.sha256(wrong).digest(), LAYOUTS)
