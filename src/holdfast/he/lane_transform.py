"""Matrices times encrypted vectors that lie sample after sample: slot = sample·lanes + lane, several ciphertexts of it.

With F lanes, output f of a sample sums `W[f, g]·x[g]` over its lanes g. All products whose lane has to move by the same
d = g - f, from -(F - 1) to F - 1, are one sum S_d over the ciphertexts, and Horner's rule adds these up with a single
rotation key, that of one step:

    T = S_(F-1);  T = rot(T) + S_d  for d = F - 2 … -(F - 1)

which leaves everything F - 1 slots to the left of where it was; nothing of a neighbouring sample is taken along. It is
done for two ciphertexts of outputs at a time, the real and the imaginary part of one, as real slots waste half of a
ciphertext (Kim and Song 2018, "Approximate homomorphic encryption over the conjugate-invariant ring"): with weights
`(V + i·W)/2` it makes `y = (v + i·w)/2`, and one conjugation gives `v = y + conj(y)` and `w = -i·(y - conj(y))`.

All samples have the same weights, so that a plaintext repeats every F slots: a polynomial in `X^(N/2F)`, whose values
are constant on 2F runs of the NTT domain (`Ring.combine`). It takes 2F numbers for each prime, where one of the
diagonal method takes N, and the server reads the ciphertexts instead of a gigabyte of plaintexts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import bounds, rings
from holdfast.he.bounds import Bound, Norms
from holdfast.he.ciphertext import Ciphertext, Plaintext
from holdfast.he.encoder import galois_element, row_swap_element
from holdfast.he.evaluator import Evaluator
from holdfast.he.kernels import Residues, Ring
from holdfast.he.parameters import Parameters

MIN_LANES: Final = 8
"""So that a weight's polynomial has the 16 coefficients of the smallest ring."""
_PAIRS_AT_ONCE: Final = 2
"""Pairs of ciphertexts of the result whose sums are in memory together: 80 MB of them at ten primes and 8 lanes."""


