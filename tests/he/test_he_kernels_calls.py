"""The kernels refuse what does not fit, from any thread, in any process."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.he import oracle

from holdfast.errors import UsageError
from holdfast.he import kernels

PRIMES = (1125899904679937, 1125899903827969, 1125899903500289, 786433)
RING, ORACLE = kernels.Ring(4096, PRIMES), oracle.Ring(4096, PRIMES)
A = np.arange(4 * 4096, dtype=np.uint64).reshape(4, 4096)


@pytest.mark.parametrize(
    ("degree", "primes"),
    [
        (4096, ()),
        (4096, (97,)),
        (4096, (2**50 + 16385,)),
        (4096, (8193 * 3,)),
        (8, (97,)),
        (0, (97,)),
        (-4, (97,)),
        (100, (601,)),
        (2**18, (786433,)),
        (4096, (1,)),
        (4096, (-8191,)),
    ],
)
def test_a_ring_that_has_no_transform_is_refused(degree: int, primes: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        kernels.Ring(degree, primes)


BAD: list[Any] = [
    A.astype(np.int64),
    A.astype(np.float64),
    A[:3],
    A[:, :2048],
    A[0],
    A.reshape(-1),
    np.uint64(3),
    [1, 2, 3],
    None,
    b"residues",
    np.empty((0, 4, 0), dtype=np.uint64),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_an_array_of_another_type_or_shape_is_refused_by_every_kernel(bad: Any) -> None:
    chain, indices = RING.head(3), RING.galois_indices(5)
    digits, key = np.stack([A] * 3), np.stack([np.stack([A, A])] * 3)
    calls = [
        lambda: RING.forward(bad),
        lambda: RING.inverse(bad),
        lambda: RING.negate(bad),
        lambda: RING.scale(bad, [1, 2, 3, 4]),
        lambda: RING.add(bad, A),
        lambda: RING.add(A, bad),
        lambda: RING.multiply(A, bad),
        lambda: RING.dot([A, bad], [A, A]),
        lambda: RING.dot([A, A], [A, bad]),
        lambda: RING.combine([A, bad], np.zeros((4, 1, 2, 2), dtype=np.uint64)),
        lambda: kernels.convert(bad, RING, chain),
        lambda: kernels.decompose(bad, RING, RING, 1),
        lambda: kernels.key_product(bad, key, RING, indices),
        lambda: kernels.key_product(digits, bad, RING, indices),
        lambda: kernels.mod_down(bad, chain, RING),
        lambda: kernels.pack_bits(bad, [50, 50, 50, 20, 20]),
    ]
    for call in calls:
        with pytest.raises(UsageError):
            call()


def test_arguments_that_do_not_fit_each_other_are_refused() -> None:
    other = kernels.Ring(4096, PRIMES[::-1])
    digits, key = np.stack([A] * 3), np.stack([np.stack([A, A])] * 3)
    indices = RING.galois_indices(5)
    calls = [
        lambda: RING.dot([], []),
        lambda: RING.dot([A], [A, A]),
        lambda: RING.combine([], np.zeros((4, 1, 2, 0), dtype=np.uint64)),
        lambda: RING.combine([A], np.zeros((3, 1, 2, 1), dtype=np.uint64)),
        lambda: RING.combine([A], np.zeros((4, 0, 2, 1), dtype=np.uint64)),
        lambda: RING.combine([A], np.zeros((4, 1024, 2, 1), dtype=np.uint64)),
        lambda: RING.combine([A], np.zeros((4, 1, 2, 2), dtype=np.uint64)),
        lambda: RING.scale(A, [1, 2]),
        lambda: RING.reduce(np.zeros(100, dtype=np.int64)),
        lambda: RING.reduce(np.zeros(4096)),
        lambda: RING.galois_indices(2),
        lambda: RING.permute(A, indices[:100]),
        lambda: RING.permute(A, indices - np.int32(1)),
        lambda: RING.permute(A, indices + np.int32(1)),
        lambda: RING.permute(A, indices.astype(np.int64)),
        lambda: kernels.decompose(A[:3].copy(), RING.head(3), other, 1),
        lambda: kernels.decompose(A[:3].copy(), RING.head(3), RING, 0),
        lambda: kernels.key_product(digits, key[:2].copy(), RING, indices),
        lambda: kernels.key_product(digits, key, RING, np.roll(indices, 1)),
        lambda: kernels.key_product(digits, key, RING, indices[::2].copy()),
        lambda: kernels.key_product(digits, key, RING, rows=[0, 1, 2]),
        lambda: kernels.key_product(digits, key, RING, rows=[0, 1, 2, 4]),
        lambda: kernels.key_product(digits, key, RING, rows=[0, 1, 2, -1]),
        lambda: kernels.mod_down(A, RING, RING),
        lambda: kernels.mod_down(A, RING.head(3), RING, 0),
        lambda: kernels.mod_down(A, RING.head(3), RING, 786433),
        lambda: kernels.mod_down(A, other.head(3), RING),
        lambda: kernels.drop_prime(A[:1].copy(), RING.head(1)),
        lambda: kernels.pack_bits(A, [50, 50, 50]),
        lambda: kernels.pack_bits(A, [50, 50, 50, 65]),
        lambda: kernels.pack_bits(A, [50, 50, 50, 0]),
        lambda: kernels.unpack_bits(b"abc", [8], (1, 8)),
        lambda: kernels.unpack_bits(b"abc", [8, 8], (1, 8)),
        lambda: kernels.unpack_bits(b"abc", [64], (2**62, 1, 8)),
        lambda: kernels.unpack_bits(b"", [8], (-1, 1, 8)),
        lambda: kernels.use_path("sse"),
    ]
    for call in calls:
        with pytest.raises(UsageError):
            call()


def test_arrays_with_gaps_are_taken_as_they_are_meant() -> None:
    wide = np.stack([A, A], axis=-1)[..., 0]
    assert not wide.flags.c_contiguous
    np.testing.assert_array_equal(RING.forward(wide), ORACLE.forward(A))


def test_operands_are_not_changed() -> None:
    before = A.copy()
    RING.inverse(RING.forward(A))
    kernels.mod_down(A, RING.head(3), RING, 3)
    kernels.decompose(A[:3], RING.head(3), RING, 2)
    np.testing.assert_array_equal(A, before)


def test_a_result_keeps_its_memory_while_it_is_used() -> None:
    kept = [RING.forward(A) for _ in range(30)]
    expected = ORACLE.forward(A)
    for _ in range(30):
        RING.negate(A)
    assert all(np.array_equal(result, expected) for result in kept)


def test_several_python_threads_may_call_at_once() -> None:
    inputs = [A + np.uint64(i) for i in range(24)]
    expected = [ORACLE.forward(a) for a in inputs]
    kernels.set_threads(3)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(10):
                for result, wanted in zip(pool.map(RING.forward, inputs), expected, strict=True):
                    np.testing.assert_array_equal(result, wanted)
    finally:
        kernels.set_threads(0)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_show_in_the_result(threads: int) -> None:
    kernels.set_threads(threads)
    try:
        many = np.stack([A] * 20)
        np.testing.assert_array_equal(RING.forward(many)[7], ORACLE.forward(A))
        parts = kernels.mod_down(many, RING.head(3), RING)
        np.testing.assert_array_equal(parts[19], oracle.mod_down(A[None], ORACLE.head(3), ORACLE)[0])
    finally:
        kernels.set_threads(0)


def test_a_forked_child_can_go_on() -> None:
    """In a process of its own, because the threads of the test runner must not be forked."""
    script = """
import os, sys, numpy as np
from holdfast.he import kernels
ring = kernels.Ring(4096, (1125899904679937, 1125899903827969))
a = np.ones((40, 2, 4096), dtype=np.uint64)
kernels.set_threads(3)
expected = ring.forward(a)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(ring.forward(a), expected) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = {**os.environ, "HOLDFAST_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=120, check=False)
    assert done.returncode == 0


def test_a_missing_native_module_is_one_sentence_with_what_to_do() -> None:
    script = """
import sys
sys.modules["holdfast.he._native"] = None
from holdfast.errors import SystemFault
try:
    import holdfast.he
except SystemFault as fault:
    sys.exit(0 if "native kernels" in str(fault) and "pip install" in fault.hint else 1)
sys.exit(2)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=120, check=False).returncode == 0
