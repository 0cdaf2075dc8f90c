"""A linear program on encrypted rows: one plaintext product for each block of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import Ciphertext, Encoder, EvaluationKeys
from holdfast.he import Evaluator as Arithmetic
from holdfast.private_inference.coefficients.layout import CoefficientLayout
from holdfast.private_inference.program import LinearProgram


class CoefficientCircuit:
    """The weights of a linear program as plaintexts, part by part, block by block."""

    def __init__(self, layout: CoefficientLayout, program: LinearProgram) -> None:
        shape = (layout.n_outputs, layout.width)
        if program.weights.shape != shape:
            raise UsageError(f"expected weights of shape {shape} for the layout, got {program.weights.shape}")
        self.layout = layout
        self._intercept = program.intercept
        encoder, scale = Encoder(layout.parameters), 2.0**layout.weight_bits
        self._parts = [
            [
                encoder.encode_coefficients(
                    layout.plaintext(program.weights, part=part, block=block), level=layout.query_level, scale=scale
                )
                for block in range(layout.n_blocks)
            ]
            for part in range(layout.n_parts)
        ]
        self.memory_bytes = sum(plaintext.residues.nbytes for part in self._parts for plaintext in part)

    def evaluate(self, query: Sequence[Ciphertext], keys: EvaluationKeys, *, n_rows: int) -> list[Ciphertext]:
        """The scores of each group of rows, part by part."""
        arithmetic, blocks = Arithmetic(self.layout.parameters, keys), self.layout.n_blocks
        groups = [query[start : start + blocks] for start in range(0, len(query), blocks)]
        del n_rows
        return [arithmetic.dot_plain(group, part) for group in groups for part in self._parts]

    def addends(self, answer: int, *, n_rows: int) -> NDArray[np.float64]:
        """The intercepts, for each row."""
        group, part = divmod(answer, self.layout.n_parts)
        rows = self.layout.rows_of(group, n_rows=n_rows)
        return np.tile(self._intercept[self.layout.outputs_of(part)], rows.stop - rows.start)
