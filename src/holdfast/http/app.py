"""The service over HTTP: the Open Inference Protocol v2 (REST), and five routes for asking under encryption.

    GET  /v2/health/live                          is it there?          no token
    GET  /v2/health/ready                         does it answer?       no token
    GET  /v2                                      what is served
    GET  /v2/models/NAME[/versions/V]             the model
    GET  /v2/models/NAME[/versions/V]/ready
    POST /v2/models/NAME[/versions/V]/infer       rows in the clear     JSON
    GET  /v2/models/NAME/private                  the public plan
    PUT  /v2/models/NAME/private/keys/DIGEST      what keys are to come bytes
    GET  /v2/models/NAME/private/keys/DIGEST      which are missing
    PUT  /v2/models/NAME/private/keys/DIGEST/N    one part of them      bytes
    POST /v2/models/NAME/private/infer            encrypted rows        bytes
    GET  /metrics                                 Prometheus

Everything but health needs `Authorization: Bearer TOKEN`, and learns nothing without it. `statuses.py` says which error
has which status. The work is done in threads: the event loop only moves bytes. Few bodies are parsed, and few private
queries computed, at a time.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from holdfast.data import Matrix
from holdfast.http.gate import HEALTH, Door, Gate, Metrics
from holdfast.http.reception import Reception
from holdfast.http.statuses import plain_error
from holdfast.http.tensors import InferRequest, input_tensors, output_tensors, prediction_tensors
from holdfast.limits import MAX_BODIES_PARSED_AT_ONCE, MAX_PRIVATE_AT_ONCE, MAX_REQUEST_BYTES
from holdfast.serving import Client, Service

_BYTES: Final = "application/octet-stream"


def create_app(service: Service) -> Starlette:
    """The ASGI app of a service. Closing its `state.door` refuses new requests."""
    door, metrics, reception = Door(), Metrics(), Reception(service)
    api = _Api(service, reception, door=door, metrics=metrics)
    model = "/v2/models/{name}"
    version, keys = model + "/versions/{version}", model + "/private/keys/{digest}"
    routes = [
        Route(f"{HEALTH}live", api.live),
        Route(f"{HEALTH}ready", api.ready),
        Route("/v2", reception.for_clients(api.server)),
        Route("/metrics", reception.for_clients(api.metrics)),
        *(Route(path, reception.for_clients(api.model)) for path in (model, version)),
        *(Route(f"{path}/ready", reception.for_clients(api.model_ready)) for path in (model, version)),
        *(Route(f"{path}/infer", reception.for_clients(api.infer), methods=["POST"]) for path in (model, version)),
        Route(f"{model}/private", reception.for_clients(api.private_plan)),
        Route(keys, reception.for_clients(api.missing_keys)),
        Route(keys, reception.for_clients(api.begin_keys), methods=["PUT"]),
        Route(f"{keys}/{{part:int}}", reception.for_clients(api.upload_key), methods=["PUT"]),
        Route(f"{model}/private/infer", reception.for_clients(api.private_infer), methods=["POST"]),
    ]
    gate = Middleware(Gate, door=door, metrics=metrics)
    app = Starlette(routes=routes, middleware=[gate], exception_handlers={HTTPException: _http_error})
    app.state.door = door
    return app


class _Api:
    """One method for each address."""

    def __init__(self, service: Service, reception: Reception, *, door: Door, metrics: Metrics) -> None:
        self._service = service
        self._reception = reception
        self._door = door
        self._metrics = metrics
        self._parsing = asyncio.Semaphore(MAX_BODIES_PARSED_AT_ONCE)
        self._computing = asyncio.Semaphore(MAX_PRIVATE_AT_ONCE)

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
        schema = self._service.model.schema if self._service.model else None  # without one, nothing comes in the clear
        return JSONResponse(
            {
                "name": described["name"],
                "versions": [described["version"]],
                "platform": "holdfast_onnx" if schema else "holdfast_private",
                "inputs": input_tensors(schema) if schema else [],
                "outputs": output_tensors(schema) if schema else [],
                "holdfast": described,
            }
        )

    async def model_ready(self, _: Request, __: Client) -> Response:
        """A model that is here is ready."""
        return JSONResponse({"name": self._service.bundle.name, "ready": True})

    async def infer(self, request: Request, client: Client) -> Response:
        """Rows in the clear."""
        body = await self._reception.body(request, client, "application/json", max_bytes=MAX_REQUEST_BYTES)
        asked = InferRequest(body)
        async with self._parsing:
            rows = await run_in_threadpool(_attempt, lambda: asked.rows(self._service.schema))
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

    async def begin_keys(self, request: Request, client: Client) -> Response:
        """The manifest of a client's keys."""
        manifest = await self._reception.body(request, client, _BYTES, max_bytes=MAX_REQUEST_BYTES)
        begin = self._service.begin_keys
        missing = await run_in_threadpool(begin, client, manifest, digest=request.path_params["digest"])
        return JSONResponse({"missing": missing})

    async def missing_keys(self, request: Request, client: Client) -> Response:
        """The parts of them that are still to come."""
        find = self._service.missing_keys
        return JSONResponse({"missing": await run_in_threadpool(find, client, digest=request.path_params["digest"])})

    async def upload_key(self, request: Request, client: Client) -> Response:
        """One part of them."""
        part = await self._reception.body(request, client, _BYTES, max_bytes=MAX_REQUEST_BYTES)
        place = {"digest": request.path_params["digest"], "index": request.path_params["part"]}
        await run_in_threadpool(self._service.upload_key, client, part, **place)
        return Response(status_code=204)

    async def private_infer(self, request: Request, client: Client) -> Response:
        """Encrypted rows."""
        largest = max(self._service.max_query_bytes, MAX_REQUEST_BYTES)
        query = await self._reception.body(request, client, _BYTES, max_bytes=largest)
        async with self._computing:
            answer = await run_in_threadpool(self._service.private_infer, client, query)
        self._metrics.rows.labels("private").inc(answer.rows)
        return Response(answer.data, media_type=_BYTES)

    async def metrics(self, _: Request, __: Client) -> Response:
        """Counts for Prometheus."""
        self._metrics.alerts.set(await run_in_threadpool(self._service.reactions.count))
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _attempt(read: Callable[[], Matrix]) -> Callable[[], Matrix]:
    """Rows that are read now, or the error of reading them, to be met where the audit log is written."""
    try:
        rows = read()
    except Exception as error:  # noqa: BLE001 - raised again, by the one who asks for the rows
        return functools.partial(_fail, error)
    return lambda: rows


def _fail(error: Exception) -> Matrix:
    raise error


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
