"""What the service refuses: bodies too large or too slow, wrong types, garbage. Nothing of it may cost a 500."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.limits import (
    MAX_BODIES_PARSED_AT_ONCE,
    MAX_REQUEST_BYTES,
    MAX_REQUESTS_PER_CLIENT,
)
from holdfast.models import LinearModel
from holdfast.private_inference import KeySet, PrivateSession, compile_private
from holdfast.serving import read_audit

Tensors = Callable[..., dict[str, Any]]
INFER, PRIVATE = "/v2/models/tumour/infer", "/v2/models/tumour/private/infer"


def sentence(answer: httpx.Response, status: int) -> str:
    """The one sentence of a refusal, which must have this status and shape."""
    assert answer.status_code == status, answer.text[:200]
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert set(told) == {"error", "hint"}
    assert 10 < len(told["error"]) <= 1_000
    assert "Traceback" not in answer.text
    return str(told["error"])


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/octet-stream", "application/jsonx", "x" * 5_000]
)
def test_another_media_type_is_refused(live: Any, content_type: str) -> None:
    with live.http() as http:
        answer = http.post(INFER, content=b"{}", headers={"Content-Type": content_type})
    assert "expected a body of the type application/json" in sentence(answer, 415)


def test_a_media_type_with_a_charset_is_accepted(live: Any, tensors: Tensors) -> None:
    with live.http() as http:
        body = json.dumps(tensors(live.kit)).encode()
        answer = http.post(INFER, content=body, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "media_type", "max_bytes"),
    [
        ("POST", INFER, "application/json", MAX_REQUEST_BYTES),
        ("POST", PRIVATE, "application/octet-stream", MAX_REQUEST_BYTES),
        ("PUT", "/v2/models/tumour/private/keys/sha256:0", "application/octet-stream", MAX_REQUEST_BYTES),
        ("PUT", "/v2/models/tumour/private/keys/sha256:0/0", "application/octet-stream", MAX_REQUEST_BYTES),
    ],
)
def test_a_body_that_announces_too_much_is_refused_before_it_is_read(
    live: Any, method: str, path: str, media_type: str, max_bytes: int
) -> None:
    token = live.token()
    with _connect(live.url) as connection:
        _send_head(connection, method, path, token, media_type, f"Content-Length: {max_bytes + 1}")
        assert b"413" in connection.recv(100)


@pytest.mark.parametrize("known", [True, False])
def test_a_chunked_body_is_read_up_to_the_limit_and_no_further(live: Any, known: bool) -> None:
    """No length is announced; the connection is closed before the sender is through. A stranger's, at once."""
    token, sent = live.token() if known else "hf_stranger", 0
    limit = MAX_REQUEST_BYTES if known else 0
    chunk = b"%x\r\n" % 2**20 + b"x" * 2**20 + b"\r\n"
    with _connect(live.url) as connection:
        _send_head(connection, "POST", INFER, token, "application/json", "Transfer-Encoding: chunked")
        connection.settimeout(0.5)
        try:
            while sent < 4 * MAX_REQUEST_BYTES:
                connection.sendall(chunk)
                sent += 2**20
        except (OSError, TimeoutError):
            pass
    assert limit <= sent < limit + 2**24  # what socket buffers may hold besides


