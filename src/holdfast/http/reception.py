"""Where clients are received: who asks is known, has a place, and is answered, whatever goes wrong further in.

One client cannot keep the service from others: it has a few requests in progress and no more, one that cannot get an
answer is refused before its body is read, and few large bodies are received at a time. What is refused here, once the
client is known, goes to the audit log as what is refused further in does.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from holdfast.errors import CredentialError, HoldfastError
from holdfast.http.body import BodyReader, MediaType
from holdfast.http.gate import Places
from holdfast.http.statuses import error_response, plain_error, status_of
from holdfast.serving import Client, Service

Endpoint = Callable[[Request], Awaitable[Response]]
ClientEndpoint = Callable[[Request, Client], Awaitable[Response]]

_UNEXPECTED: Final = "the service met an error that it did not expect; whoever runs it finds it in its log"
_log: Final = logging.getLogger(__name__)


class Reception:
    """Lets the clients of one service in."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._places = Places()
        self._bodies = BodyReader()

    def for_clients(self, endpoint: ClientEndpoint) -> Endpoint:
        """An endpoint that only a client reaches, and whose every error becomes an answer."""

        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            try:
                client = await run_in_threadpool(self._service.authenticate, _bearer(request))
                async with self._recorded(request, client):
                    self._check_address(request)
                    place = self._places.take(client.name)
                with place:
                    return await endpoint(request, client)
            except HoldfastError as error:
                if status_of(error) >= 500:
                    _log.error("%s: %s", type(error).__name__, error)
                return error_response(error)
            except HTTPException:
                raise
            except ClientDisconnect:
                return plain_error(400, "expected a whole request, the connection ended before")
            except Exception:  # noqa: BLE001 - whatever it is, the client gets no detail and the log gets all
                _log.exception("unexpected error")
                return plain_error(500, _UNEXPECTED)

        return guarded

    async def body(self, request: Request, client: Client, media_type: MediaType, *, max_bytes: int) -> bytes:
        """The body, of a client that may get an answer to it."""
        async with self._recorded(request, client):
            self._service.access.expect(client)
            return await self._bodies.read(request, media_type=media_type, max_bytes=max_bytes)

    @asynccontextmanager
    async def _recorded(self, request: Request, client: Client) -> AsyncIterator[None]:
        """Write what is refused before the service is asked into the audit log."""
        try:
            yield
        except (HoldfastError, HTTPException, ClientDisconnect) as error:
            outcome = f"status {error.status_code}" if isinstance(error, HTTPException) else type(error).__name__
            action = request.scope["endpoint"].__name__.replace("_", " ")
            await run_in_threadpool(self._service.refused, client, action, outcome=outcome)
            raise

    def _check_address(self, request: Request) -> None:
        bundle, asked = self._service.bundle, request.path_params
        if asked.get("name", bundle.name) != bundle.name or asked.get("version", bundle.version) != bundle.version:
            raise HTTPException(404, f"expected the model {bundle.name!r} in version {bundle.version!r}, got another")


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CredentialError(
            "expected a token in the header Authorization, got none", hint="send Authorization: Bearer TOKEN"
        )
    return token.strip()
