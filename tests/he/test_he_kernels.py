"""Every native kernel equals its NumPy oracle bit for bit, on every instruction set that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.he import oracle

from holdfast.he import kernels

Residues = NDArray[np.uint64]
PATHS = kernels.available_paths()
WIDTHS = (14, 20, 31, 40, 49, 50)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.use_path(request.param)
    yield request.param
    kernels.use_path("auto")


def is_prime(n: int) -> bool:
    """Miller and Rabin with the bases that decide all n below 3.3·10^24 (Sorenson and Webster 2015)."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
    return all(n == b or pow(b, odd, n) == 1 or any(pow(b, odd << i, n) == n - 1 for i in range(twos)) for b in bases)


def primes_below(bits: int, degree: int, count: int) -> list[int]:
    """The largest primes of so many bits that are 1 modulo 2N."""
    candidates = range(2**bits - 2 * degree + 1, 0, -2 * degree)
    found = (q for q in candidates if is_prime(q))
    return [next(found) for _ in range(count)]


def basis(degree: int, widths: tuple[int, ...]) -> tuple[kernels.Ring, oracle.Ring]:
    widths = tuple(max(width, degree.bit_length() + 8) for width in widths)  # below, there are too few
    pools = {width: iter(primes_below(width, degree, widths.count(width))) for width in set(widths)}
    primes = tuple(next(pools[width]) for width in widths)
    return kernels.Ring(degree, primes), oracle.Ring(degree, primes)


def residues(ring: kernels.Ring, rng: np.random.Generator, *lead: int) -> Residues:
    """Random, with a good share of the extremes 0 and q - 1."""
    shape = (*lead, len(ring.primes), ring.degree)
    top = np.array(ring.primes, dtype=np.uint64)[:, None] - np.uint64(1)
    out = np.minimum((rng.random(shape) * (top + 1.0)).astype(np.uint64), top)
    extreme = rng.integers(0, 6, shape)
    return np.where(extreme == 0, top, np.where(extreme == 1, np.uint64(0), out))


def same(ours: Residues, theirs: Residues) -> None:
    assert ours.dtype == np.uint64
    np.testing.assert_array_equal(ours, theirs)


worlds = st.tuples(
    st.sampled_from([16, 32, 64, 256, 1024, 4096]),
    st.lists(st.sampled_from(WIDTHS), min_size=2, max_size=6).map(tuple),
    st.integers(0, 2**32 - 1),
)
laws = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the path stays


@laws
@given(world=worlds)
def test_transforms_equal_the_oracle(path: str, world: tuple[int, tuple[int, ...], int]) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    a = residues(ours, np.random.default_rng(seed), 2)
    same(ours.forward(a), theirs.forward(a))
    same(ours.inverse(a), theirs.inverse(a))
    same(ours.inverse(ours.forward(a)), a)


@pytest.mark.parametrize("degree", [2048, 8192, 16384, 32768])
@pytest.mark.parametrize("value", [0, 1, -1])
def test_large_transforms_equal_the_oracle_at_the_extremes(path: str, degree: int, value: int) -> None:
    ours, theirs = basis(degree, (50, 50, 24))
    a = residues(ours, np.random.default_rng(0))
    a[1] = value % ours.primes[1]
    same(ours.forward(a), theirs.forward(a))
    same(ours.inverse(a), theirs.inverse(a))


@laws
@given(world=worlds)
def test_arithmetic_equals_the_oracle(path: str, world: tuple[int, tuple[int, ...], int]) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    rng = np.random.default_rng(seed)
    a, b, one = residues(ours, rng, 3), residues(ours, rng, 3), residues(ours, rng)
    factors = [int(f) ** 5 - 2**80 for f in rng.integers(0, 2**40, len(widths))]
    for name in ("add", "subtract", "multiply"):
        same(getattr(ours, name)(a, b), getattr(theirs, name)(a, b))
        same(getattr(ours, name)(a, one), getattr(theirs, name)(a, one))
    same(ours.negate(a), theirs.negate(a))
    same(ours.scale(a, factors), theirs.scale(a, factors))


