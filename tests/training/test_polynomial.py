"""Activations swapped for polynomials: what is replaced, what it costs, and that a seed decides it all."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH
from holdfast.training import SwappedNetwork, swap_activations

torch = pytest.importorskip("torch")
nn = torch.nn


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    bunch = load_digits()
    X = (bunch.data / 16).astype(np.float32)[:, None].reshape(-1, 1, 8, 8)
    return X[:1200], bunch.target[:1200], X[1200:], bunch.target[1200:]


def network() -> Any:
    """A small convolutional network with ReLU and max pooling, trained for a moment."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    module = nn.Sequential(*parts, nn.Linear(54, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 10))
    X, y, *_ = digits()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        optimizer.step()
    return module


@pytest.fixture(scope="module")
def trained() -> Any:
    return network()


def swapped(module: Any, **options: Any) -> SwappedNetwork:
    X, y, X_test, y_test = digits()
    settings = {"seed": 1, "epochs": 6, "batch_size": 64, **options}
    return swap_activations(module, X, y, X_test=X_test, y_test=y_test, **settings)


def test_the_swapped_network_keeps_its_accuracy_and_says_what_it_cost(trained: Any) -> None:
    result = swapped(trained)
    assert result.swapped == ("2", "3", "6")
    assert result.accuracy_before > 0.8
    assert result.cost_points == pytest.approx(100 * (result.accuracy_before - result.accuracy_after))
    assert result.cost_points < 3
    assert result.test_rows == 597
    kinds = {type(part).__name__ for part in result.module.modules()}
    assert {"Polynomial", "AvgPool2d"} <= kinds
    assert not {"ReLU", "MaxPool2d"} & kinds
    assert not result.module.training


def test_the_ranges_bound_the_values_before_each_polynomial(trained: Any) -> None:
    result = swapped(trained)
    X, _, X_test, _ = digits()
    with torch.no_grad():
        first = result.module[:2](torch.from_numpy(np.concatenate([X, X_test]))).abs().max()
    assert result.ranges[0] == pytest.approx(float(first), rel=1e-5)
    assert len(result.ranges) == 2
    assert max(result.ranges) < 30


def test_the_network_that_was_given_stays_as_it_is(trained: Any) -> None:
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    state = torch.get_rng_state()
    swapped(trained, epochs=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_seed_decides_the_result(trained: Any) -> None:
    def noisy(rows: Any, generator: Any) -> Any:
        return rows + 0.05 * torch.randn(rows.shape, generator=generator)

    first, again, other = (swapped(trained, epochs=1, seed=seed, augment=noisy) for seed in (4, 4, 5))
    weights = [result.module[0].weight for result in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_swapped_network_can_be_read_for_encryption(trained: Any) -> None:
    from holdfast.private_inference.networks import read_network

    result, X = swapped(trained, epochs=1), digits()[2]
    reading = read_network(result.module, X=X, classes=tuple(map(str, range(10))))
    found = reading.program.clear(reading.encoding.encode(X))
    np.testing.assert_allclose(found, reading.clear(X), atol=1e-4)
    assert [layer.n_outputs for layer in reading.program.layers[1:]] == [24, 10]


def test_progress_is_told_after_each_epoch(trained: Any) -> None:
    told: list[tuple[int, int]] = []
    swapped(trained, epochs=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_networks_without_replaceable_activations_are_refused() -> None:
    twice = nn.ReLU()
    for module, match in (
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "no activation"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 64), twice, nn.Linear(64, 10), twice), "used 2 times"),
    ):
        with pytest.raises(UnsupportedError, match=match) as caught:
            swapped(module)
        assert "nn.ReLU()" in caught.value.hint


@pytest.mark.parametrize("options", [{"seed": -1}, {"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}], ids=str)
def test_numbers_that_mean_nothing_are_refused(trained: Any, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        swapped(trained, **options)


def test_rows_that_do_not_fit_are_refused(trained: Any) -> None:
    X, y, X_test, y_test = digits()
    broken = X.copy()
    broken[3, 0, 0, 0] = np.nan
    for rows, labels in ((X, y[:-1]), (X, y - 1), (X, y.astype(float)), (broken, y), (X[:, :, :2], y)):
        with pytest.raises(DataError):
            swap_activations(trained, rows, labels, X_test=X_test, y_test=y_test, seed=0)


def test_tensors_other_modules_and_classes_without_a_score_are_refused_in_a_sentence(trained: Any) -> None:
    X, y, X_test, y_test = digits()
    given: dict[str, Any] = {"X_test": X_test, "y_test": y_test, "seed": 0}
    with pytest.raises(UsageError, match="expected X to be an ndarray"):
        swap_activations(trained, torch.from_numpy(X), y, **given)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected module to be a Module, got 3"):
        swap_activations(3, X, y, **given)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one score for each class up to 10"):
        swap_activations(trained, X, y + 1, **given)
    with pytest.raises(DataError, match="rows of finite numbers"):
        swap_activations(trained, X.astype(str), y, **given)


def test_without_pytorch_the_error_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("holdfast.training.polynomials.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    X, y, X_test, y_test = digits()
    with pytest.raises(UnsupportedError, match="PyTorch") as caught:
        swap_activations(object(), X, y, X_test=X_test, y_test=y_test, seed=0)
    assert caught.value.hint == INSTALL_TORCH
