"""The networks of the private-inference bench: trained with ReLU, then swapped to polynomials, in about five minutes.

    mlp-784        784-128-64-10 on MNIST
    cnn-mnist      convolution 5x5 with stride 2 to 8 channels, dense 128, dense 10
    cnn-pneumonia  convolution 5x5 with stride 2 to 8 channels, average pooling, dense 64, dense 2, on PneumoniaMNIST

Trained weights are kept in benches/.models; delete the folder to train anew. The data sets lie in the folder that
HOLDFAST_DATA names, by default ../shared/data beside the repository. Run as a script, it prints for each network one
JSON line: test accuracy with polynomials and with ReLU, on the full test sets, and the ranges before each squaring.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from holdfast.training import swap_activations
from holdfast.training.polynomials.layers import Polynomial

MODELS = Path(__file__).parent / ".models"
DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SEED = 3

Activation = Callable[[int, int], nn.Module]
"""A module for so many channels with so many axes behind them."""


@dataclass(frozen=True, eq=False)
class Images:
    """A data set of images (rows, 1, 28, 28) from 0 to 1, and their classes."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how long."""

    data: Callable[[], Images]
    build: Callable[[Activation], nn.Module]
    relu_epochs: int
    swap_epochs: int
    batch_size: int
    degrees: float
    weight_decay: float


@dataclass(frozen=True)
class Figures:
    """Measured on the full test set."""

    case: str
    accuracy: float
    relu_accuracy: float
    test_rows: int
    ranges: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with polynomial activations, in evaluation mode, and its data."""

    module: nn.Module
    data: Images
    figures: Figures


def mnist() -> Images:
    with np.load(DATA / "mnist.npz", allow_pickle=False) as file:
        parts = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    return _images(*parts, classes=tuple(map(str, range(10))))


def pneumonia() -> Images:
    with np.load(DATA / "pneumoniamnist.npz", allow_pickle=False) as file:
        parts = [file[name] for name in ("train_images", "train_labels", "test_images", "test_labels")]
    return _images(*parts, classes=("normal", "pneumonia"))


def _images(X: Any, y: Any, X_test: Any, y_test: Any, *, classes: tuple[str, ...]) -> Images:
    inputs = [(part[:, None] / 255).astype(np.float32) for part in (X, X_test)]
    labels = [part.ravel().astype(np.int64) for part in (y, y_test)]
    return Images(inputs[0], labels[0], inputs[1], labels[1], classes)


def mlp_784(activation: Activation) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(784, 128), nn.BatchNorm1d(128), activation(128, 0)),
        *(nn.Linear(128, 64), nn.BatchNorm1d(64), activation(64, 0)),
        nn.Linear(64, 10),
    )


def cnn_mnist(activation: Activation) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), activation(8, 2), nn.Flatten()),
        *(nn.Linear(8 * 144, 128), nn.BatchNorm1d(128), activation(128, 0)),
        nn.Linear(128, 10),
    )


def cnn_pneumonia(activation: Activation) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), activation(8, 2), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(8 * 36, 64), nn.BatchNorm1d(64), activation(64, 0)),
        nn.Linear(64, 2),
    )


RECIPES = {
    "mlp-784": Recipe(mnist, mlp_784, 15, 25, 128, degrees=12, weight_decay=1e-4),
    "cnn-mnist": Recipe(mnist, cnn_mnist, 15, 25, 128, degrees=12, weight_decay=1e-4),
    "cnn-pneumonia": Recipe(pneumonia, cnn_pneumonia, 40, 60, 64, degrees=10, weight_decay=1e-2),
}


def trained(case: str) -> Trained:
    """The network of a case, from benches/.models or trained now."""
    recipe, path = RECIPES[case], MODELS / f"{case}.npz"
    data = recipe.data()
    if not path.is_file():
        _train(case, recipe, data, path)
    module = recipe.build(lambda channels, axes: Polynomial(torch.zeros(3, channels), axes=axes))
    with np.load(path, allow_pickle=False) as file:
        figures = json.loads(str(file["figures"]))
        module.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files if name != "figures"})
    return Trained(module.eval(), data, Figures(**{**figures, "ranges": tuple(figures["ranges"])}))


def _train(case: str, recipe: Recipe, data: Images, path: Path) -> None:
    start = time.perf_counter()
    module = _with_relu(case, recipe, data)
    swapped = swap_activations(
        module,
        data.X,
        data.y,
        X_test=data.X_test,
        y_test=data.y_test,
        seed=SEED,
        epochs=recipe.swap_epochs,
        batch_size=recipe.batch_size,
        augment=lambda rows, generator: moved(rows, generator, degrees=recipe.degrees),
        progress=lambda done, total: print(f"{case}: polynomials, epoch {done} of {total}", file=sys.stderr),
    )
    seconds = time.perf_counter() - start
    rows, ranges = swapped.test_rows, swapped.ranges
    figures = Figures(case, swapped.accuracy_after, swapped.accuracy_before, rows, ranges, seconds)
    path.parent.mkdir(exist_ok=True)
    arrays = {name: tensor.numpy() for name, tensor in swapped.module.state_dict().items()}
    np.savez(path, figures=np.array(json.dumps(asdict(figures))), **arrays)


def _with_relu(case: str, recipe: Recipe, data: Images) -> nn.Module:
    """The network with ReLU, trained with cross-entropy."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    module = recipe.build(lambda *_: nn.ReLU())
    X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3, weight_decay=recipe.weight_decay)
    batches = len(X) // recipe.batch_size
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, recipe.relu_epochs * batches)
    for epoch in range(recipe.relu_epochs):
        print(f"{case}: ReLU, epoch {epoch + 1} of {recipe.relu_epochs}", file=sys.stderr)
        for picked in torch.randperm(len(X), generator=generator)[: batches * recipe.batch_size].chunk(batches):
            scores = module(moved(X[picked], generator, degrees=recipe.degrees))
            optimizer.zero_grad()
            functional.cross_entropy(scores, y[picked]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rates.step()
    return module.eval()


def moved(rows: Tensor, generator: torch.Generator, *, degrees: float) -> Tensor:
    """Images turned by up to so many degrees, sheared, scaled by up to 12 %, and shifted by up to 2 pixels."""
    draws = 2 * torch.rand((5, len(rows)), generator=generator) - 1
    angle, scale, shear = draws[0] * math.radians(degrees), 1 + 0.12 * draws[1], 0.15 * draws[2]
    shift_x, shift_y = 4 / rows.shape[3] * draws[3], 4 / rows.shape[2] * draws[4]
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    first = torch.stack([cosine, shear - sine, shift_x], dim=1)
    second = torch.stack([sine, cosine, shift_y], dim=1)
    grid = functional.affine_grid(torch.stack([first, second], dim=1), list(rows.shape), align_corners=False)
    return functional.grid_sample(rows, grid, align_corners=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or RECIPES:
        print(json.dumps({"bench": "networks", **asdict(trained(name).figures)}), flush=True)
