"""From the error tree to HTTP statuses and back: one table, read one way by the app and the other by the client.

    400 404 405 408 413 415   the request is malformed, misdirected, late or too large     InputError
    401                       no valid token                                              CredentialError
    403                       blocked                                                     AccessError
    409                       the key for private inference is to be uploaded (again)     UnknownKeyError
    429                       the query budget or the client's time is spent, or throttled  BudgetError
    501                       the model cannot be asked that way                          UnsupportedError
    500 503                   the service is at fault, stopping or full                   SystemFault

An error's body is JSON: {"error": one sentence, "hint": what to do next, or ""}.
"""

from __future__ import annotations

import json
from typing import Final

from starlette.responses import JSONResponse

from holdfast.errors import (
    AccessError,
    BudgetError,
    CredentialError,
    HoldfastError,
    InputError,
    SystemFault,
    UnsupportedError,
)
from holdfast.serving import UnknownKeyError

_STATUSES: Final[tuple[tuple[type[HoldfastError], int], ...]] = (
    (UnknownKeyError, 409),
    (CredentialError, 401),
    (BudgetError, 429),
    (AccessError, 403),
    (UnsupportedError, 501),
    (InputError, 400),
    (SystemFault, 503),
)
"""The first class that an error is of decides, so a class comes before the one that it derives from."""

_MAX_SENTENCE_CHARS: Final = 1_000
_HIDDEN: Final = "the service could not answer; whoever runs it finds the reason in its log"


def status_of(error: HoldfastError) -> int:
    """The status that tells a client of this error; 500 for one that is none of the client's business."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def error_of(status: int, body: bytes) -> HoldfastError:
    """The error that an answer of status 400 or above stands for; the inverse of `error_response`."""
    message, hint = _sentences(body) or (f"the service answered with status {status} and no reason", "")
    kind = next((kind for kind, listed in _STATUSES if listed == status), SystemFault if status >= 500 else InputError)
    return kind(message, hint=hint)


def error_response(error: HoldfastError) -> JSONResponse:
    """The answer that tells a client of an error. What went wrong inside the service stays inside it."""
    status = status_of(error)
    if status in (500, 503):
        return plain_error(status, _HIDDEN)
    return plain_error(status, str(error), hint=error.hint)


def plain_error(status: int, message: str, *, hint: str = "") -> JSONResponse:
    """An error that no exception of ours stands behind."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    body = {"error": message[:_MAX_SENTENCE_CHARS], "hint": hint[:_MAX_SENTENCE_CHARS]}
    return JSONResponse(body, status_code=status, headers=headers)


def _sentences(body: bytes) -> tuple[str, str] | None:
    try:
        match json.loads(body):
            case {"error": str(message), "hint": str(hint)}:
                return message[:_MAX_SENTENCE_CHARS], hint[:_MAX_SENTENCE_CHARS]
    except (ValueError, RecursionError):
        pass
    return None
