"""Relations between features, which every row keeps: orders, sums and quotients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from holdfast.data.relation_text import OPERATORS, Quotient, Side, Sum, read_side, split_relation, write_side
from holdfast.errors import ConfigError

_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {"<=": operator.le, ">=": operator.ge, "==": operator.eq}
)
TOLERANCE: Final = 3e-6
"""By how much the two sides of an arithmetic relation may miss each other, as a share of their terms added up without
their signs. A number that was written with six digits is off by up to 5e-6 of itself, which is 2.5e-6 of both sides.
Who must allow more writes two inequalities."""


@dataclass(frozen=True)
class Relation:
    """A relation that every row keeps, between numeric features.

    Between two features it is exact: `mean radius <= worst radius`. A side may also be a sum, `total == net + tax` or
    `2 * a - b <= 10`, or a quotient that is compared with a feature or a number, `ratio == loan / income`,
    `loan / income <= 3`; those hold up to `TOLERANCE`.

    Args:
        left: the name of a feature, a `Sum` or a `Quotient`.
        operator: `<=`, `>=` or `==`.
        right: as left.
    """

    left: Side
    operator: str
    right: Side

    def __post_init__(self) -> None:
        """Refuse what could not be read back from the relation's text, and what speaks of no feature."""
        if self.operator not in OPERATORS:
            raise ConfigError(f"a relation needs one of {', '.join(OPERATORS)}, got {self.operator!r}")
        if any(f" {operator} " in f" {name} " for operator in OPERATORS for name in self.names):
            raise ConfigError(f"a relation takes one operator, got '{self}'")
        if not self.names:
            raise ConfigError(f"a relation speaks of one feature at least, got '{self}'")
        for side, other in ((self.left, self.right), (self.right, self.left)):
            if isinstance(side, Quotient) and not (isinstance(other, str) or (isinstance(other, Sum) and other.number)):
                raise ConfigError(
                    f"a relation compares a quotient with one feature or one number, got '{self}'",
                    hint="multiply it out where the denominator is a number; name a sum as a feature of its own",
                )

    @classmethod
    def parse(cls, text: object, names: Collection[str] = ()) -> Relation:
        """Read `left <= right`, with one of `<=`, `>=`, `==` and a space on both sides.

        A side, or a part of one, that is exactly one of `names` is that feature, whatever it looks like. Elsewhere a
        name that looks like arithmetic stands in backquotes.

        Args:
            text: the relation.
            names: of the features, where they are known.

        Raises:
            ConfigError: the text is not of that form.
        """
        left, operator, right = split_relation(text)
        return cls(read_side(left, names), operator, read_side(right, names))

    def __str__(self) -> str:
        return f"{write_side(self.left)} {self.operator} {write_side(self.right)}"

    @property
    def plain(self) -> bool:
        """Whether it compares one feature with another."""
        return isinstance(self.left, str) and isinstance(self.right, str)

    @property
    def names(self) -> tuple[str, ...]:
        """The features that it speaks of."""
        return tuple(dict.fromkeys((*_names(self.left), *_names(self.right))))

    @property
    def denominators(self) -> tuple[str, ...]:
        """The features that it divides by."""
        return tuple(side.denominator for side in (self.left, self.right) if isinstance(side, Quotient))

    @property
    def text(self) -> str:
        """The text in files, which `parse` reads back with the names at hand; features alone stand as they are."""
        return f"{self.left} {self.operator} {self.right}" if self.plain else str(self)

    def kept(self, column: Callable[[str], Any]) -> Any:
        """(rows,) whether rows keep the relation; a missing value (NaN) does not break it.

        Args:
            column: gives the values of a feature.
        """
        if isinstance(self.left, str) and isinstance(self.right, str):
            return self.holds(column(self.left), column(self.right))
        (left, left_size), (right, right_size) = _value(self.left, column), _value(self.right, column)
        slack = TOLERANCE * (left_size + right_size)
        gap = right - left
        kept = {"<=": gap >= -slack, ">=": gap <= slack, "==": abs(gap) <= slack}[self.operator]
        return kept | (left != left) | (right != right)

    def holds(self, left: Any, right: Any) -> Any:
        """Whether two sides compare exactly, element by element; a missing value (NaN) does not break it."""
        return _COMPARE[self.operator](left, right) | (left != left) | (right != right)


def _names(side: Side) -> tuple[str, ...]:
    if isinstance(side, str):
        return (side,)
    if isinstance(side, Quotient):
        return (side.numerator, side.denominator)
    return tuple(name for _, name in side.terms)


def _value(side: Side, column: Callable[[str], Any]) -> tuple[Any, Any]:
    """The value of a side, and its terms added up without their signs."""
    if isinstance(side, str):
        return column(side), abs(column(side))
    if isinstance(side, Quotient):
        from numpy import errstate  # here, because a relation is also read where no table is

        with errstate(divide="ignore", invalid="ignore"):
            value = column(side.numerator) / column(side.denominator)
        return value, abs(value)
    terms = [weight * column(name) for weight, name in side.terms]
    return side.constant + sum(terms), abs(side.constant) + sum(abs(term) for term in terms)
