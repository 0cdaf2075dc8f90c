"""The tracked bound on noise holds, is not far off, and stops what would not decrypt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.he.schemes import BGV, CKKS, Client, T, bits

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import Ciphertext, Parameters, bounds, rings, scheme

CLIENTS = {"bgv": Client(BGV), "ckks": Client(CKKS)}
both = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
X, Y = 1, 2

Steps = Callable[[Client, Ciphertext, Ciphertext], Ciphertext]

CIRCUITS: dict[str, tuple[Steps, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "fresh": (lambda c, a, b: a, lambda x, y: x),
    "sum": (lambda c, a, b: c.evaluator.add(a, b), lambda x, y: x + y),
    "rotation": (lambda c, a, b: c.evaluator.rotate(a, 1), lambda x, y: np.roll(x, -1, axis=-1)),
    "lower rotation": (
        lambda c, a, b: c.evaluator.rotate(c.evaluator.at_level(a, 1), 1),
        lambda x, y: np.roll(x, -1, axis=-1),
    ),
    "hoisted": (
        lambda c, a, b: c.evaluator.lowered(c.evaluator.extended_rotations(a, [3])[0]),
        lambda x, y: np.roll(x, -3, axis=-1),
    ),
    "product": (lambda c, a, b: c.evaluator.multiply(a, b), lambda x, y: x * y),
    "square": (lambda c, a, b: c.evaluator.square(a, relinearise=False), lambda x, y: x * x),
    "rescaled": (lambda c, a, b: c.evaluator.rescale(c.evaluator.multiply(a, b)), lambda x, y: x * y),
    "rescaled in three parts": (
        lambda c, a, b: c.evaluator.rescale(c.evaluator.multiply(a, b, relinearise=False)),
        lambda x, y: x * y,
    ),
    "plain product": (lambda c, a, b: c.evaluator.multiply_plain(a, c.plain(c.draw(Y))), lambda x, y: x * y),
    "scalar": (lambda c, a, b: c.evaluator.multiply_scalar(a, -7), lambda x, y: -7 * x),
}


@both
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_measured_noise_is_below_the_bound_and_near_it(client: Client, circuit: str) -> None:
    compute, clear = CIRCUITS[circuit]
    x, y = client.draw(X), client.draw(Y)
    result = compute(client, client.encrypt(x), client.encrypt(y))
    message = None
    if client.parameters.plaintext_modulus is None:
        exact = client.plain(x), client.plain(y)
        # The plaintext's own rounding is no noise of the ciphertext: take what is encoded, not what was meant.
        rounded = [client.encoder.decode(scheme.integers(p.base, client.parameters, 2) / p.scale) for p in exact]
        level = result.level
        message = client.encoder.encode(clear(*rounded), level=level, scale=result.scale)
    measured = client.noise(result, message)
    assert measured.canonical <= result.noise.canonical
    assert measured.largest <= result.noise.coefficient
    # One secret's size is within a tenth of the mean, by seven deviations.
    assert measured.l2 / math.sqrt(client.parameters.degree) <= 1.1 * result.noise.rms
    # The tails: 7.5 deviations instead of the 3 that N values reach, for each factor of a product once more.
    slack = 6.5 if circuit == "rescaled in three parts" else 4.7
    assert bits(result.noise.canonical) - bits(measured.canonical) < slack


@pytest.mark.parametrize("t", [T, None], ids=["bgv", "ckks"])
def test_the_noise_of_switching_keys_is_counted_where_it_is_large(t: int | None) -> None:
    """A special prime of ten bits less than the digit leaves a thousand times the usual noise."""
    client = Client(Parameters.generate(4096, bits=(45,), special_bits=(35,), plaintext_modulus=t))
    x = client.draw(X)
    turned = client.evaluator.rotate(client.encrypt(x), 1)
    measured = client.noise(turned, None if t else client.plain(np.roll(x, -1)))
    assert 2 * bounds.rounding(client.parameters).canonical < measured.canonical <= turned.noise.canonical
    assert measured.largest <= turned.noise.coefficient
    assert bits(turned.noise.canonical) - bits(measured.canonical) < 4.7


def test_the_spread_bounds_what_a_sum_over_all_slots_makes_of_the_noise() -> None:
    """A fixed plaintext turns independent coefficients into N sums; they are as large as its l2 norm, not its l1."""
    client = CLIENTS["bgv"]
    rng = np.random.default_rng(3)
    vector = rng.integers(-20000, 20000, (1, BGV.degree))
    weights = client.encoder.encode_outputs(vector, level=2)
    product = client.evaluator.multiply_plain(client.encrypt(client.draw(X)), weights)
    measured = client.noise(product)
    assert measured.largest <= product.noise.coefficient
    assert bits(product.noise.coefficient) - bits(measured.largest) < 4.5
    assert product.noise.coefficient < product.noise.canonical / 64


def test_what_a_message_has_over_t_is_counted_as_noise() -> None:
    """A ciphertext without any noise gets some from a plaintext product, because nothing reduces its message."""
    client = CLIENTS["bgv"]
    p = client.plain(client.draw(X))
    bare = replace(client.encrypt(client.draw(Y)), parts=np.stack([p.base, np.zeros_like(p.base)]), noise=bounds.ZERO)
    product = client.evaluator.multiply_plain(bare, client.plain(client.draw(Y)))
    measured = client.noise(product)
    assert 0 < measured.canonical <= product.noise.canonical
    assert 0 < measured.largest <= product.noise.coefficient


@both
def test_a_computation_stops_before_the_noise_spoils_it(client: Client) -> None:
    ev = client.evaluator
    a = client.encrypt(client.draw(X))
    product = ev.multiply(a, a)
    with pytest.raises(UsageError, match=r"message and noise below half the modulus .* got") as refused:
        ev.multiply(product, product)
    assert "rescale earlier" in refused.value.hint


@both
def test_a_level_that_does_not_hold_the_ciphertext_is_refused(client: Client) -> None:
    product = client.evaluator.multiply(client.encrypt(client.draw(X)), client.encrypt(client.draw(Y)))
    with pytest.raises(UsageError, match="at level 1"):
        client.evaluator.at_level(product, 1)


def test_bounds_from_outside_make_room_where_slots_are_known_to_be_small() -> None:
    client = CLIENTS["ckks"]
    ev, a = client.evaluator, client.encrypt(client.draw(X))
    total = a
    for _ in range(6):
        total = ev.add(total, total)
    assert ev.bounded(total, 64.0).message.canonical <= 64 * client.scale
    assert ev.bounded(a, 1000.0).message == a.message
    assert np.abs(client.slots(ev.bounded(total, 64.0)) - 64 * client.draw(X)).max() < 1e-4


@both
def test_another_key_does_not_decrypt(client: Client) -> None:
    other = Client(client.parameters, steps=())
    with pytest.raises(IntegrityError, match="noise is out of bounds"):
        scheme.decrypt(other.secret, client.encrypt(client.draw(X)))


@both
def test_garbage_does_not_decrypt(client: Client) -> None:
    a = client.encrypt(client.draw(X))
    rng = np.random.default_rng(1)
    primes = np.array(client.parameters.primes, dtype=np.uint64)[:, None]
    garbage = rng.integers(0, 2**60, a.parts.shape, dtype=np.uint64) % primes
    with pytest.raises(IntegrityError):
        scheme.decrypt(client.secret, replace(a, parts=garbage))


@both
def test_one_changed_residue_is_noticed(client: Client) -> None:
    a = client.encrypt(client.draw(X))
    parts = a.parts.copy()
    parts[0, 1, 5] ^= np.uint64(1)
    with pytest.raises(IntegrityError):
        scheme.decrypt(client.secret, replace(a, parts=parts))


def test_a_ciphertext_without_room_is_not_decrypted() -> None:
    client = CLIENTS["bgv"]
    a = client.encrypt(client.draw(X))
    full = replace(a, noise=a.noise.scaled(2.0**60))
    with pytest.raises(UsageError, match="room for its noise"):
        scheme.decrypt(client.secret, full)


@both
@pytest.mark.parametrize(("noise", "passes"), [(21, True), (-21, True), (23, False), (-23, False)])
def test_a_honest_ciphertext_may_have_all_the_noise_that_its_bound_says(
    client: Client, noise: int, passes: bool
) -> None:
    """The error is at most 21; the bound has no room for one of 23, and half a t of BGV for the message."""
    a, ring = client.encrypt(np.zeros_like(client.draw(X))), rings.chain(client.parameters, 2)
    unit = bounds.unit(client.parameters)
    shift = np.zeros(client.parameters.degree, dtype=np.int64)
    shift[7] = noise * unit - int(scheme.integers(client.secret.phase(a.parts), client.parameters, 2)[7])
    parts = a.parts.copy()
    parts[0] = ring.add(parts[0], ring.forward(ring.reduce(shift)))
    moved = replace(a, parts=parts)
    if passes:
        assert not scheme.decrypt(client.secret, moved).round()[np.arange(client.parameters.degree) != 7].any()
    else:
        with pytest.raises(IntegrityError):
            scheme.decrypt(client.secret, moved)
