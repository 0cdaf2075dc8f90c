"""The first convolution unrolled: the client gathers the windows, and one weight then serves all places at once.

Input `tap * block + place` of the gathered vector is the number that a tap sees at a place; output
`channel * block + place` is the convolution there. `block` is the power of two from the number of places on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holdfast.private_inference.networks.values import Root, Vector, widened
from holdfast.private_inference.program import Affine

MAX_GATHERED: Final = 2**13
"""Inputs of an unrolled first layer: the slots of one ciphertext."""
_SAME: Final = 1e-9
"""Relative distance up to which the weights of two places count as the same."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Unrolled:
    """A first layer over gathered numbers.

    Args:
        layer: with one weight for each channel and tap.
        input_map: (taps * block,) which number each input is, -1 for a zero.
        lanes: (outputs of the plain layer,) where each of them now is.
    """

    layer: Affine
    input_map: NDArray[np.int64] = field(repr=False)
    lanes: NDArray[np.int64] = field(repr=False)


def unroll(root: Root, windows: NDArray[np.int64]) -> Unrolled | None:
    """The first layer over the gathered windows (places, taps); None where it is no such convolution, or too wide."""
    places, taps = windows.shape
    block = 1 << (places - 1).bit_length()
    if len(root.bias) % places or taps * block > MAX_GATHERED:
        return None
    channels = [_kernel(root.weights[start : start + places], windows) for start in range(0, len(root.bias), places)]
    found = [channel for channel in channels if channel is not None]
    if len(found) < len(channels):
        return None
    lanes = (np.arange(len(found))[:, None] * block + np.arange(places)).ravel()
    bias = np.zeros(len(found) * block)
    bias[lanes] = root.bias
    input_map = np.full((taps, block), -1, dtype=np.int64)
    input_map[:, :places] = windows.T
    layer = Affine(weights=np.array(found), bias=bias, block=block)
    return Unrolled(layer=layer, input_map=input_map.ravel(), lanes=lanes)


def moved(root: Root, lanes: NDArray[np.int64], *, width: int) -> Root:
    """The next layer, for lanes that have moved to other places among `width`."""
    weights = sparse.coo_array(widened(root.weights, len(lanes)))
    rows, columns = weights.coords
    shape = (weights.shape[0], width)
    return Root(sparse.csr_array((weights.data, (rows, lanes[columns])), shape=shape), root.bias)


def _kernel(weights: sparse.csr_array, windows: NDArray[np.int64]) -> Vector | None:
    """(taps,) the weights that all places share; None where they do not, or look outside their windows."""
    seen = windows >= 0
    dense = np.asarray(weights.toarray())
    found = np.where(seen, np.take_along_axis(dense, np.where(seen, windows, 0), axis=1), np.nan)
    used = seen.any(axis=0)
    kernel = np.zeros(windows.shape[1])
    kernel[used] = np.nanmedian(found[:, used], axis=0)
    scale = np.abs(dense).max(initial=0.0)
    same = np.where(seen, np.abs(found - kernel) <= _SAME * scale, True).all()  # noqa: FBT003 - a fill value
    inside = np.isclose(np.nansum(np.abs(found)), np.abs(dense).sum(), rtol=1e-9)
    return kernel if same and inside else None
