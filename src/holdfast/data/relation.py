"""Relations between features, which every row keeps."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from holdfast.errors import ConfigError

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {"<=": operator.le, ">=": operator.ge, "==": operator.eq}
)


@dataclass(frozen=True)
class Relation:
    """A relation that every row keeps, between two numeric features, such as `mean radius <= worst radius`."""

    left: str
    operator: str
    right: str

    def __post_init__(self) -> None:
        """Refuse what could not be read back from the relation's text."""
        if self.operator not in _OPERATORS:
            raise ConfigError(f"a relation needs one of {', '.join(_OPERATORS)}, got {self.operator!r}")
        if any(f" {operator} " in f" {name} " for operator in _OPERATORS for name in (self.left, self.right)):
            raise ConfigError(f"a relation takes one operator, got '{self}'")

    @classmethod
    def parse(cls, text: object) -> Relation:
        """Read `left <= right`, with one of `<=`, `>=`, `==` and a space on both sides.

        Raises:
            ConfigError: the text is not of that form.
        """
        match = re.fullmatch(r"(.+?) (<=|>=|==) (.+)", text, re.DOTALL) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(f"a relation reads 'left <= right' (or >= or ==, with spaces around it), got {text!r}")
        return cls(*match.groups())

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"

    def holds(self, left: Any, right: Any) -> Any:
        """Whether the relation holds, element by element; a missing value (NaN) does not break it."""
        return _OPERATORS[self.operator](left, right) | (left != left) | (right != right)
