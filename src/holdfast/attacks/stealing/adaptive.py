"""What an attacker puts between himself and an oracle whose defence he knows: each undoes what can be undone.

A defence is worth what it withstands of someone who knows it (Tramèr et al. 2020, "On Adaptive Attacks to Adversarial
Example Defenses", for the principle). All of these are models, so `extraction` takes them as its oracle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.data import Matrix, Schema
from holdfast.errors import UsageError
from holdfast.models import Model


@dataclass(frozen=True, kw_only=True, eq=False)
class Averaged:
    """Asks about near-duplicates of each row and averages the answers, against noise.

    Args:
        oracle: what is asked.
        times: answers for each row, 1 or more; a row costs as many queries.
        spread: how far real features move, as a share of their ranges, 0 to 1; other features stay.
        rng: decides the near-duplicates.
    """

    oracle: Model
    times: int
    spread: float
    rng: np.random.Generator

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_kind("rng", self.rng, np.random.Generator, example="np.random.default_rng()")
        if not is_whole(self.times) or self.times < 1 or not is_number(self.spread) or not 0 <= self.spread <= 1:
            raise UsageError(
                f"expected 1 or more answers and a spread of 0 to 1, got {self.times!r} and {self.spread!r}"
            )

    @property
    def schema(self) -> Schema:
        """That of the oracle."""
        return self.oracle.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) the mean of the answers."""
        width = np.array([feature.width if feature.kind == "real" else 0.0 for feature in self.schema.features])
        near = np.repeat(X, self.times, axis=0)
        near = near + self.spread * width * self.rng.uniform(-1, 1, near.shape)
        answers = self.oracle.predict_proba(repair(near, ranges(self.schema, rows=len(near)), self.schema))
        return np.asarray(answers.reshape(len(X), self.times, -1).mean(axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sharpened:
    """Takes answers to the power of the temperature that they were softened with, which undoes it.

    Args:
        oracle: what is asked.
        temperature: above 0.
    """

    oracle: Model
    temperature: float

    def __post_init__(self) -> None:
        """Refuse a temperature that is none."""
        if not is_number(self.temperature) or self.temperature <= 0:
            raise UsageError(f"expected a temperature above 0, got {self.temperature!r}")

    @property
    def schema(self) -> Schema:
        """That of the oracle."""
        return self.oracle.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) the answers as they were before."""
        P = self.oracle.predict_proba(X)
        powers = (P / P.max(axis=1, keepdims=True)) ** self.temperature
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelsAlone:
    """Looks at the most probable class and at nothing else, so that whatever was done to the rest does not matter."""

    oracle: Model

    @property
    def schema(self) -> Schema:
        """That of the oracle."""
        return self.oracle.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) 1 for the class, 0 for the others."""
        P = self.oracle.predict_proba(X)
        return np.asarray(np.eye(P.shape[1])[P.argmax(axis=1)])
