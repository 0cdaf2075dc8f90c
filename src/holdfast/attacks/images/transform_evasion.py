"""Evasion by transforms: how many decisions flip when the light, the tilt or something worn changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor, nn

from holdfast.arguments import check_kind
from holdfast.attacks.evasion_result import EvasionResult, evasion_result
from holdfast.attacks.images.attack import Found
from holdfast.attacks.images.campaign import Progress, check_options, tensors_of
from holdfast.attacks.images.checks import check_answers
from holdfast.attacks.images.classifier import Classifier, Scores, attackable
from holdfast.attacks.images.transform_search import Moved
from holdfast.attacks.images.transforms import Transform
from holdfast.data.images import Images

_SEEDS: Final = 2**62


def transform_evasion(
    model: nn.Module | Scores,
    images: Images,
    *,
    threat: Transform,
    rng: np.random.Generator,
    batch_size: int = 250,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> EvasionResult:
    """Try to flip the model's right decisions by a transform. Pictures it gets wrong count as not robust.

    Every changed picture is asked again. Robust accuracy is an upper bound: between the positions that are tried, and
    among the colours that are not, there may be more.

    Args:
        model: as `picture_evasion` takes it; `Occlusion` needs a network in PyTorch.
        images: pictures with their true classes, not used in training.
        threat: what may happen to a picture.
        rng: for the colours that painting begins with.
        batch_size: pictures attacked together.
        timeout_s: most seconds for one call of the model; None waits for ever.
        progress: called with (pictures done, pictures to do).

    Raises:
        UsageError: an argument of another kind, or a number that means nothing.
        DataError: no picture, or pictures that do not fit the threat.
        UnsupportedError: as `picture_evasion`.
    """
    check_kind("threat", threat, Transform, example="Brightness(shift=0.2)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    check_options(images, batch_size, timeout_s)
    with attackable(model, classes=len(images.classes), timeout_s=timeout_s) as classifier:
        x, y = tensors_of(images, classifier)
        before = _logits(classifier, x, batch_size)
        doubts = check_answers(classifier, x, before)
        moved = Moved(Found(x.clone(), torch.zeros_like(y)), torch.full((len(x),), torch.inf, device=x.device))
        generator = Generator(device=classifier.device).manual_seed(int(rng.integers(_SEEDS)))
        right = (before.argmax(dim=1) == y.cpu()).nonzero().squeeze(1)
        for start in range(0, len(right), batch_size):
            rows = right[start : start + batch_size].to(x.device)
            moved.enter(rows, threat.search(classifier, x[rows], y[rows], generator))
            if progress is not None:
                progress(min(start + batch_size, len(right)), len(right))
        after = _logits(classifier, moved.found.x, batch_size)
    return _result(threat, images, before, after, moved, doubts)


def _result(
    threat: Transform, images: Images, before: Tensor, after: Tensor, moved: Moved, doubts: Sequence[str]
) -> EvasionResult:
    """Count what the model says of the changed pictures; an answer that is no number flips nothing."""
    finite = after.isfinite().all(dim=1).numpy()
    amount = moved.amount.cpu().double()
    return evasion_result(
        threat=threat,
        within=threat.within,
        method=threat.method,
        exact=False,
        black_box=not threat.needs_gradient,
        y=images.y,
        before=before.double().numpy(),
        after=np.where(finite, after.argmax(dim=1).numpy(), images.y),
        distance=amount.clamp(max=threat.budget).where(amount.isfinite(), torch.inf).numpy(),
        queries=moved.found.queries.cpu().numpy(),
        adversarial=moved.found.x.permute(0, 2, 3, 1).cpu().numpy(),
        void=tuple(doubts),
        caveats=("It holds for this transform alone, and for the pictures tested.",),
    )


def _logits(classifier: Classifier, x: Tensor, batch_size: int) -> Tensor:
    """(n, classes), batch by batch, on the processor."""
    starts = range(0, len(x), batch_size)
    return torch.cat([classifier.logits(x[start : start + batch_size]) for start in starts]).cpu()
