"""Switching keys: what rotations and relinearisation are made of.

A polynomial is taken apart into digits once; each key turns the digits into a ciphertext under the secret, over the
special primes as well; a division by P brings it down. Rotations of one ciphertext share its digits (hoisting, Halevi
and Shoup 2018, "Faster homomorphic linear transformations in HElib", section 5), because an automorphism of the digits
is a permutation of their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from holdfast.errors import UsageError
from holdfast.he import bounds, rings
from holdfast.he.ciphertext import Ciphertext, Extended
from holdfast.he.evaluation_keys import RELINEARISATION, EvaluationKeys
from holdfast.he.kernels import Residues, decompose, key_product, mod_down
from holdfast.he.parameters import Parameters


def relinearise(a: Ciphertext, keys: EvaluationKeys) -> Ciphertext:
    """Three parts to two."""
    switched = _Switch(a.parts[2], keys)(RELINEARISATION)
    parts = rings.chain(keys.parameters, a.level).add(a.parts[:2], _divided(keys.parameters, a.level, switched))
    noise = a.noise + bounds.switching(keys.parameters, a.level) + bounds.rounding(keys.parameters)
    return Ciphertext(parts=parts, scale=a.scale, message=a.message, noise=noise)


def automorphisms(a: Ciphertext, elements: Sequence[int], keys: EvaluationKeys) -> list[Ciphertext]:
    """The message under `X -> X^element`, for each element."""
    parameters, level = keys.parameters, a.level
    ring, switch = rings.chain(parameters, level), _Switch.hoisted(a, keys)
    noise = a.noise + bounds.switching(parameters, level) + bounds.rounding(parameters)
    out = []
    for element in elements:
        if element == 1:
            out.append(a)
            continue
        parts = _divided(parameters, level, switch(element))
        parts[0] = ring.add(parts[0], ring.permute(a.parts[0], ring.galois_indices(element)))
        out.append(Ciphertext(parts=parts, scale=a.scale, message=a.message, noise=noise))
    return out


def extended_automorphisms(a: Ciphertext, elements: Sequence[int], keys: EvaluationKeys) -> list[Extended]:
    """The same, not divided by P yet."""
    parameters, level = keys.parameters, a.level
    ring, switch = rings.full(parameters, level), _Switch.hoisted(a, keys)
    raised = np.zeros((2, len(ring.primes), parameters.degree), dtype=np.uint64)
    raised[:, :level] = rings.chain(parameters, level).scale(a.parts, [parameters.special_modulus] * level)
    out = []
    for element in elements:
        parts, noise = raised, a.noise
        if element != 1:
            parts, noise = switch(element), noise + bounds.switching(parameters, level)
            parts[0] = ring.add(parts[0], ring.permute(raised[0], ring.galois_indices(element)))
        out.append(Extended(parts=parts, level=level, scale=a.scale, message=a.message, noise=noise))
    return out


def lowered(parameters: Parameters, a: Extended) -> Ciphertext:
    """Divide by P and round."""
    parts = _divided(parameters, a.level, a.parts)
    noise = a.noise + bounds.rounding(parameters)
    return Ciphertext(parts=parts, scale=a.scale, message=a.message, noise=noise)


class _Switch:
    """A polynomial that is taken apart when the first key asks for it, and then serves all of them."""

    def __init__(self, polynomial: Residues, keys: EvaluationKeys) -> None:
        self._polynomial, self._keys, self._level = polynomial, keys, len(polynomial)

    @classmethod
    def hoisted(cls, a: Ciphertext, keys: EvaluationKeys) -> _Switch:
        """For the rotations of a ciphertext."""
        if len(a.parts) != 2:
            raise UsageError("expected a relinearised ciphertext to rotate, got one of three parts")
        return cls(a.parts[1], keys)

    @cached_property
    def _digits(self) -> Residues:
        parameters = self._keys.parameters
        chain, full = rings.chain(parameters, self._level), rings.full(parameters, self._level)
        return decompose(self._polynomial, chain, full, parameters.digit)

    def __call__(self, element: int) -> Residues:
        """P times the ciphertext of the polynomial's image, (2, level + special primes, N)."""
        key, full = self._keys[element], rings.full(self._keys.parameters, self._level)
        limbs = key.limbs(self._level)
        indices = None if element == RELINEARISATION else full.galois_indices(element)
        return key_product(self._digits, key.rows, full, indices, limbs)


def _divided(parameters: Parameters, level: int, parts: Residues) -> Residues:
    chain, full = rings.chain(parameters, level), rings.full(parameters, level)
    return mod_down(parts, chain, full, bounds.unit(parameters))
