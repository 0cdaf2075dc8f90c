"""PyTorch modules against themselves, and the first convolution unrolled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from holdfast.errors import UnsupportedError
from holdfast.private_inference.networks import is_network, read_network
from holdfast.private_inference.networks.read import MARGIN

torch = pytest.importorskip("torch")
nn = torch.nn
functional = torch.nn.functional


class Square(nn.Module):
    def forward(self, x: Any) -> Any:
        return 0.3 + 0.5 * x + torch.square(x) / 4


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding="same")
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.last = nn.Linear(4 * 3 * 2, 3)

    def forward(self, x: Any) -> Any:
        x = self.norm(self.first(x))
        x = x * x
        x = x + self.second(x) ** 2
        x = functional.dropout(functional.avg_pool2d(x, (2, 3), ceil_mode=True), training=self.training)
        return self.last(x.reshape(x.shape[0], -1)) + 1


def seeded(module: Any) -> Any:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module


def convolutional(*, padding: int = 0) -> Any:
    torch.manual_seed(1)
    side = (12 + 2 * padding - 5) // 2 + 1
    parts = [nn.Conv2d(2, 3, 5, stride=2, padding=padding), nn.BatchNorm2d(3), Square(), nn.AvgPool2d(2), nn.Flatten()]
    return seeded(nn.Sequential(*parts, nn.Linear(3 * (side // 2) ** 2, 6), Square(), nn.Linear(6, 4)))


def agreement(module: Any, X: np.ndarray) -> tuple[Any, float]:
    reading = read_network(module, X=X, classes=None)
    expected = reading.clear(X)
    assert np.abs(expected).max() > 0.01
    return reading, float(np.abs(reading.program.clear(reading.encoding.encode(X)) - expected).max())


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).random((20, *shape)).astype(np.float32)


@pytest.mark.parametrize("padding", [0, 2])
def test_the_first_convolution_is_unrolled_over_windows_that_the_client_gathers(padding: int) -> None:
    reading, error = agreement(convolutional(padding=padding), images(2, 12, 12))
    program = reading.program
    assert error < 1e-5  # the module computes in single precision
    assert program.layers[0].weights.shape == (3, 2 * 25)
    assert program.layers[0].block == {0: 16, 2: 64}[padding]
    assert program.input_map is not None
    assert (program.input_map[: 4 if padding == 0 else 6] == -1).any() == (padding > 0)
    assert program.layers[1].n_inputs == program.layers[0].n_outputs


def test_unrolling_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module, X = convolutional(padding=1), images(2, 12, 12)
    unrolled, _ = agreement(module, X)
    monkeypatch.setattr("holdfast.private_inference.networks.windows.MAX_GATHERED", 10)
    plain, _ = agreement(module, X)
    assert plain.program.input_map is None
    numbers = plain.encoding.encode(X)
    np.testing.assert_allclose(unrolled.program.clear(numbers), plain.program.clear(numbers), atol=1e-12)


def test_residual_networks_with_groups_and_ceil_pooling_agree_with_the_module() -> None:
    torch.manual_seed(0)
    _, error = agreement(seeded(Residual()), images(2, 6, 5))
    assert error < 1e-4


def test_bounds_hold_what_all_rows_reach_and_a_margin_to_an_eighth_so_that_they_tell_no_row() -> None:
    X = images(2, 12, 12)
    X[7] = 1.0
    reading, _ = agreement(convolutional(), X)
    reach = reading.program.reach(reading.encoding.encode(X))
    bounds = np.array(reading.program.bounds)
    assert (bounds > MARGIN * np.array(reach) * (1 - 1e-6)).all()
    assert (bounds <= MARGIN * np.array(reach) * (1 + 2.0**-3)).all()
    mantissas = 16 * np.frexp(bounds)[0]
    assert (mantissas == np.rint(mantissas)).all()
    assert reach[:2] == pytest.approx((1.0, 1.0))  # lanes are scaled to reach 1
    assert reach[2] == pytest.approx(np.abs(reading.clear(X)).max(), rel=1e-5)


def test_reading_leaves_the_module_in_its_mode() -> None:
    module = convolutional().train()
    read_network(module, X=images(2, 12, 12), classes=None)
    assert module.training
    assert next(module.parameters()).dtype == torch.float32


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.GELU(), nn.Sigmoid(), nn.Hardtanh(), nn.Softmax(dim=1)])
def test_what_cannot_be_computed_is_refused_by_name(layer: Any) -> None:
    module = nn.Sequential(nn.Linear(8, 4), layer)
    assert is_network(module)
    with pytest.raises(UnsupportedError, match=type(layer).__name__.lower()) as caught:
        read_network(module, X=images(8), classes=None)
    assert caught.value.hint


def test_control_flow_on_values_is_refused() -> None:
    class Branching(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedError, match=r"torch\.export"):
        read_network(Branching(), X=images(8), classes=None)
