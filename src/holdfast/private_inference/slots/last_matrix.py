"""The last matrix of a circuit: one plaintext product for each answer, after which only a few coefficients matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from holdfast.he import Bound, Ciphertext, Encoder, Evaluator, Plaintext
from holdfast.private_inference.slots.layout import SlotLayout


class LastMatrix:
    """`scores = values @ z + intercept`, z the result of a circuit before it.

    Args:
        layout: where z is.
        values: (outputs, lanes) real numbers, or integers modulo t.
        intercept: (outputs,).
        encoder: of the parameters.
        scale: of the plaintexts.
    """

    def __init__(
        self,
        layout: SlotLayout,
        values: NDArray[np.generic],
        intercept: NDArray[np.generic],
        *,
        encoder: Encoder,
        scale: float,
    ) -> None:
        self._layout, self._encoder, self._scale, self._intercept = layout, encoder, scale, intercept
        copies = layout.parameters.rows * layout.parameters.slots // (layout.period_out * layout.interleave)
        t = layout.parameters.plaintext_modulus
        padded = np.zeros((len(values), layout.period_out), dtype=values.dtype)
        padded[:, : values.shape[1]] = values
        shares = copies * layout.interleave  # a slot's share of its sum, and of the trace's coefficients
        self._values = padded / shares if t is None else padded % t * pow(shares, -1, t) % t
        self._magnitude = layout.answer_magnitude
        self._encoded = lru_cache(maxsize=4 * layout.answers_per_group)(self._encode)
        self.memory_bytes = sum(
            self._encoded(answer, layout.interleave).residues.nbytes for answer in range(layout.answers_per_group)
        )

    def products(self, results: Sequence[Ciphertext], evaluator: Evaluator, *, n_rows: int) -> list[Ciphertext]:
        """The answers, group after group; rows of a group that were not asked about are blotted out."""
        layout, answers = self._layout, []
        for group, z in enumerate(results):
            asked = len(layout.rows_of(group, n_rows=n_rows))
            for answer in range(layout.answers_per_group):
                plaintext = self._encoded(answer, asked)
                answers.append(evaluator.multiply_plain(self._narrowed(z, plaintext), plaintext))
        return answers

    def _narrowed(self, z: Ciphertext, plaintext: Plaintext) -> Ciphertext:
        """For CKKS, the result with a bound on its message from which follows that of scores, for the product.

        The product's other coefficients may be larger than the modulus has room for: nobody sees them.
        """
        if self._magnitude is None:
            return z
        size = self._magnitude * z.scale * self._scale / max(plaintext.norms.l2, 1.0)
        return replace(z, message=Bound.fixed(canonical=size, coefficient=size))

    def addends(self, answer: int) -> NDArray[np.float64]:
        """The intercepts: a constant of the trace's, and so on its first coefficient."""
        outputs = self._layout.outputs_of(answer)
        added = np.zeros((self._layout.interleave, len(outputs)))
        added[0] = self._intercept[outputs.start : outputs.stop]
        return added.reshape(-1)

    def _encode(self, answer: int, asked: int) -> Plaintext:
        layout = self._layout
        outputs = layout.outputs_of(answer)
        chosen = self._values[outputs.start : outputs.stop, :, None] * (np.arange(layout.interleave) < asked)
        copies = layout.parameters.rows * layout.parameters.slots // (layout.period_out * layout.interleave)
        vectors = np.tile(chosen.reshape(len(outputs), -1), (1, copies))
        return self._encoder.encode_outputs(vectors, level=layout.answer_level, scale=self._scale)
