"""Several processes on one socket: each answers with a service of its own, on a store, a log and keys that they share.

The parent holds the port and answers nothing. It starts the workers, starts another one where one dies, and tells them
to stop. A worker is a fresh process (spawned, not forked), as forked ones may hang where libraries have threads; it
stops by itself when its parent is gone.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

from starlette.applications import Starlette

from holdfast.errors import HoldfastError, SystemFault
from holdfast.http.gate import SHARED_METRICS_VARIABLE
from holdfast.http.server import Server, Tls, address, listening_socket
from holdfast.limits import STOP_TIMEOUT_S

AppMaker = Callable[[], AbstractContextManager[Starlette]]
"""Makes a worker's app, and closes what it needs; has to be picklable: a function of a module, or `partial` of one."""

_START_TIMEOUT_S: Final = 60
_LOOK_S: Final = 0.2
_log: Final = logging.getLogger(__name__)


def serve_workers(
    make: AppMaker, *, workers: int, host: str, port: int, listening: Callable[[str], None], tls: Tls | None = None
) -> None:
    """Serve with several processes until SIGINT or SIGTERM; to be called in the main thread.

    Args:
        make: makes the app, in each worker.
        workers: how many.
        host: the address to listen on.
        port: the port; 0 for a free one.
        listening: called with the address once every worker answers.
        tls: for https.

    Raises:
        SystemFault: the port is taken, or a worker does not start.
    """
    with listening_socket(host, port) as listener, _shared_metrics():
        crew = _Crew(make, listener, tls)
        with _stopping(crew):
            try:
                for _ in range(workers):
                    crew.add()
                crew.wait_until_ready()
                listening(address(host, listener, tls))
                crew.keep_up()
            finally:
                crew.end()


class _Crew:
    """The workers, as their parent sees them."""

    def __init__(self, make: AppMaker, listener: socket.socket, tls: Tls | None) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._task = make, listener, tls
        self._workers: dict[SpawnProcess, Connection] = {}
        self._stopping = False

    def add(self) -> None:
        """Start one more."""
        ours, theirs = self._context.Pipe(duplex=False)
        worker = self._context.Process(target=_work, args=(*self._task, theirs), name="holdfast-worker")
        worker.start()
        theirs.close()
        self._workers[worker] = ours

    def wait_until_ready(self) -> None:
        """Return when every worker answers.

        Raises:
            SystemFault: one does not.
        """
        for told in self._workers.values():
            self._expect_ready(told)

    def keep_up(self) -> None:
        """Replace workers that die, until it is time to stop.

        Raises:
            SystemFault: one that replaces another does not start.
        """
        while not self._stopping:
            sentinels = {worker.sentinel: worker for worker in self._workers}
            for sentinel in wait(list(sentinels), timeout=_LOOK_S):
                worker = sentinels[int(sentinel)]  # type: ignore[arg-type]
                if not self._stopping:
                    worker.join()  # its pipe closes a moment before it has ended
                    _log.error("a worker ended with %s; another one takes its place", worker.exitcode)
                    del self._workers[worker]
                    self.add()
                    self._expect_ready(list(self._workers.values())[-1])

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Tell the workers to answer what is in progress and end; told twice, they do not wait. A signal handler."""
        del number, frame
        self._stopping = True
        for worker in self._workers:
            if worker.is_alive():
                worker.terminate()

    def end(self) -> None:
        """See that all have ended."""
        if not self._stopping:
            self.stop(0, None)
        deadline = time.monotonic() + STOP_TIMEOUT_S + 5
        for worker in self._workers:
            worker.join(timeout=max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join()

    def _expect_ready(self, told: Connection) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._stopping:
            if told.poll(_LOOK_S):
                try:
                    failure = told.recv()
                except EOFError:
                    failure = "it ended before it answered"
                if failure and not self._stopping:
                    raise SystemFault(f"a worker of the service could not start: {failure}")
                return
            if time.monotonic() > deadline:
                raise SystemFault(f"a worker of the service did not start within {_START_TIMEOUT_S} seconds")


def _work(make: AppMaker, listener: socket.socket, tls: Tls | None, parent: Connection) -> None:
    """What a worker does: tell its parent that it answers, or why not, and answer until it is told to stop."""
    os.setsid()  # Ctrl-C is for the parent, which tells the workers once
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with make() as app:
            server = Server(app, tls=tls)
            threading.Thread(target=_tell_when_started, args=(server, parent), daemon=True).start()
            threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
            server.run(sockets=[listener])
    except HoldfastError as error:
        parent.send(str(error))


def _tell_when_started(server: Server, parent: Connection) -> None:
    server.wait_until_started()
    parent.send("")


def _stop_with_parent(server: Server) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        server.stop()


@contextmanager
def _stopping(crew: _Crew) -> Iterator[None]:
    """Signals stop the workers for the length of a `with` block."""
    before = {number: signal.signal(number, crew.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in which workers add up their counts; they inherit its name."""
    with tempfile.TemporaryDirectory(prefix="holdfast-metrics-") as folder:
        os.environ[SHARED_METRICS_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_METRICS_VARIABLE]
