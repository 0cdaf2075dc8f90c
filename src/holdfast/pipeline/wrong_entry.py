"""What is wrong with an entry of a holdfast.toml, in a sentence: its key, what was expected there, and what came."""

from __future__ import annotations

import json
from typing import Final

from pydantic import BaseModel, ValidationError

from holdfast.errors import ConfigError
from holdfast.near import did_you_mean

_SHOWN: Final = 60
"""Characters of a wrong value that are shown."""


def wrong_entry(kind: type[BaseModel], error: ValidationError) -> ConfigError:
    """The first of the errors that were found in a table, in the words that the sections have for what they take.

    Args:
        kind: of the whole table.
        error: what the sections' types and bounds refuse.
    """
    first = error.errors(include_url=False)[0]
    key, *rest = map(str, first["loc"])
    place, field = key, kind.model_fields.get(key)
    if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        place = f"[{key}] {'.'.join(rest)}".rstrip()
        if rest:
            kind = field.annotation
            field = kind.model_fields.get(rest[0])
    if field is None:
        where = f"[{key}]" if rest else f"a holdfast.toml{'' if 'data' in kind.model_fields else ' without [data]'}"
        return _unknown(where, rest[0] if rest else key, list(kind.model_fields))
    came = "found nothing" if first["type"] == "missing" else f"got {_shown(first['input'])}"
    return ConfigError(f"expected {place} to be {field.description or 'a table'}, {came}")


def _unknown(where: str, key: str, known: list[str]) -> ConfigError:
    return ConfigError(f"{where} has no key {_shown(key)}, it has {', '.join(known)}", hint=did_you_mean(key, known))


def _shown(value: object) -> str:
    """A value as TOML has it, as far as it fits in a sentence."""
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
