"""Where the numbers of rows sit in slots, and in which coefficients the scores come out.

The numbers of a sample fill `n_parts` ciphertexts, `period` of them each, in rotated copies (`geometry.py`); samples
lie side by side, `interleave` of them. The result of a group of samples repeats with `period_out` numbers, and its last
matrix is one plaintext product, whose coefficient j, for a single sample, is score j (`Encoder.encode_outputs`).

For `interleave` = W samples the scores j are a polynomial in `X^(N/2W)`, the trace of the product over the slots of
each sample: its W coefficients are revealed at `m·N/(2W) + j`, and the client gets the W scores as its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError, WireError
from holdfast.he import KeyRequest, Parameters, max_positions
from holdfast.limits import MAX_CIPHERTEXTS, MAX_REQUEST_BYTES
from holdfast.private_inference import circuit
from holdfast.private_inference.slots.geometry import Geometry
from holdfast.private_inference.slots.layout_json import MAX_WIDTH as MAX_WIDTH
from holdfast.private_inference.slots.layout_json import read_fields
from holdfast.private_inference.slots.trace import trace_values

MAX_KEY_BYTES: Final = 40 * 10**6
"""Bytes of a client's evaluation keys."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SlotLayout:
    """See the module.

    Args:
        parameters, key_request, scale, magnitude, query_level, answer_level, answer_scale, answer_magnitude,
            answer_bits, flood_bits: see `circuit.Layout`.
        width: numbers of a row.
        n_outputs: scores of a row.
        score_scale: what comes out is divided by it: the fixed point of trees; 1 for networks.
        n_parts: ciphertexts of a group of samples.
        period: numbers of a sample in one of them.
        interleave: samples of a group.
        first_outputs, diagonals: of the first matrix; see `Geometry`.
        period_out: numbers that the result repeats with, before the last matrix.
        baby_steps: of each matrix, but for the last.
        predicted_ms: what a query of one group is expected to cost the server, by `cost.py`.
        input_map: which number of a row each input is, -1 for a zero; None where they are the numbers themselves.
    """

    parameters: Parameters
    key_request: KeyRequest
    scale: float
    magnitude: float
    query_level: int
    answer_level: int
    answer_scale: float
    answer_magnitude: float | None
    answer_bits: int
    flood_bits: int
    width: int
    n_outputs: int
    score_scale: float
    n_parts: int
    period: int
    interleave: int
    first_outputs: int
    diagonals: int
    period_out: int
    baby_steps: tuple[int, ...]
    predicted_ms: float
    input_map: tuple[int, ...] | None = field(default=None, repr=False)

    packing: ClassVar[circuit.Packing] = "slots"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        self.key_request.check(self.parameters)
        integers = {
            "width": (self.width, 1, MAX_WIDTH),
            "n_outputs": (self.n_outputs, 1, 1_000),
            "n_parts": (self.n_parts, 1, MAX_CIPHERTEXTS),
            "interleave": (self.interleave, 1, self.parameters.slots),
            "query_level": (self.query_level, 1, self.parameters.max_level),
            "answer_level": (self.answer_level, 1, self.query_level),
            "answer_bits": (self.answer_bits, 8, 48),
            "flood_bits": (self.flood_bits, 1, 800),
            "period_out": (self.period_out, 1, self.parameters.slots // max(self.interleave, 1)),
        }
        for name, (value, low, high) in integers.items():
            if not low <= value <= high:
                raise UsageError(f"expected {name} from {low} to {high} in a slot layout, got {value}")
        if self.interleave & (self.interleave - 1) or self.period_out & (self.period_out - 1):
            raise UsageError("expected powers of two in a slot layout")
        if any(not 1 <= n <= self.parameters.slots for n in self.baby_steps):
            raise UsageError(f"expected baby steps from 1 to {self.parameters.slots}, got {self.baby_steps}")
        if self.key_request.packed_bytes(self.parameters) > MAX_KEY_BYTES:
            raise UsageError(f"expected evaluation keys of at most {MAX_KEY_BYTES} bytes")
        self._check_scales()
        self._check_map()
        self.geometry  # noqa: B018 - refuses what does not fit

    def _check_scales(self) -> None:
        exact = self.parameters.plaintext_modulus is not None
        scales = (self.scale, self.answer_scale, self.magnitude, self.score_scale, self.predicted_ms)
        if not all(0 < number < 2.0**300 for number in scales) or (exact and self.scale * self.answer_scale != 1):
            raise UsageError("expected finite scales and times above zero in a slot layout, and 1 for integers")
        if exact != (self.answer_magnitude is None) or not 0 <= (self.answer_magnitude or 0) < 2.0**300:
            raise UsageError("expected a bound on answers that are not exact, and on no others")

    def _check_map(self) -> None:
        room = self.n_parts * self.period
        if self.input_map is None:
            fits = self.width <= room
        else:
            fits = len(self.input_map) <= room and all(-1 <= i < self.width for i in self.input_map)
        if not fits:
            raise UsageError(f"expected inputs that fit into {room} slots")

    @cached_property
    def geometry(self) -> Geometry:
        """Of the first matrix, for one sample."""
        return Geometry(
            rows=self.parameters.rows,
            columns=self.parameters.slots // self.interleave,
            period=self.period,
            outputs=self.first_outputs,
            diagonals=self.diagonals,
        )

    @property
    def max_rows(self) -> int:
        """As many groups as fit into one request."""
        group = self.n_parts * self.parameters.modulus(self.query_level).bit_length() * self.parameters.degree // 8
        groups = min(MAX_CIPHERTEXTS // self.n_parts, MAX_REQUEST_BYTES * 15 // 16 // group)
        return max(1, min(groups, MAX_CIPHERTEXTS // self.answers_per_group)) * self.interleave

    @cached_property
    def outputs_per_answer(self) -> int:
        """Scores of a sample that one answer holds."""
        most = max_positions(
            self.parameters, self.answer_level, flood_bits=self.flood_bits, answer_bits=self.answer_bits
        )
        copies = self.parameters.slots // (self.period_out * self.interleave)
        return max(1, min(copies, most // self.interleave, self.n_outputs))

    @property
    def answers_per_group(self) -> int:
        """Answers for the samples of a group."""
        return -(-self.n_outputs // self.outputs_per_answer)

    def n_groups(self, n_rows: int) -> int:
        """Groups of samples."""
        return -(-n_rows // self.interleave)

    def n_ciphertexts(self, n_rows: int) -> int:
        """Ciphertexts of a query of so many rows."""
        return self.n_groups(n_rows) * self.n_parts

    def n_answers(self, n_rows: int) -> int:
        """Answers to it."""
        return self.n_groups(n_rows) * self.answers_per_group

    def outputs_of(self, answer: int) -> range:
        """The scores that an answer holds."""
        first = answer % self.answers_per_group * self.outputs_per_answer
        return range(first, min(first + self.outputs_per_answer, self.n_outputs))

    def rows_of(self, group: int, *, n_rows: int) -> range:
        """The rows of a group."""
        return range(group * self.interleave, min((group + 1) * self.interleave, n_rows))

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """The number of a row, or `width` for a zero, in each slot of each part: (parts, rows, columns)."""
        inputs = np.arange(self.width) if self.input_map is None else np.array(self.input_map, dtype=np.int64)
        places = np.full(self.n_parts * self.period, self.width)
        places[: len(inputs)] = np.where(inputs < 0, self.width, inputs)
        return places.reshape(self.n_parts, self.period)[:, self.geometry.gather()]

    def arrange(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (rows, width) to slots (ciphertexts, slots), group after group, part after part."""
        groups = self.n_groups(len(values))
        padded = np.zeros((groups * self.interleave, self.width + 1))
        padded[: len(values), : self.width] = values
        samples = padded.reshape(groups, self.interleave, -1)[:, :, self._places]
        return np.moveaxis(samples, 1, -1).reshape(groups * self.n_parts, -1)

    def positions(self, answer: int, *, n_rows: int) -> NDArray[np.int64]:
        """The coefficients that an answer reveals: those of the trace, output after output within each."""
        del n_rows
        stride = self.parameters.degree // (2 * self.interleave)
        outputs = np.arange(len(self.outputs_of(answer)))
        return (stride * np.arange(self.interleave)[:, None] + outputs).reshape(-1)

    def scores(self, revealed: Sequence[NDArray[np.float64]], *, n_rows: int) -> NDArray[np.float64]:
        """What the answers revealed, to scores (rows, n_outputs)."""
        out = np.zeros((self.n_groups(n_rows) * self.interleave, self.n_outputs))
        for answer, values in enumerate(revealed):
            group, outputs = answer // self.answers_per_group, self.outputs_of(answer)
            at = slice(group * self.interleave, (group + 1) * self.interleave)
            out[at, outputs.start : outputs.stop] = trace_values(values.reshape(self.interleave, -1), self.parameters)
        return out[:n_rows] / self.score_scale

    def to_json(self) -> dict[str, Any]:
        """The layout as JSON; `from_json` is its inverse."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            "kind": "slots",
            **values,
            "parameters": self.parameters.to_json(),
            "key_request": self.key_request.to_json(),
            "baby_steps": list(self.baby_steps),
            "input_map": None if self.input_map is None else list(self.input_map),
        }

    @classmethod
    def from_json(cls, document: object) -> SlotLayout:
        """Read a layout back.

        Raises:
            WireError: it is malformed, or its parameters are refused.
        """
        values = read_fields(document, names={item.name for item in fields(cls)})
        try:
            return cls(**values)
        except (UsageError, OverflowError) as error:
            raise WireError(f"the slot layout is malformed: {error}") from None
