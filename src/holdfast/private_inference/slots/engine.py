"""What a circuit computes with: the lattice engine, or whatever has the same operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.he import Encoder, EvaluationKeys, Evaluator, Parameters
from holdfast.he.transforms import DiagonalTransform


@dataclass(frozen=True, eq=False, kw_only=True)
class Engine:
    """The parts of an engine. Tests put one on plain arrays in its place, to tell layouts from cryptography.

    Args:
        encoder: makes plaintexts.
        transform: makes transforms, with the arguments of `DiagonalTransform`.
        evaluator: from a client's keys, computes on ciphertexts.
    """

    encoder: Encoder
    transform: Callable[..., DiagonalTransform] = field(repr=False)
    evaluator: Callable[[EvaluationKeys], Evaluator] = field(repr=False)

    @classmethod
    def of(cls, parameters: Parameters) -> Engine:
        """The lattice engine."""
        return cls(
            encoder=Encoder(parameters),
            transform=DiagonalTransform,
            evaluator=lambda keys: Evaluator(parameters, keys),
        )
