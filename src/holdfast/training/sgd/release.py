"""The one door between clipped gradients and the optimizer: sums in whole numbers, noise in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.training.release.native import native
from holdfast.training.release.noise import NOISE_WORDS, ROW, SCALE_BITS, RandomWords, add_gaussian_integers

_LARGEST: Final = 2.0**61
"""Units that one micro-batch can add; more is no sum of clipped gradients and counts as 0."""


class NoisySum:
    """Sums of clipped gradients, released with noise alone.

    A sum S is kept in units of 2**-SCALE_BITS standard deviations of the noise, as whole numbers; what is released is
    S + floor(N) = floor(S + N), a function of what the Gaussian mechanism releases, so no low-order bit tells more than
    it does (see `noise`). The change back to floats comes after it.

    Args:
        parameters: whose gradients these are.
        deviation: standard deviation of the noise.
        divisor: what the noisy sum is divided by, such as the average size of a batch; public.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, deviation: float, divisor: float) -> None:
        self._parameters = tuple(parameters)
        self._unit = deviation * 2.0**-SCALE_BITS
        self._divisor = divisor
        ends = list(accumulate(parameter.numel() for parameter in self._parameters))
        self._parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self._rows = np.zeros((-(-ends[-1] // ROW), ROW), dtype=np.int64)
        self._total = self._rows.reshape(-1)[: ends[-1]]
        self._words = RandomWords(NOISE_WORDS)
        released = torch.zeros(ends[-1], dtype=reduce(torch.promote_types, (p.dtype for p in self._parameters)))
        self._released = released.numpy()
        self._gradients = [released[part].view(p.shape) for part, p in zip(self._parts, self._parameters, strict=True)]

    def clear(self) -> None:
        """Begin a new sum."""
        self._total[:] = 0

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add the clipped sum of one micro-batch, one tensor for each parameter, rounded to whole units."""
        for part, gradient in zip(self._parts, gradients, strict=True):
            native.add_rounded(self._total[part], _flat(gradient), 1 / self._unit, _LARGEST)

    def release(self) -> None:
        """Add noise to the sum, and put it, divided, into each parameter's `grad`."""
        add_gaussian_integers(self._rows, self._words)
        native.scaled(self._total, self._unit / self._divisor, self._released)
        for gradient, parameter in zip(self._gradients, self._parameters, strict=True):
            parameter.grad = gradient.to(parameter)


def _flat(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().contiguous().view(-1).numpy()
