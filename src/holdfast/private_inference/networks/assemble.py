"""A network that was read, as a program: the unrolled first layer, and checks of what can be encrypted."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.errors import UnsupportedError
from holdfast.private_inference.networks.trace import Trace
from holdfast.private_inference.networks.values import Root, Value, Vector, widened
from holdfast.private_inference.networks.windows import moved, unroll
from holdfast.private_inference.program import Affine, NetworkProgram

MAX_ENTRIES: Final = 2**24
"""Weights of one layer: 128 MiB, a quarter of what a service has for a model."""
MAX_WEIGHT: Final = 2.0**20
"""The largest weight; lanes reach 1, so that above it the errors of encryption would show in the scores."""
MAX_SCORE: Final = 2.0**12
"""The largest score; above it the bits for its fraction are missing."""


def assemble(trace: Trace, output: Value) -> NetworkProgram:
    """The program of an output; its bounds are what the reference rows reach.

    Args:
        trace: what was read.
        output: the scores.

    Raises:
        UnsupportedError: a layer is too large, or its weights and values span too many bits.
    """
    roots = trace.layers(output)
    reach = [float(np.abs(root.at(trace.lanes(level))).max()) for level, root in enumerate(roots)]
    if reach[-1] > MAX_SCORE:
        raise UnsupportedError(
            f"expected scores of at most {MAX_SCORE:g}, the network gives {reach[-1]:g} on the reference rows",
            hint="scale the rows as in training, or train with smaller weights",
        )
    unrolled = unroll(roots[0], trace.windows) if trace.windows is not None and len(roots) > 1 else None
    if unrolled is None:
        layers, input_map = [_dense(root, width=trace.lanes(i).shape[1]) for i, root in enumerate(roots)], None
    else:
        second = moved(roots[1], unrolled.lanes, width=unrolled.layer.n_outputs)
        rest = [_dense(root, width=trace.lanes(i).shape[1]) for i, root in enumerate(roots) if i > 1]
        layers = [unrolled.layer, _dense(second, width=unrolled.layer.n_outputs), *rest]
        input_map = unrolled.input_map
    return NetworkProgram(layers=tuple(layers), bounds=tuple(reach), input_map=input_map)


def _dense(root: Root, *, width: int) -> Affine:
    """A layer over all lanes of its level.

    Raises:
        UnsupportedError: it has too many weights, or too large ones.
    """
    if len(root.bias) * width > MAX_ENTRIES:
        raise UnsupportedError(
            f"expected a layer of at most {MAX_ENTRIES} weights, got {len(root.bias)} x {width}",
            hint="use larger strides, average pooling or fewer channels before the next activation",
        )
    weights: Vector = widened(root.weights, width).toarray()
    largest = float(np.abs(weights).max(initial=0.0))
    if not largest <= MAX_WEIGHT:
        raise UnsupportedError(
            f"expected weights of at most {MAX_WEIGHT:g}, got {largest:g} once the activations are squares",
            hint="keep the values before activations within about -8 to 8, as holdfast.swap_activations does",
        )
    return Affine(weights=weights, bias=root.bias)
