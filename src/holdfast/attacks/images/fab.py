"""FAB-T: the smallest change that makes a model say one other class, found along the border between the two.

Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack" (2020), algorithm 1, in
the targeted form of "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
(2020), section 5: the other class is fixed, one after the other of those with the largest logits. Nothing but the
difference of two logits is needed, so two classes are as good as many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.attack import Found
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.fab_projection import step_onto
from holdfast.attacks.images.losses import best_targets
from holdfast.attacks.images.norms import NORMS
from holdfast.attacks.images.quick import quickened
from holdfast.attacks.images.threat import NormName, PixelChange
from holdfast.errors import UsageError

_MOST_PULL: Final = 0.1
"""alpha_max: the largest share of a step that goes to the original's own projection."""
_OVERSHOOT: Final = 1.05
"""eta: how far a step goes beyond the linear border."""
_BACK: Final = 0.9
"""beta: what a picture that fools the model keeps of its change, to look for a smaller one."""
_SHORT: Final = 1e-8


@dataclass(frozen=True, kw_only=True)
class FabTargeted:
    """Steps along the linearised border to each of the likeliest other classes.

    Args:
        steps: for each class, 1 or more.
        targets: other classes, in the order of their logits, 1 or more; at most all there are.
    """

    steps: int = 100
    targets: int = 9

    name: ClassVar[str] = "fab-t"
    needs_gradient: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if self.steps < 1 or self.targets < 1:
            raise UsageError(f"FAB takes 1 step and 1 target or more, got {self.steps} and {self.targets}")

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        """See `Attack`. It starts at the picture itself, so nothing is random."""
        del generator
        found = self.smallest(classifier, x, y, norm=threat.norm, enough=threat.radius)
        inside = NORMS[threat.norm].length(found.x - x) <= threat.radius
        return Found(torch.where(inside.view(-1, 1, 1, 1), found.x, x), found.queries)

    def smallest(self, classifier: Classifier, x: Tensor, y: Tensor, *, norm: NormName, enough: float = 0.0) -> Found:
        """The nearest picture for each that the model gets wrong, at any distance, or the original where none is known.

        Args:
            classifier: the model.
            x: (n, …) as `Attack` takes them, right so far.
            y: (n,) their classes.
            norm: what makes them near.
            enough: the search for a picture ends with a change no longer than this.

        Raises:
            UnsupportedError: the model has no gradient.
        """
        with quickened(classifier, x) as quick:
            search = _Search(classifier, quick, x, y, norm, enough)
            for target in best_targets(classifier.logits(x), y, self.targets).T:
                search.towards(target, self.steps)
        unsure = ~classifier.wrong(classifier.logits(search.best), y)
        search.best[unsure] = x[unsure]
        return Found(search.best, search.queries + 2)


class _Search:
    """The nearest pictures known so far, over all targets."""

    def __init__(
        self, classifier: Classifier, quick: Classifier, x: Tensor, y: Tensor, norm: NormName, enough: float
    ) -> None:
        self.classifier, self.quick, self.norm, self.enough = classifier, quick, norm, enough
        self.x, self.y = x, y
        self.best = x.clone()
        self.length = torch.full((len(x),), torch.inf, device=x.device)
        self.queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def towards(self, target: Tensor, steps: int) -> None:
        """Look for nearer pictures on the border to `target` (n,)."""
        rows = (self.length > self.enough).nonzero().squeeze(1)
        now = self.x[rows].clone()
        for _ in range(steps):
            if len(rows) == 0:
                return
            now = self._step(now, rows, target[rows])
            fooled = self.quick.wrong(self.quick.logits(now), self.y[rows])
            self.queries[rows] += 2
            if bool(fooled.any()):
                self._keep(now[fooled], rows[fooled])
                origin = self.x[rows[fooled]]
                now[fooled] = origin + _BACK * (now[fooled] - origin)
                going = self.length[rows] > self.enough
                rows, now = rows[going], now[going]

    def _step(self, now: Tensor, rows: Tensor, target: Tensor) -> Tensor:
        """Project both the present picture and the original onto the linear border, and go between the two."""
        y, origin = self.y[rows], self.x[rows]
        _, lead, slope = self.classifier.gradient(
            now, lambda logits: (logits.gather(1, y[:, None]) - logits.gather(1, target[:, None])).squeeze(1)
        )
        lead_at_origin = lead + torch.linalg.vecdot(slope.flatten(1), (origin - now).flatten(1))
        onto, short = self._onto(now, slope, lead)
        from_origin, long = self._onto(origin, slope, lead_at_origin)
        pull = (short / (short + long)).clamp_(max=_MOST_PULL).view(-1, 1, 1, 1)
        ahead, aside = now.add(onto, alpha=_OVERSHOOT), origin.add(from_origin, alpha=_OVERSHOOT)
        return ahead.lerp_(aside, pull).clamp_(0, 1)

    def _onto(self, x: Tensor, slope: Tensor, lead: Tensor) -> tuple[Tensor, Tensor]:
        """The step from pictures to where the true class has no lead, as far as a plane can tell, and its length."""
        step = step_onto(self.norm, x.flatten(1), slope.flatten(1), -lead).view_as(x)
        return step, NORMS[self.norm].length(step).clamp_(min=_SHORT)

    def _keep(self, fooling: Tensor, rows: Tensor) -> None:
        length = NORMS[self.norm].length(fooling - self.x[rows])
        nearer = length < self.length[rows]
        self.best[rows[nearer]], self.length[rows[nearer]] = fooling[nearer], length[nearer]