@laws
@given(world=worlds, terms=st.integers(1, 40))
def test_a_sum_of_products_equals_the_oracle(path: str, world: tuple[int, tuple[int, ...], int], terms: int) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    rng = np.random.default_rng(seed)
    a = [residues(ours, rng, 2) for _ in range(terms)]
    b = [residues(ours, rng) for _ in range(terms)]
    same(ours.dot(a, b), theirs.dot(a, b))


@laws
@given(world=worlds, terms=st.integers(1, 40), outputs=st.integers(1, 11), runs=st.sampled_from([1, 2, 4, 16]))
def test_combinations_with_weights_on_runs_equal_the_oracle(
    path: str, world: tuple[int, tuple[int, ...], int], terms: int, outputs: int, runs: int
) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    rng, runs = np.random.default_rng(seed), min(runs, degree // 8)
    a = [residues(ours, rng, 2) for _ in range(terms)]
    weights = residues(ours, rng, terms * outputs)[..., :runs].transpose(1, 2, 0)
    weights = np.ascontiguousarray(weights.reshape(len(widths), runs, outputs, terms))
    same(ours.combine(a, weights), theirs.combine(a, weights))


def test_a_sum_of_the_largest_products_does_not_overflow(path: str) -> None:
    ours, _ = basis(64, (50, 17))
    q = np.array(ours.primes, dtype=np.uint64)[:, None]
    top = np.broadcast_to(q - np.uint64(1), (2, 64)).copy()
    terms = 2500  # more than any path adds up before it reduces
    same(ours.dot([top] * terms, [top] * terms), np.broadcast_to(np.uint64(terms) % q, (2, 64)))
    weights = np.ascontiguousarray(np.broadcast_to(top[:, :1, None, None], (2, 1, 5, terms)))
    same(ours.combine([top] * terms, weights), np.broadcast_to(np.uint64(terms) % q, (5, 2, 64)))


@laws
@given(world=worlds)
def test_signed_integers_of_any_size_are_reduced(path: str, world: tuple[int, tuple[int, ...], int]) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    numbers = np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, (2, degree), endpoint=True)
    numbers[0, :6] = [-(2**63), 2**63 - 1, 0, -1, 2**52, -(2**52)]
    numbers[1, : len(widths)] = ours.primes
    same(ours.reduce(numbers), theirs.reduce(numbers))


@laws
@given(world=worlds, taken=st.integers(1, 5))
def test_base_conversion_equals_the_oracle(path: str, world: tuple[int, tuple[int, ...], int], taken: int) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    count = min(taken, len(widths))
    a = np.ascontiguousarray(residues(ours, np.random.default_rng(seed), 2)[:, :count])
    same(kernels.convert(a, ours.head(count), ours), oracle.convert(a, theirs.head(count), theirs))


def test_base_conversion_is_centred_and_exact_up_to_the_last_integer_of_one_prime(path: str) -> None:
    ours, _ = basis(64, (50, 31, 17))
    half = ours.primes[0] // 2
    numbers = np.array([0, 1, -1, half, -half, half - 1, 1 - half] + [0] * 57)
    expected = ours.reduce(numbers)
    same(kernels.convert(expected[:1], ours.head(1), ours), expected)


@laws
@given(world=worlds, digit=st.integers(1, 4), element=st.integers(1, 2**20), data=st.data())
def test_key_switching_equals_the_oracle(
    path: str, world: tuple[int, tuple[int, ...], int], digit: int, element: int, data: st.DataObject
) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    rng = np.random.default_rng(seed)
    level = data.draw(st.integers(1, len(widths) - 1))
    c = residues(ours.head(level), rng)
    digits = kernels.decompose(c, ours.head(level), ours, digit)
    same(digits, oracle.decompose(c, theirs.head(level), theirs, digit))
    key = residues(ours, rng, len(digits), 2)
    for indices in (None, ours.galois_indices(2 * element + 1)):
        product = kernels.key_product(digits, key, ours, indices)
        same(product, oracle.key_product(digits, key, theirs, indices))


