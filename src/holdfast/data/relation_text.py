"""The text of relations: read strictly, part by part, and written so that it reads back as the same.

    side      a name | sum | name / name
    sum       term, then any number of ` + term` or ` - term`
    term      a name | a number | number * name

Operators have a space on both sides (the `*` may do without). A name stands as it is; one that looks like arithmetic, a
number, or holds a backquote stands in backquotes, with its own doubled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from holdfast.errors import ConfigError

OPERATORS: Final = ("<=", ">=", "==")

_NUMBER: Final = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SCALED: Final = re.compile(rf"({_NUMBER}) ?\* ?(.+)", re.DOTALL)
_QUOTED: Final = re.compile(r"`((?:[^`]|``)+)`")
_PIECES: Final = re.compile(r"`(?:[^`]|``)*`| [-+/] |(?:(?! [-+/] )[^`])+")
_ARITHMETIC: Final = (" + ", " - ", " / ")


@dataclass(frozen=True)
class Sum:
    """Weighted features and a constant, added up; without a feature it is a number.

    Args:
        terms: (weight, name) of each feature; no feature twice.
        constant: what is added.
    """

    terms: tuple[tuple[float, str], ...]
    constant: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that are none, and a feature named twice."""
        if not all(math.isfinite(number) for number in (self.constant, *(weight for weight, _ in self.terms))):
            raise ConfigError("a relation needs finite numbers")
        if any(weight == 0 for weight, _ in self.terms) or len({name for _, name in self.terms}) < len(self.terms):
            raise ConfigError(f"a sum names each feature once, with a weight that is not 0, got '{write_side(self)}'")

    @property
    def number(self) -> bool:
        """Whether it is a number, without a feature."""
        return not self.terms


@dataclass(frozen=True)
class Quotient:
    """One feature divided by another."""

    numerator: str
    denominator: str

    def __post_init__(self) -> None:
        """Refuse a feature divided by itself."""
        if self.numerator == self.denominator:
            raise ConfigError(f"a quotient needs two features, got '{write_side(self)}'")


Side = str | Sum | Quotient


def split_relation(text: object) -> tuple[str, str, str]:
    """The left side, the operator and the right side.

    Raises:
        ConfigError: there is not exactly one operator, with a space on both sides.
    """
    match = re.fullmatch(r"(.+?) (<=|>=|==) (.+)", text, re.DOTALL) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"a relation reads 'left <= right' (or >= or ==, with spaces around it), got {text!r}")
    if any(f" {operator} " in f" {side} " for operator in OPERATORS for side in match.group(1, 3)):
        raise ConfigError(f"a relation takes one operator, got '{text}'")
    return match[1], match[2], match[3]


def read_side(text: str, names: Collection[str]) -> Side:
    """Read one side; what is exactly one of `names` is that feature.

    Raises:
        ConfigError: it is no name, sum or quotient.
    """
    if text in names:
        return text
    pieces = _PIECES.findall(text)
    terms, signs = _joined(pieces)
    if "".join(pieces) != text or not all(terms):
        raise ConfigError(
            f"expected a feature, a sum or a quotient on each side of a relation, got {text!r:.200}",
            hint="put operators between spaces, and names that hold operators or backquotes between backquotes",
        )
    if signs == ["/"]:
        return Quotient(*(_name(term, names) for term in terms))
    if "/" in signs:
        raise ConfigError(f"a quotient stands alone on its side of a relation, got {text!r:.200}")
    return _sum(terms, ["+", *signs], names)


def write_side(side: Side) -> str:
    """The text of a side; `read_side` is its inverse."""
    if isinstance(side, str):
        return _quoted(side)
    if isinstance(side, Quotient):
        return f"{_quoted(side.numerator)} / {_quoted(side.denominator)}"
    parts = [(weight, f"{_written(abs(weight))} * {_quoted(name)}", name) for weight, name in side.terms]
    text = ""
    for weight, scaled, name in parts:
        sign = (" - " if weight < 0 else " + ") if text else ("-" if weight < 0 else "")
        text += sign + (_quoted(name) if abs(weight) == 1 and sign != "-" else scaled)
    if not text:
        return _written(side.constant)
    if side.constant:
        text += (" - " if side.constant < 0 else " + ") + _written(abs(side.constant))
    return text


def _joined(pieces: list[str]) -> tuple[list[str], list[str]]:
    """The terms, and the signs between them; a quoted name belongs to the number before it."""
    terms, signs = [""], []
    for piece in pieces:
        if piece in _ARITHMETIC:
            signs.append(piece.strip())
            terms.append("")
        else:
            terms[-1] += piece
    return terms, signs


def _sum(terms: list[str], signs: list[str], names: Collection[str]) -> Side:
    weighted: list[tuple[float, str]] = []
    constant = 0.0
    for sign, term in zip(signs, terms, strict=True):
        factor = -1.0 if sign == "-" else 1.0
        if term not in names and re.fullmatch(_NUMBER, term):
            constant += factor * float(term)
            continue
        scaled = None if term in names else _SCALED.fullmatch(term)
        weight, name = (float(scaled[1]), scaled[2]) if scaled else (1.0, term)
        weighted.append((factor * weight, _name(name, names)))
    if len(weighted) == 1 and weighted[0][0] == 1 and constant == 0:
        return weighted[0][1]
    return Sum(tuple(weighted), constant)


def _name(text: str, names: Collection[str]) -> str:
    if text in names:
        return text
    if (match := _QUOTED.fullmatch(text)) is not None:
        return match[1].replace("``", "`")
    if "`" in text:
        raise ConfigError(f"a backquote opens or closes a name in a relation, got {text!r:.200}")
    return text


def _quoted(name: str) -> str:
    looks = "`" in name or any(mark in f" {name} " for mark in _ARITHMETIC)
    if looks or re.fullmatch(_NUMBER, name) or _SCALED.fullmatch(name):
        return "`" + name.replace("`", "``") + "`"
    return name


def _written(number: float) -> str:
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)
