"""Slots as plain arrays: what a circuit must compute, with no cryptography in the way.

It has the operations that circuits use, under the names of the engine's. A rotation is `np.roll`, a product a product.
Levels are counted, so that a circuit cannot add what the engine would not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from holdfast.he import Norms, Parameters
from holdfast.he.steps import Steps
from holdfast.private_inference.slots.engine import Engine
from holdfast.private_inference.slots.layout import SlotLayout

Slots = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Values:
    """The slots (…, rows, N/2) of a ciphertext or a plaintext."""

    slots: Slots
    level: int
    scale: float = 1.0
    message: object = None
    norms: Norms = field(default=Norms(canonical=1.0, l1=1.0, l2=1.0, largest=1.0))

    @property
    def residues(self) -> Slots:
        return self.slots


@dataclass(frozen=True)
class SimulatedEncoder:
    parameters: Parameters

    def encode(self, slots: Slots, *, level: int, scale: float = 1.0, extended: bool = False) -> Values:
        del scale, extended
        return Values(slots.reshape(self.parameters.rows, -1), level)

    def encode_outputs(self, vectors: Slots, *, level: int, scale: float = 1.0) -> Values:
        del scale
        return Values(vectors.reshape(len(vectors), self.parameters.rows, -1), level)


@dataclass(frozen=True)
class SimulatedEvaluator:
    parameters: Parameters

    def _value(self, slots: Slots, level: int) -> Values:
        t = self.parameters.plaintext_modulus
        assert level >= 1
        return Values(slots if t is None else slots % t, level)

    def add_plain(self, a: Values, b: Values) -> Values:
        assert a.level == b.level
        return self._value(a.slots + b.slots, a.level)

    def add_scalar(self, a: Values, number: float) -> Values:
        return self._value(a.slots + number, a.level)

    def multiply_plain(self, a: Values, b: Values) -> Values:
        assert a.level == b.level
        return self._value(a.slots * b.slots, a.level)

    def multiply(self, a: Values, b: Values) -> Values:
        assert a.level == b.level
        return self._value(a.slots * b.slots, a.level)

    def square(self, a: Values) -> Values:
        return self.multiply(a, a)

    def rescale(self, a: Values) -> Values:
        return self._value(a.slots, a.level - 1)

    def at_level(self, a: Values, level: int) -> Values:
        assert level <= a.level
        return replace(a, level=level)

    def bounded(self, a: Values, magnitude: float) -> Values:
        assert np.abs(a.slots).max() <= magnitude
        return a


@dataclass(frozen=True, eq=False)
class SimulatedTransform:
    matrices: Sequence[Mapping[int, Slots]]
    steps: Steps
    level: int
    memory_bytes: int = 0

    def __call__(self, inputs: Sequence[Values], evaluator: SimulatedEvaluator) -> Values:
        total = np.zeros_like(inputs[0].slots)
        for matrix, x in zip(self.matrices, inputs, strict=True):
            assert x.level == self.level
            for d, diagonal in matrix.items():
                total = total + diagonal * np.roll(x.slots, -d, axis=-1)
        for fold in self.steps.folds:
            swapped = fold == total.shape[-1]
            total = total + (total[::-1] if swapped else np.roll(total, -fold, axis=-1))
        return evaluator._value(total, self.level)


def simulated_engine(parameters: Parameters) -> Engine:
    """An engine whose ciphertexts hold their slots in the clear."""

    def transform(
        matrices: Sequence[Mapping[int, Slots]], *, steps: Steps, encoder: object, level: int, **_: object
    ) -> SimulatedTransform:
        return SimulatedTransform(matrices, steps, level)

    return Engine(
        encoder=SimulatedEncoder(parameters),
        transform=transform,
        evaluator=lambda keys: SimulatedEvaluator(parameters),
    )


def simulated_scores(circuit: object, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores of encoded rows, on arrays; of an answer that sums over the slots of each sample."""
    layout: SlotLayout = circuit.layout
    n_rows, t = len(values), layout.parameters.plaintext_modulus
    arranged = layout.arrange(values).reshape(-1, layout.parameters.rows, layout.parameters.slots)
    query = [Values(slots if t is None else slots.astype(np.int64), layout.query_level) for slots in arranged]
    assert len(query) == layout.n_ciphertexts(n_rows)
    answers = circuit.evaluate(query, None, n_rows=n_rows)
    assert len(answers) == layout.n_answers(n_rows)
    scores = np.zeros((layout.n_groups(n_rows) * layout.interleave, layout.n_outputs))
    for i, answer in enumerate(answers):
        assert answer.level == layout.answer_level
        outputs, group = layout.outputs_of(i), i // layout.answers_per_group
        sums = answer.slots.reshape(len(outputs), -1, layout.interleave).sum(axis=1).T * layout.interleave
        added = circuit.addends(i, n_rows=n_rows).reshape(layout.interleave, -1)[0]
        total = sums + added
        if t is not None:
            total = (total.astype(np.int64) + t // 2) % t - t // 2
        scores[group * layout.interleave : (group + 1) * layout.interleave, outputs.start : outputs.stop] = total
    return scores[:n_rows] / layout.score_scale
