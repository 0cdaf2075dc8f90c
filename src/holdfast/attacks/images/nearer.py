"""Changes no larger than they need be."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from holdfast.attacks.images.attack import Found
from holdfast.attacks.images.classifier import Classifier

_HALVINGS: Final = 7
"""Which brings a change to within 1/128 of its length of where the decision flips on the way."""


def nearer(classifier: Classifier, x: Tensor, y: Tensor, changed: Tensor) -> Found:
    """Pictures between `x` (n, …) and `changed`, as near to `x` as bisection finds, that the model still gets wrong.

    Attacks stop at the first picture that fools the model, mostly at the border of the threat; a security curve wants
    to know how little would have done.
    """
    right = x.new_zeros(len(x), *[1] * (x.ndim - 1))
    wrong = torch.ones_like(right)
    nearest = changed
    for _ in range(_HALVINGS):
        middle = (right + wrong) / 2
        candidates = x + middle * (changed - x)
        fooled = classifier.wrong(classifier.logits(candidates), y).view_as(right)
        nearest = torch.where(fooled, candidates, nearest)
        right, wrong = torch.where(fooled, right, middle), torch.where(fooled, middle, wrong)
    return Found(nearest, torch.full_like(y, _HALVINGS))
