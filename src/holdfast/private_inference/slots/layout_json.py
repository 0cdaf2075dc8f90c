"""A slot layout's fields from JSON: of the right types, and no more and no fewer than there are."""

from __future__ import annotations

from typing import Any, Final

from holdfast.errors import WireError
from holdfast.he import KeyRequest, Parameters

MAX_WIDTH: Final = 2**20
"""Numbers of a row, and entries of an input map."""
_STRUCTURED: Final = {"parameters", "key_request", "baby_steps", "input_map"}
_REAL: Final = {"scale", "magnitude", "answer_scale", "answer_magnitude", "score_scale", "predicted_ms"}


def read_fields(document: object, *, names: set[str]) -> dict[str, Any]:
    """The fields of a document by these names.

    Raises:
        WireError: it is malformed, or its parameters are refused.
    """
    if not isinstance(document, dict) or set(document) != names | {"kind"} or document["kind"] != "slots":
        raise WireError(f"expected the fields kind, {', '.join(sorted(names))} in a slot layout")
    values = {name: document[name] for name in names}
    lists = {"baby_steps": values["baby_steps"], "input_map": values["input_map"] or []}
    for name, numbers in lists.items():
        if not isinstance(numbers, list) or len(numbers) > MAX_WIDTH or any(type(n) is not int for n in numbers):
            raise WireError(f"expected a list of whole numbers as {name} in a slot layout")
    for name in names - _STRUCTURED:
        kind = (int, float) if name in _REAL else (int,)
        if type(values[name]) not in kind and not (name == "answer_magnitude" and values[name] is None):
            raise WireError(f"expected a number as {name} in a slot layout, got {values[name]!r:.50}")
    return values | {
        **{name: _real(values[name], name) for name in _REAL},
        "parameters": Parameters.from_json(values["parameters"]),
        "key_request": KeyRequest.from_json(values["key_request"]),
        "baby_steps": tuple(values["baby_steps"]),
        "input_map": None if values["input_map"] is None else tuple(values["input_map"]),
    }


def _real(number: float | None, name: str) -> float | None:
    try:
        return None if number is None else float(number)
    except OverflowError:
        raise WireError(f"expected a number as {name} in a slot layout, got one of {len(str(number))} digits") from None
