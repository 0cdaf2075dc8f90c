"""The trace of samples that lie side by side: a polynomial in `X^(N/2W)`, whose slots are the samples' scores.

`W` samples share the sum over the slots; what is revealed of it are W coefficients, and the W slots are the scores.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from holdfast.he import Encoder, Parameters


def trace_values(coefficients: NDArray[np.generic], parameters: Parameters) -> NDArray[np.generic]:
    """The slots of the samples, from their trace's coefficients (samples, outputs)."""
    basis, t = _basis(parameters, len(coefficients)), parameters.plaintext_modulus
    if t is None:
        return np.asarray(basis.astype(np.float64) @ coefficients.astype(np.float64))
    values = basis.astype(np.int64) @ (coefficients.astype(np.int64) % t) % t
    return np.asarray(values - t * (values > t // 2))


@lru_cache(maxsize=4)
def _basis(parameters: Parameters, samples: int) -> NDArray[np.generic]:
    """The slots of `1` and of each `X^m - X^(N - m)`, m a multiple of N/(2·samples): (samples, multiples)."""
    degree, encoder, columns = parameters.degree, Encoder(parameters), []
    for m in range(0, degree // 2, degree // (2 * samples)):
        polynomial = np.zeros(degree)
        polynomial[m] = 1
        if m:
            polynomial[degree - m] = -1
        columns.append(encoder.decode(polynomial).reshape(-1)[:samples])
    basis, t = np.stack(columns, axis=1), parameters.plaintext_modulus
    return basis if t is None else basis % t
