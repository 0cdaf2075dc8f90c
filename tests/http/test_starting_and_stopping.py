"""A server starts on a free port or says why not, and stops without losing a request."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.serving.service_kit import POLICY, Kit, Place

from holdfast.custody import Bundle
from holdfast.errors import InputError, SystemFault, UsageError
from holdfast.http import Client, Tls, create_app, running
from holdfast.limits import MAX_REQUESTS_AT_ONCE
from holdfast.serving import Service, Store


@pytest.fixture
def place(tmp_path: Path, bundle: Bundle) -> Any:
    place = Place.open(tmp_path, bundle)
    yield place
    place.close()


def test_a_port_that_is_taken_is_told_in_one_sentence(place: Place) -> None:
    app = create_app(place.service)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(SystemFault, match=f"port {port} on 127.0.0.1 is taken by another program"),
            running(app, port=port),
        ):
            pass
    with running(app, port=port) as url:
        assert httpx.get(f"{url}/v2/health/live", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("host", "port", "kind"),
    [("256.1.1.1", 0, SystemFault), ("192.0.2.1", 0, SystemFault), ("127.0.0.1", 70_000, UsageError)],
)
def test_an_address_that_is_not_ours_is_told_in_one_sentence(place: Place, host: str, port: int, kind: Any) -> None:
    with (
        pytest.raises(kind, match=r"cannot listen on|expected a port"),
        running(create_app(place.service), host=host, port=port),
    ):
        pass


def test_a_request_in_progress_is_answered_and_a_new_one_is_refused(place: Place, kit: Kit) -> None:
    """The body of the first arrives while the service stops; a second one finds the door closed."""
    token, stopping, answers = place.client(), threading.Event(), []
    body = httpx.Request("POST", "http://x", json={"inputs": _inputs(kit)}).content

    def slowly() -> Any:
        yield body[:100]
        stopping.wait(5)
        yield body[100:]

    def ask(url: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answers.append(httpx.post(f"{url}/v2/models/tumour/infer", content=slowly(), headers=headers, trust_env=False))

    app = create_app(place.service)
    with running(app) as url:
        asking = threading.Thread(target=ask, args=(url,))
        asking.start()
        with httpx.Client(base_url=url, trust_env=False) as http:
            assert http.get("/v2/health/ready").json() == {"ready": True}
            _wait_until(
                lambda: "in_progress 2.0" in http.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
            )
            app.state.door.close()
            late = http.get("/v2/health/ready")
        threading.Timer(0.3, stopping.set).start()
    asking.join()
    assert (late.status_code, late.json()["error"]) == (503, "the service is stopping")
    assert answers[0].status_code == 200
    assert len(answers[0].json()["outputs"][1]["data"]) == 2
    with Client(url, token) as client, pytest.raises(SystemFault, match="cannot be reached"):
        _ = client.metadata


def test_a_full_service_says_so_and_recovers(place: Place, monkeypatch: pytest.MonkeyPatch, kit: Kit) -> None:
    assert MAX_REQUESTS_AT_ONCE > 1
    monkeypatch.setattr("holdfast.http.gate.MAX_REQUESTS_AT_ONCE", 1)
    entered, release = threading.Event(), threading.Event()
    slow = type(place.service.model).predict_proba

    def wait(self: Any, X: Any) -> Any:
        entered.set()
        release.wait(5)
        return slow(self, X)

    monkeypatch.setattr(type(place.service.model), "predict_proba", wait)
    token, answers = place.client(), []
    with running(create_app(place.service)) as url, Client(url, token) as client:
        _ = client.metadata
        asking = threading.Thread(target=lambda: answers.append(client.predict(kit.fresh.X[:1])))
        asking.start()
        assert entered.wait(5)
        full = httpx.get(f"{url}/v2", trust_env=False)
        alive = httpx.get(f"{url}/v2/health/live", trust_env=False)
        release.set()
        asking.join()
        assert (full.status_code, full.json()["error"]) == (503, "the service is full")
        assert alive.status_code == 200
        assert len(answers[0]) == 1
        assert httpx.get(f"{url}/v2/health/live", trust_env=False).status_code == 200


# In a process of its own, to be signalled and killed.

_SERVER = """
    import sys
    from pathlib import Path
    import numpy as np
    from holdfast.custody import SigningKey, VerifyKey, verify_bundle
    from holdfast.http import create_app, serve
    from holdfast.models import LinearModel
    from holdfast.policy import Policy
    from holdfast.serving import AuditLog, Service, Store

    folder, bundle, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    store = Store(folder / "service.db")
    audit = AuditLog(store, key=SigningKey.load(folder / "audit.pem"), anchor=folder / "anchor")
    service = Service(
        verify_bundle(bundle, signer=VerifyKey.load(folder / "signer.pem")),
        policy=Policy(limits={}), store=store, audit=audit,
    )
    if len(sys.argv) > 4:  # hangs in the middle of a request
        import time
        LinearModel.predict_proba = lambda self, X: time.sleep(60)
    app = create_app(service)
    serve(app, host="127.0.0.1", port=port, listening=lambda url: print("ready", flush=True))
    audit.close()
    store.close()
    print("closed", flush=True)
