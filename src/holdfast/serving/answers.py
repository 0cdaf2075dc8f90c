"""What the service answers with."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.data import Matrix


@dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """An answer in the clear: (rows, classes) probabilities, and the most probable class of each row."""

    probabilities: Matrix
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EncryptedAnswer:
    """An answer that only the client can read, and how many rows it answers."""

    rows: int
    data: bytes
