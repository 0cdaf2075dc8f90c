"""Runs the app: uvicorn on a socket of ours, stopped so that requests in progress are answered."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from starlette.applications import Starlette

from holdfast.errors import InputError, SystemFault, UsageError
from holdfast.files import system_fault
from holdfast.limits import MAX_CONNECTIONS, STOP_TIMEOUT_S

_KEEP_ALIVE_S: Final = 30  # longer than clients keep idle connections, so that they never send into a closing one
_START_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Tls:
    """PEM files for https: the certificate with its chain, and its private key."""

    certificate: Path
    key: Path


def serve(app: Starlette, *, host: str, port: int, listening: Callable[[str], None], tls: Tls | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then answer what is in progress and return. To be called in the main thread.

    `listening` is called with the address once the port is ours; requests from then on are answered.

    Without TLS, tokens and rows in the clear cross the network readable: only for this machine, or behind a proxy.

    Raises:
        SystemFault: the port is taken, or the address is not one of this machine.
        InputError: the certificate or its key cannot be read.
    """
    server = Server(app, tls=tls)
    with listening_socket(host, port) as listener:
        listening(address(host, listener, tls))
        server.run(sockets=[listener])


@contextlib.contextmanager
def running(app: Starlette, *, host: str = "127.0.0.1", port: int = 0, tls: Tls | None = None) -> Iterator[str]:
    """Serve in a thread for the length of a `with` block, which is given the address (`http://127.0.0.1:PORT`).

    Raises:
        SystemFault: the port is taken, or the address is not one of this machine.
        InputError: the certificate or its key cannot be read.
    """
    server = Server(app, tls=tls)
    with listening_socket(host, port) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="holdfast-http", daemon=True)
        thread.start()
        try:
            server.wait_until_started()
            yield address(host, listener, tls)
        finally:
            server.stop()
            thread.join(timeout=STOP_TIMEOUT_S + 5)


def address(host: str, listener: socket.socket, tls: Tls | None) -> str:
    """The address at which a socket is reached."""
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{name}:{listener.getsockname()[1]}"


class Server(uvicorn.Server):
    """uvicorn, quiet, and with a door that closes before it stops."""

    def __init__(self, app: Starlette, *, tls: Tls | None) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,  # the audit log has what is worth keeping
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            raise InputError(f"expected a certificate and its private key in PEM, got: {error}") from None
        super().__init__(config)
        self._door = app.state.door

    def stop(self) -> None:
        """Refuse new requests and end when those in progress are answered."""
        self._door.close()
        self.should_exit = True

    def wait_until_started(self) -> None:
        """Return when the server answers.

        Raises:
            SystemFault: it does not start.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.started:
            if time.monotonic() > deadline:
                raise SystemFault(f"the service did not start within {_START_TIMEOUT_S} seconds")
            time.sleep(0.005)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """A first signal stops the server; a second one does not wait for requests in progress."""
        self.force_exit = self.should_exit
        self.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals over while serving.

        uvicorn's own raises them again afterwards, which would end the process before the caller has closed the store.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def listening_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens for the length of a `with` block.

    Raises:
        SystemFault: the port is taken, or the address is not one of this machine.
        UsageError: the port is no port.
    """
    if not 0 <= port <= 65_535:
        raise UsageError(f"expected a port from 0 to 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise system_fault(error, f"listen on {host}") from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(MAX_CONNECTIONS)  # so that a second one is refused here and not later
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SystemFault(
                    f"port {port} on {host} is taken by another program", hint="stop that, or choose another port"
                ) from None
            raise system_fault(error, f"listen on {host} port {port}") from None
        yield listener
