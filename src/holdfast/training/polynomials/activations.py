"""Networks whose activations encryption can compute: polynomials of degree 2 in the place of ReLU and its like.

PyTorch is optional; it is imported when a network is swapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.arguments import check_kind
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

MAX_EPOCHS: Final = 10_000
_SEEDS: Final = 2**63

Augment = Callable[["Tensor", "Generator"], "Tensor"]
"""Changes a batch of inputs as their labels allow, such as by small shifts; random by the generator alone."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class SwappedNetwork:
    """A network with polynomial activations, and what they cost.

    Args:
        module: in evaluation mode.
        accuracy_before: of the network that was given, on the test rows.
        accuracy_after: of `module`, on the same rows.
        test_rows: how many there are.
        swapped: what was replaced, by the names of the modules.
        ranges: the largest absolute value before each polynomial, on training and test rows.
    """

    module: nn.Module = field(repr=False)
    accuracy_before: float
    accuracy_after: float
    test_rows: int
    swapped: tuple[str, ...]
    ranges: tuple[float, ...]

    @property
    def cost_points(self) -> float:
        """Percentage points of test accuracy lost; below zero where the polynomials do better."""
        return 100 * (self.accuracy_before - self.accuracy_after)


def swap_activations(
    module: nn.Module,
    X: NDArray[Any],
    y: NDArray[np.integer],
    *,
    X_test: NDArray[Any],
    y_test: NDArray[np.integer],
    seed: int,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    augment: Augment | None = None,
    progress: Progress | None = None,
) -> SwappedNetwork:
    """Replace activations by trainable polynomials of degree 2, one per channel, and fine-tune the whole network.

    A polynomial starts as the least-squares fit of the activation to the values that reach it; max pooling becomes
    average pooling. The network then learns from the labels and from the one that was given (distillation, Hinton et
    al. 2015), and is held to the range of values that the latter had, as polynomials grow outside it. The test rows
    decide nothing. The module that was given stays as it is. The same seed gives the same network on the same machine.

    Args:
        module: a trained classifier that gives one score per class; its activations are modules, each used once.
        X: (rows, …) as the module takes them.
        y: (rows,) classes from 0.
        X_test: rows to measure on.
        y_test: their classes.
        seed: for order, augmentation and dropout.
        epochs: over the training rows, 1 or more.
        batch_size: rows of one step, 2 or more.
        learning_rate: the largest of the schedule, above 0 and up to 1.
        augment: applied to each batch.
        progress: called with (epochs done, epochs) after each.

    Raises:
        UnsupportedError: PyTorch is not installed, or the module has no activation that can be replaced.
        DataError: rows and labels do not fit each other or the module.
        UsageError: an argument of another kind, or a number that means nothing.
    """
    _check_options(seed, epochs, batch_size, learning_rate)
    for rows, labels in ((X, y), (X_test, y_test)):
        _check_rows(rows, labels)
    try:
        from holdfast.training.polynomials.tuning import Schedule, swap_and_tune
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UnsupportedError(
            "swapping activations needs PyTorch, which is not installed", hint=INSTALL_TORCH
        ) from None
    schedule = Schedule(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    return swap_and_tune(module, (X, y), (X_test, y_test), schedule=schedule, augment=augment, progress=progress)


def _check_options(seed: int, epochs: int, batch_size: int, learning_rate: float) -> None:
    if not 0 <= seed < _SEEDS:
        raise UsageError(f"expected a seed from 0 to 2^63 - 1, got {seed}")
    if not 1 <= epochs <= MAX_EPOCHS:
        raise UsageError(f"expected 1 to {MAX_EPOCHS} epochs, got {epochs}")
    if batch_size < 2:
        raise UsageError(f"expected batches of 2 rows or more, got {batch_size}")
    if not 0 < learning_rate <= 1:
        raise UsageError(f"expected a learning rate above 0 and up to 1, got {learning_rate}")


def _check_rows(X: NDArray[Any], y: NDArray[np.integer]) -> None:
    check_kind("X", X, np.ndarray, example="tensor.numpy()")
    check_kind("y", y, np.ndarray, example="labels.numpy()")
    if X.ndim < 2 or len(X) < 2 or y.shape != (len(X),):
        raise DataError(f"expected at least 2 rows and one class for each, got shapes {X.shape} and {y.shape}")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise DataError("expected classes as whole numbers from 0")
    if X.dtype.kind not in "biuf" or not np.isfinite(X).all():
        raise DataError(f"expected rows of finite numbers, got some of {X.dtype} that are not")
