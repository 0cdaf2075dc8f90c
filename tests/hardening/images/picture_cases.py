"""Small modules and pictures that hardening and certificates are tried on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.data.images import Images


def stripes(count: int, *, seed: int, side: int = 6, noise: int = 40) -> Images:
    """Two classes of grey pictures: a bright left half, or a bright right half, with noise up to 80; contrast 0.4."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    pixels = rng.integers(75, 75 + noise, (count, side, side))
    half = side // 2
    for row, label in enumerate(y):
        pixels[row, :, label * half : (label + 1) * half] += 100
    return Images.of(pixels.astype(np.uint8), y)


def small_network(seed: int = 0, *, side: int = 6, classes: int = 2, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    out = (side - 2) // 2 + 1
    return nn.Sequential(
        nn.Conv2d(1, width, 2, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * out * out, 8),
        nn.ReLU(),
        nn.Linear(8, classes),
    )


class Everything(nn.Module):
    """Every kind of step that bounds are known of, in a forward of its own."""

    mean: Tensor

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.register_buffer("mean", torch.rand(2, 1, 1))
        self.first = nn.Conv2d(2, 4, 3, padding=1, stride=1, groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.AvgPool2d(2)
        self.second = nn.Conv2d(4, 8, 2, bias=False)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flat_norm = nn.BatchNorm1d(8)
        self.rest = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 6), nn.Identity(), nn.ReLU(), nn.Linear(6, 3))
        for norm in (self.norm, self.flat_norm):
            nn.init.normal_(norm.get_buffer("running_mean"))
            nn.init.uniform_(norm.get_buffer("running_var"), 0.5, 2.0)
            nn.init.normal_(norm.weight)  # negative ones too
        for layer in (self.rest[1], self.rest[4]):
            nn.init.normal_(layer.get_parameter("weight"))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / 0.5
        x = functional.relu(self.norm(self.first(x)))
        x = torch.relu(self.second(self.pool(x)) * -2.0 + 0.25)
        x = self.average(x)
        logits: Tensor = self.rest(self.flat_norm(x.view(x.shape[0], -1)))
        return logits
