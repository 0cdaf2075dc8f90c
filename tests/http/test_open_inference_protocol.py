"""The whole surface of the protocol, spoken by a plain HTTP client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from holdfast.data import Feature, Schema
from holdfast.errors import InputError
from holdfast.http.tensors import InferRequest

Tensors = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_needs_no_token(live: Any, path: str) -> None:
    with live.http() as http:
        del http.headers["Authorization"]
        answer = http.get(path)
    assert answer.status_code == 200
    assert answer.json() == {path.rsplit("/", 1)[1]: True}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2"),
        ("GET", "/metrics"),
        ("GET", "/v2/models/tumour"),
        ("GET", "/v2/models/tumour/versions/1"),
        ("GET", "/v2/models/tumour/ready"),
        ("GET", "/v2/models/tumour/versions/1/ready"),
        ("POST", "/v2/models/tumour/infer"),
        ("POST", "/v2/models/tumour/versions/1/infer"),
        ("GET", "/v2/models/tumour/private"),
        ("PUT", "/v2/models/tumour/private/keys/sha256:0"),
        ("POST", "/v2/models/tumour/private/infer"),
        ("GET", "/v2/models/other"),
    ],
)
@pytest.mark.parametrize("token", ["", "Bearer", "Basic dTpw", "Bearer hf_wrong", "bearer \xff"])
def test_everything_else_does(live: Any, method: str, path: str, token: str) -> None:
    with live.http() as http:
        answer = http.request(method, path, headers={"Authorization": token.encode("latin-1")}, content=b"{}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.json()) == {"error", "hint"}
    assert "tumour" not in answer.text


def test_the_server_says_what_it_serves(live: Any) -> None:
    with live.http() as http:
        told = http.get("/v2").json()
    assert told["name"] == "holdfast"
    assert told["models"] == ["tumour"]


@pytest.mark.parametrize("path", ["/v2/models/tumour", "/v2/models/tumour/versions/1"])
def test_the_model_says_what_it_takes_and_gives(live: Any, path: str) -> None:
    with live.http() as http:
        told = http.get(path).json()
        assert http.get(f"{path}/ready").json() == {"name": "tumour", "ready": True}
    assert (told["name"], told["versions"]) == ("tumour", ["1"])
    assert [tensor["name"] for tensor in told["inputs"]] == list(live.kit.model.schema.names)
    assert {(tensor["datatype"], *tensor["shape"]) for tensor in told["inputs"]} == {("FP64", -1)}
    assert told["outputs"] == [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]
    assert told["holdfast"]["digest"] == live.kit.model.digest
    assert Schema.from_json(told["holdfast"]["schema"]) == live.kit.model.schema


@pytest.mark.parametrize("path", ["/v2/models/tumour", "/v2/models/tumour/versions/1"])
def test_a_tensor_for_each_feature_is_answered(live: Any, tensors: Tensors, path: str) -> None:
    asked = tensors(live.kit, 3) | {"id": "request 7"}
    with live.http() as http:
        told = http.post(f"{path}/infer", json=asked).json()
    P = live.kit.model.predict_proba(live.kit.fresh.X[:3])
    assert (told["model_name"], told["model_version"], told["id"]) == ("tumour", "1", "request 7")
    probabilities, label = told["outputs"]
    assert probabilities == {"name": "probabilities", "datatype": "FP64", "shape": [3, 2], "data": P.ravel().tolist()}
    assert label["data"] == [live.kit.model.schema.classes[i] for i in P.argmax(axis=1)]


@pytest.mark.parametrize("nested", [True, False])
def test_one_matrix_is_answered_alike(live: Any, nested: bool) -> None:
    X = live.kit.fresh.X[:3]
    data = X.tolist() if nested else X.ravel().tolist()
    asked = {"inputs": [{"name": "features", "datatype": "FP64", "shape": [3, 30], "data": data}]}
    with live.http() as http:
        told = http.post("/v2/models/tumour/infer", json=asked).json()
    assert told["outputs"][0]["data"] == live.kit.model.predict_proba(X).ravel().tolist()
    assert "id" not in told


def test_only_the_outputs_asked_for_are_given(live: Any, tensors: Tensors) -> None:
    with live.http() as http:
        told = http.post("/v2/models/tumour/infer", json=tensors(live.kit) | {"outputs": [{"name": "label"}]}).json()
    assert [output["name"] for output in told["outputs"]] == ["label"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/tumour/versions/2", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/tumour/versions/9/infer", 404),
        ("GET", "/v2/models/tumour/../../../etc/passwd", 404),
        ("POST", "/v2/models/tumour", 405),
        ("GET", "/v2/models/tumour/infer", 405),
        ("DELETE", "/v2/models/tumour", 405),
        ("PUT", "/v2/models/tumour/private", 405),
    ],
)
def test_wrong_addresses_and_methods_are_told_in_json(live: Any, method: str, path: str, status: int) -> None:
    with live.http() as http:
        answer = http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "hint"}
    assert answer.json()["error"].startswith("expected ")


def test_metrics_count_and_name_nobody(live: Any, tensors: Tensors) -> None:
    with live.http() as http:
        http.post("/v2/models/tumour/infer", json=tensors(live.kit, 5))
        answer = http.get("/metrics")
    assert 'holdfast_requests_total{endpoint="infer",status="200"}' in answer.text
    assert 'holdfast_rows_total{mode="clear"}' in answer.text
    assert "holdfast_alerts 0.0" in answer.text
    assert "client " not in answer.text


# What may come in a request, on a schema with every kind of feature.

SCHEMA = Schema(
    features=(
        Feature(name="age", kind="integer", low=0, high=120),
        Feature(name="dose", kind="real", low=0, high=10, nullable=True),
        Feature(name="ward", kind="category", categories=("A", "B", "7", "True"), nullable=True),
    ),
    target="y",
    classes=("no", "yes"),
)


def read(**changes: dict[str, Any]) -> Any:
    """The rows of a request, of which some tensors are changed."""
    tensors: dict[str, dict[str, Any]] = {
        "age": {"datatype": "INT64", "shape": [2], "data": [30, 40]},
        "dose": {"datatype": "FP64", "shape": [2], "data": [1.5, None]},
        "ward": {"datatype": "BYTES", "shape": [2], "data": ["B", None]},
    }
    inputs = [{"name": name} | tensor | changes.get(name, {}) for name, tensor in tensors.items()]
    import json

    return InferRequest(json.dumps({"inputs": inputs}).encode()).rows(SCHEMA)


def test_every_kind_of_feature_is_read() -> None:
    assert np.array_equal(read(), [[30, 1.5, 1], [40, np.nan, np.nan]], equal_nan=True)


@pytest.mark.parametrize(
    ("name", "change", "column"),
    [
        ("age", {"shape": [2, 1], "data": [[1], [2]]}, [1, 2]),
        ("age", {"shape": [2, 1], "data": [1, 2]}, [1, 2]),
        ("age", {"datatype": "UINT8"}, [30, 40]),
        ("age", {"datatype": "FP32", "data": [1.0, 2]}, [1, 2]),
        ("age", {"datatype": "BOOL", "data": [True, False]}, [1, 0]),
        ("ward", {"datatype": "INT64", "data": [7, 7]}, [2, 2]),
        ("ward", {"datatype": "BOOL", "data": [True, True]}, [3, 3]),
    ],
)
def test_datatypes_that_can_say_it_are_understood(name: str, change: dict[str, Any], column: list[float]) -> None:
    assert read(**{name: change})[:, SCHEMA.names.index(name)].tolist() == column


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("age", {"datatype": "INT65"}, "of a type among BOOL"),
        ("age", {"datatype": None}, "of a type among"),
        ("age", {"datatype": ["INT64"]}, "of a type among"),
        ("age", {"data": [1.5, 2]}, "values of type INT64 in 'age', got 1.5"),
        ("age", {"data": ["30", 40]}, "got '30'"),
        ("age", {"data": [True, 40]}, "got True"),
        ("age", {"data": [[30], [40]]}, r"got \[30\]"),
        ("age", {"data": [2**63, 1]}, "outside its range"),
        ("age", {"datatype": "UINT64", "data": [-1, 1]}, "outside its range"),
        ("age", {"datatype": "INT8", "data": [128, 1]}, "outside its range"),
        ("dose", {"data": [10**400, 1]}, "one too large"),
        ("dose", {"data": "1.5"}, "with its data as a list"),
        ("dose", {"data": [1.0]}, "as many values"),
        ("dose", {"data": [1.0, 2.0, 3.0]}, "as many values"),
        ("dose", {"shape": [2, 2]}, "as many values"),
        ("dose", {"shape": [-2]}, "a shape of one or two numbers"),
        ("dose", {"shape": [2.0]}, "a shape of one or two numbers"),
        ("dose", {"shape": []}, "a shape of one or two numbers"),
        ("dose", {"shape": [1, 1, 2]}, "a shape of one or two numbers"),
        ("dose", {"shape": [10_001], "data": [0.5] * 10_001}, "at most 10000 rows"),
        ("dose", {"shape": [10**30]}, "at most 10000 rows"),
        ("dose", {"shape": [2, 10**30]}, "as many values"),
        ("dose", {"shape": [1, 2]}, r"of shape \[rows\]"),
        ("dose", {"shape": [1], "data": [1.0]}, "one length"),
        ("dose", {"datatype": "BYTES", "data": ["1", "2"]}, "expected numbers for 'dose'"),
        ("ward", {"data": ["B", "C"]}, "expected a category of 'ward', got 'C'"),
        ("ward", {"data": ["B", "x" * 10_000]}, r"got 'xxx.*\.\.\."),
        ("ward", {"name": "age"}, "'age' twice"),
        ("ward", {"name": "unit"}, "got 'unit' too"),
        ("ward", {"name": 7}, "a tensor with a name"),
    ],
)
def test_tensors_that_are_not_what_they_say_are_refused(name: str, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        read(**{name: change})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "in JSON, got"),
        (b"\xff\xfe", "in JSON, got"),
        (b"[]", "as a JSON object"),
        (b"null", "as a JSON object"),
        (b"{}", "a list of tensors, got None"),
        (b'{"inputs": {}}', "a list of tensors"),
        (b'{"inputs": [1]}', "a tensor with a name"),
        (b'{"inputs": [], "inputs": []}', "a name twice"),
        (b'{"inputs": []}', "'age' is not there"),
        (b'{"inputs": [], "id": 7}', "expected an id"),
        (b'{"inputs": [], "id": "' + b"x" * 201 + b'"}', "expected an id"),
        (b'{"inputs": [], "outputs": [{"name": "scores"}]}', "expected outputs among probabilities, label"),
        (b'{"inputs": [NaN]}', "NaN, which is not JSON"),
        (b'{"inputs": [' + b"9" * 10_000 + b"]}", "in JSON, got"),
        (b'{"inputs": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested too deeply"),
        (b'{"inputs": [' + b"[]," * 100_000 + b"[]]}", "at most 100000 lists and objects"),
        (b'{"inputs": ["\\"", ' + b"{}," * 100_000 + b"{}]}", "at most 100000 lists and objects"),
        (b'{"inputs": [], "id": "\\ud800"}', "an id in Unicode"),
        (b'{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}', r"\[rows, 3\]"),
        (b'{"inputs": [{"name": "features", "datatype": "INT64", "shape": [1, 3], "data": [1, 2, 0]}]}', "as FP64"),
        (b'{"inputs": [{"name": "features"}, {"name": "age"}]}', "got both"),
    ],
)
def test_bodies_that_are_no_requests_are_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        _ = InferRequest(body).rows(SCHEMA)
    assert len(str(caught.value)) < 400
