"""Waiting for a model no longer than one has to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from threading import Thread
from typing import TypeVar

from holdfast.errors import UnsupportedError

Answer = TypeVar("Answer")


def within(timeout_s: float | None, call: Callable[[], Answer]) -> Answer:
    """What the call gives or raises, if that comes within so many seconds; None waits for ever.

    No thread can be stopped: a call that hangs stays behind in one, until it comes back or the process ends.

    Raises:
        UnsupportedError: it took longer.
    """
    if timeout_s is None:
        return call()
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            answer.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        return answer.result(timeout_s)
    except TookTooLong:
        if answer.done():  # the call raised a timeout of its own
            raise
        raise UnsupportedError(
            f"expected an answer of the model within {timeout_s:g} s, got none",
            hint="allow more by timeout_s; with resume, what was found until then is kept",
        ) from None
