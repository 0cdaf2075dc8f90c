"""A service for one private plan, in a process of its own: `python loopback.py FOLDER`, in benches/.

FOLDER holds the plan's two files as in a bundle; a bundle of them is served, without the clear model. Address and token
are printed as one JSON object; when the input ends the service stops, and prints the most memory that it held.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.measure import peak_memory

from holdfast.custody import PUBLIC_PLAN, SECRET_PLAN, ModelCard, SigningKey, write_bundle
from holdfast.http import create_app
from holdfast.http import running as listening
from holdfast.policy import Policy
from holdfast.private_inference import PrivatePlan
from holdfast.serving import AuditLog, Service, Store, plan_files

CARD = ModelCard(
    name="bench",
    version="1",
    created="2025-01-31T12:00:00Z",
    model_kind="private plan",
    intended_use="a bench",
    not_for="anything else",
    licence="",
    data_digest="",
    schema={},
)


@contextmanager
def serving(plan: PrivatePlan, folder: Path) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Address and token of a service of its own; afterwards the dictionary has its `memory`, in bytes."""
    for name, data in plan_files(plan).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise TypeError("expected pipes to the service")
        told = json.loads(process.stdout.readline())
        figures: dict[str, int] = {}
        try:
            yield told["url"], told["token"], figures
        finally:
            process.stdin.close()
            figures |= json.loads(process.stdout.readline() or "{}")


def main() -> None:
    """Serve until the input ends."""
    folder = Path(sys.argv[1])
    files = {name: (folder / name).read_bytes() for name in (PUBLIC_PLAN, SECRET_PLAN)}
    bundle = write_bundle(folder / "bundle", card=CARD, files=files, signing_key=SigningKey.generate())
    with Store(folder / "service.db") as store:
        audit = AuditLog(store, key=SigningKey.generate(), anchor=folder / "anchor")
        service = Service(bundle, policy=Policy(limits={}), store=store, audit=audit, keys=folder / "keys")
        token = service.access.add_client("bench", query_budget=1_000_000)
        with listening(create_app(service)) as url:
            print(json.dumps({"url": url, "token": token}), flush=True)
            sys.stdin.read()
        service.close()
        audit.close()
    print(json.dumps({"memory": peak_memory()}), flush=True)


if __name__ == "__main__":
    main()
