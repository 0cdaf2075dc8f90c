"""The compiler: float64 weights to a plan whose scores are exact in fixed point."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError, UsageError
from holdfast.he import EXACT_8192, fresh_seed
from holdfast.private_inference.layout import Layout
from holdfast.private_inference.plan import LinearPlan, SecretWeights, largest_score
from holdfast.private_inference.public_plan import MAX_ERROR_BITS, MAX_SCORE, MIN_ERROR_BITS, PublicPlan


def compile_linear(coef: NDArray[np.float64], intercept: NDArray[np.float64], *, classes: Sequence[str]) -> LinearPlan:
    """Make the plan of `scores = E @ coef.T + intercept` for encoded rows E (rows, m) in [-1, 1].

    Precision. Let a feature be `x' = x + d` and a weight `w' = w + e` after rounding, |d| <= 2^-(feature_bits + 1) and
    |e| <= 2^-(weight_bits + 1). Then |x'| <= 1 and

        |x'·w' - x·w| = |x'·e + d·w| <= m · 2^-(weight_bits + 1) + |w|_1 · 2^-(feature_bits + 1).

    With `weight_bits = p + 1 + ceil(log2 m)` and `feature_bits = p + ceil(log2 max(|w|_1, 1))` that is at most
    `2^-(p+2) + 2^-(p+1)`; the rounding of the intercept, `2^-(feature_bits + weight_bits + 1)`, and that of float64 on
    both sides fit into the `2^-(p+2)` that remain. So a score is within `2^-p` of its float64 value. p is 20, or where
    the scores would overflow the plaintext modulus (just under 2^62), the largest that fits.

    Args:
        coef: (k, m) weights; k = 1 for two classes, else one row for each class.
        intercept: (k,) intercepts.
        classes: names of the classes.

    Raises:
        UsageError: shapes do not fit together, or a number is not finite.
        UnsupportedError: the model is too wide, or its weights are too large even for p = 10.
    """
    coef, intercept = np.asarray(coef, dtype=np.float64), np.asarray(intercept, dtype=np.float64)
    n_scores = 1 if len(classes) == 2 else len(classes)
    if coef.ndim != 2 or len(coef) != n_scores or coef.shape[1] == 0 or intercept.shape != (n_scores,):
        raise UsageError(
            f"expected coef ({n_scores}, features) and intercept ({n_scores},) for {len(classes)} classes,"
            f" got {coef.shape} and {intercept.shape}"
        )
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise UsageError("expected finite weights, got one that is not")
    if coef.shape[1] > EXACT_8192.degree or Layout(n_features=coef.shape[1], n_scores=n_scores).max_rows == 0:
        raise UnsupportedError(
            f"private prediction takes at most {EXACT_8192.degree} encoded features, and fewer for many classes,"
            f" got {coef.shape[1]} features and {len(classes)} classes",
            hint="leave out features, or group rare categories",
        )
    for error_bits in range(MAX_ERROR_BITS, MIN_ERROR_BITS - 1, -1):
        plan = _plan(coef, intercept, classes=tuple(classes), error_bits=error_bits)
        if plan is not None:
            return plan
    raise UnsupportedError(
        f"the weights (absolute sum {np.abs(coef).sum(axis=1).max():.3g}) are too large for exact private scores",
        hint="divide coef and intercept by a common factor; the predicted classes stay the same",
    )


def _plan(
    coef: NDArray[np.float64], intercept: NDArray[np.float64], *, classes: tuple[str, ...], error_bits: int
) -> LinearPlan | None:
    """The plan at one precision; None where a score could overflow."""
    weight_bits = error_bits + 1 + _ceil_log2(coef.shape[1])
    feature_bits = error_bits + _ceil_log2(float(np.abs(coef).sum(axis=1).max()))
    weights, offsets = np.rint(coef * 2.0**weight_bits), np.rint(intercept * 2.0 ** (feature_bits + weight_bits))
    if max(np.abs(weights).max(), np.abs(offsets).max()) > MAX_SCORE:
        return None
    secret = SecretWeights(weights=weights.astype(np.int64), intercept=offsets.astype(np.int64), salt=fresh_seed())
    if largest_score(secret, feature_bits=feature_bits) > MAX_SCORE:
        return None
    public = PublicPlan(
        n_features=coef.shape[1],
        classes=classes,
        feature_bits=feature_bits,
        weight_bits=weight_bits,
        error_bits=error_bits,
        commitment=secret.commitment,
    )
    return LinearPlan(public=public, secret=secret)


def _ceil_log2(value: float) -> int:
    """The smallest integer b >= 0 with 2^b >= value."""
    return max(0, math.ceil(math.log2(max(value, 1.0))))
