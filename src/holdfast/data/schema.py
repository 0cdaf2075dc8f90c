"""The schema: what each feature is, which values it may take, and which of them a person could change.

Everything that must not be learned from private records is written here by a person: ranges, categories, classes.
The same schema bounds differential privacy, evasion attacks, requests to the service and encrypted queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, Literal, get_args

from holdfast import limits
from holdfast.arguments import check_kind, items_of
from holdfast.data.relation import Relation
from holdfast.data.schema_checks import check_choice, check_names, check_relation, pair_of_numbers
from holdfast.errors import ConfigError, UsageError
from holdfast.near import did_you_mean

Kind = Literal["real", "integer", "category"]
Mutability = Literal["free", "fixed", "increase", "decrease"]
"""Whether someone who wants another answer could change a feature, and in which direction."""

RangeSource = Literal["public", "data"]
"""Whether a range is known to anyone, or was read from the records and so tells of them."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column that the model sees.

    Args:
        name: the column's name.
        kind: "real", "integer" or "category".
        low, high: for numbers, the range that values may have; both ends belong to it.
        categories: for a category, every value that it may have.
        mutability: what someone who wants another answer could do to it.
        nullable: whether a value may be missing.
        range_source: "public", or "data" where the range or the categories were read from the records.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    categories: tuple[str, ...] = ()
    mutability: Mutability = "free"
    nullable: bool = False
    range_source: RangeSource = "public"

    def __post_init__(self) -> None:
        """Refuse a feature that no value could satisfy."""
        check_kind("name", self.name, str, example='"age"')
        check_kind("nullable", self.nullable, bool, example="True")
        check_choice(self.name, "kind", self.kind, get_args(Kind))
        check_choice(self.name, "mutability", self.mutability, get_args(Mutability))
        check_choice(self.name, "range_source", self.range_source, get_args(RangeSource))
        if not self.name or len(self.name) > limits.MAX_NAME_CHARS:
            raise ConfigError(f"a feature's name must have 1 to {limits.MAX_NAME_CHARS} characters")
        if self.kind == "category":
            self._check_categories()
        else:
            self._check_range()

    def _check_range(self) -> None:
        largest = limits.MAX_WHOLE if self.kind == "integer" else limits.MAX_MAGNITUDE
        low, high = map(_number, (self.low, self.high))
        if not (-largest <= low < high <= largest):
            raise ConfigError(
                f"feature {self.name!r} needs a range of two numbers from {-largest:g} to {largest:g}, "
                f"the smaller first, got [{str(self.low)[:40]}, {str(self.high)[:40]}]"
            )
        object.__setattr__(self, "low", float(low))
        object.__setattr__(self, "high", float(high))
        if not self.width / 2 > 0:
            raise ConfigError(f"feature {self.name!r} has a range too narrow for a float: [{self.low}, {self.high}]")
        if self.categories:
            raise ConfigError(f"feature {self.name!r} is a number and names categories; say kind = category")

    def _check_categories(self) -> None:
        categories = items_of("categories", self.categories, str, example='("car", "house")')
        object.__setattr__(self, "categories", categories)
        if (self.low, self.high) != (0.0, 0.0):
            raise ConfigError(f"feature {self.name!r} is a category and has a range; leave the range out")
        if not 1 <= len(self.categories) <= limits.MAX_CATEGORIES:
            raise ConfigError(
                f"feature {self.name!r} needs 1 to {limits.MAX_CATEGORIES} categories, got {len(self.categories)}"
            )
        if len(set(self.categories)) != len(self.categories):
            raise ConfigError(f"feature {self.name!r} names a category twice")
        check_names(f"feature {self.name!r} has a category", self.categories)
        if self.mutability in ("increase", "decrease"):
            raise ConfigError(f"feature {self.name!r} is a category, which cannot {self.mutability}; say free or fixed")

    @property
    def width(self) -> float:
        """The length of the range of a number; 0 for a category."""
        return self.high - self.low if self.kind != "category" else 0.0

    def to_json(self) -> dict[str, Any]:
        """The feature as JSON, without what does not apply to its kind."""
        out: dict[str, Any] = {"name": self.name, "kind": self.kind, "mutability": self.mutability}
        if self.kind == "category":
            out["categories"] = list(self.categories)
        else:
            out["range"] = [self.low, self.high]
        if self.nullable:
            out["nullable"] = True
        return out | {"range_source": self.range_source}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Feature:
        """The inverse of `to_json`.

        Raises:
            ConfigError: a field is missing, unknown or of the wrong type.
        """
        if not isinstance(document, Mapping):
            raise ConfigError(f"a feature needs to be a table of names and values, got {document!r:.80}")
        fields = dict(document)
        name = fields.get("name")
        if not isinstance(name, str):
            raise ConfigError(f"a feature needs a name, got {name!r}")
        known = {"name", "kind", "mutability", "nullable", "range", "range_source", "categories"}
        if unknown := sorted(set(fields) - known):
            raise ConfigError(
                f"feature {name!r} has {', '.join(unknown)}; a feature knows {', '.join(sorted(known))}",
                hint=did_you_mean(unknown[0], known),
            )
        if "range" in fields:
            fields["low"], fields["high"] = pair_of_numbers(name, fields.pop("range"))
        categories = fields.pop("categories", [])
        if not isinstance(categories, list) or not all(isinstance(item, str) for item in categories):
            raise ConfigError(f"feature {name!r} needs its categories as a list of strings, got {categories!r}")
        if not isinstance(fields.get("nullable", False), bool):
            raise ConfigError(f"feature {name!r} needs nullable to be true or false, got {fields['nullable']!r}")
        if "kind" not in fields:
            raise ConfigError(f"feature {name!r} needs a kind: {', '.join(get_args(Kind))}")
        return cls(**fields, categories=tuple(categories))


