"""What attacks climb: losses of logits (n, classes) that grow as a decision gets worse, one per row.

A margin changes with the scale of the logits, and so do gradients of cross entropy, which vanish in float32 where a
model is made to be sure. The difference of logits ratio of Croce & Hein, "Reliable evaluation of adversarial robustness
with an ensemble of diverse parameter-free attacks" (2020), does not: it is a margin over a spread of the same logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits (n, classes) and true classes (n,) to a loss for each row."""

_TINY: Final = 1e-12


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) minus the log of the probability of the true class."""
    return functional.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) the best other logit less the true one: above 0 where the decision is wrong."""
    return _best_other(logits, y) - _of_class(logits, y)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) the margin over the spread z1 - z3 of the sorted logits (Croce & Hein 2020, equation 6).

    With two classes there is no z3, and a margin over any other spread that knows neither scale nor offset is a
    constant; there it is the plain margin, whose gradient keeps its direction however sure the model is.
    """
    ordered = logits.sort(dim=1, descending=True).values
    return margin(logits, y) / (_spread(ordered, (2,)) + _TINY)


def targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """(n,) the margin of one other class over z1 - (z3 + z4) / 2 (Croce & Hein 2020, equation 7).

    With three classes the spread is z1 - (z2 + z3) / 2: over z1 - z3 the margin of the third class would be a constant.
    With two it is that of `dlr`.
    """
    ordered = logits.sort(dim=1, descending=True).values
    spread = _spread(ordered, (2, 3) if logits.shape[1] > 3 else (1, 2))
    return (_of_class(logits, target) - _of_class(logits, y)) / (spread + _TINY)


def best_targets(logits: Tensor, y: Tensor, count: int) -> Tensor:
    """(n, count) the other classes with the largest logits, best first; at most all of them."""
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices


def _of_class(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None]).squeeze(1)


def _best_other(logits: Tensor, y: Tensor) -> Tensor:
    return logits.scatter(1, y[:, None], -torch.inf).amax(dim=1)


def _spread(ordered: Tensor, low: tuple[int, ...]) -> Tensor:
    """(n,) from the largest logit down to the mean of those at `low`; 1 with two classes."""
    if ordered.shape[1] == 2:
        return torch.ones_like(ordered[:, 0])
    return ordered[:, 0] - ordered[:, list(low)].mean(dim=1)
