"""A request's body, read within a bound of bytes and of time, and of the media type that was expected."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request

from holdfast.limits import MAX_LARGE_BODIES_AT_ONCE, MAX_REQUEST_BYTES, REQUEST_BODY_TIMEOUT_S

MediaType = Literal["application/json", "application/octet-stream"]


class BodyReader:
    """Reads bodies, and few large ones at a time. For the event loop's thread alone."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(MAX_LARGE_BODIES_AT_ONCE)

    async def read(self, request: Request, *, media_type: MediaType, max_bytes: int) -> bytes:
        """The whole body. Never more than `max_bytes` of it are held, whatever its headers say.

        A body above `MAX_REQUEST_BYTES` has to announce its length, and has as much more time.

        Raises:
            HTTPException: 415 for another media type, 413 for a body too large, 408 for one that comes too late.
        """
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != media_type:
            raise HTTPException(415, f"expected a body of the type {media_type}, got {sent[:100] or 'none'}")
        announced = request.headers.get("content-length", "0")
        length = int(announced[:20]) if announced.isdecimal() else 0
        if length > max_bytes:
            raise _too_large(max_bytes)
        large = length > MAX_REQUEST_BYTES
        async with self._large if large else contextlib.nullcontext():
            return await _received(request, max_bytes=length if large else min(max_bytes, MAX_REQUEST_BYTES))


async def _received(request: Request, *, max_bytes: int) -> bytes:
    seconds = REQUEST_BODY_TIMEOUT_S * max(1, math.ceil(max_bytes / MAX_REQUEST_BYTES))
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > max_bytes:
                    raise _too_large(max_bytes)
                body += chunk
    except TimeoutError:
        raise HTTPException(408, f"expected the whole body within {seconds} seconds") from None
    return bytes(body)


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"expected a body of at most {max_bytes} bytes, got a larger one")
