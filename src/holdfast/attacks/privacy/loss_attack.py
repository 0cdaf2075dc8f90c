"""The loss attack: a record that the model is surer of than it is of training records usually is one.

Yeom, Giacomelli, Fredrikson, Jha: Privacy Risk in Machine Learning, CSF 2018, adversary 2. It needs no shadow of the
record in question, and is what every other attack has to beat.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.attacks.privacy.attack import Attack
from holdfast.attacks.privacy.shadows import Shadows
from holdfast.data import Matrix


def smaller_losses(target: Matrix, shadows: Shadows) -> Matrix:
    """(records,) how far the log loss lies below the mean loss of training records, which the shadows show, in nats."""
    training_loss = _losses(shadows.logits)[shadows.inside].mean()
    return np.asarray(training_loss - _losses(target))


def _losses(logits: Matrix) -> Matrix:
    return np.asarray(np.logaddexp(0.0, -logits))


LOSS: Final = Attack("loss threshold", smaller_losses, unit="nats")