@dataclass(frozen=True, kw_only=True)
class LaneGain:
    """By how much a matrix over lanes makes messages and noise larger.

    Args:
        l1, l2: the largest norms of one of the rows of `V + i·W`, and
        operator: its norm as an operator: noise is not real.
        inputs: ciphertexts that it takes.
        lanes: of each.
    """

    l1: float
    l2: float
    operator: float
    inputs: int
    lanes: int

    @classmethod
    def of(cls, matrix: NDArray[np.float64], *, lanes: int) -> LaneGain:
        """That of a matrix (outputs, inputs)."""
        pairs = _blocks(matrix, lanes)
        both = (pairs[:, 0] + 1j * pairs[:, 1]).reshape(-1, pairs.shape[-1] * pairs.shape[-2])
        return cls(
            l1=float(np.abs(both).sum(axis=1).max()),
            l2=float(np.linalg.norm(both, axis=1).max()),
            operator=float(np.linalg.norm(both, 2)),
            inputs=-(-matrix.shape[1] // lanes),
            lanes=lanes,
        )

    def _scaled(self, scale: float) -> tuple[float, float, float]:
        """The norms with the scale, and with what rounding the weights adds to each."""
        rounded = self.inputs * (2 * self.lanes - 1) * bounds.EMBEDDING_TAIL * math.sqrt(2 * self.lanes / 12)
        return self.l1 * scale + rounded, self.l2 * scale + rounded, self.operator * scale + rounded

    def message(self, message: Bound, *, scale: float) -> Bound:
        """The message of the result."""
        size = message.canonical * self._scaled(scale)[0]
        return Bound.fixed(canonical=size, coefficient=size)

    def noise(self, noise: Bound, *, parameters: Parameters, level: int, scale: float) -> Bound:
        """The noise of the result; the argument is that of `steps.Gain`, with a switch of keys for each step."""
        l1, l2, operator = self._scaled(scale)
        single = bounds.switching(parameters, level) + bounds.rounding(parameters)
        single = single.scaled(2 * (2 * self.lanes - 2) + 1)
        tail = bounds.EMBEDDING_TAIL * math.sqrt(parameters.degree)
        canonical = min(noise.canonical * l1, tail * noise.spread * l2) + single.canonical
        spread = noise.spread * operator + single.spread
        deviation = math.hypot(noise.deviation * operator, single.deviation)
        return Bound(
            canonical=canonical,
            spread=spread,
            coefficient=min(canonical, bounds.COEFFICIENT_TAIL * spread),
            deviation=deviation,
            rms=min(canonical, deviation),
        )


class LaneTransform:
    """A matrix over the lanes of several ciphertexts, the same for all samples: CKKS only.

    Args:
        matrix: (outputs, inputs); input number `lanes·i + g` is lane g of ciphertext i, and so for outputs.
        lanes: F, a power of two, at least `MIN_LANES`.
        shift: by how many slots the inputs lie to the left of where lane 0 of sample 0 is slot 0; the result lies
            `lanes - 1` slots further to the left.
        parameters: the ring.
        level: of the inputs.
        scale: of the weights; the result's scale is the input's times it.

    Raises:
        UsageError: the arguments are not that.
    """

    def __init__(
        self,
        matrix: NDArray[np.float64],
        *,
        lanes: int,
        shift: int,
        parameters: Parameters,
        level: int,
        scale: float,
    ) -> None:
        if parameters.plaintext_modulus is not None or lanes < MIN_LANES or lanes & (lanes - 1):
            raise UsageError(f"expected CKKS, and a power of two of at least {MIN_LANES} lanes, got {lanes}")
        self._parameters, self._level, self._scale, self._lanes = parameters, level, scale, lanes
        self._gain = LaneGain.of(matrix, lanes=lanes)
        self._n_outputs = -(-len(matrix) // lanes)
        self._minus_i = _minus_i(parameters, level)
        coefficients = _sums(matrix, lanes=lanes, shift=shift) * scale
        if not np.abs(coefficients).max() < 2.0**62:
            raise UsageError("expected weights that fit 62 bits with their scale")
        starts = range(0, len(coefficients), _PAIRS_AT_ONCE)
        self._groups = [self._weights(coefficients[start : start + _PAIRS_AT_ONCE]) for start in starts]
        self.memory_bytes = sum(weights.nbytes for weights in self._groups)

    def _weights(self, coefficients: NDArray[np.float64]) -> Residues:
        """Coefficients (pairs, sums, inputs, 2·lanes) to weights as `Ring.combine` takes them."""
        ring = Ring(2 * self._lanes, self._parameters.primes[: self._level])
        residues = ring.forward(ring.reduce(np.rint(coefficients).astype(np.int64)))
        flat = residues.reshape(-1, *residues.shape[-3:])  # (pairs and sums, inputs, limbs, runs)
        return np.ascontiguousarray(flat.transpose(2, 3, 0, 1))

    def __call__(self, inputs: Sequence[Ciphertext], evaluator: Evaluator) -> list[Ciphertext]:
        """The product with the inputs, all at the transform's level and of one scale."""
        if any(a.level != self._level or len(a.parts) != 2 for a in inputs) or len(inputs) != self._gain.inputs:
            raise UsageError(f"expected {self._gain.inputs} ciphertexts at level {self._level} for a transform")
        template = self._bounded(inputs)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            groups = [self._group(weights, inputs, template, evaluator, pool) for weights in self._groups]
        return [result for group in groups for result in group][: self._n_outputs]

    def _group(
        self,
        weights: Residues,
        inputs: Sequence[Ciphertext],
        template: Ciphertext,
        evaluator: Evaluator,
        pool: ThreadPoolExecutor,
    ) -> list[Ciphertext]:
        """Some pairs of the result, whose sums are given back before the next ones are made."""
        ring = rings.chain(self._parameters, self._level)
        sums = ring.combine([a.parts for a in inputs], weights)
        pairs = sums.reshape(-1, 2 * self._lanes - 1, *sums.shape[1:])
        done = pool.map(lambda parts: self._pair(parts, template, evaluator), pairs)
        return [result for pair in done for result in pair]

    def _pair(self, sums: Residues, template: Ciphertext, evaluator: Evaluator) -> list[Ciphertext]:
        """Two ciphertexts of the result from their sums S_d."""
        total = replace(template, parts=sums[0])
        for parts in sums[1:]:
            total = replace(template, parts=self._added(evaluator.rotate(total, 1).parts, parts))
        conjugate = evaluator.swap_rows(total)
        imaginary = evaluator.multiply_plain(evaluator.subtract(total, conjugate), self._minus_i)
        real = evaluator.add(total, conjugate)
        return [replace(template, parts=real.parts), replace(template, parts=imaginary.parts)]

    def _added(self, a: Residues, b: Residues) -> Residues:
        return rings.chain(self._parameters, self._level).add(a, b)

    def _bounded(self, inputs: Sequence[Ciphertext]) -> Ciphertext:
        """What results have but for their parts; its bounds are on every sum on the way as well."""
        message = max((a.message for a in inputs), key=lambda bound: bound.canonical)
        noise = max((a.noise for a in inputs), key=lambda bound: bound.canonical)
        return replace(
            inputs[0],
            scale=inputs[0].scale * self._scale,
            message=self._gain.message(message, scale=self._scale),
            noise=self._gain.noise(noise, parameters=self._parameters, level=self._level, scale=self._scale),
        )


def lane_elements(parameters: Parameters) -> tuple[int, int]:
    """The Galois elements that transforms need keys for: a rotation by one step, and the conjugation."""
    return galois_element(parameters, 1), row_swap_element(parameters)


def _blocks(matrix: NDArray[np.float64], lanes: int) -> NDArray[np.float64]:
    """A matrix by pairs of output ciphertexts: (pairs, 2, output lanes, input ciphertexts, input lanes)."""
    pairs, inputs = -(-len(matrix) // (2 * lanes)), -(-matrix.shape[1] // lanes)
    padded = np.zeros((pairs * 2 * lanes, inputs * lanes))
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded.reshape(pairs, 2, lanes, inputs, lanes)


def _sums(matrix: NDArray[np.float64], *, lanes: int, shift: int) -> NDArray[np.float64]:
    """Coefficients of the weights of the sums, from d = lanes - 1 down: (pairs, 2·lanes - 1, inputs, 2·lanes)."""
    blocks = _blocks(matrix, lanes)
    sums = np.zeros((len(blocks), 2, 2 * lanes - 1, *blocks.shape[-2:]))
    for f in range(lanes):
        for g in range(lanes):
            sums[:, :, lanes - 1 - (g - f), :, (g - shift) % lanes] = blocks[:, :, f, :, g]
    real, imaginary = _basis(lanes)
    return np.asarray(sums[:, 0] @ real + sums[:, 1] @ imaginary) / 2


def _basis(lanes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Real and imaginary parts of slots that repeat, to coefficients in `X^(N/(2·lanes))`: (lanes, 2·lanes) each."""
    powers = np.array([pow(5, f, 4 * lanes) for f in range(lanes)])
    angles = np.pi / (2 * lanes) * np.outer(powers, np.arange(2 * lanes))
    return np.cos(angles) / lanes, np.sin(angles) / lanes


def _minus_i(parameters: Parameters, level: int) -> Plaintext:
    """The number -i in every slot: `-X^(N/2)`."""
    coefficients = np.zeros(parameters.degree, dtype=np.int64)
    coefficients[parameters.degree // 2] = -1
    ring = rings.chain(parameters, level)
    unit = Norms(canonical=1.0, l1=1.0, l2=1.0, largest=1.0)
    return Plaintext(residues=ring.forward(ring.reduce(coefficients)), level=level, scale=1.0, norms=unit)
