"""ONNX networks as PyTorch modules: the answers of onnxruntime, the gradients of the network that was exported."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import DataError, UnsupportedError, WireError
from holdfast.models.onnx_torch import MAX_VALUES_PER_PICTURE, OnnxNetwork

FLOAT32 = 1e-5
"""Absolute, for values near 1: both sides add the same float32 numbers in another order."""


def exported(module: nn.Module, shape: Sequence[int], opset: int) -> bytes:
    """What PyTorch writes for a module, with an open number of rows."""
    file = io.BytesIO()
    names: dict[str, Any] = {
        "input_names": ["x"],
        "output_names": ["y"],
        "dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is deprecated
        torch.onnx.export(module.eval(), (torch.rand(1, *shape),), file, dynamo=False, opset_version=opset, **names)
    return file.getvalue()


def by_onnxruntime(data: bytes, x: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


class Branches(nn.Module):
    """What residual and inception networks are made of, flattened by sizes that the graph computes."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1, groups=1, dilation=1)
        self.norm, self.last = nn.BatchNorm2d(8), nn.Linear(8 * 4 * 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) / 0.25
        both = torch.cat([torch.sigmoid(self.one(x)), torch.tanh(self.two(x))], dim=1)
        both = functional.leaky_relu(self.norm(both), 0.2) + both
        pooled = functional.pad(functional.avg_pool2d(both, 2), (1, 0, 1, 0)).clamp(-0.5, 0.5)
        return self.last(pooled.view(pooled.size(0), -1)) * 2


def plain() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=False)),
        *(nn.Dropout(0.5), nn.Flatten(), nn.Linear(6, 5)),
    )


def pooled() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, groups=1, padding=2, dilation=2), nn.ReLU6(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(4, 5), nn.Softmax(dim=1)),
    )


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("make", [plain, Branches])
def test_an_exported_network_answers_and_slopes_as_before(make: Callable[[], nn.Module], opset: int) -> None:
    torch.manual_seed(0)
    module = make().eval()
    data = exported(module, (3, 6, 5), opset)
    network = OnnxNetwork(data)
    x = torch.rand(7, 3, 6, 5).requires_grad_()
    scores = network(x)
    np.testing.assert_allclose(scores.detach().numpy(), by_onnxruntime(data, x.detach()), atol=FLOAT32)
    weights = torch.randn(7, 5)
    (ours,) = torch.autograd.grad((scores * weights).sum(), x)
    (theirs,) = torch.autograd.grad((module(x) * weights).sum(), x)
    assert theirs.abs().max() > 1e-3
    torch.testing.assert_close(ours, theirs, atol=FLOAT32, rtol=1e-4)


def test_the_softmax_at_the_end_is_left_out() -> None:
    torch.manual_seed(1)
    module = pooled().eval()
    data = exported(module, (3, 6, 5), 17)
    x = torch.rand(4, 3, 6, 5)
    scores = OnnxNetwork(data)(x)
    torch.testing.assert_close(scores, module[:-1](x), atol=FLOAT32, rtol=1e-4)
    np.testing.assert_allclose(torch.softmax(scores, dim=1).numpy(), by_onnxruntime(data, x), atol=FLOAT32)


