"""Small models of small pictures whose robustness is known without an attack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Generator, Tensor, nn

from holdfast.attacks.images.classifier import Classifier, attackable
from holdfast.attacks.images.losses import margin
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images

SIDE = 6
RADII = {"Linf": 0.006, "L2": 0.03, "L1": 0.09}
"""Of threats under which about half of `grey_pictures` can be flipped on `linear`, and the box is never reached."""
THREATS = [PixelChange(norm=norm, radius=radius) for norm, radius in RADII.items()]  # type: ignore[arg-type]


def grey_pictures(count: int, seed: int = 0) -> Tensor:
    """(count, 1, 6, 6) with all pixels near the middle, on steps of a byte."""
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.integers(100, 156, (count, 1, SIDE, SIDE)).astype(np.float32) / 255)


def linear(classes: int = 4, seed: int = 0) -> nn.Module:
    """Flatten and one linear layer."""
    torch.manual_seed(seed)
    layer = nn.Linear(SIDE * SIDE, classes)
    with torch.no_grad():
        layer.weight.mul_(2.0)
        layer.bias.copy_(-layer.weight @ torch.full((SIDE * SIDE,), 0.5))
    return nn.Sequential(nn.Flatten(), layer)


def convolutional(classes: int = 4, seed: int = 0) -> nn.Module:
    """Two convolutions, not trained."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


def own_labels(model: nn.Module, x: Tensor) -> Tensor:
    """(n,) what the model says, so that it is right everywhere."""
    with torch.no_grad():
        return model(x).argmax(dim=1)


def smallest_changes(model: nn.Module, x: Tensor, threat: PixelChange) -> Tensor:
    """(n,) the distance to the border of a `linear` model, by Hoelder's inequality, where the box is not in the way."""
    weight = model[1].weight.detach()  # type: ignore[index]
    with torch.no_grad():
        logits = model(x)
    y, norm = logits.argmax(dim=1), norm_of(threat)
    distances = []
    for other in range(logits.shape[1]):
        slope = norm.dual_length((weight[other] - weight[y]).view(-1, 1, SIDE, SIDE))
        gap = logits.gather(1, y[:, None]).squeeze(1) - logits[:, other]
        distances.append(torch.where(y == other, torch.inf, gap / slope.clamp(min=1e-12)))
    return torch.stack(distances).amin(dim=0)


def images_of(x: Tensor, y: Tensor, classes: int) -> Images:
    """The same pictures as `Images`."""
    pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Images(pixels, y.numpy(), tuple(f"class {place}" for place in range(classes)))


@contextmanager
def asked(model: nn.Module, classes: int = 4) -> Iterator[Classifier]:
    """A classifier to attack."""
    with attackable(model, classes=classes) as classifier:
        yield classifier


def generator(seed: int = 0) -> Generator:
    """A generator from a seed."""
    return Generator().manual_seed(seed)


def fooled(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """(n,) whether the model gets the pictures wrong."""
    with torch.no_grad():
        return margin(model(x), y) > 0
