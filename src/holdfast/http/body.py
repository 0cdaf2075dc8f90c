"""A request's body, read within a bound of bytes and of time, and of the media type that was expected."""

from __future__ import annotations

import asyncio
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request

from holdfast.limits import REQUEST_BODY_TIMEOUT_S

MediaType = Literal["application/json", "application/octet-stream"]


async def read_body(request: Request, *, media_type: MediaType, max_bytes: int) -> bytes:
    """The whole body. Never more than `max_bytes` of it are held, whatever its headers say.

    Raises:
        HTTPException: 415 for another media type, 413 for a body too large, 408 for one that does not arrive in time.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != media_type:
        raise HTTPException(415, f"expected a body of the type {media_type}, got {sent[:100] or 'none'}")
    too_large = HTTPException(413, f"expected a body of at most {max_bytes} bytes, got a larger one")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(REQUEST_BODY_TIMEOUT_S):
            async for chunk in request.stream():
                if len(body) + len(chunk) > max_bytes:
                    raise too_large
                body += chunk
    except TimeoutError:
        raise HTTPException(408, f"expected the whole body within {REQUEST_BODY_TIMEOUT_S} seconds") from None
    return bytes(body)
