"""Several workers on one port: one log, one budget, one store of keys; one that dies is replaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pandas as pd
from tests.cli.conftest import HOLDFAST, Demo, holdfast
from tests.cli.test_commands import free_port

from holdfast.http import Client, KeySafe
from holdfast.serving import Access, Store, read_audit

WORKERS = 2


def start(demo: Demo, port: int) -> subprocess.Popen[str]:
    config = (demo.folder / "holdfast.toml").read_text()
    (demo.folder / "holdfast.toml").write_text(re.sub(r"port = \d+", f"port = {port}", config))
    process = subprocess.Popen(
        [HOLDFAST, "serve", demo.sealed, *demo.keys, "--workers", str(WORKERS)],
        cwd=demo.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    while "serving on" not in (line := process.stdout.readline()):
        assert line, "the service ended"
    return process


def children(process: subprocess.Popen[str]) -> list[int]:
    """The workers: children that have a session of their own."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in found if os.getsid(int(pid)) == int(pid)]


def test_workers_answer_on_one_port_and_one_that_dies_is_replaced(copied: Callable[[], Demo]) -> None:
    demo, port = copied(), free_port()
    with Store(demo.folder / "service.db") as store:
        tokens = [Access(store).add_client(f"client {number}", query_budget=6) for number in range(6)]
    X = pd.read_csv(demo.folder / "tumours.csv").drop(columns="diagnosis").head(2)
    process = start(demo, port)
    url = f"http://127.0.0.1:{port}"
    safe = KeySafe(folder=demo.folder / "kept", passphrase="two workers")

    def work(token: str) -> int:
        """Five rows, each on a connection of its own, so that both workers have their share."""
        answered = 0
        for row in range(5):
            with Client(url, token) as client:
                answered += len(client.predict(X.iloc[row % 2 : row % 2 + 1], private=row % 2 == 0))
        return answered

    try:
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(work, tokens)) == [5] * 6
        with Client(url, tokens[0], keys=safe) as client:
            assert len(client.predict(X[:1], private=True)) == 1
        counts = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {tokens[0]}"}, trust_env=False).text
        assert re.search(r'^holdfast_rows_total{mode="private"} 19\.0$', counts, flags=re.MULTILINE)
        workers = children(process)
        assert len(workers) == WORKERS
        os.kill(workers[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while set(children(process)) & {workers[0]} or len(children(process)) < WORKERS:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with Client(url, tokens[1]) as client:
            assert len(client.predict(X[:1])) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()
    with Store(demo.folder / "service.db") as store:
        assert {client.spent for client in Access(store).clients()} == {5, 6}
        entries = read_audit(store, newest=1_000)
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert sum(entry.rows for entry in entries if entry.outcome == "ok") == 32
    assert holdfast("audit", cwd=demo.folder).code == 0


def test_workers_end_with_a_parent_that_was_killed(copied: Callable[[], Demo]) -> None:
    demo, port = copied(), free_port()
    process = start(demo, port)
    workers = children(process)
    assert len(workers) == WORKERS
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
