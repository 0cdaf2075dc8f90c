"""Evasion of pictures: how many decisions small changes of the pixels can flip, by the worst of several attacks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from holdfast.arguments import check_kind
from holdfast.attacks.evasion_result import EvasionResult
from holdfast.attacks.images.attack import Attack, options_of
from holdfast.attacks.images.campaign import Campaign, Progress, beyond, check_options, tensors_of
from holdfast.attacks.images.checks import check_answers
from holdfast.attacks.images.classifier import Classifier, Scores, attackable
from holdfast.attacks.images.outcome import outcome
from holdfast.attacks.images.standing import Standing
from holdfast.attacks.images.suite import SuiteName, attacks_of
from holdfast.attacks.images.threat import PixelChange
from holdfast.data import Matrix
from holdfast.data.images import Images
from holdfast.errors import UnsupportedError, WireError
from holdfast.evidence import canonical_json

_SEEDS: Final = 2**62


def picture_evasion(
    model: nn.Module | Scores,
    images: Images,
    *,
    threat: PixelChange,
    rng: np.random.Generator,
    suite: SuiteName | Sequence[Attack] = "standard",
    batch_size: int = 250,
    resume: Path | None = None,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> EvasionResult:
    """Try to flip the model's right decisions by changes within the threat. Pictures it gets wrong count as not robust.

    The attacks run in turn, each on the pictures that still stand. Every picture that one of them hands back is checked
    against the threat and asked again. Robust accuracy is an upper bound: a stronger attack may find more.

    Args:
        model: a network in PyTorch that takes float32 (pictures, channels, height, width) from 0 to 1 and gives logits;
            or a callable that takes such an array and gives scores or probabilities, which is attacked through its
            answers alone.
        images: pictures with their true classes, not used in training.
        threat: how far a picture may be changed.
        rng: for random starts and searches.
        suite: "standard" the protocol of AutoAttack; "fast" nearly the same verdict in less time; "black-box" through
            answers alone; or attacks of your own.
        batch_size: pictures attacked together.
        resume: a file that is kept up to date after every batch; where it is there, the evaluation goes on from it.
        timeout_s: most seconds for one call of the model; None waits for ever.
        progress: called with (pictures done, pictures to do), over all attacks.

    Raises:
        UsageError: an argument of another kind, a suite or a number that means nothing, or an attack that leaves the
            threat.
        DataError: no picture, or `resume` is a file of another evaluation.
        WireError: `resume` is no such file, or holds changes beyond the threat.
        UnsupportedError: the model raises, hangs, answers in another shape, by probabilities where logits are due, or
            by NaN to unchanged pictures; or has no gradient and the suite needs one.
    """
    check_kind("threat", threat, PixelChange, example='PixelChange(norm="Linf", radius=8 / 255)')
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if resume is not None:
        check_kind("resume", resume, Path, example='Path("evasion.npz")')
    attacks = attacks_of(suite, threat)
    check_options(images, batch_size, timeout_s)
    with attackable(model, classes=len(images.classes), timeout_s=timeout_s) as classifier:
        _check_gradients_at_hand(classifier, attacks)
        x, y = tensors_of(images, classifier)
        campaign = Campaign(classifier, x, y, threat, attacks, batch_size)
        before = campaign.logits(x)
        doubts = check_answers(classifier, x, torch.as_tensor(before))
        standing = Standing.begin(
            x.cpu().numpy(),
            before.argmax(axis=1) == images.y,
            subject=_digest(model, images, threat, attacks, before),
            seed=int(rng.integers(_SEEDS)),
        )
        if resume is not None and resume.exists():
            standing = Standing.read(resume, standing)
            if odd := beyond(threat, x, torch.as_tensor(standing.changed, device=x.device)):
                raise WireError(f"{resume} holds no kept evasion: it changes {odd}")
        campaign.attack_all(standing, resume, progress)
        return outcome(campaign, standing, before, method=_method(suite, attacks), doubts=doubts)


def _check_gradients_at_hand(classifier: Classifier, attacks: tuple[Attack, ...]) -> None:
    blocked = [attack.name for attack in attacks if attack.needs_gradient]
    if blocked and not classifier.differentiable:
        raise UnsupportedError(
            f"expected a network in PyTorch for {', '.join(blocked)}, got a model that can only be asked",
            hint='call with suite="black-box"',
        )


def _method(suite: SuiteName | Sequence[Attack], attacks: tuple[Attack, ...]) -> str:
    names = ", ".join(attack.name for attack in attacks)
    return f"{names} (suite {suite})" if isinstance(suite, str) else names


def _digest(
    model: nn.Module | Scores, images: Images, threat: PixelChange, attacks: tuple[Attack, ...], before: Matrix
) -> str:
    """Of all that an evaluation depends on; a model that can only be asked is known by its decisions."""
    named = {"images": images.digest, "threat": threat.to_json(), "attacks": [options_of(attack) for attack in attacks]}
    hasher = hashlib.sha256(canonical_json(named))
    if isinstance(model, nn.Module):
        for name, value in model.state_dict().items():
            hasher.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            hasher.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    else:
        hasher.update(np.ascontiguousarray(before.argmax(axis=1), dtype="<i8").tobytes())
    return "sha256:" + hasher.hexdigest()
