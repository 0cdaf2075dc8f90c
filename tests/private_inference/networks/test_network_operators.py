"""Each ONNX operator as an affine map or a square, against onnxruntime, on shapes that break symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.private_inference.networks.onnx_graphs import graph_bytes, node

from holdfast.private_inference.networks import read_network
from holdfast.private_inference.networks.read import MARGIN

IMAGE = (4, 9, 7)
SINGLE = 3e-6


def rows(shape: tuple[int, ...], *, count: int = 12) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(count, *shape))


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def worst_error(nodes: list[Any], constants: dict[str, Any], shape: tuple[int, ...]) -> float:
    X = rows(shape)
    reading = read_network(graph_bytes(nodes, constants, shape), X=X, classes=None)
    expected = reading.clear(X)
    assert np.abs(expected).max() > 0.01
    found = reading.program.clear(reading.encoding.encode(X.reshape(len(X), -1)))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


CONVOLUTIONS = {
    "plain": ((5, 4, 3, 3), {}),
    "stride": ((5, 4, 3, 2), {"strides": [2, 3]}),
    "pads that differ": ((5, 4, 3, 3), {"pads": [2, 0, 1, 3], "strides": [2, 2]}),
    "same upper": ((5, 4, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((5, 4, 4, 2), {"auto_pad": "SAME_LOWER"}),
    "groups": ((6, 2, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}),
    "depthwise": ((8, 1, 3, 3), {"group": 4, "strides": [1, 2]}),
    "dilations": ((3, 4, 3, 2), {"dilations": [2, 3]}),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_is_its_matrix(case: str) -> None:
    kernel, attributes = CONVOLUTIONS[case]
    constants = {"w": weights(*kernel), "b": weights(kernel[0])}
    nodes = [node("Conv", "x w b", "c", **attributes), node("Flatten", "c", "y")]
    assert worst_error(nodes, constants, IMAGE) < SINGLE


POOLS = {
    "plain": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "overlapping": {"kernel_shape": [3, 2], "strides": [1, 2]},
    "padding counted": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    "padding not counted": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]},
    "ceil": {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
}


@pytest.mark.parametrize("case", POOLS)
def test_average_pooling_is_a_linear_map(case: str) -> None:
    nodes = [node("AveragePool", "x", "p", **POOLS[case]), node("Flatten", "p", "y")]
    assert worst_error(nodes, {}, IMAGE) < SINGLE


def test_batch_normalisation_pooling_and_dense_layers_fold_into_one_map() -> None:
    constants = {"s": weights(4), "t": weights(4), "m": weights(4), "v": weights(4) ** 2 + 0.5, "g": weights(3, 4)}
    nodes = [
        node("BatchNormalization", "x s t m v", "n", epsilon=0.01),
        node("GlobalAveragePool", "n", "p"),
        node("Reshape", "p shape", "f"),
        node("Gemm", "f g c", "y", transB=1, alpha=0.5, beta=2.0),
    ]
    constants |= {"shape": np.array([0, -1]), "c": weights(3)}
    assert worst_error(nodes, constants, IMAGE) < SINGLE


def test_transposing_and_flattening_move_elements_as_onnx_does() -> None:
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Flatten", "t", "f"), node("MatMul", "f w", "y")]
    assert worst_error(nodes, {"w": weights(4 * 9 * 7, 2)}, IMAGE) < SINGLE


ACTIVATIONS = {
    "square by Mul": [node("Mul", "h h", "y")],
    "square by Pow": [node("Pow", "h two", "y")],
    "polynomial": [
        node("Mul", "h c2", "a"),
        node("Add", "a c1", "b"),
        node("Mul", "b h", "p"),
        node("Add", "p c0", "y"),
    ],
    "sum of powers": [
        node("Pow", "h two", "q"),
        node("Mul", "q c2", "a"),
        node("Mul", "h c1", "b"),
        node("Add", "a b", "y"),
    ],
    "difference": [node("Mul", "h h", "q"), node("Sub", "c0 q", "y")],
    "square of a quotient": [node("Div", "h c1", "q"), node("Neg", "q", "r"), node("Mul", "r q", "y")],
    "cube": [node("Pow", "h three", "y")],
    "fourth power": [node("Mul", "h h", "q"), node("Mul", "q q", "r"), node("Add", "r h", "y")],
    "product of two values": [node("MatMul", "x w2", "g"), node("Mul", "g h", "y")],
    "line": [node("Mul", "h c1", "y")],
}


@pytest.mark.parametrize("case", ACTIVATIONS)
def test_an_activation_is_squares_between_affine_maps(case: str) -> None:
    coefficients = {"c0": weights(6), "c1": np.linspace(-1, 1, 6), "c2": np.array([0.3, -0.2, 1e-9, 0.0, -2.0, 0.05])}
    coefficients["c1"][3] = 0.7
    constants = {
        "w": weights(5, 6),
        "w2": weights(5, 6) + 1,
        "two": np.array(2.0),
        "three": np.array(3.0),
        **coefficients,
    }
    assert worst_error([node("MatMul", "x w", "h"), *ACTIVATIONS[case]], constants, (5,)) < 1e-7


def test_a_residual_sum_passes_the_square_by_lanes_that_keep_it() -> None:
    nodes = [
        node("MatMul", "x w", "h"),
        node("Mul", "h h", "q"),
        node("Add", "q h", "a"),
        node("MatMul", "a v", "g"),
        node("Mul", "g g", "r"),
        node("Add", "r a", "b"),
        node("Add", "b x", "c"),
        node("MatMul", "c u", "y"),
    ]
    constants = {"w": weights(5, 5) / 3, "v": weights(5, 5) / 2, "u": weights(5, 2)}
    assert worst_error(nodes, constants, (5,)) < 1e-9


def test_a_polynomial_takes_one_lane_for_each_element() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Mul", "h c2", "a"), node("Add", "a c1", "b"), node("Mul", "b h", "p")]
    nodes += [node("MatMul", "p u", "y")]
    constants = {"w": weights(5, 6), "c2": np.full(6, 0.2), "c1": np.full(6, 0.5), "u": weights(6, 3)}
    X = rows((5,))
    program = read_network(graph_bytes(nodes, constants, (5,)), X=X, classes=None).program
    assert [layer.weights.shape for layer in program.layers] == [(6, 5), (3, 6)]
    assert program.bounds[0] == pytest.approx(MARGIN)


def test_shapes_computed_from_the_input_are_folded() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n axes", "m"),
        node("Concat", "m minus", "t", axis=0),
        node("Reshape", "x t", "y"),
    ]
    constants = {"zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1])}
    assert worst_error(nodes, constants, (2, 3)) < 1e-12


def test_a_final_softmax_becomes_the_link() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Softmax", "h", "y", axis=1)]
    X = rows((5,))
    reading = read_network(graph_bytes(nodes, {"w": weights(5, 3)}, (5,)), X=X, classes=("a", "b", "c"))
    assert (reading.link, reading.classes) == ("softmax", ("a", "b", "c"))
    np.testing.assert_allclose(reading.clear(X), X @ weights(5, 3))
