"""Networks on encrypted numbers: an affine map by diagonals, a squaring of every slot, and so on.

The plaintexts of a map have the prime that is dropped after it as their scale, so that the scale of numbers stays what
it was; a squaring is followed by dropping two primes of half that scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import Ciphertext, EvaluationKeys, Evaluator
from holdfast.private_inference.program import Affine, NetworkProgram
from holdfast.private_inference.slots.engine import Engine
from holdfast.private_inference.slots.geometry import Geometry
from holdfast.private_inference.slots.last_matrix import LastMatrix
from holdfast.private_inference.slots.layout import SlotLayout
from holdfast.private_inference.slots.matrices import SlotMatrix, gain_of, matrix_entries, next_geometry

SQUARE_PRIMES: Final = 2
"""Primes that are dropped after a squaring."""


class NetworkCircuit:
    """A network program as plaintexts."""

    def __init__(self, layout: SlotLayout, program: NetworkProgram, *, engine: Engine | None = None) -> None:
        matrices, last = hidden_matrices(layout, program), program.layers[-1]
        if layout.parameters.plaintext_modulus is not None or last.n_outputs != layout.n_outputs:
            raise UsageError("expected a layout for the network, got one of another model")
        self.layout, self._bounds = layout, program.bounds
        self._engine = engine or Engine.of(layout.parameters)
        self._maps, self._biases = [], []
        level, scale, primes = layout.query_level, layout.scale, layout.parameters.primes
        encoder = self._engine.encoder
        for matrix, layer, baby in zip(matrices, program.layers, layout.baby_steps, strict=False):
            weight_scale = float(primes[level - 1])
            linear = self._engine.transform(
                matrix.diagonals(),
                steps=matrix.steps(baby=baby),
                encoder=encoder,
                level=level,
                scale=weight_scale,
                gain=gain_of(matrix),
            )
            self._maps.append(linear)
            bias = matrix.repeated(layer.bias).reshape(-1)
            self._biases.append(encoder.encode(bias, level=level, scale=scale * weight_scale))
            level, scale = level - 1 - SQUARE_PRIMES, scale * scale
            for dropped in range(SQUARE_PRIMES):
                scale /= primes[level + SQUARE_PRIMES - 1 - dropped]
        dense = np.kron(last.weights, np.eye(last.block)) if last.block > 1 else last.weights
        answer_scale = layout.answer_scale / scale
        self._last = LastMatrix(layout, dense, last.bias, encoder=encoder, scale=answer_scale)
        self.memory_bytes = sum(linear.memory_bytes for linear in self._maps) + self._last.memory_bytes

    def evaluate(self, query: Sequence[Ciphertext], keys: EvaluationKeys, *, n_rows: int) -> list[Ciphertext]:
        """The scores of each group of rows."""
        evaluator, parts = self._engine.evaluator(keys), self.layout.n_parts
        groups = [query[start : start + parts] for start in range(0, len(query), parts)]
        return self._last.products([self._lanes(group, evaluator) for group in groups], evaluator, n_rows=n_rows)

    def addends(self, answer: int, *, n_rows: int) -> NDArray[np.float64]:
        """The intercepts."""
        del n_rows
        return self._last.addends(answer)

    def _lanes(self, inputs: Sequence[Ciphertext], evaluator: Evaluator) -> Ciphertext:
        """The lanes of a group of rows before the last map."""
        for linear, bias, bound in zip(self._maps, self._biases, self._bounds, strict=False):
            y = evaluator.rescale(evaluator.add_plain(linear(inputs, evaluator), bias))
            z = evaluator.square(evaluator.bounded(y, bound))
            for _ in range(SQUARE_PRIMES):
                z = evaluator.rescale(z)
            inputs = [evaluator.bounded(z, bound * bound)]
        return inputs[0]


def hidden_matrices(layout: SlotLayout, program: NetworkProgram) -> list[SlotMatrix]:
    """All maps but the last, over the slots of a layout."""
    geometry, matrices = layout.geometry, []
    for i, layer in enumerate(program.layers[:-1]):
        geometry = geometry if i == 0 else next_geometry(geometry, layer.n_outputs)
        matrices.append(_matrix(layer, geometry, layout, n_parts=layout.n_parts if i == 0 else 1))
    return matrices


def _matrix(layer: Affine, geometry: Geometry, layout: SlotLayout, *, n_parts: int) -> SlotMatrix:
    entries = matrix_entries(layer.weights, block=layer.block)
    return SlotMatrix.of(entries, geometry, interleave=layout.interleave, n_parts=n_parts)
