"""Matrices times encrypted vectors in slots, by diagonals.

    y = Σ_d diagonal_d ⊙ rot_d(x),   d = w·(g·n + b),   = Σ_g rot_{g·n·w}( Σ_b rot_{-g·n·w}(diagonal_d) ⊙ rot_{b·w}(x) )

Baby steps b are hoisted twice: x is taken apart once, and the inner sums stay over the special primes until one
division for each giant step g (Halevi and Shoup 2018, "Faster homomorphic linear transformations in HElib"; Bossuat,
Mouchet, Troncoso-Pastoriza and Hubaux 2021, "Efficient bootstrapping for approximate homomorphic encryption with
non-sparse keys"). Giant steps go like Horner's rule, so that all of them share one key. In the end the result may be
folded: rotations of it are added to it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import rings
from holdfast.he.bounds import Bound, Norms
from holdfast.he.ciphertext import Ciphertext, Extended, Plaintext
from holdfast.he.encoder import Encoder
from holdfast.he.evaluator import Evaluator
from holdfast.he.kernels import Residues
from holdfast.he.steps import Gain, Steps

Diagonals: TypeAlias = Mapping[int, NDArray[np.generic]]
"""Numbers (rows, N/2) by the rotation that they go with, which is not negative."""
_Sum: TypeAlias = Ciphertext | Extended
_Term: TypeAlias = tuple[tuple[int, int], Plaintext]
"""Which rotation of which input, and what it is multiplied by."""

_NO_NORMS: Final = Norms(canonical=0, l1=0, l2=0, largest=0)


class DiagonalTransform:
    """A matrix over the slots of one ciphertext or several, ready to be multiplied: `y = Σ_i M_i @ x_i`.

    Baby steps are hoisted twice, unless `Steps.extended` says otherwise.

    Args:
        matrices: the diagonals of each M_i.
        steps: how they are reached.
        encoder: of the parameters.
        level: of the inputs.
        scale: of the diagonals; the result's scale is the input's times it.
        gain: for CKKS, that of `[M_0 M_1 …]`; it makes the bound on the result's noise tighter than that of the steps.

    Raises:
        UsageError: a diagonal is not reached, or all are zero.
    """

    def __init__(
        self,
        matrices: Sequence[Diagonals],
        *,
        steps: Steps,
        encoder: Encoder,
        level: int,
        scale: float = 1.0,
        gain: Gain | None = None,
    ) -> None:
        self.steps, self._parameters, self._level = steps, encoder.parameters, level
        self._scale, self._gain = scale, gain
        self._extended = steps.extended(self._parameters)
        if any(d % steps.unit or not 0 <= d < steps.unit * steps.baby * steps.giant for m in matrices for d in m):
            raise UsageError("expected diagonals that the steps reach")
        work = [(i, d) for i, matrix in enumerate(matrices) for d in sorted(matrix)]
        if not work:
            raise UsageError("expected a matrix that is not zero")
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            encoded = pool.map(lambda item: self._encode(matrices[item[0]][item[1]], item[1], encoder), work)
            self._sums: list[list[_Term]] = [[] for _ in range(steps.giant)]
            for (i, d), plaintext in zip(work, encoded, strict=True):
                giant, baby = divmod(d // steps.unit, steps.baby)
                self._sums[giant].append(((i, baby), plaintext))
        self._norms = [sum((plaintext.norms for _, plaintext in terms), start=_NO_NORMS) for terms in self._sums]
        self.memory_bytes = sum(plaintext.residues.nbytes for terms in self._sums for _, plaintext in terms)

    def _encode(self, diagonal: NDArray[np.generic], d: int, encoder: Encoder) -> Plaintext:
        """A diagonal, turned back by its giant step."""
        giant = self.steps.unit * self.steps.baby
        turned = np.roll(diagonal, d // giant * giant, axis=-1)
        slots = turned if self._parameters.rows == 2 else turned.reshape(-1)
        return encoder.encode(slots, level=self._level, scale=self._scale, extended=self._extended)

    def __call__(self, inputs: Sequence[Ciphertext], evaluator: Evaluator) -> Ciphertext:
        """The product with the inputs, all at the transform's level and of one scale."""
        sums = self._inner_sums(self._baby_steps(inputs, evaluator))
        total: Ciphertext | None = None
        for inner in reversed(sums):
            if total is not None:
                total = self._next(total, inner, evaluator)
            elif inner is not None:
                total = self._finished(inner, evaluator)
        if total is None:
            raise UsageError("expected a matrix that is not zero")
        for fold in self.steps.folds:
            swap = fold == self._parameters.slots
            total = evaluator.add(total, evaluator.swap_rows(total) if swap else evaluator.rotate(total, fold))
        return self._tightened(total, inputs)

    def _baby_steps(self, inputs: Sequence[Ciphertext], evaluator: Evaluator) -> dict[tuple[int, int], _Sum]:
        """The rotations of each input that any sum needs."""
        babies: dict[tuple[int, int], _Sum] = {}
        for i, a in enumerate(inputs):
            needed = sorted({baby for terms in self._sums for (j, baby), _ in terms if j == i})
            turns = [baby * self.steps.unit for baby in needed]
            turned: Sequence[_Sum] = (
                evaluator.extended_rotations(a, turns) if self._extended else evaluator.rotations(a, turns)
            )
            babies |= {(i, baby): rotated for baby, rotated in zip(needed, turned, strict=True)}
        return babies

    def _inner_sums(self, babies: Mapping[tuple[int, int], _Sum]) -> list[_Sum | None]:
        """The sums over baby steps, None where there is no term.

        All sums are taken prime by prime, so that the rotations over one prime stay in the cache.
        """
        some = next(iter(babies.values()))
        largest = replace(
            some,
            message=reduce(Bound.larger, (a.message for a in babies.values())),
            noise=reduce(Bound.larger, (a.noise for a in babies.values())),
        )
        ring = (rings.full if self._extended else rings.chain)(self._parameters, self._level)
        sums = [np.empty_like(some.parts) if terms else None for terms in self._sums]

        def over_one_prime(limb: int) -> None:
            one = ring.select([limb])
            rows = {key: np.ascontiguousarray(a.parts[:, limb : limb + 1]) for key, a in babies.items()}
            for parts, terms in zip(sums, self._sums, strict=True):
                if parts is not None:
                    plain = [plaintext.residues[limb : limb + 1] for _, plaintext in terms]
                    parts[:, limb : limb + 1] = one.dot([rows[key] for key, _ in terms], plain)

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(over_one_prime, range(some.parts.shape[1])))
        return [
            None if parts is None else self._bounded_sum(parts, norms, largest)
            for parts, norms in zip(sums, self._norms, strict=True)
        ]

    def _bounded_sum(self, parts: Residues, norms: Norms, largest: _Sum) -> _Sum:
        """A sum with its bounds, from those of the largest of its terms."""
        message, noise = largest.message.times(norms), largest.noise.times(norms)
        scale = largest.scale * self._scale
        if isinstance(largest, Extended):
            return Extended(parts=parts, level=self._level, scale=scale, message=message, noise=noise)
        return Ciphertext(parts=parts, scale=scale, message=message, noise=noise)

    def _next(self, total: Ciphertext, inner: _Sum | None, evaluator: Evaluator) -> Ciphertext:
        """One step of Horner's rule: the total, rotated by a giant step, and another sum."""
        giant = self.steps.unit * self.steps.baby
        if inner is None:
            return evaluator.rotate(total, giant)
        rotated = evaluator.extended_rotations(total, [giant])[0]
        return self._finished(self._raised(inner), evaluator, plus=rotated)

    def _raised(self, inner: _Sum) -> Extended:
        """A sum times P, over the special primes as well."""
        if isinstance(inner, Extended):
            return inner
        chain, full = rings.chain(self._parameters, self._level), rings.full(self._parameters, self._level)
        parts = np.zeros((2, len(full.primes), self._parameters.degree), dtype=np.uint64)
        parts[:, : self._level] = chain.scale(inner.parts, [self._parameters.special_modulus] * self._level)
        return Extended(parts=parts, level=self._level, scale=inner.scale, message=inner.message, noise=inner.noise)

    def _finished(self, inner: _Sum, evaluator: Evaluator, *, plus: Extended | None = None) -> Ciphertext:
        """A sum as a ciphertext."""
        raised = self._raised(inner)
        if plus is None:
            return evaluator.lowered(raised)
        parts = rings.full(self._parameters, self._level).add(raised.parts, plus.parts)
        message, noise = raised.message + plus.message, raised.noise + plus.noise
        return evaluator.lowered(replace(raised, parts=parts, message=message, noise=noise))

    def _tightened(self, result: Ciphertext, inputs: Sequence[Ciphertext]) -> Ciphertext:
        """The result with the noise that rows of the matrix make, if that bound is the smaller one."""
        if self._gain is None:
            return result
        noise = self._gain.bound(
            max((a.noise for a in inputs), key=lambda noise: noise.canonical),
            parameters=self._parameters,
            level=self._level,
            scale=self._scale,
            steps=self.steps,
            n_diagonals=sum(len(terms) for terms in self._sums),
        )
        return replace(result, noise=result.noise.smaller(noise))
