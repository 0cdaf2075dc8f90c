"""What a client gets: the description of a model, and the answer to an encrypted question."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.data import Feature, Matrix, Schema
from holdfast.errors import ConfigError, WireError


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What the service says of its model.

    Args:
        name, version, digest: which one it is.
        schema: of its rows; None where it is a private plan alone.
        columns: of a private plan alone, the columns of a table that it takes, where it says them.
        max_rows: in one request in the clear.
        private: whether it can be asked under encryption.
    """

    name: str
    version: str
    digest: str
    schema: Schema | None
    columns: tuple[Feature, ...]
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
                schema=None if told["schema"] is None else Schema.from_json(told["schema"]),
                columns=tuple(map(Feature.from_json, told.get("features", ()))),
                max_rows=int(told["max_rows"]),
                private=bool(told["private"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise WireError(
                f"the service describes its model in a way that this version does not know: {error}"
            ) from None


@dataclass(frozen=True, eq=False, kw_only=True)
class PrivateAnswer:
    """What came of asking under encryption.

    Args:
        scores: (rows, 1) or (rows, classes), exact to the plan's 2^-error_bits.
        values: made of the scores on this side: (rows, classes) probabilities; the scores of a model that only decides;
            of a regression (rows, outputs) its predictions.
        labels: the most probable class of each row; of a regression none.
        bytes_sent, bytes_received: of all queries and answers; the key, uploaded once, is not among them.
        latency_s: seconds from rows to labels: encrypting, asking and decrypting.
        query: the first query as the service saw it.
    """

    scores: Matrix
    values: Matrix
    labels: tuple[str, ...]
    bytes_sent: int
    bytes_received: int
    latency_s: float
    query: bytes = field(repr=False)
