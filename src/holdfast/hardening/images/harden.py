"""Hardening a picture model: train a copy against the threat, attack both, and set the results beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from holdfast.arguments import check_kind
from holdfast.attacks.images.attack import Attack
from holdfast.attacks.images.evasion import picture_evasion
from holdfast.attacks.images.suite import SuiteName
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images
from holdfast.hardening.images.method import Method
from holdfast.hardening.images.run import Augment
from holdfast.hardening.images.train import Progress, Schedule, train_robust
from holdfast.hardening.result import HardeningResult, compare

_USUAL = Schedule()


def harden_pictures(
    module: nn.Module,
    images_train: Images,
    images_test: Images,
    *,
    threat: PixelChange,
    method: Method,
    rng: np.random.Generator,
    suite: SuiteName | Sequence[Attack] = "standard",
    schedule: Schedule = _USUAL,
    augment: Augment | None = None,
    progress: Progress | None = None,
) -> HardeningResult[nn.Module]:
    """Train a copy of a module against a threat, and attack both in the same way on the same test pictures.

    Args:
        module: the model as it is; it stays so.
        images_train: pictures to train on.
        images_test: pictures that neither model was trained on; they decide nothing.
        threat: what may be changed, in training and in the attacks.
        method: how to train.
        rng: for training and attacks.
        suite: of attacks; the cheap ones say too much for a model, the more so for one that was trained against them.
        schedule: how long and how fast to train.
        augment: applied to each batch in training.
        progress: called with (steps of training done, all).

    Returns:
        Its `model` is the trained module, in evaluation mode.

    Raises:
        UsageError, DataError, UnsupportedError: as `train_robust` and `picture_evasion`.
    """
    check_kind("method", method, Method, example="PGDTraining()")
    before = picture_evasion(module, images_test, threat=threat, rng=rng, suite=suite)
    run = train_robust(
        module,
        images_train,
        threat=threat,
        method=method,
        rng=rng,
        schedule=schedule,
        augment=augment,
        progress=progress,
    )
    after = picture_evasion(run.module, images_test, threat=threat, rng=rng, suite=suite)
    return compare(
        run.module,
        method=method.name,
        before=before,
        after=after,
        details=run.to_json(),
    )
