"""What a schema refuses: names, choices and ranges that are none, and relations that cannot hold or be read."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast import limits
from holdfast.data.relation import Relation
from holdfast.errors import ConfigError
from holdfast.near import did_you_mean


def check_relation(relation: Relation, lowest: Mapping[str, float]) -> None:
    """Refuse a relation of anything but numeric features, a division by 0, and a text that reads in two ways."""
    for name in relation.names:
        if name not in lowest:
            raise ConfigError(
                f"the relation '{relation}' needs numeric features, {name!r} is none", hint=did_you_mean(name, lowest)
            )
    for name in relation.denominators:
        if lowest[name] <= 0:
            raise ConfigError(
                f"the relation '{relation}' divides by {name!r}, whose range begins at {lowest[name]:g}",
                hint="give it a range above 0, or multiply out: a <= 3 * b instead of a / b <= 3",
            )
    if Relation.parse(relation.text, lowest) != relation:
        raise ConfigError(
            f"the relation '{relation.text}' reads as '{Relation.parse(relation.text, lowest)}' beside these features",
            hint="rename the feature that looks like arithmetic",
        )


def check_choice(name: str, what: str, got: object, choices: tuple[str, ...]) -> None:
    """Refuse what is none of the words that a field of a feature may hold."""
    if got not in choices:
        raise ConfigError(
            f"feature {name!r} needs {what} to be one of {', '.join(choices)}, got {got!r}",
            hint=did_you_mean(str(got), choices),
        )


def check_names(where: str, names: tuple[str, ...]) -> None:
    """Refuse names that are empty or too long to be kept."""
    for name in names:
        if not 1 <= len(name) <= limits.MAX_NAME_CHARS:
            raise ConfigError(f"{where} of {len(name)} characters, 1 to {limits.MAX_NAME_CHARS} are kept")


def pair_of_numbers(name: str, value: object) -> tuple[float, float]:
    """The two ends of a range as a document writes them."""
    numbers = value if isinstance(value, list | tuple) else []
    if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise ConfigError(f"feature {name!r} needs range = [low, high], got {value!r}")
    return numbers[0], numbers[1]
