"""The service over HTTP: the Open Inference Protocol v2 (REST), and three routes for asking under encryption.

    GET  /v2/health/live                          is it there?          no token
    GET  /v2/health/ready                         does it answer?       no token
    GET  /v2                                      what is served
    GET  /v2/models/NAME[/versions/V]             the model
    GET  /v2/models/NAME[/versions/V]/ready
    POST /v2/models/NAME[/versions/V]/infer       rows in the clear     JSON
    GET  /v2/models/NAME/private                  the public plan
    PUT  /v2/models/NAME/private/keys/DIGEST      the client's key      bytes
    POST /v2/models/NAME/private/infer            encrypted rows        bytes
    GET  /metrics                                 Prometheus

Everything but health needs `Authorization: Bearer TOKEN`, and learns nothing without it. `statuses.py` says which error
has which status. The work is done in threads: the event loop only moves bytes.

One client cannot keep the service from others: it has a few requests in progress and no more, one that cannot get an
answer is refused before its body is read, and few bodies are parsed at a time. What is refused here, once the client is
known, goes to the audit log as what is refused further in does.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from holdfast.data import Matrix
from holdfast.errors import CredentialError, HoldfastError
from holdfast.http.body import MediaType, read_body
from holdfast.http.gate import HEALTH, Door, Gate, Metrics, Places
from holdfast.http.statuses import error_response, plain_error, status_of
from holdfast.http.tensors import InferRequest, input_tensors, output_tensors, prediction_tensors
from holdfast.limits import MAX_BODIES_PARSED_AT_ONCE, MAX_PUBLIC_KEY_BYTES, MAX_REQUEST_BYTES
from holdfast.serving import Client, Service

_Endpoint = Callable[[Request], Awaitable[Response]]
_ClientEndpoint = Callable[[Request, Client], Awaitable[Response]]

_UNEXPECTED: Final = "the service met an error that it did not expect; whoever runs it finds it in its log"
_log: Final = logging.getLogger(__name__)


def create_app(service: Service) -> Starlette:
    """The ASGI app of a service. Closing its `state.door` refuses new requests."""
    door, metrics = Door(), Metrics()
    api = _Api(service, door=door, metrics=metrics)
    model = "/v2/models/{name}"
    version = model + "/versions/{version}"
    routes = [
        Route(f"{HEALTH}live", api.live),
        Route(f"{HEALTH}ready", api.ready),
        Route("/v2", api.for_clients(api.server)),
        Route("/metrics", api.for_clients(api.metrics)),
        *(Route(path, api.for_clients(api.model)) for path in (model, version)),
        *(Route(f"{path}/ready", api.for_clients(api.model_ready)) for path in (model, version)),
        *(Route(f"{path}/infer", api.for_clients(api.infer), methods=["POST"]) for path in (model, version)),
        Route(f"{model}/private", api.for_clients(api.private_plan)),
        Route(f"{model}/private/keys/{{digest}}", api.for_clients(api.upload_key), methods=["PUT"]),
        Route(f"{model}/private/infer", api.for_clients(api.private_infer), methods=["POST"]),
    ]
    gate = Middleware(Gate, door=door, metrics=metrics)
    app = Starlette(routes=routes, middleware=[gate], exception_handlers={HTTPException: _http_error})
    app.state.door = door
    return app


class _Api:
    """One method for each address."""

    def __init__(self, service: Service, *, door: Door, metrics: Metrics) -> None:
        self._service = service
        self._door = door
        self._metrics = metrics
        self._places = Places()
        self._parsing = asyncio.Semaphore(MAX_BODIES_PARSED_AT_ONCE)

    def for_clients(self, endpoint: _ClientEndpoint) -> _Endpoint:
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

    async def live(self, _: Request) -> Response:
        """The process is there."""
        return JSONResponse({"live": True})

    async def ready(self, _: Request) -> Response:
        """The service answers; while it stops, the gate has said no before this is reached."""
        return JSONResponse({"ready": self._door.is_open})

    async def server(self, _: Request, __: Client) -> Response:
        """What is served."""
        return JSONResponse(
            {
                "name": "holdfast",
                "version": version("holdfast"),
                "extensions": ["holdfast_private"],
                "models": [self._service.bundle.name],
            }
        )

    async def model(self, _: Request, client: Client) -> Response:
        """The model: what the protocol wants to know, and Holdfast's own under `holdfast`."""
        described = await run_in_threadpool(self._service.describe, client)
        schema = self._service.schema
        return JSONResponse(
            {
                "name": described["name"],
                "versions": [described["version"]],
                "platform": "holdfast_onnx",
                "inputs": input_tensors(schema),
                "outputs": output_tensors(schema),
                "holdfast": described,
            }
        )

    async def model_ready(self, _: Request, __: Client) -> Response:
        """A model that is here is ready."""
        return JSONResponse({"name": self._service.bundle.name, "ready": True})

    async def infer(self, request: Request, client: Client) -> Response:
        """Rows in the clear."""
        body = await self._body(request, client, "application/json", max_bytes=MAX_REQUEST_BYTES)
        asked = InferRequest(body, self._service.schema)
        async with self._parsing:
            rows = await run_in_threadpool(_attempt, lambda: asked.rows)
        return await run_in_threadpool(self._infer, client, asked, rows)

    def _infer(self, client: Client, asked: InferRequest, rows: Callable[[], Matrix]) -> Response:
        prediction = self._service.infer(client, rows)
        self._metrics.rows.labels("clear").inc(len(prediction.labels))
        answer: dict[str, Any] = {
            "model_name": self._service.bundle.name,
            "model_version": self._service.bundle.version,
            "outputs": prediction_tensors(prediction, asked.outputs),
        }
        return JSONResponse(answer if asked.id is None else answer | {"id": asked.id})

    async def private_plan(self, _: Request, client: Client) -> Response:
        """The public half of the plan."""
        return JSONResponse(await run_in_threadpool(self._service.private_plan, client))

    async def upload_key(self, request: Request, client: Client) -> Response:
        """The client's public key."""
        body = await self._body(request, client, "application/octet-stream", max_bytes=MAX_PUBLIC_KEY_BYTES)
        await run_in_threadpool(self._service.upload_key, client, body, digest=request.path_params["digest"])
        return Response(status_code=204)

    async def private_infer(self, request: Request, client: Client) -> Response:
        """Encrypted rows."""
        query = await self._body(request, client, "application/octet-stream", max_bytes=MAX_REQUEST_BYTES)
        answer = await run_in_threadpool(self._service.private_infer, client, query)
        self._metrics.rows.labels("private").inc(answer.rows)
        return Response(answer.data, media_type="application/octet-stream")

    async def metrics(self, _: Request, __: Client) -> Response:
        """Counts for Prometheus."""
        self._metrics.alerts.set(await run_in_threadpool(self._service.reactions.count))
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _body(self, request: Request, client: Client, media_type: MediaType, *, max_bytes: int) -> bytes:
        """The body, of a client that may get an answer to it."""
        async with self._recorded(request, client):
            self._service.access.expect(client)
            return await read_body(request, media_type=media_type, max_bytes=max_bytes)

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


def _attempt(read: Callable[[], Matrix]) -> Callable[[], Matrix]:
    """Rows that are read now, or the error of reading them, to be met where the audit log is written."""
    try:
        rows = read()
    except Exception as error:  # noqa: BLE001 - raised again, by the one who asks for the rows
        return functools.partial(_fail, error)
    return lambda: rows


def _fail(error: Exception) -> Matrix:
    raise error


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CredentialError(
            "expected a token in the header Authorization, got none", hint="send Authorization: Bearer TOKEN"
        )
    return token.strip()


async def _http_error(request: Request, error: Exception) -> Response:
    """The router's own refusals, in our words, and those of `read_body`, which are."""
    if not isinstance(error, HTTPException):
        raise error
    sentences = {
        "Not Found": "expected an address of the Open Inference Protocol, got one that is not there",
        "Method Not Allowed": f"expected another method than {request.method[:10]} at this address",
    }
    response = plain_error(error.status_code, sentences.get(error.detail, error.detail))
    response.headers.update(error.headers or {})
    return response
