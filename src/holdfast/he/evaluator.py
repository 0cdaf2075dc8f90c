"""Arithmetic on ciphertexts, in BGV and CKKS alike. The model's side: nothing here knows a secret.

Every operation bounds the noise of its result, and refuses one that would not decrypt. Products of ciphertexts may keep
three parts for a while; such ciphertexts can be added, scaled and moved down, so that a sum of products costs one
relinearisation. A bound on noise holds for honest ciphertexts: who sends others spoils their own answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from holdfast.errors import UsageError
from holdfast.he import bounds, rings, rotations
from holdfast.he.bounds import Bound
from holdfast.he.ciphertext import Ciphertext, Extended, Plaintext
from holdfast.he.encoder import galois_element, row_swap_element
from holdfast.he.evaluation_keys import EvaluationKeys
from holdfast.he.kernels import Residues, drop_prime
from holdfast.he.parameters import Parameters

_SAME_SCALE = 2.0**-40


class Evaluator:
    """Computes on the ciphertexts of one client. It holds no state but the keys; threads may share it.

    Args:
        parameters: the ring.
        keys: the client's; not needed for sums and plaintext products.

    Raises:
        UsageError: the keys are for other parameters; from an operation: its operands do not go together, a key is
            missing, or the result would not decrypt.
    """

    def __init__(self, parameters: Parameters, keys: EvaluationKeys | None = None) -> None:
        if keys is not None and keys.parameters != parameters:
            raise UsageError("expected evaluation keys for the evaluator's parameters, got keys for others")
        self.parameters = parameters
        self._keys = keys or EvaluationKeys(parameters=parameters, keys={})

    def add(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        """`a + b`, at one level, of one scale, and of as many parts as the longer one."""
        _same(a, b)
        long, short = (a, b) if len(a.parts) >= len(b.parts) else (b, a)
        ring, shared = rings.chain(self.parameters, a.level), len(short.parts)
        parts = ring.add(long.parts[:shared], short.parts)
        if len(long.parts) > shared:
            parts = np.concatenate([parts, long.parts[shared:]])
        return self._result(parts, a.scale, a.message + b.message, a.noise + b.noise)

    def subtract(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        """`a - b`; see `add`."""
        return self.add(a, self.negate(b))

    def negate(self, a: Ciphertext) -> Ciphertext:
        """`-a`."""
        return self._result(rings.chain(self.parameters, a.level).negate(a.parts), a.scale, a.message, a.noise)

    def add_plain(self, a: Ciphertext, b: Plaintext) -> Ciphertext:
        """`a + b`, of one level and scale."""
        _same(a, b)
        first = rings.chain(self.parameters, a.level).add(a.parts[0], b.base)
        added = Bound.fixed(canonical=b.norms.canonical, coefficient=b.norms.largest)
        return self._result(np.concatenate([first[None], a.parts[1:]]), a.scale, a.message + added, a.noise)

    def add_scalar(self, a: Ciphertext, number: float) -> Ciphertext:
        """The same number added to every slot: an integer in BGV."""
        ring, scaled = rings.chain(self.parameters, a.level), self._scaled_integer(number, a.scale)
        column = np.array([scaled % prime for prime in ring.primes], dtype=np.uint64)[:, None]
        first = ring.add(a.parts[0], np.ascontiguousarray(np.broadcast_to(column, a.parts[0].shape)))
        added = Bound.fixed(canonical=abs(float(scaled)), coefficient=abs(float(scaled)))
        return self._result(np.concatenate([first[None], a.parts[1:]]), a.scale, a.message + added, a.noise)

    def multiply_plain(self, a: Ciphertext, b: Plaintext) -> Ciphertext:
        """`a·b`; the scales multiply."""
        return self.dot_plain([a], [b])

    def multiply_scalar(self, a: Ciphertext, number: int) -> Ciphertext:
        """`a` times an integer, without a change of scale."""
        parts = rings.chain(self.parameters, a.level).scale(a.parts, [number] * a.level)
        return self._result(parts, a.scale, a.message.scaled(abs(number)), a.noise.scaled(abs(number)))

    def dot_plain(self, ciphertexts: Sequence[Ciphertext], plaintexts: Sequence[Plaintext]) -> Ciphertext:
        """`Σ ciphertexts[i]·plaintexts[i]`, all at one level, with one product of scales."""
        first, message, noise = ciphertexts[0], bounds.ZERO, bounds.ZERO
        scale = first.scale * plaintexts[0].scale
        for a, b in zip(ciphertexts, plaintexts, strict=True):
            _same_level(first, a)
            _same_level(first, b)
            _same_scale(scale, a.scale * b.scale)
            message, noise = message + a.message.times(b.norms), noise + a.noise.times(b.norms)
        ring = rings.chain(self.parameters, first.level)
        parts = ring.dot([a.parts for a in ciphertexts], [b.base for b in plaintexts])
        return self._result(parts, scale, message, noise)

    def multiply(self, a: Ciphertext, b: Ciphertext, *, relinearise: bool = True) -> Ciphertext:
        """`a·b`, of two parts each; of three parts if it is not to be relinearised. The scales multiply."""
        _same_level(a, b)
        if len(a.parts) != 2 or len(b.parts) != 2:
            raise UsageError("expected relinearised factors of a product, got one of three parts")
        ring, (a0, a1), (b0, b1) = rings.chain(self.parameters, a.level), a.parts, b.parts
        parts = np.stack([ring.multiply(a0, b0), ring.dot([a0, a1], [b1, b0]), ring.multiply(a1, b1)])
        noise = b.noise.times_unknown(a.message) + a.noise.times_unknown(b.message)
        both = a.noise.canonical * b.noise.canonical
        noise += Bound.fixed(canonical=both, coefficient=both)
        size = a.message.canonical * b.message.canonical
        message = Bound.fixed(canonical=size, coefficient=size)
        product = self._result(parts, a.scale * b.scale, message, noise)
        return self.relinearise(product) if relinearise else product

    def square(self, a: Ciphertext, *, relinearise: bool = True) -> Ciphertext:
        """`a·a`."""
        return self.multiply(a, a, relinearise=relinearise)

    def relinearise(self, a: Ciphertext) -> Ciphertext:
        """The same message in two parts."""
        if len(a.parts) == 2:
            return a
        return self._checked(rotations.relinearise(a, self._keys))

    def rescale(self, a: Ciphertext) -> Ciphertext:
        """Divide by the last prime: CKKS divides the scale, BGV only the noise (modulus switching)."""
        if a.level == 1:
            raise UsageError("expected a ciphertext with a prime to drop, got one at level 1")
        t, prime = self.parameters.plaintext_modulus, self.parameters.primes[a.level - 1]
        parts = drop_prime(a.parts, rings.chain(self.parameters, a.level), t or 1)
        noise = a.noise.scaled(1 / prime).with_fresh(bounds.rounding(self.parameters, len(a.parts)))
        if t is not None:
            return self._checked(Ciphertext(parts=parts, scale=a.scale, message=a.message, noise=noise))
        message = a.message.scaled(1 / prime)
        return self._checked(Ciphertext(parts=parts, scale=a.scale / prime, message=message, noise=noise))

    def at_level(self, a: Ciphertext, level: int) -> Ciphertext:
        """The same over fewer primes: message, scale and noise stay, there is less room."""
        if not 1 <= level <= a.level:
            raise UsageError(f"expected a level from 1 to {a.level}, got {level}")
        if level == a.level:
            return a
        parts = np.ascontiguousarray(a.parts[:, :level])
        return self._checked(Ciphertext(parts=parts, scale=a.scale, message=a.message, noise=a.noise))

    def bounded(self, a: Ciphertext, magnitude: float) -> Ciphertext:
        """The same, with slots known to be at most this large: CKKS cannot tell how large sums of products get."""
        if self.parameters.plaintext_modulus is not None:
            raise UsageError("expected real slots to be bounded, got integers modulo t")
        size = min(a.message.canonical, magnitude * a.scale)
        message = Bound.fixed(canonical=size, coefficient=min(size, a.message.coefficient))
        return Ciphertext(parts=a.parts, scale=a.scale, message=message, noise=a.noise)

    def rotate(self, a: Ciphertext, steps: int) -> Ciphertext:
        """Slot i of the result is slot `i + steps`, cyclically in each row."""
        return self.rotations(a, [steps])[0]

    def swap_rows(self, a: Ciphertext) -> Ciphertext:
        """The two rows of BGV change places."""
        return self._checked(rotations.automorphisms(a, [row_swap_element(self.parameters)], self._keys)[0])

    def rotations(self, a: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]:
        """Several rotations of one ciphertext, which is taken apart only once (hoisting)."""
        elements = [galois_element(self.parameters, step) for step in steps]
        return [self._checked(rotated) for rotated in rotations.automorphisms(a, elements, self._keys)]

    def extended_rotations(self, a: Ciphertext, steps: Sequence[int]) -> list[Extended]:
        """Several rotations of one ciphertext that are not divided by P yet; see `Extended`. Step 0 costs no key."""
        elements = [galois_element(self.parameters, step) for step in steps]
        return rotations.extended_automorphisms(a, elements, self._keys)

    def dot_extended(self, extended: Sequence[Extended], plaintexts: Sequence[Plaintext]) -> Extended:
        """`Σ extended[i]·plaintexts[i]`, of extended plaintexts."""
        first, message, noise = extended[0], bounds.ZERO, bounds.ZERO
        scale = first.scale * plaintexts[0].scale
        for a, b in zip(extended, plaintexts, strict=True):
            _same_level(first, a)
            _same_level(first, b)
            _same_scale(scale, a.scale * b.scale)
            if not b.extended:
                raise UsageError("expected extended plaintexts, got one over the primes of its level alone")
            message, noise = message + a.message.times(b.norms), noise + a.noise.times(b.norms)
        ring = rings.full(self.parameters, first.level)
        parts = ring.dot([a.parts for a in extended], [b.residues for b in plaintexts])
        return Extended(parts=parts, level=first.level, scale=scale, message=message, noise=noise)

    def lowered(self, a: Extended) -> Ciphertext:
        """The ciphertext: divided by P and rounded."""
        return self._wrapped(rotations.lowered(self.parameters, a))

    def _scaled_integer(self, number: float, scale: float) -> int:
        if self.parameters.plaintext_modulus is None:
            return round(number * scale)
        if number != int(number):
            raise UsageError(f"expected an integer to add modulo t, got {number}")
        t = self.parameters.plaintext_modulus
        return (int(number) + t // 2) % t - t // 2

    def _result(self, parts: Residues, scale: float, message: Bound, noise: Bound) -> Ciphertext:
        return self._wrapped(Ciphertext(parts=parts, scale=scale, message=message, noise=noise))

    def _wrapped(self, a: Ciphertext) -> Ciphertext:
        """In BGV what a message has over t counts as noise; it is a multiple of t as well."""
        if self.parameters.plaintext_modulus is None:
            return self._checked(a)
        message = bounds.integer_message(self.parameters)
        noise = a.noise
        if a.message.coefficient > message.coefficient:
            noise = noise + a.message + message
        return self._checked(Ciphertext(parts=a.parts, scale=a.scale, message=message, noise=noise))

    def _checked(self, a: Ciphertext) -> Ciphertext:
        log2_modulus = sum(math.log2(prime) for prime in self.parameters.primes[: a.level])
        total = a.message.coefficient + a.noise.coefficient
        if not total < math.inf or math.log2(max(total, 1.0)) + 1 >= log2_modulus:
            raise UsageError(
                f"expected message and noise below half the modulus of {log2_modulus:.0f} bits at level {a.level},"
                f" got {math.log2(a.message.coefficient):.0f} and {a.noise_bits:.0f} bits",
                hint="take more or larger primes, or rescale earlier",
            )
        return a


def _same(a: Ciphertext, b: Ciphertext | Plaintext) -> None:
    _same_level(a, b)
    _same_scale(a.scale, b.scale)


def _same_level(a: Ciphertext | Extended, b: Ciphertext | Extended | Plaintext) -> None:
    if a.level != b.level:
        raise UsageError(f"expected operands at one level, got {a.level} and {b.level}", hint="use at_level")


def _same_scale(a: float, b: float) -> None:
    if abs(a - b) > _SAME_SCALE * a:
        raise UsageError(f"expected operands of one scale, got {a} and {b}")
