"""Rehearse the service on loopback before anyone else asks it: in the clear, encrypted, and under attack."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import numpy as np

from holdfast.custody import Bundle, RecipientKey, SigningKey, open_sealed, verify_bundle
from holdfast.errors import IntegrityError
from holdfast.evidence import Evidence
from holdfast.http import Client, create_app, running
from holdfast.pipeline.keyring import passphrase
from holdfast.pipeline.project import Project, write_evidence
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.private_asking import ask_in_private
from holdfast.pipeline.steps.seal import sealed_path
from holdfast.pipeline.steps.watching import attack_live, try_the_watch
from holdfast.policy import judge
from holdfast.serving import AuditLog, Service, Store, read_watch_profile, verify_audit

_BUDGET: Final = 1_000_000
_SHOWN_BYTES: Final = 24


def rehearse(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `evidence.json`, `service.db` and its audit anchor; an empty `evidence.json` if the policy is not met."""
    bundle, opened = _open(project)
    verdict = judge(project.config.demands, bundle.evidence(), model_digest=bundle.model_digest)
    if not verdict.met:
        write_evidence(folder / "evidence.json", [])
        return ("not rehearsed: the policy is not met, so the service refuses the model",)
    audit_key, anchor = SigningKey.generate(), folder / "audit-anchor"
    audit_key.public.save(folder / "audit-key.pub")
    with Store(folder / "service.db") as store:
        audit = AuditLog(store, key=audit_key, anchor=anchor)
        service = Service(bundle, policy=project.config.demands, store=store, audit=audit)
        with running(create_app(service)) as url:
            evidence, lines = _play(project, service, store, url, advance)
        service.close()
        audit.close()
        head = verify_audit(store, signer=audit_key.public, anchor=anchor)
    write_evidence(folder / "evidence.json", evidence)
    return opened, *lines, f"audit log: {head.number} entries, chain and signature verified"


def _open(project: Project) -> tuple[Bundle, str]:
    """The sealed bundle, opened as its recipient would; the signed folder where the recipient's key is elsewhere."""
    signing_path, recipient_path = project.key_files
    signer = SigningKey.load(signing_path, passphrase=passphrase()).public
    sealed = project.out / "seal"
    recipient_key = recipient_path.with_suffix(".key")
    if not recipient_key.exists():
        return verify_bundle(
            sealed / "bundle", signer=signer
        ), "verified the signed folder; the recipient's key is not here"
    key = RecipientKey.load(recipient_key, passphrase=passphrase())
    path = sealed_path(project, sealed)
    return open_sealed(path, key=key, signer=signer), f"opened {path.name} as its recipient and verified every file"


def _play(
    project: Project, service: Service, store: Store, url: str, advance: Advance
) -> tuple[list[Evidence], list[str]]:
    """Everything that happens while the service runs: the evidence, and a line on each."""
    lines, evidence = [_ask_clear(project, service, url)], []
    if service.plan:
        token = service.access.add_client("private-client", query_budget=_BUDGET)
        with Client(url, token) as client:
            asked = ask_in_private(project, client, service.plan, store, advance=advance)
        evidence.append(asked)
        lines += [asked.title, f"all that the service saw of the first row: {_shown(asked)}"]
    else:
        lines.append("not asked under encryption: the model has no private plan; the seal step says why")
    if profile := read_watch_profile(service.bundle):
        token = service.access.add_client("attacker", query_budget=_BUDGET)
        with Client(url, token) as client:
            caught = attack_live(project, client, service)
        evidence.append(try_the_watch(project, profile, caught))
        lines.append(evidence[-1].title)
    else:
        lines.append("no watch: too few held-out rows to tell it what normal is; budgets alone bound copying")
    return evidence, lines


def _shown(asked: Evidence) -> str:
    """The first bytes of the first query, and how many there were."""
    first = bytes.fromhex(asked.context["first_bytes"])[:_SHOWN_BYTES]
    return f"{first.hex(' ')} … ({asked.figures['query_bytes'].value:,.0f} bytes)"


def _ask_clear(project: Project, service: Service, url: str) -> str:
    """Ask every test row in the clear, and compare with the model itself.

    Raises:
        IntegrityError: the service answers something else than its model.
    """
    token = service.access.add_client("clear-client", query_budget=_BUDGET)
    X = project.test_data.X
    with Client(url, token) as client:
        answers = client.predict_proba(X)
        started = time.perf_counter()
        client.predict_proba(X[:1])
        milliseconds = 1000 * (time.perf_counter() - started)
    if not np.array_equal(answers, project.model("harden").predict_proba(X)):
        raise IntegrityError("the service's answers differ from the model's own")
    return f"asked {len(X)} rows in the clear: every answer is the model's own, {milliseconds:.0f} ms for one row"
