"""Rows that nobody ever had: what an attacker can ask who knows the schema and nothing else."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.arguments import check_kind, is_whole
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.data import Matrix, Schema
from holdfast.errors import UsageError

_MISSING_SHARE: Final = 0.1
"""How often a feature that may be missing is."""
_MAX_SPREAD: Final = 0.3


def synthetic_rows(schema: Schema, n: int, rng: np.random.Generator) -> Matrix:
    """Draw `n` rows that keep to the schema: uniform in the ranges, then moved onto the relations.

    Returns:
        (n, features) float64 in the schema's units.

    Raises:
        UsageError: an argument of another kind, or n is negative.
        ConfigError: no row keeps to the schema.
    """
    _check(schema, n, rng)
    return _rows_at(schema, rng.random((n, len(schema.features))), rng)


def levelled_rows(schema: Schema, n: int, rng: np.random.Generator) -> Matrix:
    """Draw `n` rows that keep to the schema and are low in all numbers together, or high, or between.

    Features of real records rise and fall together and crowd at the low end of their ranges; uniform rows all look
    alike to a model that expects that, and teach an attacker little. Each row has a level, cubed, squared or plain
    uniform, and a spread around it of up to 0.3 of the ranges.

    Returns, raises: as `synthetic_rows`.
    """
    _check(schema, n, rng)
    level = rng.random((n, 1)) ** rng.integers(1, 3, size=(n, 1), endpoint=True)
    spread = _MAX_SPREAD * rng.random((n, 1))
    shares = level + spread * rng.standard_normal((n, len(schema.features)))
    return _rows_at(schema, np.clip(shares, 0.0, 1.0), rng)


def _rows_at(schema: Schema, shares: Matrix, rng: np.random.Generator) -> Matrix:
    """Rows at these shares of the ranges; categories and what is missing are drawn anew."""
    n = len(shares)
    box = ranges(schema, rows=n)
    X = box.low + shares * (box.high - box.low)
    kinds = np.array([feature.kind for feature in schema.features])
    codes = kinds == "category"
    X[:, codes] = np.floor(rng.random((n, int(codes.sum()))) * (box.high[:, codes] + 1))
    X[np.array([f.nullable for f in schema.features]) & (rng.random(X.shape) < _MISSING_SHARE)] = np.nan
    half = n // 2
    up = repair(X[:half], box.take(slice(half)), schema, upward=True)
    return np.vstack([up, repair(X[half:], box.take(slice(half, None)), schema, upward=False)])


def _check(schema: Schema, n: int, rng: np.random.Generator) -> None:
    check_kind("schema", schema, Schema, example="data.schema")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if not is_whole(n) or n < 0:
        raise UsageError(f"expected a number of rows, got {n!r}")
