"""The rows of a linear program, collected block by block, and expressions that single rows are written with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import LinearConstraint
from scipy.sparse import coo_array, vstack

from holdfast.data import Matrix


@dataclass(frozen=True)
class Linear:
    """A constant, and variables with their weights."""

    constant: float
    weights: dict[int, float] = field(default_factory=dict)

    def __add__(self, other: Linear) -> Linear:
        """The sum of both."""
        both = {
            name: self.weights.get(name, 0.0) + other.weights.get(name, 0.0) for name in self.weights | other.weights
        }
        return Linear(self.constant + other.constant, both)

    def __sub__(self, other: Linear) -> Linear:
        """The difference of both."""
        return self + -1.0 * other

    def __rmul__(self, factor: float) -> Linear:
        """A multiple."""
        return Linear(factor * self.constant, {name: factor * weight for name, weight in self.weights.items()})


class System:
    """Rows `A v <= b`, collected block by block."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.blocks: list[Any] = []
        self.limits: list[Matrix] = []

    def add(self, row: Any, column: Any, value: Any, limit: Any, *, rows: int) -> None:
        """A block of so many rows from its entries."""
        self.blocks.append(coo_array((value, (row, column)), shape=(rows, self.width)))
        self.limits.append(np.broadcast_to(np.asarray(limit, dtype=np.float64), (rows,)))

    def at_most_zero(self, expression: Linear, *, unit: float = 1.0) -> None:
        """One row; `unit` is about as large as the expression gets, so that rows are kept equally well."""
        columns = np.array(list(expression.weights), dtype=np.int64)
        weights = np.array(list(expression.weights.values())) / unit
        self.add(np.zeros(len(columns), dtype=np.int64), columns, weights, -expression.constant / unit, rows=1)

    def constraints(self) -> LinearConstraint:
        """All rows."""
        return LinearConstraint(vstack(self.blocks, format="csr"), -np.inf, np.concatenate(self.limits))
