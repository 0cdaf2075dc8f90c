"""Convolutions of few channels differentiated by patches: the same answers, the same gradients, nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.attacks.images.picture_cases import generator
from torch import nn

from holdfast.attacks.images.thin import thin_convolutions


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": 4, "stride": 2, "padding": 1},
        {"kernel_size": (2, 3), "dilation": (2, 1)},
        {"kernel_size": 5, "padding": 2, "bias": False},
        {"kernel_size": 3, "stride": (3, 2), "padding": (0, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_those_of_autograd(options: dict[str, Any], channels: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(channels, 6, **options), nn.ReLU()).double().requires_grad_(requires_grad=False)
    x = torch.rand(37, channels, 9, 11, generator=generator(), dtype=torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad((plain := module(x)).square().sum(), x)
    with thin_convolutions(module):
        (given,) = torch.autograd.grad((thin := module(x)).square().sum(), x)
        assert type(thin.grad_fn) is type(plain.grad_fn)
    torch.testing.assert_close(thin, plain, rtol=0, atol=0)
    torch.testing.assert_close(given, expected)
    assert "forward" not in module[0].__dict__


@pytest.mark.parametrize(
    "part",
    [
        nn.Conv2d(8, 2, 3),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(1, 2, 3, padding="same"),
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"),
        type("Other", (nn.Conv2d,), {})(1, 2, 3),
    ],
    ids=["wide", "groups", "same", "reflect", "subclass"],
)
def test_other_layers_are_left_alone(part: nn.Module) -> None:
    with thin_convolutions(part):
        assert "forward" not in part.__dict__