def test_a_body_that_does_not_come_is_not_waited_for(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.http.body.REQUEST_BODY_TIMEOUT_S", 0.2)
    with _connect(live.url) as connection:
        _send_head(connection, "POST", INFER, live.token(), "application/json", "Content-Length: 100")
        connection.settimeout(5)
        assert b"408" in connection.recv(100)


def test_a_client_that_hangs_up_in_the_middle_harms_nobody(
    live: Any, tensors: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            with _connect(live.url) as connection:
                _send_head(connection, "POST", INFER, live.token(), "application/json", "Content-Length: 100")
                connection.sendall(b"{")
        with live.http() as http:
            time.sleep(0.1)
            assert http.post(INFER, json=tensors(live.kit)).status_code == 200
    assert caplog.records == []


@pytest.mark.parametrize(
    "line", [b"\x00\xff\xfe garbage\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A" * 100_000]
)
def test_what_is_not_http_is_refused(live: Any, line: bytes, tensors: Tensors) -> None:
    with _connect(live.url) as connection:
        connection.settimeout(5)
        connection.sendall(line)
        assert b"400" in connection.recv(100)


def test_a_spent_budget_is_told_as_429(live: Any, tensors: Tensors) -> None:
    with live.http(live.token(query_budget=3)) as http:
        assert http.post(INFER, json=tensors(live.kit, 2)).status_code == 200
        answer = http.post(INFER, json=tensors(live.kit, 2))
    assert "2 rows were asked, 1 are left in the budget" in sentence(answer, 429)


def test_a_revoked_token_is_told_as_401(live: Any, tensors: Tensors) -> None:
    token = live.token()
    with live.http(token) as http:
        assert http.post(INFER, json=tensors(live.kit)).status_code == 200
        live.place.service.access.revoke(live.place.service.authenticate(token).name)
        answer = http.post(INFER, json=tensors(live.kit))
    assert "was revoked on" in sentence(answer, 401)


@pytest.mark.parametrize("value", [None, -1.0, 1e300, float(2**53)])
def test_a_value_outside_the_schema_is_told_as_400(live: Any, tensors: Tensors, value: float | None) -> None:
    asked = tensors(live.kit)
    asked["inputs"][3]["data"][1] = value
    with live.http() as http:
        answer = http.post(INFER, json=asked)
    assert "feature 'mean area'" in sentence(answer, 400)
    assert "row 1" in answer.text


def test_half_a_character_in_an_id_is_refused_and_costs_nothing(live: Any, tensors: Tensors) -> None:
    token = live.token()
    body = json.dumps(tensors(live.kit) | {"id": "\ud800"})
    with live.http(token) as http:
        answer = http.post(INFER, content=body, headers={"Content-Type": "application/json"})
    assert "expected an id in Unicode" in sentence(answer, 400)
    assert live.place.service.authenticate(token).spent == 0


@pytest.mark.parametrize("end", ["blocked", "revoked"])
def test_a_request_that_was_begun_before_a_block_is_not_answered_after_it(
    live: Any, tensors: Tensors, end: str
) -> None:
    """The head, and with it the token, is sent at once; the body when the client is shut out already."""
    token, access = live.token(), live.place.service.access
    name, body = access.authenticate(token).name, json.dumps(tensors(live.kit)).encode()
    with _connect(live.url) as connection:
        _send_head(connection, "POST", INFER, token, "application/json", f"Content-Length: {len(body)}")
        _wait_inside(live, 1)
        if end == "blocked":
            access.restrict(name, "block")
        else:
            access.revoke(name)
        connection.sendall(body)
        assert (b"403" if end == "blocked" else b"401") in connection.recv(100)
    assert [client.spent for client in access.clients() if client.name == name] == [0]


@pytest.mark.parametrize("why", ["blocked", "spent"])
@pytest.mark.parametrize("path", [INFER, PRIVATE])
def test_who_cannot_get_an_answer_is_refused_before_the_body(live: Any, tensors: Tensors, why: str, path: str) -> None:
    token, access = live.token(query_budget=2), live.place.service.access
    client = access.authenticate(token)
    if why == "blocked":
        access.restrict(client.name, "block")
    else:
        access.charge(client, rows=2)
    media_type = "application/json" if path == INFER else "application/octet-stream"
    with _connect(live.url) as connection:
        _send_head(connection, "POST", path, token, media_type, "Content-Length: 1000")
        assert (b"403" if why == "blocked" else b"429") in connection.recv(100)
    outcome = "AccessError" if why == "blocked" else "BudgetError"
    assert [entry.outcome for entry in read_audit(live.place.store) if entry.client == client.name] == [outcome]


def test_one_client_cannot_take_the_places_of_others(live: Any, tensors: Tensors) -> None:
    """More slow bodies than the service has places, all of one token: most are refused, and others are answered."""
    token, slow = live.token(), []
    try:
        for _ in range(MAX_REQUESTS_PER_CLIENT):
            slow.append(_connect(live.url))
            _send_head(slow[-1], "POST", INFER, token, "application/json", "Content-Length: 100")
        _wait_inside(live, MAX_REQUESTS_PER_CLIENT)
        with live.http(token) as http:
            refused = [http.post(INFER, json=tensors(live.kit)) for _ in range(5)]
        assert {f"{MAX_REQUESTS_PER_CLIENT} requests in progress" in sentence(answer, 429) for answer in refused} == {
            True
        }
        with live.http() as other:
            assert other.post(INFER, json=tensors(live.kit)).status_code == 200
    finally:
        for connection in slow:
            connection.close()
    _wait_inside(live, 0)
    with live.http(token) as http:
        assert http.post(INFER, json=tensors(live.kit)).status_code == 200


@pytest.mark.parametrize(
    ("path", "content_type", "size", "status", "outcome"),
    [
        (INFER, "text/plain", 2, 415, "status 415"),
        (INFER, "application/json", MAX_REQUEST_BYTES + 1, 413, "status 413"),
        ("/v2/models/other/infer", "application/json", 2, 404, "status 404"),
    ],
)
def test_what_is_refused_before_it_is_read_is_in_the_audit_log(
    live: Any, path: str, content_type: str, size: int, status: int, outcome: str
) -> None:
    token = live.token()
    name = live.place.service.authenticate(token).name
    with _connect(live.url) as connection:
        _send_head(connection, "POST", path, token, content_type, f"Content-Length: {size}")
        assert str(status).encode() in connection.recv(100)
    entries = [entry for entry in read_audit(live.place.store) if entry.client == name]
    assert [(entry.action, entry.rows, entry.outcome) for entry in entries] == [("infer", 0, outcome)]


def test_bodies_are_parsed_two_at_a_time(live: Any, tensors: Tensors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight clients at once; the first waits in the parser for a second, and both give a third time to come."""
    inside, most, counting, met = 0, 0, threading.Lock(), threading.Event()
    parse = json.loads

    def slowly(*args: Any, **options: Any) -> Any:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
            if inside == 2:
                met.set()
        met.wait(10)
        time.sleep(0.1)
        with counting:
            inside -= 1
        return parse(*args, **options)

    body, headers = json.dumps(tensors(live.kit)), {"Content-Type": "application/json"}

    def ask(token: str) -> int:
        with live.http(token) as http:
            return http.post(INFER, content=body, headers=headers).status_code

    tokens = [live.token() for _ in range(8)]
    with monkeypatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setattr("holdfast.http.json_body.json.loads", slowly)
        assert list(pool.map(ask, tokens)) == [200] * 8
    assert most == MAX_BODIES_PARSED_AT_ONCE


def test_huge_values_are_not_echoed(live: Any, tensors: Tensors) -> None:
    asked = tensors(live.kit)
    asked["inputs"][0]["name"] = "x" * 1_000_000
    with live.http() as http:
        answer = http.post(INFER, json=asked)
    sentence(answer, 400)
    assert len(answer.content) < 2_500


def test_the_store_failing_is_told_without_detail(
    live: Any, tensors: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that fails under the audit log: no answer, no path, no SQL; and the operator's log has the reason."""
    with live.http() as http:
        _break_audit(live, "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'secret/path'); END")
        with caplog.at_level(logging.ERROR):
            answer = http.post(INFER, json=tensors(live.kit))
        _break_audit(live, "DROP TRIGGER broken")
        assert "could not answer" in sentence(answer, 503)
        assert "secret" not in answer.text
        assert "audit log could not be written" in caplog.text
        assert http.post(INFER, json=tensors(live.kit)).status_code == 200


def test_an_unexpected_error_is_told_without_detail_and_is_in_the_audit_log(
    live: Any, tensors: Tensors, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(self: object, X: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(live.kit.model), "predict_proba", explode)
    with live.http() as http, caplog.at_level(logging.ERROR):
        answer = http.post(INFER, json=tensors(live.kit))
    assert "did not expect" in sentence(answer, 500)
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text
    assert read_audit(live.place.store)[-1].outcome == "fault"


# Private inference: every byte from outside.


@pytest.fixture(scope="module")
def session(live: Any) -> Iterator[tuple[httpx.Client, PrivateSession, bytes]]:
    """A client whose key is uploaded, and a query of its."""
    session = PrivateSession(live.kit.plan.public)
    with live.http(live.token(query_budget=100_000)) as http:
        upload(http, session.keys("row"))
        yield http, session, session.encrypt(live.kit.fresh.X[:1])


def upload(http: httpx.Client, keys: KeySet) -> None:
    begun = put(http, keys.digest, keys.manifest)
    assert begun.status_code == 200
    for index in begun.json()["missing"]:
        assert put(http, f"{keys.digest}/{index}", keys.parts[index]).status_code == 204


def put(http: httpx.Client, place: str, data: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream"}
    return http.put(f"/v2/models/tumour/private/keys/{place}", content=data, headers=headers)


def ask_privately(http: httpx.Client, query: bytes) -> httpx.Response:
    return http.post(PRIVATE, content=query, headers={"Content-Type": "application/octet-stream"})


def test_a_whole_query_is_answered(session: Any) -> None:
    http, private, query = session
    answer = ask_privately(http, query)
    assert answer.status_code == 200
    assert private.decrypt(answer.content).scores.shape == (1, 1)


@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_byte_in_a_query_is_refused(session: Any, position: float, flip: int) -> None:
    http, _, query = session
    where = int(position * len(query))
    spoiled = query[:where] + bytes([query[where] ^ flip]) + query[where + 1 :]
    assert ask_privately(http, spoiled).status_code in (400, 409)


@given(length=st.floats(0, 1, exclude_max=True))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_query_is_refused(session: Any, length: float) -> None:
    http, _, query = session
    sentence(ask_privately(http, query[: int(length * len(query))]), 400)


@given(data=st.binary(max_size=2_000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_no_query(session: Any, data: bytes) -> None:
    sentence(ask_privately(session[0], data), 400)


def test_a_query_under_another_clients_key_is_refused(live: Any, session: Any) -> None:
    _, _, query = session
    with live.http() as http:
        assert "expected the digest of keys that were uploaded" in sentence(ask_privately(http, query), 409)


def test_a_query_for_another_model_is_refused(live: Any, session: Any) -> None:
    http, _, _ = session
    model = live.kit.model
    other = compile_private(LinearModel(model.schema, model.coef * 2, model.intercept))
    stranger = PrivateSession(other.public)
    query = stranger.encrypt(live.kit.fresh.X[:1])
    assert "expected a query for the plan" in sentence(ask_privately(http, query), 400)


@pytest.mark.parametrize(
    "spoil", [lambda k: k[:-1], lambda k: k + b"\0", lambda k: k[:100] + b"\xff" * 50 + k[150:], lambda k: b""]
)
def test_spoilt_keys_are_refused_and_the_good_ones_go_on_serving(
    live: Any, session: Any, spoil: Callable[[bytes], bytes]
) -> None:
    http, private, query = session
    keys = private.keys("row")
    for place, data in ((keys.digest, keys.manifest), (f"{keys.digest}/0", keys.parts[0])):
        sentence(put(http, place, spoil(data)), 400)
    assert ask_privately(http, query).status_code == 200


# Anything at all.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=15,
)


def tensor(name: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    datatype = st.sampled_from(["FP64", "FP32", "INT64", "UINT8", "BOOL", "BYTES", "fp64", ""]) | _JSON
    shape = st.lists(st.integers(-1, 40), max_size=3) | _JSON
    return st.fixed_dictionaries({}, optional={"name": name, "datatype": datatype, "shape": shape, "data": _JSON})


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_makes_the_service_fail(live: Any, fuzzer: httpx.Client, tensors: Tensors, data: st.DataObject) -> None:
    """Whatever JSON comes, the answer is 200 or a refusal; from requests that are nearly right to any JSON at all."""
    asked: Any = tensors(live.kit, 1)
    names = st.sampled_from(["features", *live.kit.model.schema.names]) | st.text(max_size=5)
    kind = data.draw(st.sampled_from(["any", "field", "one tensor", "tensors"]))
    if kind == "any":
        asked = data.draw(_JSON)
    elif kind == "field":
        asked[data.draw(st.sampled_from(["inputs", "outputs", "id", "parameters"]))] = data.draw(_JSON)
    elif kind == "one tensor":
        asked["inputs"][data.draw(st.integers(0, 29))] |= data.draw(tensor(names))
    else:
        asked = {"inputs": data.draw(st.lists(tensor(names), max_size=3))}
    answer = fuzzer.post(INFER, content=json.dumps(asked), headers={"Content-Type": "application/json"})
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500
        sentence(answer, answer.status_code)


@given(body=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_the_service_fail(fuzzer: httpx.Client, body: bytes) -> None:
    sentence(fuzzer.post(INFER, content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.fixture(scope="module")
def fuzzer(live: Any) -> Iterator[httpx.Client]:
    with live.http(live.token(query_budget=1_000_000)) as http:
        yield http


def _wait_inside(live: Any, requests: int) -> None:
    """Until the service has this many requests in progress, the one that asks not counted."""
    with live.http() as http:
        for _ in range(400):
            told = http.get("/metrics").text
            if f"holdfast_requests_in_progress {requests + 1:.1f}\n" in told:
                return
            time.sleep(0.02)
    raise AssertionError(f"never {requests} requests in progress")


def _connect(url: str) -> socket.socket:
    parsed = httpx.URL(url)
    return socket.create_connection((parsed.host, parsed.port or 80), timeout=5)


def _send_head(connection: socket.socket, method: str, path: str, token: str, media_type: str, length: str) -> None:
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        f"Content-Type: {media_type}",
        length,
        "",
        "",
    )
    connection.sendall("\r\n".join(lines).encode())


def _break_audit(live: Any, statement: str) -> None:
    with live.place.store.write() as connection:
        connection.exec_driver_sql(statement)
