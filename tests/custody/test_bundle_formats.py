"""Content decides what a file is: nothing that can run code gets in, whatever its name says."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from sklearn.linear_model import LogisticRegression

from holdfast.custody._formats import check_format
from holdfast.errors import WireError


class Evil:
    """A pickle that would run a program."""

    def __reduce__(self):
        import os

        return os.system, ("true",)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
    return buffer.getvalue()


def numpy_objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


DISGUISED = {
    **{f"pickle protocol {n}": pickle.dumps(Evil(), protocol=n) for n in range(6)},
    "zip": zipped(),
    "gzip": gzip.compress(b"{}"),
    "numpy objects": numpy_objects(),
    "program": b"\x7fELF\x02\x01\x01" + bytes(64),
    "windows program": b"MZ" + bytes(64),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "empty": b"",
}
NAMED = {
    "pickle protocol 2": "a pickle",
    "zip": "a zip archive",
    "numpy objects": "a NumPy array",
    "program": "a program",
}


@pytest.mark.parametrize("disguise", DISGUISED)
@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "card.json"])
def test_nothing_that_runs_code_passes_under_another_name(name, disguise):
    with pytest.raises(WireError, match=f"^{name} is not what its name says: ") as caught:
        check_format(name, DISGUISED[disguise])
    assert NAMED.get(disguise, "") in str(caught.value)


@pytest.mark.parametrize("name", ["readme.md", "notes.txt"])
@pytest.mark.parametrize("data", [b"\x00", b"\xff\xfe", b"a\x1b[2Jb", b"\x7f", pickle.dumps(Evil())])
def test_text_is_text(name, data):
    check_format(name, "Größe\n\tund so weiter\r\n".encode())
    check_format(name, b"")
    with pytest.raises(WireError):
        check_format(name, data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":2}', "a key is there twice"),
        (b'[{"b":{"a":1,"a":1}}]', "a key is there twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "too large"),
        (b"[" * 100_000, "nested too deep"),
        (b"1" * 5_000, "Exceeds the limit"),
        (b'{"a":1} x', "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'"\xff"', "utf-8"),
        (b"{'a':1}", "double quotes"),
    ],
)
def test_json_has_one_meaning(data, why):
    with pytest.raises(WireError, match=why):
        check_format("a.json", data)


def onnx_model(**graph_changes: object) -> onnx.ModelProto:
    node = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def external(name: str, location: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def in_initializer(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_sparse_initializer(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def in_attribute(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def in_subgraph(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    inner = onnx_model().graph
    inner.initializer.append(tensor)
    model.graph.node.append(helper.make_node("If", ["b"], ["z"], then_branch=inner, else_branch=inner))


def in_function(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    function = model.functions.add(name="f", domain="d")
    function.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def in_training(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.training_info.add().initialization.initializer.append(tensor)


@pytest.mark.parametrize(
    "place", [in_initializer, in_sparse_initializer, in_attribute, in_subgraph, in_function, in_training]
)
@pytest.mark.parametrize("location", ["weights.bin", "/etc/passwd", "../../secret"])
def test_an_onnx_model_cannot_point_to_another_file_from_anywhere(place, location):
    model = onnx_model()
    check_format("model.onnx", model.SerializeToString())
    place(model, external("t", location))
    with pytest.raises(WireError, match="'t' is in another file"):
        check_format("model.onnx", model.SerializeToString())


def test_an_onnx_model_carries_nothing_that_onnx_does_not_know():
    stowaway = b"\xba\x3e" + bytes([len(b"hidden")]) + b"hidden"  # field 999, length-delimited
    with pytest.raises(WireError, match="fields that ONNX does not have"):
        check_format("model.onnx", onnx_model().SerializeToString() + stowaway)


def test_an_onnx_model_that_the_checker_refuses_is_refused():
    model = onnx_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(WireError, match="expected a valid ONNX model"):
        check_format("model.onnx", model.SerializeToString())


def test_a_model_of_scikit_learn_passes():
    to_onnx = pytest.importorskip("skl2onnx").to_onnx
    X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    check_format("model.onnx", to_onnx(model, X[:1]).SerializeToString())


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_never_crash(data):
    for name in ("model.onnx", "weights.safetensors"):
        with pytest.raises(WireError):
            check_format(name, data)


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype: str = "F32", shape: tuple[int, ...] = (2,), start: int = 0, end: int = 8) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "data",
    [
        safetensors({}),
        safetensors({"w": tensor()}, bytes(8)),
        safetensors({"w": tensor(), "__metadata__": {"format": "pt"}}, bytes(8)),
        safetensors({"b": tensor(start=8, end=16), "w": tensor()}, bytes(16)),
        safetensors({"scalar": tensor(shape=(), end=4), "none": tensor(shape=(0, 3), start=4, end=4)}, bytes(4)),
        safetensors(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   ', bytes(8)),
    ],
    ids=["empty", "one", "metadata", "two", "scalar and none", "padded"],
)
def test_whole_safetensors_pass(data):
    check_format("weights.safetensors", data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        bytes(8),
        (2**63).to_bytes(8, "little") + b"{}",
        safetensors({"w": tensor()}, bytes(7)),
        safetensors({"w": tensor()}, bytes(9)),
        safetensors({"w": tensor(), "v": tensor()}, bytes(8)),
        safetensors({"w": tensor(), "v": tensor(start=12, end=20)}, bytes(20)),
        safetensors({"w": tensor(dtype="OBJECT")}, bytes(8)),
        safetensors({"w": tensor(dtype="OBJECT", shape=(0,), end=0)}),
        safetensors({"w": tensor(shape=(-1, -2))}, bytes(8)),
        safetensors({"w": tensor(shape=(2**62, 0), end=0)}),
        safetensors({"w": tensor(shape=(1,) * 1_000, end=4)}, bytes(4)),
        safetensors({"w": tensor(shape=(True, 2))}, bytes(8)),
        safetensors({"w": tensor(start=8, end=0)}, bytes(8)),
        safetensors({"w": tensor() | {"more": 1}}, bytes(8)),
        safetensors({"w": [1]}, b""),
        safetensors({"__metadata__": {"a": 1}}),
        safetensors({"__metadata__": 1}),
        safetensors(b"[1]"),
        safetensors(b" {}"),
        safetensors(b'{"w":1,"w":1}'),
        safetensors(b"{x}"),
    ],
)
def test_safetensors_that_do_not_add_up_are_refused(data):
    with pytest.raises(WireError, match="safetensors"):
        check_format("weights.safetensors", data)
