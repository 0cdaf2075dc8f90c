"""A model file from outside is refused where it is damaged, misleading, or could do more than classify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from holdfast.data import load, tumour_frame, tumour_schema
from holdfast.errors import HoldfastError, WireError
from holdfast.models import LinearModel, fit_estimator, load_model

DATA = load(tumour_frame(), tumour_schema())
LINEAR = fit_estimator(LogisticRegression(max_iter=1000), DATA)
FOREST = fit_estimator(RandomForestClassifier(3, max_depth=3, random_state=0), DATA)

Change = Callable[[Any], None]


def changed(model: Any, change: Change) -> bytes:
    """The model's file after a change of its graph."""
    proto = onnx.load_model_from_string(model.onnx)
    change(proto)
    return bytes(proto.SerializeToString())


def prop(proto: Any, key: str, value: str | None) -> None:
    (item,) = [item for item in proto.metadata_props if item.key == key]
    proto.metadata_props.remove(item) if value is None else setattr(item, "value", value)


def weights(proto: Any, name: str) -> Any:
    return next(item for item in proto.graph.initializer if item.name == name)


def replace(proto: Any, name: str, value: Any) -> None:
    weights(proto, name).CopyFrom(numpy_helper.from_array(value, name=name))


def external(proto: Any, location: str) -> None:
    tensor = weights(proto, "coef")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def call_it_linear(proto: Any) -> None:
    prop(proto, "holdfast.kind", "linear")


def swap_a_node(proto: Any) -> None:
    next(node for node in proto.graph.node if node.op_type == "Sub").op_type = "Add"


def add_node(op_type: str, domain: str = "") -> Change:
    def change(proto: Any) -> None:
        proto.graph.node.append(helper.make_node(op_type, ["features"], ["extra"], domain=domain))

    return change


def nest(proto: Any) -> None:
    """A tensor of an external file inside the branch of an If."""
    tensor = TensorProto(name="inner", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    branch = helper.make_graph([], "branch", [], [], initializer=[tensor])
    proto.graph.node.append(helper.make_node("If", ["features"], ["extra"], then_branch=branch, else_branch=branch))


def own_function(proto: Any) -> None:
    node = helper.make_node("Identity", ["a"], ["b"])
    proto.functions.append(helper.make_function("own", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 18)]))


HOSTILE: dict[str, tuple[Any, Change, str]] = {
    "no schema": (LINEAR, lambda p: prop(p, "holdfast.schema", None), "carries a Holdfast schema"),
    "a schema that is no JSON": (LINEAR, lambda p: prop(p, "holdfast.schema", "{"), "carries a Holdfast schema"),
    "a schema that is a list": (LINEAR, lambda p: prop(p, "holdfast.schema", "[]"), "carries a Holdfast schema"),
    "a schema nested without end": (LINEAR, lambda p: prop(p, "holdfast.schema", "[" * 200_000), "Holdfast schema"),
    "a forest called linear": (FOREST, call_it_linear, "no such weights"),
    "a linear graph with another node": (LINEAR, swap_a_node, "its graph is another"),
    "weights of another shape": (LINEAR, lambda p: replace(p, "coef", np.zeros((1, 5))), "no such weights"),
    "weights that are NaN": (LINEAR, lambda p: replace(p, "coef", np.full((1, 30), np.nan)), "no such weights"),
    "weights that are texts": (LINEAR, lambda p: replace(p, "coef", np.full((1, 30), "x", object)), "no such weights"),
    "a renamed input": (FOREST, lambda p: setattr(p.graph.input[0], "name", "rows"), "expected an ONNX model"),
    "a second output": (FOREST, lambda p: p.graph.output.append(p.graph.output[0]), "expected an ONNX model"),
    "weights in another file": (LINEAR, lambda p: external(p, "secret.bin"), "from another file"),
    "weights in a device": (LINEAR, lambda p: external(p, "/dev/zero"), "from another file"),
    "weights above the folder": (LINEAR, lambda p: external(p, "../../secret.bin"), "from another file"),
    "an external file deep inside": (FOREST, nest, "from another file"),
    "a loop": (FOREST, add_node("Loop"), "ai.onnx.Loop, which Holdfast does not take"),
    "a random operator": (FOREST, add_node("RandomNormalLike"), "RandomNormalLike, which Holdfast does not take"),
    "an operator of a vendor": (FOREST, add_node("EPContext", "com.microsoft"), "com.microsoft.EPContext, which"),
    "a function of its own": (FOREST, own_function, "FunctionProto"),
}


@pytest.mark.parametrize(("model", "change", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_model_file_is_refused_in_one_sentence(model: Any, change: Change, message: str) -> None:
    with pytest.raises(WireError, match=message) as caught:
        load_model(changed(model, change))
    assert "\n" not in str(caught.value)


def test_a_model_file_cannot_read_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were external weights read, a model of our own making could print any file as its coefficients."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.arange(30.0).tobytes())
    for kind in ("linear", "other"):

        def change(proto: Any, kind: str = kind) -> None:
            external(proto, "secret.bin")
            prop(proto, "holdfast.kind", kind)

        with pytest.raises(WireError, match="from another file"):
            load_model(changed(LINEAR, change))


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"onnx", b"PK\x03\x04", b"\x80\x04\x95", LINEAR.onnx[:100], LINEAR.onnx[:-1]]
)
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        load_model(data)


@pytest.mark.parametrize("model", [LINEAR, FOREST], ids=["linear", "forest"])
def test_a_flipped_byte_is_refused_or_gives_another_digest(model: Any) -> None:
    rng = np.random.default_rng(0)
    for position in rng.choice(len(model.onnx), 120, replace=False):
        data = bytearray(model.onnx)
        data[position] ^= 1 << int(rng.integers(8))
        try:
            other = load_model(bytes(data))
        except HoldfastError:
            continue
        assert other.digest != model.digest


def test_altered_weights_are_a_model_of_another_digest() -> None:
    def change(proto: Any) -> None:
        replace(proto, "coef", np.nextafter(LINEAR.coef, np.inf))

    other = load_model(changed(LINEAR, change))
    assert isinstance(other, LinearModel)
    assert other.digest != LINEAR.digest


def constant_output(values: list[float]) -> bytes:
    """A model that answers the same numbers for every row."""

    def change(proto: Any) -> None:
        del proto.graph.node[:], proto.graph.initializer[:]
        proto.graph.initializer.append(numpy_helper.from_array(np.array([values]), name="answer"))
        proto.graph.node.append(helper.make_node("Identity", ["answer"], ["probabilities"]))
        prop(proto, "holdfast.kind", "other")

    return changed(LINEAR, change)


@pytest.mark.parametrize("values", [[0.0, 0.0], [-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0], [0.2, 0.3, 0.5]])
def test_answers_that_are_no_probabilities_are_refused(values: list[float]) -> None:
    with pytest.raises(WireError, match="probabilit"):
        load_model(constant_output(values)).predict_proba(DATA.X[:1])


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(WireError, match="cannot be run on rows of shape"):
        FOREST.predict_proba(DATA.X[:, :5])
