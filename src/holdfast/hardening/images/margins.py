"""How far the true class stays ahead of every other: lower bounds over all pictures within a threat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holdfast.hardening.images.affine import Affine
from holdfast.hardening.images.boxes import Box
from holdfast.hardening.images.steps import Step


def interval_margins(steps: Sequence[Step], boxes: Sequence[Box], y: Tensor) -> Tensor:
    """(n, classes) how much the logit of class y leads each other at least; 0 for y itself.

    A last linear layer is joined with the difference of logits, which is tighter than the difference of two intervals
    (Gowal et al. 2018, section 3, "elision").

    Args:
        steps: of a module that gives logits.
        boxes: before the first step and after each.
        y: (n,) the true classes.
    """
    last = steps[-1] if steps else None
    if isinstance(last, Affine) and last.matrix is not None:
        centre = last.apply(boxes[-2].centre)
        ahead = last.matrix[y].unsqueeze(1) - last.matrix.unsqueeze(0)
        spread = torch.einsum("nf,nkf->nk", boxes[-2].radius, ahead.abs())
        return centre.gather(1, y.unsqueeze(1)) - centre - spread
    low, high = boxes[-1].low, boxes[-1].high
    return (low.gather(1, y.unsqueeze(1)) - high).scatter(1, y.unsqueeze(1), 0.0)


def margin_functions(y: Tensor, classes: int, like: Tensor) -> Tensor:
    """(n, classes, classes) the same differences as linear functions of the logits: that of class y less each."""
    each = torch.eye(classes, dtype=like.dtype, device=like.device)
    return each[y].unsqueeze(1) - each.unsqueeze(0)
