"""The Square attack: random search by squares, which needs the scores of a model and nothing else.

Andriushchenko, Croce, Flammarion & Hein, "Square Attack: a query-efficient black-box adversarial attack via random
search" (2020), with the margin loss and the schedule of the published AutoAttack.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.attack import Found
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.losses import margin
from holdfast.attacks.images.quick import quickened
from holdfast.attacks.images.square_answers import Answers, Whole, windowed
from holdfast.attacks.images.square_moves import Moves, moves_of
from holdfast.attacks.images.square_spots import Change, window
from holdfast.attacks.images.threat import PixelChange
from holdfast.errors import UsageError

_HALVINGS: Final = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Steps of 10,000 after each of which the windows cover half as much (section 4.1)."""


@dataclass(frozen=True, kw_only=True)
class Square:
    """Random search within the threat, by squares that get smaller.

    Args:
        queries: most queries for each picture, 1 or more.
        schedule: queries over which the squares get smaller, 1 or more; AutoAttack stays with 10,000 whatever it asks.
        first_share: share of a picture that the first squares cover, above 0 and up to 1.
    """

    queries: int = 5_000
    schedule: int = 10_000
    first_share: float = 0.8

    name: ClassVar[str] = "square"
    needs_gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if self.queries < 1 or self.schedule < 1:
            raise UsageError(
                f"the Square attack takes 1 query or more, a schedule too, got {self.queries}, {self.schedule}"
            )
        if not 0 < self.first_share <= 1:
            raise UsageError(
                f"the first squares cover more than 0 and at most all of a picture, got {self.first_share}"
            )

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        """See `Attack`. A step that leaves a picture as it is costs no query; a find costs one, to confirm it."""
        with quickened(classifier, x) as quick:
            search = _Search(classifier, quick, x, y, moves_of(threat), generator)
            for step in range(self.queries):
                if len(search.rows) == 0:
                    break
                search.step(self._side(step, x))
        return Found(search.found, search.queries)

    def _side(self, step: int, x: Tensor) -> int:
        """Of the squares at a step; 0 before the first."""
        if step == 0:
            return 0
        share = self.first_share / 2 ** sum(step * 10_000 // self.schedule > after for after in _HALVINGS)
        height, width = x.shape[2:]
        return min(max(round(math.sqrt(share * height * width)), 1), height, width)


class _Search:
    """The pictures that still stand, with the best that is known of each."""

    def __init__(
        self, classifier: Classifier, quick: Classifier, x: Tensor, y: Tensor, moves: Moves, generator: Generator
    ) -> None:
        self.classifier, self.quick, self.moves, self.generator = classifier, quick, moves, generator
        self.found = x.clone()
        self.queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self.rows = torch.arange(len(x), device=x.device)
        self.x, self.y, self.best = x, y, x.clone()
        self.loss = torch.full((len(x),), -torch.inf, device=x.device)
        self.answers: Answers = Whole(quick)
        self.side = 0

    def step(self, side: int) -> None:
        """Ask about one change of each picture, keep what raises the margin, and drop what is found."""
        changes = self.moves.step(self.x, self.best, side, self.generator) if side else self._start()
        moved = self._moved(changes)
        if len(moved) == 0:
            return
        if len(moved) < len(self.rows):
            changes = [(spot, patch[moved]) for spot, patch in changes]
        self._fit(side)
        loss = margin(self.answers.logits(self.best, changes, moved), self.y[moved])
        self.queries[self.rows[moved]] += 1
        better = (loss > self.loss[moved]).nonzero().squeeze(1)
        rows = moved[better]
        for spot, patch in changes:
            self.best[window(spot)][rows] = patch[better]
        self.loss[rows] = loss[better]
        self.answers.keep(better)
        if bool((loss > 0).any()):
            self._drop_found()

    def _start(self) -> list[Change]:
        """All of the pictures."""
        height, width = self.x.shape[2:]
        return [(((0, height), (0, width)), self.moves.start(self.x, self.generator))]

    def _moved(self, changes: list[Change]) -> Tensor:
        """Places of the pictures that these changes change."""
        moved = torch.zeros_like(self.rows, dtype=torch.bool)
        for spot, patch in changes:
            moved |= (patch != self.best[window(spot)]).flatten(1).any(dim=1)
        return moved.nonzero().squeeze(1)

    def _fit(self, side: int) -> None:
        """Ask about windows alone as soon as they are small enough, of a module that PyTorch can follow."""
        if side != self.side and isinstance(self.answers, Whole) and self.quick is not self.classifier:
            module: Any = self.classifier.answer
            made = windowed(self.quick, module, self.best, (side, side), self.moves.windows) if side else None
            self.side, self.answers = side, made or self.answers

    def _drop_found(self) -> None:
        """Take out the pictures that the model itself, and not only its quick copy, gets wrong."""
        over = (self.loss > 0).nonzero().squeeze(1)
        wrong = self.classifier.wrong(self.classifier.logits(self.best[over]), self.y[over])
        self.queries[self.rows[over]] += 1
        self.loss[over] = 0.0
        self.found[self.rows[over[wrong]]] = self.best[over[wrong]]
        stands = torch.ones(len(self.rows), dtype=torch.bool, device=self.x.device)
        stands[over[wrong]] = False
        self.rows, self.x, self.y = self.rows[stands], self.x[stands], self.y[stands]
        self.best, self.loss = self.best[stands], self.loss[stands]
        self.answers.stand(stands)
