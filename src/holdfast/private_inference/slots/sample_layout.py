"""Batches, sample after sample: where their numbers sit in slots, and in which coefficients the scores come out.

Slot `sample·lanes + lane` of ciphertext i holds number `i·lanes + lane` of the sample. Each map of the circuit leaves
its result `lanes - 1` slots further to the left (`he/lane_transform.py`), so that output number `i·lanes + lane` of a
sample is in slot `sample·lanes + lane - maps·(lanes - 1)` of result i. A result has real slots, and thus N/2
coefficients that tell them all; they are revealed in several answers, as one may only hold so many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError, WireError
from holdfast.he import Encoder, KeyRequest, Parameters, max_positions
from holdfast.he.lane_transform import MIN_LANES
from holdfast.limits import MAX_BATCH_CIPHERTEXTS, MAX_QUERY_BYTES
from holdfast.private_inference import circuit
from holdfast.private_inference.slots.layout import MAX_KEY_BYTES, MAX_WIDTH


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleLayout:
    """See the module.

    Args:
        parameters, key_request, scale, magnitude, query_level, answer_level, answer_scale, answer_magnitude,
            answer_bits, flood_bits: see `circuit.Layout`.
        width: numbers of a row.
        n_outputs: scores of a row.
        lanes: numbers of a sample in one ciphertext.
        maps: affine maps of the circuit.
        mask_scale: of the zeros and ones that blot out samples nobody asked about.
        input_map: which number of a row each input is, -1 for a zero; None where they are the numbers themselves.
    """

    parameters: Parameters
    key_request: KeyRequest
    scale: float
    magnitude: float
    query_level: int
    answer_level: int
    answer_scale: float
    answer_magnitude: float
    answer_bits: int
    flood_bits: int
    width: int
    n_outputs: int
    lanes: int
    maps: int
    mask_scale: float
    input_map: tuple[int, ...] | None = field(default=None, repr=False)

    packing: ClassVar[circuit.Packing] = "slots"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if self.parameters.plaintext_modulus is not None:
            raise UsageError("expected parameters for real numbers in a layout of samples")
        self.key_request.check(self.parameters)
        integers = {
            "width": (self.width, 1, MAX_WIDTH),
            "n_outputs": (self.n_outputs, 1, 1_000),
            "lanes": (self.lanes, MIN_LANES, self.parameters.slots // 2),
            "maps": (self.maps, 1, 100),
            "query_level": (self.query_level, 1, self.parameters.max_level),
            "answer_level": (self.answer_level, 1, self.query_level),
            "answer_bits": (self.answer_bits, 8, 48),
            "flood_bits": (self.flood_bits, 1, 800),
        }
        for name, (value, low, high) in integers.items():
            if not low <= value <= high:
                raise UsageError(f"expected {name} from {low} to {high} in a layout of samples, got {value}")
        if self.lanes & (self.lanes - 1):
            raise UsageError(f"expected a power of two of lanes in a layout of samples, got {self.lanes}")
        reals = (self.scale, self.magnitude, self.answer_scale, self.answer_magnitude, self.mask_scale)
        if not all(0 < number < 2.0**300 for number in reals):
            raise UsageError("expected finite scales above zero in a layout of samples")
        if self.key_request.packed_bytes(self.parameters) > MAX_KEY_BYTES:
            raise UsageError(f"expected evaluation keys of at most {MAX_KEY_BYTES} bytes")
        if self.input_map is not None and not all(-1 <= i < self.width for i in self.input_map):
            raise UsageError(f"expected an input map of numbers below {self.width}")
        bits = self.parameters.modulus(self.query_level).bit_length()
        if (
            not 1 <= self.n_parts <= MAX_BATCH_CIPHERTEXTS
            or self.n_parts * bits * self.parameters.degree // 8 > MAX_QUERY_BYTES * 15 // 16
            or self.n_results * self.answers_per_result > MAX_BATCH_CIPHERTEXTS
        ):
            raise UsageError("expected a batch that fits a query, and its scores an answer")

    @property
    def n_inputs(self) -> int:
        """Inputs of the first map."""
        return self.width if self.input_map is None else len(self.input_map)

    @property
    def n_parts(self) -> int:
        """Ciphertexts of a query."""
        return -(-self.n_inputs // self.lanes)

    @property
    def max_rows(self) -> int:
        """Samples side by side."""
        return self.parameters.slots // self.lanes

    @property
    def n_results(self) -> int:
        """Ciphertexts of scores."""
        return -(-self.n_outputs // self.lanes)

    @cached_property
    def answers_per_result(self) -> int:
        """Answers that tell all slots of a result."""
        most = max_positions(
            self.parameters, self.answer_level, flood_bits=self.flood_bits, answer_bits=self.answer_bits
        )
        return -(-self.parameters.slots // max(1, most))

    def n_ciphertexts(self, n_rows: int) -> int:
        """Ciphertexts of a query, whatever the number of its rows."""
        del n_rows
        return self.n_parts

    def n_answers(self, n_rows: int) -> int:
        """Answers to it."""
        del n_rows
        return self.n_results * self.answers_per_result

    def result_slots(self, *, maps: int) -> NDArray[np.int64]:
        """The slots (samples, lanes) of what so many maps have made of the query."""
        slots = np.arange(self.parameters.slots) - maps * (self.lanes - 1)
        return (slots % self.parameters.slots).reshape(self.max_rows, self.lanes)

    def arrange(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (rows, width) to slots (ciphertexts, slots)."""
        padded = np.zeros((self.max_rows, self.width + 1))
        padded[: len(values), : self.width] = values
        places = np.full(self.n_parts * self.lanes, self.width)
        inputs = np.arange(self.width) if self.input_map is None else np.array(self.input_map, dtype=np.int64)
        places[: len(inputs)] = np.where(inputs < 0, self.width, inputs)
        by_part = padded[:, places].reshape(self.max_rows, self.n_parts, self.lanes)
        return by_part.transpose(1, 0, 2).reshape(self.n_parts, -1)

    def positions(self, answer: int, *, n_rows: int) -> NDArray[np.int64]:
        """The coefficients that an answer reveals: its part of the first N/2."""
        del n_rows
        share = -(-self.parameters.slots // self.answers_per_result)
        first = answer % self.answers_per_result * share
        return np.arange(first, min(first + share, self.parameters.slots))

    def scores(self, revealed: Sequence[NDArray[np.float64]], *, n_rows: int) -> NDArray[np.float64]:
        """What the answers revealed, to scores (rows, n_outputs)."""
        encoder, slots = Encoder(self.parameters), self.result_slots(maps=self.maps)
        results = []
        for result in range(self.n_results):
            first = result * self.answers_per_result
            half = np.concatenate([*revealed[first : first + self.answers_per_result]])
            whole = np.concatenate([half, [0.0], -half[:0:-1]])  # of real slots: P(1/X) = P(X)
            results.append(encoder.decode(whole)[slots])
        return np.concatenate(results, axis=1)[:n_rows, : self.n_outputs].astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """The layout as JSON; `from_json` is its inverse."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            "kind": "samples",
            **values,
            "parameters": self.parameters.to_json(),
            "key_request": self.key_request.to_json(),
            "input_map": None if self.input_map is None else list(self.input_map),
        }

    @classmethod
    def from_json(cls, document: object) -> SampleLayout:
        """Read a layout back.

        Raises:
            WireError: it is malformed, or its parameters are refused.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(document, dict) or set(document) != names | {"kind"} or document["kind"] != "samples":
            raise WireError(f"expected the fields kind, {', '.join(sorted(names))} in a layout of samples")
        values = {name: document[name] for name in names}
        inputs = values["input_map"]
        if inputs is not None and (
            not isinstance(inputs, list) or len(inputs) > MAX_WIDTH or any(type(n) is not int for n in inputs)
        ):
            raise WireError("expected a list of whole numbers as input_map in a layout of samples")
        for name in names - _STRUCTURED:
            if type(values[name]) not in ((int, float) if name in _REAL else (int,)):
                raise WireError(f"expected a number as {name} in a layout of samples, got {values[name]!r:.50}")
        try:
            return cls(
                **values
                | {name: float(values[name]) for name in _REAL}
                | {
                    "parameters": Parameters.from_json(values["parameters"]),
                    "key_request": KeyRequest.from_json(values["key_request"]),
                    "input_map": None if inputs is None else tuple(inputs),
                }
            )
        except (UsageError, OverflowError) as error:
            raise WireError(f"the layout of samples is malformed: {error}") from None


_STRUCTURED: Final = {"parameters", "key_request", "input_map"}
_REAL: Final = {"scale", "magnitude", "answer_scale", "answer_magnitude", "mask_scale"}
