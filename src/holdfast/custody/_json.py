"""JSON read strictly: what two readers could understand in two ways is refused."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from holdfast.errors import UsageError, WireError
from holdfast.evidence import canonical_json


def parse_json(data: bytes, *, what: str) -> Any:
    """The value of a JSON document.

    `what` names the document in the error sentence ("the manifest").

    Raises:
        WireError: not UTF-8, not JSON (RFC 8259), a key twice in one object, a number that is not finite, or nested
            deeper than Python reads.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_not_a_number)
    except RecursionError:
        raise WireError(f"expected {what} in JSON, got one that is nested too deep") from None
    except ValueError as error:
        raise WireError(f"expected {what} in JSON, got one that is not: {error}") from None


def parse_canonical(data: bytes, *, what: str) -> Any:
    """The value of a JSON document in the one form that `canonical_json` gives it.

    Raises:
        WireError: as `parse_json`, or the document is written in another way.
    """
    value = parse_json(data, what=what)
    try:
        same = canonical_json(value) == data
    except (UsageError, UnicodeEncodeError, RecursionError):
        same = False
    if not same:
        raise WireError(f"expected {what} in canonical JSON (sorted keys, no spaces), got it written in another way")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is there twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
