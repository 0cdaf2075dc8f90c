"""The JSON of a request: parsed within bounds, no name in it twice; and values cut short for error sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from holdfast.errors import InputError
from holdfast.limits import MAX_REQUEST_LISTS

_TEXT_OR_OPENING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]', re.DOTALL)


def parse_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        InputError: it is no JSON object, or one that only an attacker would send.
    """
    _check_lists(body)
    try:
        document = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise InputError("expected an inference request, got JSON nested too deeply to be one") from None
    except ValueError as error:
        raise InputError(f"expected an inference request in JSON, got: {shown(str(error))}") from None
    if not isinstance(document, dict):
        raise InputError(f"expected an inference request as a JSON object, got {shown(document)}")
    return document


def _check_lists(body: bytes) -> None:
    """Refuse JSON of very many lists before they are made: each takes many times the bytes that it has in the body."""
    if body.count(b"[") + body.count(b"{") <= MAX_REQUEST_LISTS:
        return
    openings = (found for found in _TEXT_OR_OPENING.finditer(body) if found.end() - found.start() == 1)
    if next(islice(openings, MAX_REQUEST_LISTS, None), None) is not None:
        raise InputError(
            f"expected at most {MAX_REQUEST_LISTS} lists and objects in one request, got more",
            hint="send the data of a tensor as one flat list",
        )


def shown(value: object) -> str:
    """A value from outside, cut short enough for an error sentence."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return "a huge number"
    if isinstance(value, dict | list) and len(value) > 4:
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a JSON object with a name twice")
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name}, which is not JSON")
