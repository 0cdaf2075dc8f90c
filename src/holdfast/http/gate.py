"""The outermost layer: how many requests at once, in all and of one client; none while stopping; how long each took."""

from __future__ import annotations

import os
import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.errors import BudgetError
from holdfast.http.statuses import plain_error
from holdfast.limits import MAX_REQUESTS_AT_ONCE, MAX_REQUESTS_PER_CLIENT

SHARED_METRICS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The folder in which prometheus_client adds up several processes; to be set before they start."""
HEALTH: Final = "/v2/health/"
_BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 1.0, 5.0, 30.0)


class Metrics:
    """The counts of one service, in a registry of its own. No client is named."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "holdfast_requests", "Requests answered.", ["endpoint", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "holdfast_request_seconds", "Time to answer.", ["endpoint"], buckets=_BUCKETS_S, registry=self.registry
        )
        self.rows = Counter("holdfast_rows", "Rows answered.", ["mode"], registry=self.registry)
        self.in_progress = Gauge(
            "holdfast_requests_in_progress",
            "Requests in progress.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.alerts = Gauge(
            "holdfast_alerts", "Alerts of the watch, ever.", registry=self.registry, multiprocess_mode="max"
        )

    def text(self) -> bytes:
        """The counts as Prometheus reads them; of all workers together, where there are several."""
        if SHARED_METRICS_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class Door:
    """Open until it is closed, for good."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        """Refuse new requests from now on; those inside go on."""
        self.is_open = False


class Places:
    """How many requests each client has in progress. For the event loop's thread alone."""

    def __init__(self) -> None:
        self._taken: Tally[str] = Tally()

    def take(self, client: str) -> AbstractContextManager[None]:
        """One of the client's places, taken now and until the end of the `with` block that it is given to.

        Raises:
            BudgetError: all are taken.
        """
        if self._taken[client] >= MAX_REQUESTS_PER_CLIENT:
            raise BudgetError(
                f"{client!r} has {MAX_REQUESTS_PER_CLIENT} requests in progress, as many as one client may have",
                hint="wait for an answer before asking again",
            )
        self._taken[client] += 1
        return self._until_the_end(client)

    @contextmanager
    def _until_the_end(self, client: str) -> Iterator[None]:
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class Gate:
    """ASGI middleware: lets requests through to the app; those that ask after its health even when it is full.

    Args:
        app: what is behind the gate.
        door: closed when the service stops.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, door: Door, metrics: Metrics) -> None:
        self._app = app
        self._door = door
        self._metrics = metrics
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not self._door.is_open:
            await plain_error(503, "the service is stopping", hint="ask again later")(scope, receive, send)
        elif self._inside >= MAX_REQUESTS_AT_ONCE and not scope.get("path", "").startswith(HEALTH):
            await plain_error(503, "the service is full", hint="ask again in a moment")(scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, unread = time.perf_counter(), 0, _has_body(scope)

        async def receive_and_note() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and bool(message.get("more_body"))
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if unread:  # a body that was refused is not to be sent to its end
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        self._inside += 1
        self._metrics.in_progress.inc()
        try:
            await self._app(scope, receive_and_note, send_and_note)
        finally:
            self._inside -= 1
            self._metrics.in_progress.dec()
            endpoint = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.requests.labels(endpoint, str(status)).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
