"""Networks on batches: an affine map over lanes, a squaring of every slot, and so on; all samples at once.

As in `network_circuit.py`, a map's weights have the prime that is dropped after it as their scale, and a squaring is
followed by dropping two primes. In the end samples that were not asked about are multiplied by zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import Ciphertext, Encoder, EvaluationKeys, Evaluator, Plaintext
from holdfast.he.lane_transform import LaneTransform
from holdfast.private_inference.program import Affine, NetworkProgram
from holdfast.private_inference.slots.network_circuit import SQUARE_PRIMES
from holdfast.private_inference.slots.sample_layout import SampleLayout


class SampleCircuit:
    """A network program as weights."""

    def __init__(self, layout: SampleLayout, program: NetworkProgram) -> None:
        fits = (len(program.layers), program.layers[0].n_inputs, program.layers[-1].n_outputs)
        if fits != (layout.maps, layout.n_inputs, layout.n_outputs):
            raise UsageError("expected a layout for the network, got one of another model")
        self.layout, self._bounds = layout, program.bounds
        self._encoder = Encoder(layout.parameters)
        self._maps: list[LaneTransform] = []
        self._biases: list[list[Plaintext]] = []
        level, scale, primes = layout.query_level, layout.scale, layout.parameters.primes
        for layer in program.layers[:-1]:
            self._add(layer, level=level, scale=scale, weight_scale=float(primes[level - 1]))
            level, scale = level - 1 - SQUARE_PRIMES, scale * scale
            for dropped in range(SQUARE_PRIMES):
                scale /= primes[level + SQUARE_PRIMES - 1 - dropped]
        weight_scale = layout.answer_scale / scale / layout.mask_scale
        self._add(program.layers[-1], level=level, scale=scale, weight_scale=weight_scale)
        biases = sum(bias.residues.nbytes for row in self._biases for bias in row)
        self.memory_bytes = sum(linear.memory_bytes for linear in self._maps) + biases

    def evaluate(self, query: Sequence[Ciphertext], keys: EvaluationKeys, *, n_rows: int) -> list[Ciphertext]:
        """The scores of all samples, as often as there are answers to tell them."""
        layout, evaluator = self.layout, Evaluator(self.layout.parameters, keys)
        numbers: Sequence[Ciphertext] = query
        for i, (linear, biases) in enumerate(zip(self._maps, self._biases, strict=True)):
            sums = linear(numbers, evaluator)
            numbers = [evaluator.add_plain(y, bias) for y, bias in zip(sums, biases, strict=True)]
            if i < layout.maps - 1:
                numbers = self._squares(numbers, evaluator, bound=self._bounds[i])
        results = [self._blotted(scores, evaluator, n_rows=n_rows) for scores in numbers]
        return [result for result in results for _ in range(layout.answers_per_result)]

    def addends(self, answer: int, *, n_rows: int) -> NDArray[np.float64]:
        """Nothing: intercepts were added before, so that they are blotted out as well."""
        return np.zeros(len(self.layout.positions(answer, n_rows=n_rows)))

    def _add(self, layer: Affine, *, level: int, scale: float, weight_scale: float) -> None:
        """One more map."""
        layout, n_before = self.layout, len(self._maps)
        linear = LaneTransform(
            dense(layer),
            lanes=layout.lanes,
            shift=n_before * (layout.lanes - 1),
            parameters=layout.parameters,
            level=level,
            scale=weight_scale,
        )
        places = layout.result_slots(maps=n_before + 1)
        bias = np.zeros((-(-layer.n_outputs // layout.lanes), layout.lanes))
        bias.reshape(-1)[: layer.n_outputs] = layer.bias
        self._maps.append(linear)
        self._biases.append([])
        for lanes in bias:
            slots = np.zeros(layout.parameters.slots)
            slots[places] = lanes
            self._biases[-1].append(self._encoder.encode(slots, level=level, scale=scale * weight_scale))

    def _squares(self, sums: Sequence[Ciphertext], evaluator: Evaluator, *, bound: float) -> list[Ciphertext]:
        """The squares of sums; each ciphertext is a thread's work."""

        def squared(y: Ciphertext) -> Ciphertext:
            z = evaluator.square(evaluator.bounded(evaluator.rescale(y), bound))
            for _ in range(SQUARE_PRIMES):
                z = evaluator.rescale(z)
            return evaluator.bounded(z, bound * bound)

        with ThreadPoolExecutor(max_workers=cpu_count()) as pool:
            return list(pool.map(squared, sums))

    def _blotted(self, scores: Ciphertext, evaluator: Evaluator, *, n_rows: int) -> Ciphertext:
        """Scores of the first samples alone."""
        layout = self.layout
        mask = np.zeros(layout.parameters.slots)
        mask[layout.result_slots(maps=layout.maps)[:n_rows]] = 1
        plaintext = self._encoder.encode(mask, level=layout.answer_level, scale=layout.mask_scale)
        known = evaluator.bounded(scores, layout.answer_magnitude)
        return evaluator.bounded(evaluator.multiply_plain(known, plaintext), layout.answer_magnitude)


def dense(layer: Affine) -> NDArray[np.float64]:
    """The matrix of an affine map, (outputs, inputs)."""
    return np.asarray(np.kron(layer.weights, np.eye(layer.block)), dtype=np.float64)