def test_a_key_for_a_higher_level_serves_a_lower_one(path: str) -> None:
    ours, theirs = basis(256, (50, 50, 50, 40, 50))
    rng = np.random.default_rng(3)
    rows = [0, 1, 4]
    key, digits = residues(ours, rng, 4, 2), residues(ours.select(rows), rng, 2)
    cut = np.ascontiguousarray(key[:2, :, rows])
    expected = oracle.key_product(digits, cut, theirs.select(rows))
    same(kernels.key_product(digits, key, ours.select(rows), rows=rows), expected)


@laws
@given(world=worlds, t=st.sampled_from([1, 2, 3, 97]), data=st.data())
def test_division_equals_the_oracle(
    path: str, world: tuple[int, tuple[int, ...], int], t: int, data: st.DataObject
) -> None:
    degree, widths, seed = world
    ours, theirs = basis(degree, widths)
    level = data.draw(st.integers(1, len(widths) - 1))
    a = residues(ours, np.random.default_rng(seed), 2)
    same(kernels.mod_down(a, ours.head(level), ours, t), oracle.mod_down(a, theirs.head(level), theirs, t))
    same(kernels.drop_prime(a, ours, t), oracle.drop_prime(a, theirs, t))


def test_a_division_rounds_and_leaves_a_multiple_of_t(path: str) -> None:
    ours, _ = basis(1024, (50, 50, 40, 40))
    t, chain, special = 97, ours.head(2), ours.primes[2] * ours.primes[3]
    numbers = np.random.default_rng(4).integers(-(2**62), 2**62, 1024)
    quotient = chain.inverse(kernels.mod_down(ours.forward(ours.reduce(numbers)), chain, ours, t))[0]
    for number, residue in zip(numbers, quotient, strict=True):
        signed = int(residue) - (ours.primes[0] if int(residue) > ours.primes[0] // 2 else 0)
        error = signed * special - int(number)
        assert error % t == 0
        assert abs(error) <= t * special // 2


@laws
@given(world=worlds, element=st.integers(0, 2**20))
def test_an_automorphism_permutes_values(path: str, world: tuple[int, tuple[int, ...], int], element: int) -> None:
    degree, widths, seed = world
    ours, _ = basis(degree, widths)
    odd = (2 * element + 1) % (2 * degree)
    numbers = np.random.default_rng(seed).integers(-100, 101, degree)
    moved = np.zeros(degree, dtype=np.int64)
    exponents = np.arange(degree) * odd % (2 * degree)
    moved[exponents % degree] = np.where(exponents < degree, numbers, -numbers)
    indices = ours.galois_indices(odd)
    same(ours.permute(ours.forward(ours.reduce(numbers)), indices), ours.forward(ours.reduce(moved)))


@laws
@given(widths=st.lists(st.integers(1, 64), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_packing_equals_the_oracle_and_is_undone(widths: list[int], seed: int) -> None:
    mask = np.array([2**width - 1 for width in widths], dtype=np.uint64)[:, None]
    a = np.random.default_rng(seed).integers(0, 2**64 - 1, (2, len(widths), 24), dtype=np.uint64, endpoint=True) & mask
    packed = kernels.pack_bits(a, widths)
    assert len(packed) == 2 * sum(widths) * 3
    assert packed == oracle.pack_bits(a, widths)
    same(kernels.unpack_bits(packed, widths, a.shape), a)


def test_the_portable_path_is_always_there_and_each_path_can_be_taken(path: str) -> None:
    assert PATHS[0] == "portable"
    assert path in {"portable", "avx2", "avx512"}


def test_the_oracle_multiplies_polynomials() -> None:
    _, theirs = basis(16, (50, 31))
    rng = np.random.default_rng(5)
    x, y = rng.integers(-50, 51, 16), rng.integers(-50, 51, 16)
    expected = np.zeros(16, dtype=np.int64)
    for i, j in np.ndindex(16, 16):
        expected[(i + j) % 16] += x[i] * y[j] if i + j < 16 else -x[i] * y[j]
    transformed: list[Callable[..., Residues] | Residues] = [theirs.forward(theirs.reduce(z)) for z in (x, y)]
    same(theirs.inverse(theirs.multiply(*transformed)), theirs.reduce(expected))
