"""A trainer of multilayer perceptrons that makes 64 shadow models in about the time of a few.

The target and its shadows come from the same code, so the shadows behave as the target does. PyTorch is optional; it
is imported when a network is trained. A trained network is plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import softmax

from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH
from holdfast.models import Encoding

if TYPE_CHECKING:
    from holdfast.attacks.privacy.network_stack import Layers, Rows
    from holdfast.attacks.privacy.shadows import Flags

_TOGETHER: Final = 64
"""Networks trained as one; beyond it, memory grows and nothing is saved."""
_MAX_EPOCHS: Final = 10_000
_MAX_WIDTH: Final = 4_096
_SEEDS: Final = 2**63


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A multilayer perceptron with ReLU on the encoded row. Lives in memory only."""

    schema: Schema
    layers: Layers = field(repr=False)

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities."""
        return _probabilities(_encode(self.schema, X), self.layers)


@dataclass(frozen=True, kw_only=True)
class NetworkTrainer:
    """Trains multilayer perceptrons: one, or many together. It is a `Trainer`.

    Args:
        hidden: units of each hidden layer, one layer or more.
        epochs: over the training rows.
        batch_size: rows of one step.
        learning_rate: of Adam, above 0 and up to 1.
    """

    hidden: tuple[int, ...] = (64,)
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if not self.hidden or not all(1 <= units <= _MAX_WIDTH for units in self.hidden):
            raise UsageError(f"expected hidden layers of 1 to {_MAX_WIDTH} units, got {self.hidden}")
        if not 1 <= self.epochs <= _MAX_EPOCHS:
            raise UsageError(f"expected 1 to {_MAX_EPOCHS} epochs, got {self.epochs}")
        if self.batch_size < 1:
            raise UsageError(f"expected batches of 1 row or more, got {self.batch_size}")
        if not 0 < self.learning_rate <= 1:
            raise UsageError(f"expected a learning rate above 0 and up to 1, got {self.learning_rate}")

    def __call__(self, data: Dataset, *, seed: int) -> NetworkModel:
        """Train one network.

        Raises:
            DataError: there is no row.
            UnsupportedError: PyTorch is not installed.
        """
        if not 0 <= seed < _SEEDS:
            raise UsageError(f"expected a seed from 0 to 2^63 - 1, got {seed}")
        (layers,) = self._train(data, [np.arange(len(data))], np.array([seed]), lambda _: None)
        return NetworkModel(data.schema, layers)

    def train_together(
        self, pool: Dataset, inside: Flags, *, seeds: Labels, progress: Callable[[int, int], None]
    ) -> Iterator[Matrix]:
        """See `TrainsTogether`: each network is the one that training alone on its rows with its seed would give."""
        E = _encode(pool.schema, pool.X)
        for start in range(0, len(inside), _TOGETHER):
            members = [np.flatnonzero(row) for row in inside[start : start + _TOGETHER]]

            def tell(share: float, start: int = start, count: int = len(members)) -> None:
                progress(start + int(share * count), len(inside))

            for layers in self._train(pool, members, seeds[start : start + _TOGETHER], tell, E=E):
                yield _probabilities(E, layers)

    def _train(
        self,
        data: Dataset,
        members: list[Labels],
        seeds: Labels,
        progress: Callable[[float], None],
        *,
        E: Rows | None = None,
    ) -> list[Layers]:
        if not all(len(rows) for rows in members):
            raise DataError("expected rows to train a network on, got none")
        stack = _network_stack()
        E = _encode(data.schema, data.X) if E is None else E
        recipe = stack.Recipe(
            widths=(E.shape[1], *self.hidden, len(data.schema.classes)),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        layers: list[Layers] = stack.train_stack(E, data.y.copy(), members, recipe, seeds=seeds, progress=progress)
        return layers


def _encode(schema: Schema, X: Matrix) -> Rows:
    return Encoding(schema).encode(X).astype(np.float32)


def _probabilities(E: Rows, layers: Layers) -> Matrix:
    for position, (weights, offsets) in enumerate(layers):
        E = (np.maximum(E, 0) if position else E) @ weights + offsets
    return np.asarray(softmax(E.astype(np.float64), axis=1), dtype=np.float64)


def _network_stack() -> Any:
    try:
        from holdfast.attacks.privacy import network_stack
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UnsupportedError("training networks needs PyTorch, which is not installed", hint=INSTALL_TORCH) from None
    return network_stack
