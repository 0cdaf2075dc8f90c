"""What serving costs: round trips over loopback, the audit log, the watch. Prints JSON lines.

No peer is measured: services that answer under encryption exist only inside products that this project may not use, and
plain model servers have no budget, no watch and no log that a round trip could be compared with.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from holdfast.attacks import synthetic_rows
from holdfast.custody import ModelCard, SigningKey, write_bundle
from holdfast.data import Dataset, load, tumour_frame, tumour_schema
from holdfast.http import Client, create_app, running
from holdfast.models import LinearModel, fit_estimator
from holdfast.policy import Policy
from holdfast.private_inference import compile_private
from holdfast.serving import (
    AuditLog,
    Service,
    Store,
    Watch,
    WatchProfile,
    calibrate,
    plan_files,
    try_watch,
    verify_audit,
    watch_files,
)

ROUND_TRIPS = 100
CLIENTS = 8


def main() -> None:
    """Every bench, one line for each figure."""
    train, rest = load(tumour_frame(), tumour_schema()).split(test_fraction=0.5, seed=0)
    seen, fresh = rest.split(test_fraction=0.5, seed=1)
    model = fit_estimator(LogisticRegression(max_iter=1000), train)
    if not isinstance(model, LinearModel):
        raise TypeError(type(model))
    profile = calibrate(seen, rng=np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        bench_audit(Path(folder))
        with service(Path(folder), model, profile) as (url, tokens):
            bench_round_trips(url, tokens, fresh)
    bench_watch(profile, fresh)


@contextmanager
def service(folder: Path, model: LinearModel, profile: WatchProfile) -> Iterator[tuple[str, list[str]]]:
    """A running service; its address and some tokens."""
    plan = compile_private(model)
    card = ModelCard(
        name="tumour",
        version="1",
        created="2025-01-31T12:00:00Z",
        model_kind="logistic regression",
        intended_use="a bench",
        not_for="patients",
        licence="",
        data_digest="",
        schema=model.schema.to_json(),
    )
    files = {"model.onnx": model.onnx} | watch_files(profile) | plan_files(plan)
    bundle = write_bundle(folder / "bundle", card=card, files=files, signing_key=SigningKey.generate())
    with Store(folder / "service.db") as store:
        audit = AuditLog(store, key=SigningKey.generate(), anchor=folder / "anchor")
        serving = Service(bundle, policy=Policy(limits={}), store=store, audit=audit, reaction="alert")
        tokens = [serving.access.add_client(f"client {i}", query_budget=1_000_000) for i in range(CLIENTS)]
        with running(create_app(serving)) as url:
            yield url, tokens
        audit.close()


def bench_round_trips(url: str, tokens: list[str], fresh: Dataset) -> None:
    """One row, a hundred rows; in the clear and encrypted; one client and several at once."""
    X = fresh.X
    with Client(url, tokens[0]) as client:
        client.ask_private(X[:1])
        tell("clear round trip, 1 row, median", median_ms(lambda i: client.predict_proba(X[i : i + 1])), "ms")
        tell("private round trip, 1 row, median", median_ms(lambda i: client.ask_private(X[i : i + 1])), "ms")
        tell("clear round trip, 100 rows, median", median_ms(lambda _: client.predict_proba(X[:100])), "ms")
        answer = client.ask_private(X[:1])
        tell("private query, 1 row", answer.bytes_sent, "bytes")
        tell("private answer, 1 row", answer.bytes_received, "bytes")
    for mode, ask in (("clear", Client.predict_proba), ("private", Client.ask_private)):
        started = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda token, ask=ask: ask_many(url, token, ask, X), tokens))
        tell(f"{mode} rows a second, {CLIENTS} clients", CLIENTS * 25 / (time.perf_counter() - started), "rows/s")


def ask_many(url: str, token: str, ask: Callable[..., object], X: np.ndarray) -> None:
    """One client's 25 requests of one row."""
    with Client(url, token) as client:
        for row in X[:25]:
            ask(client, row[None])


def bench_audit(folder: Path) -> None:
    """Appending, each entry signed and on the disk, and verifying."""
    key, anchor = SigningKey.generate(), folder / "bench.anchor"
    with Store(folder / "audit.db") as store:
        log = AuditLog(store, key=key, anchor=anchor)
        started = time.perf_counter()
        for _ in range(2_000):
            log.append(client="a", action="infer", model="sha256:0", rows=1, outcome="ok", latency_us=1)
        tell("audit entries appended a second", 2_000 / (time.perf_counter() - started), "entries/s")
        log.close()
        started = time.perf_counter()
        verify_audit(store, signer=key.public, anchor=anchor)
        tell("audit entries verified a second", 2_000 / (time.perf_counter() - started), "entries/s")


def bench_watch(profile: WatchProfile, fresh: Dataset) -> None:
    """What a look at a row costs, and how well the watch does."""
    watch = Watch(profile, schema=fresh.schema)
    tell("watch, 1 row, median", median_ms(lambda i: watch.observe("a", fresh.X[i : i + 1])), "ms")
    rng = np.random.default_rng(0)
    trial = try_watch(profile, clean=fresh, attack={"uniform": synthetic_rows(fresh.schema, 2_000, rng)}, rng=rng)
    until = trial.queries_until_flagged["uniform"]
    tell("normal clients flagged, of 200", trial.flagged, "clients")
    tell("attackers flagged, of 20", sum(rows > 0 for rows in until), "clients")
    tell("queries until an attacker is flagged, worst of 20", max(until), "queries")


def median_ms(act: Callable[[int], object]) -> float:
    """The median time of one call in milliseconds."""
    times = []
    for i in range(ROUND_TRIPS):
        started = time.perf_counter()
        act(i)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def tell(case: str, ours: float, unit: str) -> None:
    """One JSON line."""
    line = {"bench": "service", "case": case, "ours": round(ours, 3), "peer": None, "peer_name": None, "ratio": None}
    print(json.dumps(line | {"unit": unit}), flush=True)


if __name__ == "__main__":
    main()
