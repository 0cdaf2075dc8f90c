"""Bounds in words: rounded so that a sentence never claims more than is known."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context


def at_most(value: float, *, digits: int = 4) -> str:
    """An upper bound for people: in so many digits, rounded up, so that words never claim less than was spent."""
    return _in_digits(value, digits, ROUND_CEILING)


def at_least(value: float, *, digits: int = 4) -> str:
    """A lower bound for people: in so many digits, rounded down."""
    return _in_digits(value, digits, ROUND_FLOOR)


def _in_digits(value: float, digits: int, rounding: str) -> str:
    rounded = Context(prec=digits, rounding=rounding).create_decimal(repr(float(value)))
    return f"{float(rounded):.{digits}g}"
