"""Trees on encrypted bits: count each leaf's mismatches, test the counts for zero, add up the values. All of it exact.

A count m in 0 … d goes in as `u = 2m - (d + 1)`, which is odd or even throughout and small. The product over m > 0,

    ∏_{m=1..d} (u - (2m - d - 1)) = u^(d mod 2) · ∏_{c > 0} (u^2 - c^2),

is zero everywhere but at m = 0, that is at `u = -(d + 1)`; what it is there is divided out of the leaves' values,
modulo t. It takes `log2(d)` products of ciphertexts, rounded up, one after the other, and a modulus switch after each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import Ciphertext, EvaluationKeys, Evaluator
from holdfast.private_inference.program import TreeProgram
from holdfast.private_inference.slots.engine import Engine
from holdfast.private_inference.slots.last_matrix import LastMatrix
from holdfast.private_inference.slots.layout import SlotLayout
from holdfast.private_inference.slots.matrices import SlotMatrix, matrix_entries


class TreeCircuit:
    """A tree program as plaintexts."""

    def __init__(self, layout: SlotLayout, program: TreeProgram, *, engine: Engine | None = None) -> None:
        t = layout.parameters.plaintext_modulus
        if t is None or program.selection.shape[1] != layout.width or len(program.values) != layout.n_outputs:
            raise UsageError("expected a layout for the tree program, got one of another")
        self.layout, self._depth = layout, program.depth
        self._engine = engine or Engine.of(layout.parameters)
        encoder, level = self._engine.encoder, layout.query_level
        matrix = selection_matrix(layout, program)
        steps = matrix.steps(baby=layout.baby_steps[0])
        self._select = self._engine.transform(matrix.diagonals(), steps=steps, encoder=encoder, level=level)
        constants = matrix.repeated(2 * program.offset - (program.depth + 1))
        self._constants = encoder.encode(constants, level=level)
        reached = zero_test(program.depth, -(program.depth + 1))
        values = program.values * pow(reached, -1, t) % t
        self._last = LastMatrix(layout, values, program.intercept, encoder=encoder, scale=1.0)
        self.memory_bytes = self._select.memory_bytes + self._last.memory_bytes

    def evaluate(self, query: Sequence[Ciphertext], keys: EvaluationKeys, *, n_rows: int) -> list[Ciphertext]:
        """The sums of the leaves' values that each group of rows reaches."""
        evaluator, parts = self._engine.evaluator(keys), self.layout.n_parts
        groups = [query[start : start + parts] for start in range(0, len(query), parts)]
        return self._last.products([self._reached(group, evaluator) for group in groups], evaluator, n_rows=n_rows)

    def addends(self, answer: int, *, n_rows: int) -> NDArray[np.float64]:
        """The intercepts."""
        del n_rows
        return self._last.addends(answer)

    def _reached(self, bits: Sequence[Ciphertext], evaluator: Evaluator) -> Ciphertext:
        """A constant in the slots of leaves that are reached, zero in those of others."""
        counted = evaluator.add_plain(self._select(bits, evaluator), self._constants)
        u = evaluator.rescale(counted)
        squares, odd = zero_test_roots(self._depth)
        factors = [u] if odd else []
        if squares:
            v = evaluator.rescale(evaluator.square(u))
            factors = [evaluator.add_scalar(v, -c) for c in squares] + factors
        return self._product(factors, evaluator)

    def _product(self, factors: list[Ciphertext], evaluator: Evaluator) -> Ciphertext:
        """The product, in as few steps one after the other as there can be."""
        while len(factors) > 1:
            a, b, *rest = sorted(factors, key=lambda factor: -factor.level)
            b, a = b, evaluator.at_level(a, b.level)
            factors = [*rest, evaluator.rescale(evaluator.multiply(a, b))]
        return evaluator.at_level(factors[0], self.layout.answer_level)


def selection_matrix(layout: SlotLayout, program: TreeProgram) -> SlotMatrix:
    """Twice the selection of a program's leaves, over the slots of a layout."""
    entries = matrix_entries(2 * program.selection)
    return SlotMatrix.of(entries, layout.geometry, interleave=layout.interleave, n_parts=layout.n_parts)


def zero_test_roots(depth: int) -> tuple[list[int], bool]:
    """The squares `c^2` of the zero test, and whether u itself is a factor."""
    return [c * c for c in range(depth - 1, 0, -2)], depth % 2 == 1


def zero_test(depth: int, u: int) -> int:
    """The product at one u, in the clear."""
    squares, odd = zero_test_roots(depth)
    product = u if odd else 1
    for c in squares:
        product *= u * u - c
    return product


def zero_test_levels(depth: int) -> int:
    """Products of ciphertexts one after the other."""
    squares, odd = zero_test_roots(depth)
    return (1 if squares else 0) + (len(squares) + odd - 1).bit_length()
