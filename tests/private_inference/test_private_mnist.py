"""A sample of real images: the network of the bench's `mlp-784` on MNIST, trained briefly, asked under encryption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.private_inference import Evaluator, PrivatePlan, PrivateSession, compile_private

torch = pytest.importorskip("torch")

N_TRAINED, N_ASKED = 6_000, 16


class Square(torch.nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x * x


@pytest.fixture(scope="module")
def images(real_data: Callable[[str], Path]) -> dict[str, np.ndarray]:
    with np.load(real_data("mnist.npz"), allow_pickle=False) as archive:
        return {name: archive[name] for name in ("x_train", "y_train", "x_test", "y_test")}


@pytest.fixture(scope="module")
def network(images: dict[str, np.ndarray]) -> Any:
    torch.manual_seed(1)
    layers = torch.nn
    net = layers.Sequential(layers.Linear(784, 128), Square(), layers.Linear(128, 64), Square(), layers.Linear(64, 10))
    X = torch.tensor(images["x_train"][:N_TRAINED].reshape(-1, 784) / 255.0, dtype=torch.float32)
    y = torch.tensor(images["y_train"][:N_TRAINED].astype(np.int64))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(6):
        for batch in torch.randperm(N_TRAINED).split(100):
            optimiser.zero_grad()
            layers.functional.cross_entropy(net(X[batch]), y[batch]).backward()
            optimiser.step()
    return net.eval()


def test_encrypted_images_get_the_class_that_the_network_gives(images: dict[str, np.ndarray], network: Any) -> None:
    X = images["x_train"][:500].reshape(-1, 784) / 255.0
    asked = images["x_test"][:N_ASKED].reshape(-1, 784) / 255.0
    plan: PrivatePlan = compile_private(network, X=X, classes=[str(digit) for digit in range(10)])
    session, evaluator = PrivateSession(plan.public), Evaluator(plan)
    keys = session.keys("row")
    loaded = evaluator.load_keys(keys.manifest, keys.parts)
    scores = np.vstack(
        [session.decrypt(evaluator.answer(session.encrypt(row[None]), keys=loaded)).scores for row in asked]
    )
    with torch.no_grad():
        clear = network(torch.tensor(asked, dtype=torch.float32)).numpy()
    assert scores == pytest.approx(clear, abs=0.02)
    assert (scores.argmax(axis=1) == clear.argmax(axis=1)).all()
    assert (clear.argmax(axis=1) == images["y_test"][:N_ASKED]).mean() > 0.7, "the sample says nothing of a bad network"
