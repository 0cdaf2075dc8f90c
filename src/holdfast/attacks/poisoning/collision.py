"""Clean-label poison by feature collision: pictures that look like one class and are, to a network, one of another.

Shafahi et al. 2018, "Poison Frogs! Targeted Clean-Label Poisoning Attacks on Neural Networks": whoever trains the last
layer on the features of a ready-made network, as transfer learning does, draws its boundary so that the poison lies on
the side of its label. The victim, whose features are nearly the poison's, comes along. No label is wrong, there is no
trigger, and nothing but one picture, the attacker's, is answered otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.attacks.images.classifier import Classifier, attackable
from holdfast.attacks.poisoning.poisoned import Poisoned, draw_rows, with_rows
from holdfast.data import Labels
from holdfast.data.images import Images, Pixels
from holdfast.errors import UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise UnsupportedError("feature collision needs PyTorch, which is not installed", hint=INSTALL_TORCH) from error

_AT_ONCE: Final = 256
"""Pictures moved together; each by itself."""
_FIRST_STEP: Final = 0.05
"""How far a pixel moves in the first step, root mean square, from 0 to 1."""
_FASTER, _SLOWER = 1.2, 0.5
"""What becomes of the step where it helped, and where it did not."""
_TINY: Final = 1e-12
"""In place of squares that are 0, where there is nothing to do."""


def feature_collision(
    data: Images,
    features: nn.Module,
    victim: Pixels,
    *,
    target_class: int,
    share: float,
    rng: np.random.Generator,
    steps: int = 200,
    pull: float = 1.0,
) -> Poisoned[Images]:
    """Change a share of the target's own pictures so that their features become those of a victim, no label changed.

    Each is moved from its base b to a lower ‖f(x) - f(victim)‖² / ‖f(b) - f(victim)‖² + pull / 2 · mean (x - b)² by
    forward-backward splitting (equation 1 and algorithm 1 of the paper, its first term as a share, so that one pull
    means the same to every network). A step that would raise it is halved instead of taken, so no picture ends farther
    from the victim, as the network sees it, than it began; what is left is rounded to whole pixels.

    Args:
        data: the clean pictures that a last layer will be trained on.
        features: from float32 (n, channels, height, width), 0 to 1, to features of each: the ready-made network
            without its last layer. Left as it was.
        victim: (height, width, channels) uint8, the picture that shall be taken for the target.
        target_class: the class of the poison.
        share: of the target's pictures, above 0 and up to 1.
        rng: decides which pictures.
        steps: for each picture.
        pull: towards the base, 0 or more; less hides the poison worse and collides better.

    Raises:
        UsageError: an argument of another kind, a share, a class or a number that means nothing, or a victim of another
            size.
        DataError: no picture of the target.
        UnsupportedError: the network does not take the pictures, has no gradient or gives no numbers.
    """
    rows = _checked_rows(data, victim, target_class, share, rng)
    check_kind("features", features, nn.Module, example="torch.nn.Sequential(*list(network)[:-1])")
    if not is_whole(steps) or steps < 1 or not is_number(pull) or pull < 0:
        raise UsageError(f"expected 1 or more steps and a pull of 0 or more, got {steps!r} and {pull!r}")
    with _extractor(features, _inputs(victim[None])) as network:
        base = _inputs(data.pixels[rows]).to(network.device)
        goal = network.logits(_inputs(victim[None]).to(network.device))
        parts = [base[start : start + _AT_ONCE] for start in range(0, len(base), _AT_ONCE)]
        moved = torch.cat([_collided(network, part, goal, steps=steps, pull=pull) for part in parts])
    pixels = np.rint(255 * moved.cpu().numpy().transpose(0, 2, 3, 1)).astype(np.uint8)
    poisoned = with_rows(data, rows, Images(pixels, data.y[rows], data.classes))
    return Poisoned(data=poisoned, rows=rows, method="feature collision", target_class=target_class)


def _collided(network: Classifier, base: Tensor, goal: Tensor, *, steps: int, pull: float) -> Tensor:
    """Pictures (n, channels, height, width) whose features lie near the goal, and they near their bases."""
    apart = _squares(network.logits(base) - goal)
    if not torch.isfinite(apart).all():
        raise UnsupportedError("expected finite features from the network, got others")
    weight = pull / base[0].numel()

    def objective(x: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) what is lowered, and the gradient of its first term."""
        _, far, gradient = network.gradient(x, lambda f: _squares(f - goal) / apart.clamp(min=_TINY))
        return far + weight / 2 * _squares(x - base), gradient

    x = base.clone()
    value, gradient = objective(x)
    step = _FIRST_STEP * (base[0].numel() / _squares(gradient).clamp(min=_TINY)).sqrt()
    for _ in range(steps):
        wide = step[:, None, None, None]
        forward = x - wide * gradient
        tried = ((forward + wide * weight * base) / (1 + wide * weight)).clamp(0, 1)
        tried_value, tried_gradient = objective(tried)
        better = tried_value < value
        x[better], gradient[better], value[better] = tried[better], tried_gradient[better], tried_value[better]
        step = step * torch.where(better, _FASTER, _SLOWER)
    return x


@contextmanager
def _extractor(features: nn.Module, x: Tensor) -> Iterator[Classifier]:
    """A network that gives flat features, in evaluation mode and frozen for as long."""
    with attackable(nn.Sequential(features, nn.Flatten()), classes=1) as network:
        try:
            with torch.no_grad():
                network.classes = network.answer(x.to(network.device)).shape[1]
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UnsupportedError(
                f"the network does not take pictures of shape {tuple(x.shape)}: {type(error).__name__}: {error}",
                hint="it must take float32 of shape (pictures, channels, height, width) from 0 to 1",
            ) from error
        yield network


def _inputs(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255)).contiguous()


def _squares(x: Tensor) -> Tensor:
    """(n,) the sum of squares of each."""
    return x.flatten(1).square().sum(dim=1)


def _checked_rows(data: Images, victim: Pixels, target_class: int, share: float, rng: np.random.Generator) -> Labels:
    """(poisoned,) positions of the pictures to change."""
    check_kind("data", data, Images, example="Images.of(pixels, labels)")
    check_kind("victim", victim, np.ndarray, example="test.pixels[0]")
    if victim.dtype != np.uint8 or victim.shape != data.pixels.shape[1:]:
        raise UsageError(
            f"expected a victim of uint8 {data.pixels.shape[1:]}, as the pictures are, got {victim.dtype} of "
            f"{victim.shape}"
        )
    return draw_rows(data, of=target_class, share=share, rng=rng)
