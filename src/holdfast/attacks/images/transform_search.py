"""Looking for a transform that fools a model: along one dial, or by painting a part of the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.attack import Found
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.losses import margin

Turn = Callable[[Tensor, Tensor], Tensor]
"""From pictures (n, …) and how far each is changed (n,) to the changed pictures."""

_GRID: Final = 20
"""Positions of the dial on each side of 0."""
_HALVINGS: Final = 7
_FINE: Final = 8
"""Positions between two of the grid, on each side of the worst, where no position of the grid is enough."""
_PAINT_STEPS: Final = 60
_PAINT_STEP: Final = 0.1
_STAYS: Final = 0.9
"""Momentum of the painting (Dong et al. 2018), which carries it over flat places."""


@dataclass(frozen=True, eq=False)
class Moved:
    """What was found: pictures that fool the model (the original where none is known), and the dial (n,), else inf."""

    found: Found
    amount: Tensor

    def enter(self, rows: Tensor, part: Moved) -> None:
        """Take over what was found of some pictures (m,)."""
        self.found.x[rows], self.found.queries[rows], self.amount[rows] = part.found.x, part.found.queries, part.amount


def sweep(classifier: Classifier, x: Tensor, y: Tensor, *, turn: Turn, reach: float) -> Moved:
    """The smallest turn of a dial from -reach to reach that fools the model, to within 1/128 of a step of its grid.

    Every picture is asked at each position of the grid, from the centre outwards, until one fools the model; then
    bisection looks between that one and the one before. Where none does, a finer grid looks beside the worst.
    """
    dial = _Dial(classifier, x, y, turn)
    step = reach / _GRID
    for place in range(1, _GRID + 1):
        for sign in (1, -1):
            dial.ask(torch.full((len(x),), sign * place * step, device=x.device), dial.stands())
    for place in range(1, _FINE):
        for sign in (1, -1):
            beside = dial.worst_at + sign * place * step / _FINE
            dial.ask(beside.clamp(-reach, reach), dial.stands(), remember=False)
    dial.bisect(step)
    return Moved(Found(dial.changed, dial.queries), dial.amount.abs())


class _Dial:
    """What is known of each picture: where it fools the model, or where it comes nearest to it."""

    def __init__(self, classifier: Classifier, x: Tensor, y: Tensor, turn: Turn) -> None:
        self.classifier, self.x, self.y, self.turn = classifier, x, y, turn
        self.changed = x.clone()
        self.amount = torch.full((len(x),), torch.inf, device=x.device)
        self.worst, self.worst_at = torch.full_like(self.amount, -torch.inf), torch.zeros_like(self.amount)
        self.queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def stands(self) -> Tensor:
        """(m,) pictures that no position has fooled the model with yet."""
        return self.amount.isinf().nonzero().squeeze(1)

    def ask(self, amount: Tensor, rows: Tensor, *, remember: bool = True) -> Tensor:
        """(m,) whether these pictures fool the model at these positions (n,); noted where they do."""
        if len(rows) == 0:
            return rows > 0
        turned = self.turn(self.x[rows], amount[rows])
        logits = self.classifier.logits(turned)
        fooled = self.classifier.wrong(logits, self.y[rows])
        self.queries[rows] += 1
        self.changed[rows[fooled]], self.amount[rows[fooled]] = turned[fooled], amount[rows[fooled]]
        if remember:
            lead = margin(logits, self.y[rows])
            worse = rows[lead > self.worst[rows]]
            self.worst[rows], self.worst_at[worse] = torch.maximum(lead, self.worst[rows]), amount[worse]
        return fooled

    def bisect(self, step: float) -> None:
        """Turn back, where the model was fooled, to at most the position before."""
        rows = self.amount.isfinite().nonzero().squeeze(1)
        low = torch.zeros_like(self.amount)
        low[rows] = self.amount[rows].sign() * (self.amount[rows].abs() - step).clamp(min=0)
        for _ in range(_HALVINGS):
            middle = (low + self.amount.where(self.amount.isfinite(), low)) / 2
            fooled = self.ask(middle, rows, remember=False)
            low[rows[~fooled]] = middle[rows[~fooled]]


def paint(classifier: Classifier, x: Tensor, y: Tensor, *, places: Tensor, generator: Generator) -> Moved:
    """Cover one of several places (k, height, width) of each picture with what fools the model most.

    The place is the one where the gradient of the margin promises most; what is painted there, noise at first, then
    climbs the margin by signs of its gradient with momentum, each value from 0 to 1. The amount is the share covered.
    """
    canvas = _Canvas(classifier, x, y, places, generator)
    velocity = torch.zeros_like(x)
    for _ in range(_PAINT_STEPS):
        rows = canvas.stands()
        if len(rows) == 0:
            break
        slope = canvas.climb(rows)
        velocity[rows] = _STAYS * velocity[rows] + slope / slope.abs().flatten(1).mean(dim=1).add(1e-12).view(
            -1, 1, 1, 1
        )
        canvas.colours[rows] = (canvas.colours[rows] + _PAINT_STEP * velocity[rows].sign()).clamp_(0, 1)
    canvas.look(canvas.stands())
    covered = places.flatten(1).float().mean(dim=1)[canvas.place]
    return Moved(Found(canvas.changed, canvas.queries), covered.where(canvas.fooled, torch.inf))


class _Canvas:
    """A place for each picture, and the colours in it."""

    def __init__(self, classifier: Classifier, x: Tensor, y: Tensor, places: Tensor, generator: Generator) -> None:
        self.classifier, self.x, self.y, self.places = classifier, x, y, places[:, None].to(x.dtype)
        self.colours = torch.rand(x.shape, generator=generator, device=x.device)
        self.changed = x.clone()
        self.fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self.place = self._best_place()

    def stands(self) -> Tensor:
        """(m,) pictures that do not fool the model yet."""
        return (~self.fooled).nonzero().squeeze(1)

    def climb(self, rows: Tensor) -> Tensor:
        """(m, …) in which direction the colours of these pictures should go; those that fool the model are noted."""
        painted = self._painted(rows)
        logits, _, slope = self.classifier.gradient(painted, lambda answers: margin(answers, self.y[rows]))
        self._note(rows, painted, logits)
        return slope * self.places[self.place[rows]]

    def look(self, rows: Tensor) -> None:
        """Note which of these pictures fool the model as they are painted now."""
        if len(rows):
            painted = self._painted(rows)
            self._note(rows, painted, self.classifier.logits(painted))

    def _best_place(self) -> Tensor:
        """(n,) where the margin would grow most if it were linear in the pixels."""
        if len(self.places) == 1:
            return torch.zeros_like(self.queries)
        _, _, slope = self.classifier.gradient(self.x, lambda answers: margin(answers, self.y))
        self.queries += 1
        promise = torch.maximum(slope * (1 - self.x), -slope * self.x).sum(dim=1).flatten(1)
        return (promise @ self.places.flatten(1).T).argmax(dim=1)

    def _painted(self, rows: Tensor) -> Tensor:
        return torch.where(self.places[self.place[rows]] > 0, self.colours[rows], self.x[rows])

    def _note(self, rows: Tensor, painted: Tensor, logits: Tensor) -> None:
        fooled = self.classifier.wrong(logits, self.y[rows])
        self.queries[rows] += 1
        self.changed[rows[fooled]], self.fooled[rows[fooled]] = painted[fooled], True