def file_of(
    nodes: Sequence[Any], constants: Mapping[str, np.ndarray], shape: Sequence[int] = (3, 8, 7), opset: int = 18
) -> bytes:
    """A file from `x` (n, *shape) to `y`."""
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "scores"])
    tensors = [numpy_helper.from_array(value, name=name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "test", [source], [scores], initializer=tensors)
    opsets = [helper.make_opsetid("", opset)]
    return bytes(helper.make_model(graph, ir_version=9, opset_imports=opsets).SerializeToString())


def one(operator: str, constants: Mapping[str, np.ndarray], **attributes: Any) -> bytes:
    """A file with one node of pictures, flattened."""
    node = helper.make_node(operator, ["x", *constants], ["z"], **attributes)
    return file_of([node, helper.make_node("Flatten", ["z"], ["y"])], constants)


RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(4, 3, 3, 2)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)
WINDOWS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 1], "pads": [1, 0, 1, 0]},
    {"strides": [2, 2], "pads": [0, 1, 2, 0]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [1, 2]},
    {"auto_pad": "VALID"},
]
SINGLE = {
    **{f"Conv {window}": one("Conv", {"w": KERNEL, "b": BIAS}, **window) for window in WINDOWS},
    "Conv dilated": one("Conv", {"w": KERNEL}, dilations=[2, 3]),
    "Conv in groups": one("Conv", {"w": RNG.normal(size=(6, 1, 2, 2)).astype(np.float32)}, group=3),
    **{f"MaxPool {window}": one("MaxPool", {}, kernel_shape=[3, 2], **window) for window in WINDOWS},
    "MaxPool ceil": one("MaxPool", {}, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    **{f"AveragePool {window}": one("AveragePool", {}, kernel_shape=[3, 2], **window) for window in WINDOWS},
    "AveragePool over the padding": one(
        "AveragePool", {}, kernel_shape=[3, 2], pads=[1, 1, 0, 0], strides=[2, 2], count_include_pad=1
    ),
    "Pad": one("Pad", {"p": np.array([0, 0, 1, 2, 0, 0, 0, 3]), "v": np.float32(0.3)[None].reshape(())}),
    "Pad reflect": one("Pad", {"p": np.array([0, 0, 1, 2, 0, 0, 0, 3])}, mode="reflect"),
    "Pad edge": one("Pad", {"p": np.array([0, 0, 1, 2, 0, 0, 0, 3])}, mode="edge"),
    "Clip": one("Clip", {"a": np.float32(0.2).reshape(()), "b": np.float32(0.7).reshape(())}),
    "Clip above 0.4": one("Clip", {"a": np.float32(0.4).reshape(())}),
    "GlobalAveragePool": one("GlobalAveragePool", {}),
    "Transpose": one("Transpose", {}, perm=[0, 2, 3, 1]),
    "ReduceMean": one("ReduceMean", {"a": np.array([2, -1])}, keepdims=0),
    "Softmax within": one("Softmax", {}, axis=1),
    "Reshape": one("Reshape", {"s": np.array([0, -1, 4])}),
    "Unsqueeze": one("Unsqueeze", {"a": np.array([-1, 1])}),
    "Gather": one("Gather", {"i": np.array([[2, -1], [0, 1]])}, axis=1),
    "Div": one("Div", {"d": np.full((3, 1, 1), 0.3, dtype=np.float32)}),
    "MatMul": one("MatMul", {"m": RNG.normal(size=(7, 2)).astype(np.float32)}),
    "BatchNormalization": one(
        "BatchNormalization", {name: np.array([0.5, 1.0, 2.0], dtype=np.float32) for name in "sbmv"}, epsilon=0.1
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_each_operator_gives_what_onnxruntime_gives(name: str) -> None:
    x = torch.rand(5, 3, 8, 7, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(OnnxNetwork(SINGLE[name])(x).numpy(), by_onnxruntime(SINGLE[name], x), atol=FLOAT32)


def test_weights_are_buffers_and_nothing_is_trained() -> None:
    network = OnnxNetwork(SINGLE["Conv dilated"])
    assert not list(network.parameters())
    assert any(torch.equal(value, torch.from_numpy(KERNEL)) for value in network.state_dict().values())


@pytest.mark.parametrize(
    ("operator", "constants", "attributes"),
    [
        ("Elu", {}, {}),
        ("Erf", {}, {}),
        ("InstanceNormalization", {"s": np.ones(3, dtype=np.float32), "b": np.ones(3, dtype=np.float32)}, {}),
        ("Cast", {}, {"to": TensorProto.INT32}),
        ("Pad", {"p": np.array([0, 0, 1, 2, 0, 0, 0, 100_000])}, {}),
        ("Conv", {"w": KERNEL}, {"pads": [0, 0, 100_000, 0]}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_has_no_differentiable_form_is_refused_by_name(
    operator: str, constants: dict[str, np.ndarray], attributes: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedError, match=f"{operator}|other than floats|padding") as caught:
        OnnxNetwork(one(operator, constants, **attributes))(torch.rand(1, 3, 8, 7))
    assert "Square" in caught.value.hint


def test_bytes_that_are_no_such_network_are_refused() -> None:
    good = SINGLE["Clip"]
    with pytest.raises(WireError, match="bytes that are none"):
        OnnxNetwork(b"not a network")
    with pytest.raises(WireError, match="bytes that are none"):
        OnnxNetwork(good[: len(good) // 2])
    model = onnx.load_model_from_string(good)
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    with pytest.raises(WireError):
        OnnxNetwork(model.SerializeToString())
    with pytest.raises(UnsupportedError, match="opset 13 or later, got 11") as caught:
        OnnxNetwork(file_of([helper.make_node("Flatten", ["x"], ["y"])], {}, opset=11))
    assert "convert_version" in caught.value.hint


def test_a_node_that_makes_no_sense_is_refused() -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("Flatten", ["x"], ["y"])]
    with pytest.raises(WireError, match="ConstantOfShape that cannot be read"):
        OnnxNetwork(file_of(nodes, {"s": np.array([-1, 3])}))
    with pytest.raises(UnsupportedError, match="ConstantOfShape"):
        OnnxNetwork(file_of(nodes, {"s": np.array([100_000, 100_000])}))


def test_a_graph_that_grows_without_end_is_stopped() -> None:
    names = ["x", *(f"v{step}" for step in range(30))]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=2) for a, b in itertools.pairwise(names)]
    network = OnnxNetwork(file_of([*nodes, helper.make_node("Flatten", [names[-1]], ["y"])], {}, shape=(1, 1_024, 64)))
    with pytest.raises(DataError, match="too many to hold") as caught:
        network(torch.zeros(1, 1, 1_024, 64))
    assert str(2 * MAX_VALUES_PER_PICTURE) in str(caught.value)


def test_pictures_of_another_shape_and_files_of_one_row_are_refused() -> None:
    network = OnnxNetwork(one("MatMul", {"m": RNG.normal(size=(7, 2)).astype(np.float32)}))
    with pytest.raises(DataError, match="MatMul cannot be run on pictures of shape"):
        network(torch.rand(2, 3, 8, 6))
    fixed = OnnxNetwork(file_of([helper.make_node("Reshape", ["x", "s"], ["y"])], {"s": np.array([1, -1])}))
    assert fixed(torch.rand(1, 3, 8, 7)).shape == (1, 168)
    with pytest.raises(DataError, match="scores of 2 pictures") as caught:
        fixed(torch.rand(2, 3, 8, 7))
    assert "dynamic_axes" in caught.value.hint
