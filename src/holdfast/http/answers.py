"""What a client gets: the description of a model, and the answer to an encrypted question."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.data import Matrix, Schema
from holdfast.errors import ConfigError, WireError


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What the service says of its model."""

    name: str
    version: str
    digest: str
    schema: Schema
    max_rows: int
    private: bool

    @classmethod
    def from_json(cls, told: Any) -> ModelMetadata:
        """Read what a service says.

        Raises:
            WireError: it says it in a way that this version does not know.
        """
        try:
            return cls(
                name=str(told["name"]),
                version=str(told["version"]),
                digest=str(told["digest"]),
                schema=Schema.from_json(told["schema"]),
                max_rows=int(told["max_rows"]),
                private=bool(told["private"]),
            )
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise WireError(
                f"the service describes its model in a way that this version does not know: {error}"
            ) from None


@dataclass(frozen=True, eq=False, kw_only=True)
class PrivateAnswer:
    """What came of asking under encryption.

    Args:
        scores: (rows, 1) or (rows, classes), exact to the plan's 2^-error_bits.
        probabilities: (rows, classes), made of the scores on this side.
        labels: the most probable class of each row.
        bytes_sent, bytes_received: of all queries and answers; the key, uploaded once, is not among them.
        latency_s: seconds from rows to labels: encrypting, asking and decrypting.
        query: the first query as the service saw it.
    """

    scores: Matrix
    probabilities: Matrix
    labels: tuple[str, ...]
    bytes_sent: int
    bytes_received: int
    latency_s: float
    query: bytes = field(repr=False)
