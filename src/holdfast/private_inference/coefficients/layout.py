"""The layout of a linear program: the packing, the ring, and the precision that it is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Final

from holdfast.errors import UsageError, WireError
from holdfast.he import MAX_ANSWER_BITS, KeyRequest, Parameters
from holdfast.private_inference import circuit
from holdfast.private_inference.coefficients.packing import DEGREE, Packing, check_int

MIN_PRIME_BITS, MAX_PRIME_BITS = 30, 50
MAX_PRIMES: Final = 4
"""Primes of the ring: 200 bits, and 214 are secure."""
MIN_ERROR_BITS, USUAL_ERROR_BITS, MAX_ERROR_BITS = -60, 20, 60
"""A score is exact to 2^-20; large weights cost precision, and the values of a regression may have any unit."""
MIN_SCALE_BITS: Final = 10
SPARE_BITS: Final = 8
"""Between the largest score and half the modulus: a coefficient of garbage passes for a score once in 2^8."""
_MS_PER_CIPHERTEXT: Final = 1.7
"""To unpack one, multiply and reveal; measured on two cores with AVX-512."""


@dataclass(frozen=True, kw_only=True)
class CoefficientLayout(Packing):
    """The packing of a linear program, and the precision that it is asked with.

    Args:
        width: numbers of a row, each in [-1, 1].
        n_outputs: scores of a row.
        prime_bits: sizes of the primes of the ring.
        scale_bits: a number x is sent as `x·2^scale_bits`.
        weight_bits: a weight w is held as the integer nearest to `w·2^weight_bits`.
        answer_bits, flood_bits: see `Layout`.
        error_bits: a score differs from its float64 value by at most `2^-error_bits`.

    Raises:
        UsageError: a field is out of bounds, or the scores do not fit into answers.
    """

    prime_bits: tuple[int, ...]
    scale_bits: int
    weight_bits: int
    answer_bits: int
    flood_bits: int
    error_bits: int

    packing: ClassVar[circuit.Packing] = "coefficients"
    magnitude: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 1 <= len(self.prime_bits) <= MAX_PRIMES:
            raise UsageError(f"expected 1 to {MAX_PRIMES} primes, got {len(self.prime_bits)}")
        for bits in self.prime_bits:
            check_int("prime_bits", bits, MIN_PRIME_BITS, MAX_PRIME_BITS)
        check_int("scale_bits", self.scale_bits, MIN_SCALE_BITS, sum(self.prime_bits))
        check_int("weight_bits", self.weight_bits, MIN_ERROR_BITS, sum(self.prime_bits) - self.scale_bits)
        check_int("answer_bits", self.answer_bits, 8, MAX_ANSWER_BITS)
        check_int("flood_bits", self.flood_bits, 1, sum(self.prime_bits))
        check_int("error_bits", self.error_bits, MIN_ERROR_BITS, MAX_ERROR_BITS)

    @cached_property
    def parameters(self) -> Parameters:
        """The ring; it has no special primes, as nothing is rotated."""
        return Parameters.generate(DEGREE, bits=self.prime_bits)

    @property
    def key_request(self) -> KeyRequest:
        """No evaluation key."""
        return KeyRequest()

    @property
    def scale(self) -> float:
        """Of the numbers in a query."""
        return 2.0**self.scale_bits

    @property
    def query_level(self) -> int:
        """All primes."""
        return len(self.prime_bits)

    @property
    def answer_level(self) -> int:
        """All primes: the one product needs no other level."""
        return len(self.prime_bits)

    @property
    def answer_scale(self) -> float:
        """Of the scores."""
        return 2.0 ** (self.scale_bits + self.weight_bits)

    @property
    def answer_magnitude(self) -> float:
        """The largest score: what is above it is garbage."""
        return 2.0 ** (sum(self.prime_bits) - 2 - SPARE_BITS) / self.answer_scale

    @property
    def predicted_ms(self) -> float:
        """What a query of one row is expected to cost the server."""
        return _MS_PER_CIPHERTEXT * self.n_ciphertexts(1)

    def to_json(self) -> dict[str, Any]:
        """The layout as JSON; `from_json` is its inverse."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"kind": "coefficients", **values, "prime_bits": list(self.prime_bits)}

    @classmethod
    def from_json(cls, document: object) -> CoefficientLayout:
        """Read a layout back.

        Raises:
            WireError: it is malformed, or its parameters are refused.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(document, Mapping) or set(document) != names | {"kind"}:
            raise WireError(f"expected the fields kind, {', '.join(sorted(names))} in a coefficient layout")
        values = {name: document[name] for name in names}
        if document["kind"] != "coefficients" or not isinstance(values["prime_bits"], list):
            raise WireError("expected a coefficient layout with a list of prime_bits")
        try:
            layout = cls(**values | {"prime_bits": tuple(values["prime_bits"])})
            layout.parameters  # noqa: B018 - refuses what is insecure
        except UsageError as error:
            raise WireError(f"the coefficient layout is malformed: {error}") from None
        return layout
