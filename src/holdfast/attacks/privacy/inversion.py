"""Model inversion: what does a model let someone see of a class it was trained on, such as a person's face?

Starting from grey, a picture is changed until the model is sure of the class (Fredrikson, Jha and Ristenpart, "Model
inversion attacks that exploit confidence information", 2015, algorithm 1), smoothness being kept by a penalty on
neighbouring pixels that differ. Where the attacker has the network, gradients show the way (`invert_network`); of a
service that gives probabilities, gradients are estimated from answers alone (`invert_service`). What comes out looks
like the class at its most typical. It is a picture from the training data only where a class is little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy.ndimage import gaussian_filter

from holdfast.attacks.privacy.inversion_result import InversionResult, Pictures
from holdfast.data import Labels, Matrix
from holdfast.errors import UnsupportedError, UsageError

Ask = Callable[[Pictures], Matrix]
"""Pictures to (pictures, classes) probabilities."""
Progress = Callable[[int, int], None]

_STEP: Final = 0.05
"""How far a pixel moves in the first step; less and less towards the last."""
_SMOOTHNESS: Final = 1e-2
"""Weight of half the sum of squared differences of neighbouring pixels, beside the log of the probability."""
_NUDGE: Final = 0.1
"""How far pixels are moved to see what a service answers; smaller changes are lost in the rounding of answers."""
_SPOTS: Final = 15
"""Spots of one brightness that a random move has from edge to edge; pixels one by one tell next to nothing."""
_LEAST_PROBABILITY: Final = 1e-12
_DECAY: Final = (0.9, 0.999)


def invert_service(
    ask: Ask,
    *,
    shape: tuple[int, int, int],
    classes: Labels,
    steps: int = 100,
    directions: int = 50,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> InversionResult:
    """Draw a picture of each class from answers alone.

    Each step moves the pixels a little in random smooth directions and back, asks about both, and goes where the class
    became more probable (evolution strategies, as in Ilyas et al., "Black-box adversarial attacks with limited queries
    and information", 2018).

    Args:
        ask: pictures in, probabilities out; about 2 * directions pictures in each step and class.
        shape: (height, width, channels) of a picture.
        classes: positions of the classes to draw.
        steps: with more, the picture is clearer.
        directions: with more, each step is surer.
        rng: draws the directions.
        progress: called with (steps done, steps) over all classes.

    Raises:
        UsageError: no class, step or direction, or a shape that is none.
        UnsupportedError: the answers are not probabilities.
    """
    if directions < 1:
        raise UsageError(f"expected at least one direction to try in each step, got {directions}")
    asked = 0

    def log_probability(pictures: Pictures, label: int) -> Matrix:
        nonlocal asked
        asked += len(pictures)
        return np.log(np.maximum(_checked(ask(pictures), len(pictures), label)[:, label], _LEAST_PROBABILITY))

    def uphill(picture: Pictures, label: int) -> Pictures:
        moves = _smooth_moves(directions, shape, rng)
        nudged = np.concatenate([picture + _NUDGE * moves, picture - _NUDGE * moves])
        ahead, behind = np.split(log_probability(np.clip(nudged, 0, 1), label), 2)
        return np.asarray(np.tensordot(ahead - behind, moves, axes=1) / (2 * _NUDGE * directions))

    pictures = _climb(uphill, shape=shape, classes=classes, steps=steps, progress=progress)
    confidence = np.array([np.exp(log_probability(p[None], int(c))[0]) for p, c in zip(pictures, classes, strict=True)])
    return InversionResult(
        pictures=pictures, classes=classes, confidence=confidence, queries=asked, attack="inversion by answers"
    )


def invert_network(
    module: Any,
    *,
    shape: tuple[int, int, int],
    classes: Labels,
    steps: int = 200,
    progress: Progress | None = None,
) -> InversionResult:
    """Draw a picture of each class with the network at hand.

    Args:
        module: a PyTorch module from (pictures, channels, height, width), 0 to 1, to logits; left as it is.
        shape: (height, width, channels) of a picture.
        classes: positions of the classes to draw.
        steps: with more, the picture is clearer.
        progress: called with (steps done, steps) over all classes.

    Raises:
        UsageError: no class or step, or a shape that is none.
        UnsupportedError: PyTorch is not installed, or the module does not give logits for pictures of that shape.
    """
    from holdfast.attacks.privacy.inversion_network import gradient_of, probability_of

    training = module.training
    module.eval()
    try:
        pictures = _climb(gradient_of(module), shape=shape, classes=classes, steps=steps, progress=progress)
        confidence = np.array([probability_of(module, p, int(c)) for p, c in zip(pictures, classes, strict=True)])
    finally:
        module.train(training)
    return InversionResult(
        pictures=pictures,
        classes=classes,
        confidence=confidence,
        queries=len(classes) * (steps + 1),
        attack="inversion by gradients",
    )


def _climb(
    uphill: Callable[[Pictures, int], Pictures],
    *,
    shape: tuple[int, int, int],
    classes: Labels,
    steps: int,
    progress: Progress | None,
) -> Pictures:
    """Each class's picture: from grey, by Adam, along the gradient and towards smoothness, within 0 to 1."""
    if steps < 1 or len(classes) < 1:
        raise UsageError(f"expected at least one class and one step, got {len(classes)} and {steps}")
    if len(shape) != 3 or min(shape) < 1:
        raise UsageError(f"expected a shape of (height, width, channels), got {shape}")
    if np.asarray(classes).dtype.kind not in "iu":
        raise UsageError(f"expected the positions of classes, whole numbers from 0, got {classes[0]!r}")
    pictures = np.full((len(classes), *shape), 0.5)
    for place, label in enumerate(classes):
        first, second = np.zeros(shape), np.zeros(shape)
        for step in range(steps):
            slope = uphill(pictures[place], int(label)) - _SMOOTHNESS * _roughness_slope(pictures[place])
            first = _DECAY[0] * first + (1 - _DECAY[0]) * slope
            second = _DECAY[1] * second + (1 - _DECAY[1]) * slope**2
            mean, scale = first / (1 - _DECAY[0] ** (step + 1)), np.sqrt(second / (1 - _DECAY[1] ** (step + 1)))
            pictures[place] += _STEP * (1 - step / steps) * mean / (scale + 1e-12)
            np.clip(pictures[place], 0, 1, out=pictures[place])
            if progress is not None:
                progress(place * steps + step + 1, len(classes) * steps)
    return pictures


def _roughness_slope(picture: Pictures) -> Pictures:
    """The gradient of half the sum of squared differences of neighbouring pixels."""
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return np.asarray(4 * picture - around)


def _smooth_moves(count: int, shape: tuple[int, int, int], rng: np.random.Generator) -> Pictures:
    """(count, height, width, channels) random moves in which neighbouring pixels go together, of size 1 on average."""
    blur = min(shape[:2]) / _SPOTS
    moves = gaussian_filter(rng.standard_normal((count, *shape)), sigma=(0, blur, blur, 0), mode="wrap")
    return np.asarray(moves / moves.std())


def _checked(answer: Matrix, pictures: int, label: int) -> Matrix:
    P = np.asarray(answer, dtype=np.float64)
    if P.ndim != 2 or len(P) != pictures or not 0 <= label < P.shape[1] or not ((P >= 0) & (P <= 1)).all():
        raise UnsupportedError(
            f"expected probabilities of classes up to {label} for {pictures} pictures, got an array of shape {P.shape}",
            hint="if the model returns scores or logits, put a softmax behind it",
        )
    return P