"""


class Process:
    """A service in a process of its own."""

    def __init__(self, folder: Path, kit: Kit, *, hang: bool = False) -> None:
        from holdfast.custody import SigningKey
        from holdfast.serving import Access

        kit.bundle(folder / "bundle")
        kit.signing_key.public.save(folder / "signer.pem")
        SigningKey.generate().save(folder / "audit.pem")
        with Store(folder / "service.db") as store:
            self.token = Access(store).add_client("ward 7", query_budget=100)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        options = ["hang"] if hang else []
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                textwrap.dedent(_SERVER),
                folder,
                folder / "bundle",
                str(port),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Process:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        _wait_until(self._answers)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.ConnectError):
            return httpx.get(f"{self.url}/v2/health/live", trust_env=False).is_success
        return False

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


def test_a_service_killed_in_the_middle_of_a_request_is_told_in_one_sentence(tmp_path: Path, kit: Kit) -> None:
    with Process(tmp_path, kit, hang=True) as service, Client(service.url, service.token) as client:
        _ = client.metadata
        threading.Timer(0.3, service.process.kill).start()
        with pytest.raises(SystemFault, match="stopped before it answered") as caught:
            client.predict_proba(kit.fresh.X[:1])
        assert "rows may have been charged" in caught.value.hint
    with Store(tmp_path / "service.db") as store:
        from holdfast.serving import Access

        assert Access(store).clients()[0].spent == 1


def test_a_signal_stops_the_service_and_lets_its_caller_close(tmp_path: Path, kit: Kit) -> None:
    with Process(tmp_path, kit) as service:
        with Client(service.url, service.token) as client:
            client.predict_proba(kit.fresh.X[:1])
        service.process.send_signal(signal.SIGTERM)
        out, err = service.process.communicate(timeout=20)
    assert (out, err, service.process.returncode) == ("closed\n", "", 0)


# TLS.


def _certificate(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(certificate=folder / "certificate.pem", key=folder / "key.pem")
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tls


def test_over_tls_only_a_service_with_the_right_certificate_is_asked(place: Place, kit: Kit, tmp_path: Path) -> None:
    tls, token, X = _certificate(tmp_path), place.client(), kit.fresh.X[:2]
    with running(create_app(place.service), tls=tls) as url:
        assert url.startswith("https://")
        with Client(url, token, certificate=tls.certificate) as client:
            assert np.array_equal(client.predict_proba(X), kit.model.predict_proba(X))
        with Client(url, token) as client, pytest.raises(SystemFault, match="CERTIFICATE_VERIFY_FAILED"):
            _ = client.metadata


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_certificate_that_is_none_is_told_in_one_sentence(
    place: Place, tmp_path: Path, content: bytes | None
) -> None:
    tls = _certificate(tmp_path)
    tls.certificate.unlink()
    if content is not None:
        tls.certificate.write_bytes(content)
    with pytest.raises(InputError, match="expected a certificate"), running(create_app(place.service), tls=tls):
        pass
    with pytest.raises(InputError, match="expected a certificate in PEM"):
        Client("https://127.0.0.1", "hf_x", certificate=tls.certificate)


def test_a_service_can_be_started_again_on_the_same_store(place: Place, kit: Kit, bundle: Bundle) -> None:
    token = place.client()
    for _ in range(2):
        service = Service(bundle, policy=POLICY, store=place.store, audit=place.audit)
        with running(create_app(service)) as url, Client(url, token) as client:
            assert len(client.predict(kit.fresh.X[:3], private=True)) == 3
    assert place.service.authenticate(token).spent == 6


def _inputs(kit: Kit) -> list[dict[str, Any]]:
    X = kit.fresh.X[:2]
    return [{"name": "features", "datatype": "FP64", "shape": list(X.shape), "data": X.tolist()}]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
