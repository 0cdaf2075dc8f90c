"""Small models and real data that the benches of detection and of ownership share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from holdfast.data import Dataset, inspect_table, load
from holdfast.data.images import Images
from holdfast.models import Encoding

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))


class Plain:
    """A scikit-learn estimator as a model, without the way through ONNX."""

    def __init__(self, estimator: Any, data: Dataset) -> None:
        self.schema, self._encoding = data.schema, Encoding(data.schema)
        self._fitted = estimator.fit(self._encoding.encode(data.X), data.y)

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, features) to (rows, classes)."""
        return np.asarray(self._fitted.predict_proba(self._encoding.encode(X)))


@dataclass(frozen=True)
class Network:
    """A network on pictures as they are kept: uint8, channels last."""

    module: nn.Sequential

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(n, height, width, channels) to (n, classes)."""
        with torch.no_grad():
            return np.asarray(torch.cat([self.module(inputs(part)) for part in parts(pixels)]).numpy(), dtype=float)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The same through a softmax."""
        logits = self.logits(pixels)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))

    def classes(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(n,) the most probable."""
        return np.asarray(self.logits(pixels).argmax(axis=1))


def parts(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Pictures in batches that fit the cache."""
    return [pixels[start : start + 500] for start in range(0, max(len(pixels), 1), 500)]


def inputs(pixels: NDArray[np.uint8]) -> Tensor:
    """Pictures as a network takes them."""
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255)).contiguous()


def small_network(data: Images, *, seed: int = 0, epochs: int = 3) -> Network:
    """Two convolutions and two dense layers, trained with Adam."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    learn(module, data.pixels, torch.from_numpy(data.y.copy()), epochs=epochs, seed=seed)
    return Network(module.eval())


def learn(
    module: nn.Module, pixels: NDArray[np.uint8], targets: Tensor, *, epochs: int, seed: int, rate: float = 2e-3
) -> None:
    """Adam on cross-entropy; the targets are classes or probabilities."""
    optimizer, order = torch.optim.Adam(module.parameters(), lr=rate), np.random.default_rng(seed)
    for _ in range(epochs):
        for batch in np.array_split(order.permutation(len(pixels)), max(1, len(pixels) // 64)):
            optimizer.zero_grad()
            loss = functional.cross_entropy(module(inputs(pixels[batch])), targets[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def mnist_parts(*sizes: int) -> list[Images]:
    """MNIST's 60,000 training pictures in random order, in three parts of 20,000, or in parts of these sizes.

    In file order, where pictures of one writer follow one another, they are not exchangeable.
    """
    with np.load(DATA / "mnist.npz", allow_pickle=False) as arrays:
        pictures = Images.of(arrays["x_train"], arrays["y_train"])
    order = np.random.default_rng(0).permutation(len(pictures))
    ends = np.cumsum(sizes or (20_000, 20_000, 20_000))
    return [pictures.take(part) for part in np.split(order[: ends[-1]], ends[:-1])]


def mnist_in_file_order() -> NDArray[np.uint8]:
    """The 10,000 test pictures, (10000, 28, 28, 1), as their file has them: by writer."""
    with np.load(DATA / "mnist.npz", allow_pickle=False) as arrays:
        return np.asarray(arrays["x_test"])[..., None]


def ulb() -> Dataset:
    """The sample of the ULB card fraud data."""
    frame = pd.read_csv(DATA / "ulb_creditcard_sample.csv.gz").astype({"Class": str})
    return load(frame, inspect_table(frame, target="Class").schema)
