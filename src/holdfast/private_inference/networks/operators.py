"""Linear operators as sparse matrices over flattened tensors, and where a convolution's windows lie."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holdfast.errors import UnsupportedError
from holdfast.private_inference.networks.values import Vector


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How windows move over the places of a channel.

    Args:
        kernel, strides, dilations: (height, width).
        pads: (top, left, bottom, right).
        ceil: whether a window that starts inside and ends outside counts.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    ceil: bool = False

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """Windows along each axis.

        Raises:
            UnsupportedError: no window fits.
        """
        found = []
        for axis, size in enumerate((height, width)):
            before, after = self.pads[axis], self.pads[axis + 2]
            room = size + before + after - self.dilations[axis] * (self.kernel[axis] - 1) - 1
            count = (-(-room // self.strides[axis]) if self.ceil else room // self.strides[axis]) + 1
            if self.ceil and (count - 1) * self.strides[axis] >= size + before:
                count -= 1  # the last window would start in the padding behind
            found.append(count)
        if min(found) < 1:
            raise UnsupportedError(f"expected windows {self.kernel} that fit into {height} x {width}, got larger ones")
        return found[0], found[1]

    def windows(self, height: int, width: int) -> NDArray[np.int64]:
        """(positions, taps) the place in the channel that each tap of each window sees, -1 in the padding."""
        axes = []
        for axis, (size, count) in enumerate(zip((height, width), self.positions(height, width), strict=True)):
            starts = np.arange(count) * self.strides[axis] - self.pads[axis]
            seen = starts[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis]
            axes.append(np.where((seen >= 0) & (seen < size), seen, -1))
        rows, columns = axes[0][:, None, :, None], axes[1][None, :, None, :]
        places = np.where((rows < 0) | (columns < 0), -1, rows * width + columns)
        return np.asarray(places.reshape(len(axes[0]) * len(axes[1]), -1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear:
    """A linear operator on flattened tensors: its matrix, and the shape that comes out."""

    matrix: sparse.csr_array = field(repr=False)
    shape: tuple[int, ...]


def convolution(
    shape: tuple[int, ...], kernel: Vector, *, geometry: Geometry, groups: int
) -> tuple[Linear, NDArray[np.int64]]:
    """A convolution of kernel (out channels, in channels / groups, height, width), and its windows over all channels.

    The windows are (positions, in channels * taps), as places in the flattened input.

    Raises:
        UnsupportedError: the input is not (channels, height, width), or does not fit the kernel.
    """
    channels, height, width = image_shape(shape)
    n_out, per_group = kernel.shape[:2]
    if channels != per_group * groups or n_out % groups:
        raise UnsupportedError(f"expected a convolution of {channels} channels, got one of {per_group * groups}")
    flat = geometry.windows(height, width)
    offsets = np.arange(channels)[:, None] * height * width
    windows = np.where(flat[:, None, :] < 0, -1, flat[:, None, :] + offsets).reshape(len(flat), -1)
    wide = np.zeros((n_out, channels, flat.shape[1]))
    for group in range(groups):
        outs = slice(group * n_out // groups, (group + 1) * n_out // groups)
        wide[outs, group * per_group : (group + 1) * per_group] = kernel[outs].reshape(-1, per_group, flat.shape[1])
    matrix = _windowed(wide.reshape(n_out, -1), windows, inputs=channels * height * width)
    return Linear(matrix=matrix, shape=(n_out, *geometry.positions(height, width))), windows


def average_pool(shape: tuple[int, ...], *, geometry: Geometry, count_padding: bool) -> Linear:
    """Means over windows, channel by channel.

    Raises:
        UnsupportedError: the input is not (channels, height, width).
    """
    channels, height, width = image_shape(shape)
    if geometry.ceil and count_padding and any(geometry.pads):
        raise UnsupportedError("expected average pooling without ceil mode where padding counts")
    flat = geometry.windows(height, width)
    inside = (flat >= 0).sum(axis=1)
    counted = np.full(len(flat), flat.shape[1]) if count_padding and not geometry.ceil else np.maximum(inside, 1)
    rows = np.repeat(np.arange(len(flat)), flat.shape[1])
    values = np.repeat(1.0 / counted, flat.shape[1])
    kept = flat.ravel() >= 0
    plane = sparse.csr_array((values[kept], (rows[kept], flat.ravel()[kept])), shape=(len(flat), height * width))
    matrix = sparse.csr_array(sparse.kron(sparse.eye_array(channels), plane, format="csr"))
    return Linear(matrix=matrix, shape=(channels, *geometry.positions(height, width)))


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape as (channels, height, width).

    Raises:
        UnsupportedError: it is another.
    """
    if len(shape) != 3:
        raise UnsupportedError(
            f"expected images of (channels, height, width), got a value of shape {shape}",
            hint="use two-dimensional convolutions and pooling, before the tensors are flattened",
        )
    return shape[0], shape[1], shape[2]


def _windowed(weights: Vector, windows: NDArray[np.int64], *, inputs: int) -> sparse.csr_array:
    """The matrix that applies each row of weights (out channels, taps) to each window (positions, taps)."""
    position, tap = np.nonzero(windows >= 0)
    n_out, n_positions = len(weights), len(windows)
    rows = (np.arange(n_out)[:, None] * n_positions + position).ravel()
    columns = np.tile(windows[position, tap], n_out)
    matrix = sparse.csr_array((weights[:, tap].ravel(), (rows, columns)), shape=(n_out * n_positions, inputs))
    matrix.eliminate_zeros()
    return matrix
