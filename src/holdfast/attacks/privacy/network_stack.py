"""Many multilayer perceptrons trained as one: every layer is a stack of matrices, every step a few batched products.

Each network has its own rows, order of rows, starting weights and number of steps, all from its own seed, so that it
comes out as if it had been trained alone, up to rounding. Needs PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdfast.data import Labels

Rows = npt.NDArray[np.float32]
Layers = tuple[tuple[Rows, Rows], ...]
"""Of one network: (inputs, outputs) weights and (outputs,) offsets, layer by layer."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How each network is trained: Adam (Kingma and Ba 2015) on the mean cross entropy of each batch."""

    widths: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float


def train_stack(
    E: Rows, y: Labels, members: list[Labels], recipe: Recipe, *, seeds: Labels, progress: Callable[[float], None]
) -> list[Layers]:
    """Train a network on each list of rows.

    Args:
        E: (rows, inputs) of all networks.
        y: (rows,) classes from 0.
        members: positions of each network's rows, at least one.
        recipe: `widths` from the inputs to the classes.
        seeds: (networks,).
        progress: called with the share of steps done.
    """
    rngs = [np.random.default_rng(int(seed)) for seed in seeds]
    stack = [_first_weights(recipe.widths, rng) for rng in rngs]
    parameters = [
        torch.from_numpy(np.stack([network[layer][part] for network in stack])).requires_grad_()
        for layer in range(len(recipe.widths) - 1)
        for part in (0, 1)
    ]
    optimizer = torch.optim.Adam(parameters, lr=recipe.learning_rate, fused=True)
    inputs, classes = torch.from_numpy(E), torch.from_numpy(y)
    orders = [_Order(rows, recipe.batch_size, rng) for rows, rng in zip(members, rngs, strict=True)]
    last = np.array([recipe.epochs * order.batches for order in orders])
    finished: list[Layers] = [() for _ in members]
    for step in range(1, int(last.max()) + 1):
        batch, weight = _stacked([order.next() for order in orders], recipe.batch_size)
        losses = torch.nn.functional.cross_entropy(
            _forward(parameters, inputs[batch]).flatten(0, 1), classes[batch].flatten(), reduction="none"
        )
        optimizer.zero_grad()
        (losses * weight.flatten()).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for network in np.flatnonzero(last == step):
            finished[network] = _layers(parameters, int(network))
        progress(step / int(last.max()))
    return finished


class _Order:
    """The rows of one network, batch after batch; each epoch in a new order, its last batch as small as it comes."""

    def __init__(self, rows: Labels, batch_size: int, rng: np.random.Generator) -> None:
        self._rows, self._size, self._rng, self._at = rows, batch_size, rng, len(rows)
        self.batches = -(-len(rows) // batch_size)

    def next(self) -> Labels:
        if self._at >= len(self._rows):
            self._rows, self._at = self._rng.permutation(self._rows), 0
        self._at += self._size
        return self._rows[self._at - self._size : self._at]


def _stacked(batches: list[Labels], size: int) -> tuple[Tensor, Tensor]:
    """(networks, size) rows and their weights in each network's mean; where a batch is smaller, weights are 0."""
    rows = np.zeros((len(batches), size), dtype=np.int64)
    weights = np.zeros((len(batches), size), dtype=np.float32)
    for network, batch in enumerate(batches):
        rows[network, : len(batch)] = batch
        weights[network, : len(batch)] = 1 / len(batch)
    return torch.from_numpy(rows), torch.from_numpy(weights)


def _forward(parameters: list[Tensor], X: Tensor) -> Tensor:
    """(networks, rows, inputs) to (networks, rows, classes)."""
    for layer in range(0, len(parameters), 2):
        X = torch.baddbmm(parameters[layer + 1], torch.relu(X) if layer else X, parameters[layer])
    return X


def _first_weights(widths: tuple[int, ...], rng: np.random.Generator) -> Layers:
    """He initialisation (He et al. 2015) for ReLU, offsets 0."""
    return tuple(
        (
            (np.sqrt(2 / inputs) * rng.standard_normal((inputs, outputs))).astype(np.float32),
            np.zeros((1, outputs), dtype=np.float32),
        )
        for inputs, outputs in pairwise(widths)
    )


def _layers(parameters: list[Tensor], network: int) -> Layers:
    arrays = [parameter[network].detach().numpy().copy() for parameter in parameters]
    return tuple(zip(arrays[::2], (offsets[0] for offsets in arrays[1::2]), strict=True))
