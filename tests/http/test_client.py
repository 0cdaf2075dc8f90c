"""The client of the service, against a real one."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from tests.serving.service_kit import Kit, Place

from holdfast.custody import Bundle
from holdfast.data import features_to_frame
from holdfast.errors import (
    BudgetError,
    CredentialError,
    DataError,
    InputError,
    IntegrityError,
    SystemFault,
    UnsupportedError,
    UsageError,
    WireError,
)
from holdfast.http import Client, create_app, running
from holdfast.http.statuses import error_of
from holdfast.models import Model, probabilities
from holdfast.serving import UnknownKeyError, read_audit, verify_audit


def test_a_client_is_a_model(live: Any) -> None:
    with live.client() as client:
        assert isinstance(client, Model)
        assert client.schema == live.kit.model.schema
        X = live.kit.fresh.X
        assert np.array_equal(client.predict_proba(X), live.kit.model.predict_proba(X))


def test_a_table_and_a_matrix_are_asked_alike(live: Any) -> None:
    X = live.kit.fresh.X[:5]
    frame = features_to_frame(X, live.kit.model.schema)
    with live.client() as client:
        assert np.array_equal(client.predict_proba(frame[frame.columns[::-1]]), client.predict_proba(X))
        assert client.predict(frame) == client.predict(X, private=True)


def test_private_answers_are_the_model_s_own_on_every_row(live: Any) -> None:
    X, kit = live.kit.fresh.X, live.kit
    told: list[tuple[int, int]] = []
    with live.client() as client:
        answer = client.ask_private(X, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(X), len(X))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert np.array_equal(answer.values, probabilities(answer.scores))
    assert np.abs(answer.scores - kit.model.scores(X)).max() <= 2**-20
    assert answer.labels == tuple(kit.model.schema.classes[i] for i in kit.model.predict_proba(X).argmax(axis=1))
    assert answer.bytes_sent > 0 < answer.bytes_received
    assert answer.latency_s > 0


def test_the_service_sees_nothing_of_a_private_row(live: Any) -> None:
    """No value of the row is in it, it does not compress, and it is another each time."""
    import zlib

    X = live.kit.fresh.X[:1]
    with live.client() as client:
        queries = [client.ask_private(X).query for _ in range(2)]
    for query in queries:
        assert all(np.float64(value).tobytes() not in query for value in X.ravel() if value)
        assert len(zlib.compress(query[200:])) > 0.99 * len(query[200:])
    assert queries[0][200:] != queries[1][200:]
    assert len(queries[0]) == len(queries[1])


def test_more_rows_than_one_request_takes_are_asked_in_several(live: Any) -> None:
    X = np.resize(live.kit.fresh.X, (10_500, 30))
    with live.client(query_budget=20_000) as client:
        assert np.array_equal(client.predict_proba(X), live.kit.model.predict_proba(X))


def test_the_keys_are_uploaded_once(live: Any) -> None:
    with live.client() as client:
        for _ in range(3):
            client.ask_private(live.kit.fresh.X[:1])
    actions = [entry.action for entry in read_audit(live.place.store)]
    assert actions[-6:] == ["private plan", "begin keys", "upload key", *["private infer"] * 3]


def forget_all_keys(live: Any) -> None:
    ring = live.place.service._desk.keys
    ring._ready.clear()
    for folder in ring._files._folder.glob("*/*"):
        shutil.rmtree(folder)


def test_keys_that_the_service_has_forgotten_are_uploaded_again(live: Any) -> None:
    with live.client() as client:
        first = client.ask_private(live.kit.fresh.X[:1])
        forget_all_keys(live)
        again = client.ask_private(live.kit.fresh.X[:1])
    assert np.abs(again.scores - first.scores).max() <= 2**-20
    assert again.labels == first.labels


def test_a_missing_value_is_sent_as_null(tmp_path: Any, kit: Kit) -> None:
    from sklearn.linear_model import LogisticRegression

    from holdfast.data import Dataset, Feature, Schema
    from holdfast.models import fit_estimator

    features = (
        Feature(name="dose", kind="real", low=0, high=1, nullable=True),
        Feature(name="ward", kind="category", categories=("A", "B")),
    )
    schema = Schema(features=features, target="y", classes=("no", "maybe", "yes"))
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random(90), rng.integers(0, 2, 90)])
    X[::7, 0] = np.nan
    data = Dataset(schema, X, np.arange(90) % 3)
    model = fit_estimator(LogisticRegression(), data)
    other = Kit(model, kit.plan, kit.profile, data, data, kit.signing_key)  # type: ignore[arg-type]
    from holdfast.policy import Policy
    from holdfast.serving import Service

    bundle = other.bundle(tmp_path / "bundle", {"model.onnx": model.onnx})
    place = Place.open(tmp_path, kit.bundle(tmp_path / "other"))
    service = Service(bundle, policy=Policy(limits={}), store=place.store, audit=place.audit)
    with running(create_app(service)) as url, Client(url, place.client()) as client:
        assert np.array_equal(client.predict_proba(X), model.predict_proba(X))
        frame = pd.DataFrame({"dose": [0.5, None], "ward": ["B", "A"]})
        assert client.predict_proba(frame).shape == (2, 3)
        with pytest.raises(UnsupportedError, match="cannot be asked privately"):
            client.ask_private(frame)
    place.close()


@pytest.mark.parametrize("private", [False, True])
def test_a_bad_row_is_refused_before_it_is_sent(live: Any, private: bool) -> None:
    X = live.kit.fresh.X[:2]
    with live.client() as client:
        _ = client.metadata
        before = len(read_audit(live.place.store, newest=10_000))
        for rows in (X * -1, X * np.nan, X[:, :3], X[:0], X[0], pd.DataFrame({"a": [1]})):
            with pytest.raises(DataError):
                client.predict_proba(rows, private=private)
        sent = [entry.action for entry in read_audit(live.place.store, newest=10_000)[before:]]
    assert "infer" not in sent
    assert "private infer" not in sent


def test_a_wrong_token_is_a_credential_error(live: Any) -> None:
    with Client(live.url, "hf_wrong") as client, pytest.raises(CredentialError, match="belongs to none"):
        client.predict_proba(live.kit.fresh.X[:1])


def test_a_spent_budget_is_a_budget_error(live: Any) -> None:
    with live.client(query_budget=2) as client:
        client.predict_proba(live.kit.fresh.X[:2])
        for private in (False, True):
            with pytest.raises(BudgetError, match="rows were asked, 0 are left"):
                client.predict_proba(live.kit.fresh.X[:1], private=private)


def test_another_model_is_an_input_error(live: Any) -> None:
    with live.client(model="other") as client, pytest.raises(InputError, match="expected the model 'tumour'"):
        _ = client.schema


def test_a_plan_with_another_digest_than_the_pinned_one_is_refused(live: Any) -> None:
    X = live.kit.fresh.X[:1]
    with live.client(plan_digest=live.kit.plan.public.digest) as client:
        assert client.ask_private(X).scores.shape == (1, 1)
    wrong = "sha256:" + "0" * 64
    with live.client(plan_digest=wrong) as client, pytest.raises(IntegrityError, match="the private plan sha256:000"):
        client.ask_private(X)


@pytest.mark.parametrize(
    "url", ["", "example.org", "ftp://x", "http://", "http://user:secret@host", "http://[::1", "\0"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected the service's address as"):
        Client(url, "hf_x")


@pytest.mark.parametrize("token", ["", "x" * 300, "a\r\nX-Evil: 1", "töken"])
def test_what_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(UsageError, match="expected a token") as caught:
        Client("http://127.0.0.1", token)
    assert token not in str(caught.value) or token == ""


def test_a_token_does_not_leak(live: Any) -> None:
    token = live.token()
    with Client(live.url, token) as client:
        assert token not in repr(client)
        assert token not in str(vars(client))
        for leave in (pickle.dumps, copy.deepcopy):
            with pytest.raises(UsageError, match="does not leave its process"):
                leave(client)


def test_nobody_there_is_a_system_fault() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", "hf_x") as client,
        pytest.raises(SystemFault, match="cannot be reached") as caught,
    ):
        _ = client.metadata
    assert "no row charged" in caught.value.hint


def test_twenty_clients_at_once_are_answered_and_charged_exactly(live: Any) -> None:
    X, kit = live.kit.fresh.X, live.kit
    expected = kit.model.predict_proba(X[:3])

    def work(number: int) -> tuple[bool, bool]:
        with live.client(query_budget=13) as client:
            clear = all(np.array_equal(client.predict_proba(X[:3]), expected) for _ in range(3))
            private = client.predict(X[:4], private=True) == kit_labels[:4]
            with pytest.raises(BudgetError):
                client.predict_proba(X[:1])
            return clear, private

    kit_labels = tuple(kit.model.schema.classes[i] for i in kit.model.predict_proba(X).argmax(axis=1))
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(work, range(20))) == [(True, True)] * 20
    place = live.place
    assert verify_audit(place.store, signer=place.audit_key.public, anchor=place.anchor).number > 100


def test_threads_may_share_a_client(live: Any) -> None:
    X = live.kit.fresh.X
    with live.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: client.ask_private(X[i : i + 1]).scores, range(16)))
    assert np.abs(np.vstack(answers) - live.kit.model.scores(X[:16])).max() <= 2**-20


# A server that is not what it should be.


class Impostor:
    """Answers every request with the same bytes, or those to the private plan with others, then closes."""

    def __init__(self, answer: bytes, *, plan: bytes | None = None) -> None:
        self._answer = answer
        self._plan = plan or answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65_536)
                connection.sendall(self._plan if b"/private " in request else self._answer)

    def __enter__(self) -> Impostor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (b"", SystemFault, "stopped before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", SystemFault, "stopped before it answered"),
        (b"SSH-2.0-OpenSSH\r\n", SystemFault, "stopped before it answered"),
        (reply(b"<html>"), WireError, "expected JSON"),
        (reply(b"[" * 100_000), WireError, "expected JSON"),
        (reply(b"{}"), WireError, "expected 'models'"),
        (reply(b'{"models": ["x"]}'), WireError, "expected 'holdfast'"),
        (reply(b'{"models": ["x"], "holdfast": {"name": "x"}}'), WireError, "in a way that this version does not know"),
        (reply(b'{"models": ["x"], "holdfast": [1]}'), WireError, "in a way that this version does not know"),
        (reply(b"x" * (2**24 + 1)), WireError, "got a larger one"),
        (reply(b"", "302 Found"), InputError, "status 302 and no reason"),
        (reply(b"oops", "500 Internal Server Error"), SystemFault, "status 500 and no reason"),
        (reply(b'{"error": "no", "hint": "yes"}', "418 Teapot"), InputError, "no"),
    ],
)
def test_an_impostor_gets_one_sentence(answer: bytes, kind: type[Exception], sentence: str) -> None:
    with Impostor(answer) as impostor, Client(impostor.url, "hf_x") as client, pytest.raises(kind, match=sentence):
        _ = client.metadata


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        ([], "expected 'outputs'"),
        ([{}], "expected probabilities of shape"),
        ([{"data": [0.5]}], "expected probabilities of shape"),
        ([{"data": ["a", "b"]}], "expected probabilities of shape"),
        ([{"data": [3.0, -2.0]}], "numbers that are none"),
        ([{"data": [0.4, 0.4]}], "numbers that are none"),
        ([{"data": [None, 1.0]}], "numbers that are none"),
    ],
)
def test_an_impostor_that_knows_the_model_cannot_make_up_probabilities(kit: Kit, outputs: Any, sentence: str) -> None:
    told = {"name": "x", "version": "1", "digest": "", "max_rows": 9, "private": True}
    schema = kit.model.schema
    answer = {"models": ["x"], "holdfast": told | {"schema": schema.to_json()}, "outputs": outputs}
    body = reply(json.dumps(answer).encode())
    with Impostor(body) as fake, Client(fake.url, "hf_x") as client, pytest.raises(WireError, match=sentence):
        client.predict_proba(kit.fresh.X[:1])


@pytest.mark.parametrize("other", ["other classes", "other features"])
def test_an_impostor_cannot_show_the_plan_of_another_model(kit: Kit, other: str) -> None:
    told = {"name": "x", "version": "1", "digest": "", "max_rows": 9, "private": True}
    plan, schema = kit.plan.public.to_json(), kit.model.schema
    if other == "other classes":
        plan["classes"] = ["yes", "no"]
    else:
        schema = replace(schema, features=schema.features[:-1], relations=())
    answer = {"models": ["x"], "holdfast": told | {"schema": schema.to_json()}}
    both = reply(json.dumps(answer).encode()), reply(json.dumps(plan).encode())
    refused = pytest.raises(IntegrityError, match="not of the model that it describes")
    with Impostor(both[0], plan=both[1]) as fake, Client(fake.url, "hf_x") as client, refused:
        client.ask_private(kit.fresh.X[:1, : len(schema.features)])


def test_a_silent_server_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            Client(url, "hf_x", timeout_s=0.2) as client,
            pytest.raises(SystemFault, match=r"no sign of life for 0\.2"),
        ):
            _ = client.metadata


@pytest.mark.parametrize(
    "kind", [UnknownKeyError, CredentialError, BudgetError, UnsupportedError, SystemFault, InputError]
)
def test_an_error_comes_out_of_the_client_as_it_went_into_the_app(kind: type[Any]) -> None:
    from holdfast.http.statuses import error_response

    response = error_response(kind("one sentence", hint="a hint"))
    error = error_of(response.status_code, bytes(response.body))
    assert type(error) is kind
    if kind is not SystemFault:  # whose reason stays with the service
        assert (str(error), error.hint) == ("one sentence", "a hint")


def test_a_proxy_of_the_environment_does_not_see_what_is_for_this_machine(
    live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with live.client() as client:
        assert client.metadata.name == "tumour"


def test_the_bundle_and_the_service_tell_the_same_digest(live: Any, bundle: Bundle) -> None:
    with live.client() as client:
        assert client.metadata.digest == bundle.model_digest
    assert httpx.URL(live.url).host == "127.0.0.1"
