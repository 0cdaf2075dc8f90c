"""A trained picture classifier as ONNX: convolutions that are fixed, then a linear map, in plain operators.

The graph takes pixels as the columns of a table, as every model of Holdfast's does, so that the same tools seal, attack
and serve it; the schema names each pixel by its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from holdfast import limits
from holdfast.data import Feature, Schema
from holdfast.errors import UnsupportedError
from holdfast.models import OnnxModel
from holdfast.models.onnx_graph import INPUT, OUTPUT, to_bytes
from holdfast.training.images.channels import LARGEST
from holdfast.training.images.inputs import Shape
from holdfast.training.images.network import PictureNetwork
from holdfast.training.images.scattering import ORIENTATIONS, TINY, ScatteringTransform

Side = tuple[int, int]
"""Height and width."""


def picture_model(network: PictureNetwork, shape: Shape, classes: Sequence[str]) -> OnnxModel:
    """The whole way from pixels to probabilities.

    Args:
        network: trained.
        shape: (height, width, channels) of a picture.
        classes: their names.

    Raises:
        UnsupportedError: pictures of more numbers than a table has columns.
    """
    schema = _schema(shape, classes)
    responses, standardise, linear = network.responses, network.standardise, network.linear
    graph, (height, width, channels) = _Graph(), shape
    numbers = graph.add("Cast", INPUT, to=TensorProto.FLOAT)
    pictures = graph.add("Reshape", numbers, graph.keep(np.array([-1, height, width, channels])))
    pictures = graph.add("Transpose", pictures, perm=[0, 3, 1, 2])
    pictures = graph.add("Div", pictures, graph.keep(np.float32(255)))
    answers = graph.scatter(pictures, channels, (height, width), responses.transform)
    standard = graph.add("Div", answers, graph.keep(responses.units))
    standard = graph.add("Sub", standard, graph.keep(standardise.centre))
    standard = graph.add("Mul", standard, graph.keep(standardise.stretch))
    standard = graph.add("Clip", standard, graph.keep(np.float32(-LARGEST)), graph.keep(np.float32(LARGEST)))
    rows = graph.add("Flatten", standard)
    scores = graph.add("Gemm", rows, graph.keep(linear.weight), graph.keep(linear.bias), transB=1)
    scores = graph.add("Cast", scores, to=TensorProto.DOUBLE)
    graph.nodes.append(helper.make_node("Softmax", [scores], [OUTPUT], axis=1))
    return OnnxModel(to_bytes(graph.nodes, graph.constants, schema, kind="pictures"))


def _schema(shape: Shape, classes: Sequence[str]) -> Schema:
    """A column for each number of a picture, row by row."""
    height, width, channels = shape
    if height * width * channels > limits.MAX_COLUMNS:
        raise UnsupportedError(
            f"expected pictures of at most {limits.MAX_COLUMNS} numbers to make a table's model of, got {shape}",
            hint="use network_, the PyTorch module, or train on smaller pictures",
        )
    names = [f"pixel {y} {x} {c}" for y in range(height) for x in range(width) for c in range(channels)]
    features = tuple(Feature(name=name, kind="integer", low=0, high=255) for name in names)
    return Schema(features=features, target="class", classes=tuple(classes))


class _Graph:
    """Nodes and constants in the order in which they are made, which names them."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def keep(self, value: Any) -> str:
        """A constant, by its name."""
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        self.constants.append(numpy_helper.from_array(np.asarray(array), name=f"constant {len(self.constants)}"))
        return str(self.constants[-1].name)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The output of one more node, by its name."""
        name = f"{operator} {len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def scatter(self, pictures: str, channels: int, side: Side, transform: ScatteringTransform) -> str:
        """`ScatteringTransform.forward`."""
        half = _after(side, 2)
        fine = self._modulus(pictures, channels, side, transform.fine, stride=1)
        many = channels * ORIENTATIONS
        first = self._modulus(pictures, channels, side, transform.coarse, stride=2)
        second = self._modulus(fine, many, side, transform.coarse, stride=2)
        parts = [
            self._average(pictures, channels, side, transform.average, stride=4),
            self._average(fine, many, side, transform.average, stride=4),
            self._average(first, many, half, transform.half_average, stride=2),
            self._average(second, many * ORIENTATIONS, half, transform.half_average, stride=2),
        ]
        return self.add("Concat", *parts, axis=1)

    def _modulus(self, pictures: str, channels: int, side: Side, wavelets: Tensor, *, stride: int) -> str:
        answers = self._respond(pictures, side, wavelets, stride=stride)
        squares = self.add("Mul", answers, answers)
        pairs = self._shaped(squares, (2, ORIENTATIONS), _after(side, stride))
        sums = self.add("ReduceSum", pairs, self.keep(np.array([1])), keepdims=0)
        sizes = self.add("Sqrt", self.add("Add", sums, self.keep(np.float32(TINY))))
        return self._shaped(sizes, (channels * ORIENTATIONS,), _after(side, stride))

    def _average(self, pictures: str, channels: int, side: Side, kernel: Tensor, *, stride: int) -> str:
        return self._shaped(self._respond(pictures, side, kernel, stride=stride), (channels,), _after(side, stride))

    def _respond(self, pictures: str, side: Side, kernels: Tensor, *, stride: int) -> str:
        half = kernels.shape[-1] // 2
        single = self._shaped(pictures, (1,), side)
        padded = self.add("Pad", single, self.keep(np.array([0, 0, half, half] * 2)), mode="reflect")
        return self.add("Conv", padded, self.keep(kernels), strides=[stride, stride])

    def _shaped(self, values: str, channels: tuple[int, ...], side: Side) -> str:
        return self.add("Reshape", values, self.keep(np.array([-1, *channels, *side])))


def _after(side: Side, stride: int) -> Side:
    """Height and width after a stride."""
    return (-(-side[0] // stride), -(-side[1] // stride))
