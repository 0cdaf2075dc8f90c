"""Computing on ciphertexts is computing on what is in them: in BGV exactly, in CKKS to within the noise."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.he.schemes import BGV, CKKS, Client, centred

from holdfast.errors import UsageError
from holdfast.he import Ciphertext, Evaluator, Parameters
from holdfast.he.parameters import MAX_LOG2_MODULUS

CLIENTS = {"bgv": Client(BGV), "ckks": Client(CKKS)}
SEEDS = st.integers(0, 2**32 - 1)
both = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
few = settings(max_examples=8)


def holds(client: Client, ciphertext: Ciphertext, expected: np.ndarray) -> None:
    """Exactly, or to within the tracked noise, and what rounding the inputs did."""
    got = client.slots(ciphertext)
    tolerance = ciphertext.noise.canonical / ciphertext.scale + 1e-5
    if client.parameters.plaintext_modulus:
        assert (got == centred(expected)).all()
    else:
        assert tolerance < 5e-3
        assert np.abs(got - expected).max() < tolerance


@both
@few
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_sums_differences_and_negation(client: Client, seeds: tuple[int, int]) -> None:
    x, y = map(client.draw, seeds)
    a, b, ev = client.encrypt(x), client.encrypt(y), client.evaluator
    holds(client, a, x)
    holds(client, ev.add(a, b), x + y)
    holds(client, ev.subtract(a, b), x - y)
    holds(client, ev.negate(a), -x)


@both
@few
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_products_and_their_rescaling(client: Client, seeds: tuple[int, int]) -> None:
    x, y = map(client.draw, seeds)
    ev = client.evaluator
    product = ev.multiply(client.encrypt(x), client.encrypt(y))
    assert len(product.parts) == 2
    holds(client, product, x * y)
    holds(client, ev.rescale(product), x * y)
    holds(client, ev.rescale(ev.square(client.encrypt(x))), x * x)


@both
@few
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_a_sum_of_products_needs_one_relinearisation(client: Client, seeds: tuple[int, int]) -> None:
    x, y = map(client.draw, seeds)
    a, b, ev = client.encrypt(x), client.encrypt(y), client.evaluator
    lazy = ev.add(ev.multiply(a, b, relinearise=False), ev.square(a, relinearise=False))
    lazy = ev.subtract(lazy, ev.multiply(b, b, relinearise=True))
    assert len(lazy.parts) == 3
    expected = x * y + x * x - y * y
    holds(client, lazy, expected)
    holds(client, ev.relinearise(lazy), expected)
    holds(client, ev.rescale(ev.relinearise(lazy)), expected)


@both
@few
@given(seeds=st.tuples(SEEDS, SEEDS), number=st.integers(-50, 50))
def test_plain_sums_and_products(client: Client, seeds: tuple[int, int], number: int) -> None:
    x, y = map(client.draw, seeds)
    a, p, ev = client.encrypt(x), client.plain(y), client.evaluator
    holds(client, ev.add_plain(a, p), x + y)
    holds(client, ev.multiply_plain(a, p), x * y)
    holds(client, ev.dot_plain([a, ev.negate(a)], [p, client.plain(x)]), x * y - x * x)
    holds(client, ev.add_scalar(a, number), x + number)
    holds(client, ev.multiply_scalar(a, number), x * number)


@both
@few
@given(seed=SEEDS, step=st.sampled_from([1, 3, -1, 0]))
def test_rotations_go_round_each_row(client: Client, seed: int, step: int) -> None:
    x = client.draw(seed)
    a, ev = client.encrypt(x), client.evaluator
    holds(client, ev.rotate(a, step), np.roll(x, -step, axis=-1))
    for turned, steps in zip(ev.rotations(a, [1, step]), [1, step], strict=True):
        holds(client, turned, np.roll(x, -steps, axis=-1))


@both
@few
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_extended_rotations_sum_up_before_they_are_divided(client: Client, seeds: tuple[int, int]) -> None:
    x, y = map(client.draw, seeds)
    ev, steps = client.evaluator, [0, 1, 3]
    turned = ev.extended_rotations(client.encrypt(x), steps)
    weights = [client.plain(np.roll(y, step, axis=-1), extended=True) for step in steps]
    expected = sum(np.roll(x, -step, axis=-1) * np.roll(y, step, axis=-1) for step in steps)
    holds(client, ev.lowered(ev.dot_extended(turned, weights)), expected)


@few
@given(seed=SEEDS)
def test_rows_swap(seed: int) -> None:
    client = CLIENTS["bgv"]
    x = client.draw(seed)
    holds(client, client.evaluator.swap_rows(client.encrypt(x)), x[::-1])


@both
def test_a_key_serves_levels_below_its_own(client: Client) -> None:
    x, ev = client.draw(1), client.evaluator
    low = ev.at_level(client.encrypt(x), 1)
    holds(client, ev.rotate(low, 3), np.roll(x, -3, axis=-1))


@pytest.mark.parametrize("t", [65537, None], ids=["bgv", "ckks"])
@pytest.mark.parametrize("degree", MAX_LOG2_MODULUS)
def test_both_schemes_work_in_rings_of_every_size(degree: int, t: int | None) -> None:
    parameters = Parameters.generate(degree, bits=(50,), plaintext_modulus=t)
    client = Client(parameters, keys=False)
    x, ev = client.draw(degree), client.evaluator
    a = client.encrypt(x)
    got = client.slots(ev.subtract(ev.multiply_scalar(a, 5), ev.add_plain(a, client.plain(x))))
    assert ((got - 3 * x) % t == 0).all() if t else np.abs(got - 3 * x).max() < 1e-4


def test_a_ckks_scale_is_what_the_arithmetic_makes_it() -> None:
    client = CLIENTS["ckks"]
    ev, a = client.evaluator, client.encrypt(client.draw(1))
    product = ev.multiply(a, a)
    assert product.scale == client.scale**2
    assert ev.rescale(product).scale == client.scale**2 / CKKS.primes[1]


MISUSE: dict[str, Callable[[Client, Ciphertext], object]] = {
    "two levels": lambda c, a: c.evaluator.add(a, c.evaluator.at_level(a, 1)),
    "two levels in a product": lambda c, a: c.evaluator.multiply(a, c.evaluator.at_level(a, 1)),
    "a plaintext of another level": lambda c, a: c.evaluator.multiply_plain(
        c.evaluator.at_level(a, 1), c.plain(c.draw(1))
    ),
    "a level that is no level": lambda c, a: c.evaluator.at_level(a, 0),
    "a level above": lambda c, a: c.evaluator.at_level(c.evaluator.at_level(a, 1), 2),
    "no prime to drop": lambda c, a: c.evaluator.rescale(c.evaluator.at_level(a, 1)),
    "no key": lambda c, a: c.evaluator.rotate(a, 17),
    "three parts in a product": lambda c, a: c.evaluator.multiply(a, c.evaluator.square(a, relinearise=False)),
    "three parts to rotate": lambda c, a: c.evaluator.rotate(c.evaluator.square(a, relinearise=False), 1),
    "a plaintext that is not extended": lambda c, a: c.evaluator.dot_extended(
        c.evaluator.extended_rotations(a, [1]), [c.plain(c.draw(1))]
    ),
}


@both
@pytest.mark.parametrize("wrong", MISUSE.values(), ids=MISUSE)
def test_what_cannot_mean_anything_is_refused(client: Client, wrong: Callable[[Client, Ciphertext], object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        wrong(client, client.encrypt(client.draw(1)))


def test_keys_for_other_parameters_are_refused() -> None:
    with pytest.raises(UsageError, match="keys for others"):
        Evaluator(BGV, CLIENTS["ckks"].keys)


@both
def test_threads_may_share_an_evaluator(client: Client) -> None:
    x, ev = client.draw(1), client.evaluator
    a = client.encrypt(x)
    with ThreadPoolExecutor(4) as pool:
        for square in pool.map(lambda _: ev.square(ev.rotate(a, 1)), range(8)):
            holds(client, square, np.roll(x * x, -1, axis=-1))


def test_two_scales_are_not_added() -> None:
    client = CLIENTS["ckks"]
    a = client.encrypt(client.draw(1))
    with pytest.raises(UsageError, match="one scale"):
        client.evaluator.add(a, client.evaluator.multiply(a, a))


def test_integers_modulo_t_take_no_fractions_and_no_bound() -> None:
    client = CLIENTS["bgv"]
    a = client.encrypt(client.draw(1))
    with pytest.raises(UsageError, match="integer"):
        client.evaluator.add_scalar(a, 0.5)
    with pytest.raises(UsageError, match="real slots"):
        client.evaluator.bounded(a, 1.0)
