"""Climbing a loss within a threat: one step per gradient, and pictures leave the batch as soon as they are found.

What differs between attacks is their pace: how far and where to step, and when to go back. PGD steps alike all the
time, APGD halves its steps (see `apgd.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from holdfast.attacks.images.attack import Found
from holdfast.attacks.images.classifier import Classifier

Objective = Callable[[Tensor, Tensor], Tensor]
"""From logits (m, classes) and the rows of the batch that they belong to (m,) to a loss for each."""


@dataclass(eq=False, kw_only=True)
class Walk:
    """Where the pictures that are not found yet stand; all tensors have one row for each.

    Args:
        rows: their positions in the batch.
        x: as they were.
        at, before: as they are, and were one step ago.
        gradient, loss: at `at`.
        rose: whether the last step made the loss grow.
        best, best_gradient, best_loss: where the loss was largest so far.
    """

    rows: Tensor
    x: Tensor
    at: Tensor
    before: Tensor
    gradient: Tensor
    loss: Tensor
    rose: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor


class Pace(Protocol):
    """How an attack steps. It may keep tensors with one row for each picture."""

    def move(self, walk: Walk) -> Tensor:
        """The next pictures, within the threat."""
        ...

    def look(self, walk: Walk) -> None:
        """See what the step brought, and go back where that is better."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Forget all pictures but those at these positions."""
        ...


@dataclass(frozen=True, eq=False)
class Climbed:
    """How a climb ended, for all pictures of the batch.

    Args:
        found: (n,) whether the model got a picture wrong on the way.
        x: (n, …) that picture, or else the one with the largest loss.
        queries: (n,) int64.
    """

    found: Tensor
    x: Tensor
    queries: Tensor


def climb(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    *,
    start: Tensor,
    objective: Objective,
    pace: Pace,
    steps: int,
    stop: bool = True,
) -> Climbed:
    """Take so many steps up from `start`, with one pass of the model for the start and one for each step.

    Args:
        classifier: the model.
        x: (n, …) the pictures.
        y: (n,) their classes.
        start: (n, …) where to begin, within the threat.
        objective: what to climb.
        pace: how.
        steps: 1 or more.
        stop: whether a picture that is found leaves; else all take all steps.
    """
    ended = Climbed(torch.zeros_like(y, dtype=torch.bool), start.clone(), torch.zeros_like(y))
    walk = _begin(classifier, x, y, start, objective, ended, stop=stop, pace=pace)
    for left in range(steps - 1, -1, -1):
        if len(walk.rows) == 0:
            break
        at = pace.move(walk)
        walk.before, walk.at = walk.at, at
        logits = _ask(classifier, walk, objective, last=left == 0)
        ended.queries[walk.rows] += 1
        if stop:
            _leave(classifier, logits, walk, y, ended, pace=pace)
        if left:
            pace.look(walk)
    ended.x[walk.rows] = walk.best
    return ended


def in_turn(x: Tensor, attempts: Sequence[Callable[[Tensor], Climbed]]) -> Found:
    """Make one attempt after the other, each on the rows (m,) that none before has found."""
    changed = x.clone()
    queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    rows = torch.arange(len(x), device=x.device)
    for attempt in attempts:
        if len(rows) == 0:
            break
        ended = attempt(rows)
        queries[rows] += ended.queries
        changed[rows[ended.found]] = ended.x[ended.found]
        rows = rows[~ended.found]
    return Found(changed, queries)


def _begin(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    start: Tensor,
    objective: Objective,
    ended: Climbed,
    *,
    stop: bool,
    pace: Pace,
) -> Walk:
    """The first gradient, at the start."""
    rows = torch.arange(len(x), device=x.device)
    logits, loss, gradient = classifier.gradient(start, lambda logits: objective(logits, rows))
    walk = Walk(
        rows=rows,
        x=x,
        at=start,
        before=start,
        gradient=gradient,
        loss=loss,
        rose=torch.zeros_like(rows, dtype=torch.bool),
        best=start.clone(),
        best_gradient=gradient.clone(),
        best_loss=loss.clone(),
    )
    ended.queries.add_(1)
    if stop:
        _leave(classifier, logits, walk, y, ended, pace=pace)
    return walk


def _ask(classifier: Classifier, walk: Walk, objective: Objective, *, last: bool) -> Tensor:
    """Logits, and where there is a further step the gradient, at where the pictures stand; remember the best places."""
    previous = walk.loss
    if last:
        logits = classifier.logits(walk.at)
        walk.loss = objective(logits, walk.rows)
    else:
        logits, walk.loss, walk.gradient = classifier.gradient(walk.at, lambda logits: objective(logits, walk.rows))
    walk.rose, better = walk.loss > previous, walk.loss > walk.best_loss
    rows = better.nonzero().squeeze(1)
    walk.best[rows], walk.best_gradient[rows] = walk.at[rows], walk.gradient[rows]
    walk.best_loss[rows] = walk.loss[rows]
    return logits


def _leave(classifier: Classifier, logits: Tensor, walk: Walk, y: Tensor, ended: Climbed, *, pace: Pace) -> None:
    """Take the pictures that are found out of the walk."""
    wrong = classifier.wrong(logits, y[walk.rows])
    if not wrong.any():
        return
    done = walk.rows[wrong]
    ended.found[done] = True
    ended.x[done] = walk.at[wrong]
    kept = (~wrong).nonzero().squeeze(1)
    for part in fields(walk):
        setattr(walk, part.name, getattr(walk, part.name)[kept])
    pace.keep(kept)
