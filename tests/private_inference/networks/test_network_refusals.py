"""What cannot be computed under encryption is refused by the operator's name, with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.neural_network import MLPClassifier
from tests.private_inference.networks.onnx_graphs import graph_bytes, node

from holdfast.errors import UnsupportedError, UsageError, WireError
from holdfast.private_inference.networks import is_network, read_network
from holdfast.private_inference.program import LinearProgram

X = np.random.default_rng(0).normal(size=(10, 5))
W = np.random.default_rng(1).normal(size=(5, 5))


def refused(nodes: list[onnx.NodeProto], **constants: np.ndarray) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as caught:
        read_network(graph_bytes(nodes, {"w": W, **constants}, (5,)), X=X, classes=None)
    return caught.value


@pytest.mark.parametrize("operator", ["Relu", "Tanh", "Elu", "Sigmoid", "Abs"])
def test_an_activation_is_refused_by_name_with_the_helper_that_replaces_it(operator: str) -> None:
    error = refused([node("MatMul", "x w", "h"), node(operator, "h", "a"), node("MatMul", "a w", "y")])
    assert operator in str(error)
    assert error.hint.startswith(f"{operator}: replace the activations with holdfast.swap_activations(")


def test_an_operator_without_a_replacement_is_refused_with_those_that_are_known() -> None:
    error = refused([node("ReduceSum", "x", "y")])
    assert "ReduceSum" in str(error)
    assert "known are Gemm" in error.hint


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Pow", "x five", "y")],
        [node("Mul", "x x", "a"), node("Mul", "a a", "b"), node("Mul", "b x", "y")],
    ],
    ids=["Pow", "Mul"],
)
def test_a_degree_above_four_is_refused(nodes: list[onnx.NodeProto]) -> None:
    assert "4" in str(refused(nodes, five=np.array(5.0)))


def test_too_many_squarings_are_refused() -> None:
    nodes = []
    for i in range(8):
        nodes += [node("Mul", f"{'x' if not i else f'm{i}'} {'x' if not i else f'm{i}'}", f"q{i}")]
        nodes += [node("MatMul", f"q{i} w", f"m{i + 1}" if i < 7 else "y")]
    assert "6 squarings" in str(refused(nodes, w=W / 10))


def test_division_by_a_value_is_refused() -> None:
    assert "Div" in str(refused([node("Div", "w x", "y")]))


def test_scores_that_span_too_many_bits_are_refused() -> None:
    assert "scores of at most" in str(refused([node("MatMul", "x w", "y")], w=W * 1e6))


def test_bytes_that_are_no_network_and_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WireError, match="ONNX"):
        read_network(b"nothing", X=X, classes=None)
    data = graph_bytes([node("MatMul", "x w", "y")], {"w": W}, (5,))
    with pytest.raises(UsageError, match="shape"):
        read_network(data, X=X[:, :4], classes=None)
    with pytest.raises(UsageError, match="rows X"):
        read_network(data, X=None, classes=None)
    with pytest.raises(UsageError, match="5 classes"):
        read_network(data, X=X, classes=("a", "b"))


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(graph_bytes([node("MatMul", "x w", "y")], {"w": W}, (5,)))
    onnx.external_data_helper.convert_model_to_external_data(model, size_threshold=0, location="weights")
    for tensor in model.graph.initializer:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
    with pytest.raises(WireError):
        read_network(model.SerializeToString(), X=X, classes=None)


def test_scikit_learn_networks_are_read_only_without_activations(tmp_path: Path) -> None:
    y = (X[:, 0] > 0).astype(int)
    linear = MLPClassifier((3,), activation="identity", max_iter=5, random_state=0, solver="lbfgs")
    with pytest.warns(match="."):
        linear.fit(X, y)
    assert is_network(linear)
    reading = read_network(linear, X=X, classes=None)
    assert isinstance(reading.program, LinearProgram)
    assert (reading.kind, reading.link, reading.classes) == ("linear", "logistic", ("0", "1"))
    scores = reading.program.clear(reading.encoding.encode(X))
    np.testing.assert_allclose(1 / (1 + np.exp(-scores[:, 0])), linear.predict_proba(X)[:, 1], rtol=1e-6)
    linear.activation = "relu"
    with pytest.raises(UnsupportedError, match="relu") as caught:
        read_network(linear, X=X, classes=None)
    assert "swap_activations" in caught.value.hint
    assert not is_network(tmp_path / "model.json")
    assert not is_network(object())
