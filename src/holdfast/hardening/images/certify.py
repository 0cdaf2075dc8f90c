"""Certificates: pictures that nothing within a threat can make a module get wrong, proven and not only tried."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from holdfast.arguments import check_kind
from holdfast.attacks import references
from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.frames import Matrix
from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError
from holdfast.evidence import Evidence, Figure
from holdfast.hardening.images.boxes import Box, boxes_of, rounding_of
from holdfast.hardening.images.linear_bounds import lower_bounds, tight_boxes
from holdfast.hardening.images.margins import interval_margins, margin_functions
from holdfast.hardening.images.pixels import tensors
from holdfast.hardening.images.steps import Step, steps_of
from holdfast.hardening.images.train import Progress
from holdfast.intervals import proportion
from holdfast.rounding import share
from holdfast.telling import Telling

_INTERVAL_BATCH: Final = 200
_LINEAR_BATCH: Final = 10
_CAVEATS: Final = (
    "A picture without a certificate may withstand the threat all the same: the bounds are not exact.",
    "Rounding is covered for float32 arithmetic that adds up products in any order; not for TF32, bfloat16, or "
    "convolutions by another transform (Winograd, FFT).",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Certificate(Telling):
    """What is proven of a module, picture by picture.

    Args:
        threat: against what.
        correct: (n,) whether the module is right about the picture itself.
        margin: (n,) how much the logit of the true class leads all others at least, anywhere within the threat and
            after any rounding; above 0 is the proof. What it misses of the truth differs from picture to picture.
        accuracy: share of `correct`.
        certified_accuracy: share of pictures with a proof: a lower bound on robust accuracy.
    """

    threat: PixelChange
    correct: npt.NDArray[np.bool_]
    margin: Matrix
    accuracy: Figure
    certified_accuracy: Figure

    @property
    def certified(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the module is proven right about every picture within the threat."""
        return self.margin > 0

    def to_evidence(self, model_digest: str) -> Evidence:
        """The certificate as evidence about the model with this digest."""
        certified = self.certified_accuracy
        return Evidence(
            kind="evasion-certificate",
            subject=model_digest,
            subject_kind="model",
            title=(
                f"At least {share(certified.value, bound=certified.bound)} of pictures are answered rightly and stay "
                f"so, proven, {self.threat.within}"
            ),
            figures={
                "certified_accuracy": certified,
                "clean_accuracy": self.accuracy,
                "budget": Figure(value=self.threat.budget, unit=self.threat.unit),
                "rows": Figure(value=len(self.margin), unit="rows"),
            },
            samples={"correct": self.correct.tolist(), "certified": self.certified.tolist()},
            context={"threat": self.threat.to_json(), "method": "interval bounds, then linear bounds (CROWN)"},
            references=references.EVASION,
            caveats=_CAVEATS,
        )


def certify_robustness(
    module: nn.Module, images: Images, *, threat: PixelChange, progress: Progress | None = None
) -> Certificate:
    """Prove of as many pictures as the bounds reach that no change within the threat makes the module wrong.

    Interval bounds come first, as they cost two passes; linear bounds decide what they leave open. Both are computed in
    double precision, and the most that rounding in single precision could take away is taken off. A module trained by
    `IntervalTraining` is mostly certified by the first; for others the radius must be small.

    Args:
        module: a chain of Linear, Conv2d, ReLU, Flatten, AvgPool2d, BatchNorm and arithmetic with constants that gives
            logits; taken in evaluation mode, and left as it is.
        images: the pictures and their true classes.
        threat: what may be changed.
        progress: called with (pictures done, all).

    Raises:
        UsageError: a threat of another kind.
        UnsupportedError: a layer whose bounds are not known; pictures that the module does not take, or answers that
            are no logits of their classes; or answers that are not those of its layers.
        DataError: no picture.
    """
    check_kind("threat", threat, PixelChange, example='PixelChange(norm="Linf", radius=8 / 255)')
    if not len(images):
        raise DataError("expected at least one picture to certify, got none")
    steps = _steps_in_double(module)
    classes = len(images.classes)
    correct, margins = np.zeros(len(images), dtype=bool), np.zeros(len(images))
    with attackable(module, classes=classes) as classifier:
        for start in range(0, len(images), _INTERVAL_BATCH):
            rows = slice(start, min(start + _INTERVAL_BATCH, len(images)))
            x, y = tensors(images.take(np.arange(rows.start, rows.stop)), torch.device("cpu"))
            answers = classifier.logits(x.to(classifier.device)).cpu()
            _check_answers(steps, x, answers)
            right = answers.argmax(dim=1) == y
            correct[rows], margins[rows] = right.numpy(), _margins(steps, x.double(), y, right, threat).numpy()
            if progress is not None:
                progress(rows.stop, len(images))
    return Certificate(
        threat=threat,
        correct=correct,
        margin=margins,
        accuracy=proportion(int(correct.sum()), len(images)),
        certified_accuracy=proportion(int((margins > 0).sum()), len(images), bound="lower"),
    )


def _steps_in_double(module: nn.Module) -> tuple[Step, ...]:
    """The steps of a copy, without gradients, in evaluation mode, on the processor."""
    copy = deepcopy(module).to(torch.device("cpu"), torch.float64).eval()
    return steps_of(copy.requires_grad_(requires_grad=False))


def _check_answers(steps: Sequence[Step], x: Tensor, answers: Tensor) -> None:
    """What is proven of the steps is proven of the module only if both say the same.

    Raises:
        UnsupportedError: the module's answers are farther from the steps' than rounding takes them: a hook, a method
            that was replaced, or reduced precision.
    """
    boxes = boxes_of(steps, Box.around(x.double(), 0.0))
    distance = (answers.double() - boxes[-1].centre).abs()
    if not bool((distance <= rounding_of(steps, boxes)).all()):
        raise UnsupportedError(
            f"expected answers as the layers of the module give them, got some {float(distance.max()):.3g} away",
            hint="take hooks off the module, and let it compute in float32 (no TF32, no bfloat16)",
        )


def _margins(steps: Sequence[Step], x: Tensor, y: Tensor, right: Tensor, threat: PixelChange) -> Tensor:
    """(n,) from whichever bound is the better; linear ones for pictures that are right and still open."""
    boxes = boxes_of(steps, Box.around(x, threat.radius))
    margin = _least_other(interval_margins(steps, boxes, y) - _slack(rounding_of(steps, boxes), y), y)
    open_rows = (right & (margin <= 0)).nonzero().flatten()
    for rows in torch.split(open_rows, _LINEAR_BATCH) if len(open_rows) else []:
        margin[rows] = torch.maximum(margin[rows], _linear_margin(steps, x[rows], y[rows], threat))
    return margin


def _linear_margin(steps: Sequence[Step], x: Tensor, y: Tensor, threat: PixelChange) -> Tensor:
    boxes = tight_boxes(steps, x, threat)
    functions = margin_functions(y, boxes[-1].centre.shape[1], x)
    bounds = lower_bounds(steps, boxes, functions, x, threat)
    return _least_other(bounds - _slack(rounding_of(steps, boxes), y), y)


def _slack(error: Tensor, y: Tensor) -> Tensor:
    """(n, classes) what rounding can take off the lead of class y over each."""
    return error + error.gather(1, y.unsqueeze(1))


def _least_other(margins: Tensor, y: Tensor) -> Tensor:
    return margins.scatter(1, y.unsqueeze(1), torch.inf).amin(dim=1)