_PARTS: Final = (
    ("features", Feature, '(Feature(name="age", kind="integer", low=0, high=120),)'),
    ("classes", str, '("no", "yes")'),
    ("relations", Relation, '(Relation.parse("least <= most"),)'),
)
"""Of a schema, each a tuple: the kind of its items, and how one is written."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The features in order, the target and its classes, and the relations between features."""

    features: tuple[Feature, ...]
    target: str
    classes: tuple[str, ...]
    relations: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a schema that contradicts itself."""
        for part, kind, example in _PARTS:
            object.__setattr__(self, part, items_of(part, getattr(self, part), kind, example=example))
        check_kind("target", self.target, str, example='"fraud"')
        names = [feature.name for feature in self.features]
        if not 1 <= len(names) <= limits.MAX_COLUMNS:
            raise ConfigError(f"a schema needs 1 to {limits.MAX_COLUMNS} features, got {len(names)}")
        if len({*names, self.target}) != len(names) + 1:
            raise ConfigError("a schema names a column twice")
        check_names("the schema has a target", (self.target,))
        if not 2 <= len(self.classes) <= limits.MAX_CLASSES or len(set(self.classes)) != len(self.classes):
            raise ConfigError(
                f"the target {self.target!r} needs 2 to {limits.MAX_CLASSES} different classes, "
                f"got {list(self.classes[:10])}"
            )
        check_names(f"the target {self.target!r} has a class", self.classes)
        lowest = {feature.name: feature.low for feature in self.features if feature.kind != "category"}
        for relation in self.relations:
            check_relation(relation, lowest)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    def index(self, name: str) -> int:
        """The position of a feature.

        Raises:
            UsageError: there is none of that name.
        """
        if name not in self.names:
            raise UsageError(
                f"expected one of the features {', '.join(self.names[:10])}, got {name!r}",
                hint=did_you_mean(str(name), self.names),
            )
        return self.names.index(name)

    @property
    def ranges_from_data(self) -> tuple[str, ...]:
        """The features whose range was read from the records; private training refuses them."""
        return tuple(feature.name for feature in self.features if feature.range_source == "data")

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON; `from_json` is its inverse."""
        return {
            "features": [feature.to_json() for feature in self.features],
            "target": self.target,
            "classes": list(self.classes),
            "relations": [relation.text for relation in self.relations],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """Read a schema back.

        Raises:
            ConfigError: a part is missing, unknown or contradicts another.
        """
        if not isinstance(document, Mapping):
            raise ConfigError(f"a schema needs to be a table of names and values, got {document!r:.80}")
        known = {"features", "target", "classes", "relations"}
        if unknown := sorted(set(document) - known):
            raise ConfigError(f"a schema has {', '.join(unknown)}; a schema knows {', '.join(sorted(known))}")
        try:
            features, target, classes = document["features"], document["target"], document["classes"]
        except KeyError as error:
            raise ConfigError(f"a schema needs {error.args[0]}, it is not there") from None
        relations = document.get("relations", [])
        if not isinstance(target, str) or not all(isinstance(part, list) for part in (features, classes, relations)):
            raise ConfigError("a schema needs target as a string; features, classes and relations as lists")
        read = tuple(map(Feature.from_json, features))
        names = frozenset(feature.name for feature in read)
        return cls(
            features=read,
            target=target,
            classes=tuple(map(str, classes)),
            relations=tuple(Relation.parse(relation, names) for relation in relations),
        )


def _number(value: object) -> float:
    """An end of a range as one of Python's numbers; NaN, which compares false, where it is none."""
    if isinstance(value, int):
        return value  # before it becomes a float, for which it may be too large
    return float(value) if isinstance(value, Real) else math.nan
