"""Ways to train a picture model against a threat: frozen values, each with the loss of a batch.

| | minimises | cost of a step, in plain ones |
|---|---|---|
| `PGDTraining` | the loss at pictures found by PGD (Madry et al. 2018) | steps + 1 |
| `TRADES` | the loss plus beta times how far answers move (Zhang et al. 2019) | steps + 2 |
| `FastTraining` | the loss at pictures found by one long step (Wong et al. 2020) | 2 |
| `IntervalTraining` | an upper bound on the loss anywhere in the threat, so that it can be certified | 5 to 6 |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.pgd import Pgd
from holdfast.errors import UsageError
from holdfast.hardening.images.method import Batch, Method

_CHECK: Final = Pgd(steps=10, step=0.25)


def _check_steps(steps: int, step: float) -> None:
    if not 1 <= steps <= 1_000:
        raise UsageError(f"expected 1 to 1,000 steps of the attack in training, got {steps}")
    if not 0 < step < math.inf:
        raise UsageError(f"expected steps longer than 0, as a share of the radius, got {step}")


@dataclass(frozen=True, kw_only=True)
class PGDTraining:
    """Train on what PGD finds: the step that works everywhere, and takes its time.

    Args:
        steps: of each attack, 1 to 1,000.
        step: length of each, as a share of the radius.
    """

    steps: int = 10
    step: float = 0.25

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _check_steps(self.steps, self.step)

    @property
    def name(self) -> str:
        """As results call it."""
        return f"adversarial training with PGD of {self.steps} steps"

    @property
    def instead(self) -> Method | None:
        """It does not collapse."""
        return None

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        """The cross entropy at the pictures found."""

        def loss(batch: Batch) -> Tensor:
            found = climbed(module, batch, _cross_entropy(batch.y), steps=self.steps, step=self.step)
            return functional.cross_entropy(module(found), batch.y)

        return loss

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        """Under PGD."""
        return withstands_pgd(module, batch)

    def to_json(self) -> dict[str, Any]:
        """The method as JSON."""
        return {"method": "pgd-training", "steps": self.steps, "step": self.step}


@dataclass(frozen=True, kw_only=True)
class TRADES:
    """Train on the pictures as they are, and against answers that move within the threat (Zhang et al. 2019, eq. 5).

    Args:
        beta: weight of the second, above 0: more is more robust, and less accurate on clean pictures.
        steps: of the search for the answer that moves most, 1 to 1,000.
        step: length of each, as a share of the radius.
    """

    beta: float = 6.0
    steps: int = 10
    step: float = 0.25

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _check_steps(self.steps, self.step)
        if not 0 < self.beta < math.inf:
            raise UsageError(f"expected a weight beta above 0, got {self.beta}")

    @property
    def name(self) -> str:
        """As results call it."""
        return f"TRADES with beta {self.beta:g} and {self.steps} steps"

    @property
    def instead(self) -> Method | None:
        """It does not collapse."""
        return None

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        """Cross entropy, and beta times the divergence of the two answers."""

        def loss(batch: Batch) -> Tensor:
            clean = functional.log_softmax(module(batch.x), dim=1)
            found = climbed(module, batch, _divergence(clean.detach()), steps=self.steps, step=self.step)
            moved = _divergence(clean)(module(found)).mean()
            return functional.nll_loss(clean, batch.y) + self.beta * moved

        return loss

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        """Under PGD."""
        return withstands_pgd(module, batch)

    def to_json(self) -> dict[str, Any]:
        """The method as JSON."""
        return {"method": "trades", "beta": self.beta, "steps": self.steps, "step": self.step}


@dataclass(frozen=True, kw_only=True)
class FastTraining:
    """Train on one step from a random start (Wong, Rice and Kolter 2020): nearly as quick as plain training.

    It can collapse: within a few steps the model learns to beat the one step and nothing else, with a robust accuracy
    of 0 that its own attack does not show ("catastrophic overfitting"). `train_robust` measures by PGD on held-out
    pictures, goes back to the last epoch that was sound, and continues with `instead`.

    Args:
        step: length of the step, as a share of the radius.
        instead: what continues after a collapse.
    """

    step: float = 1.25
    instead: Method | None = PGDTraining(steps=4, step=0.4)

    def __post_init__(self) -> None:
        """Refuse a step that means nothing."""
        _check_steps(1, self.step)

    @property
    def name(self) -> str:
        """As results call it."""
        return "fast adversarial training"

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        """The cross entropy at the pictures found."""
        return PGDTraining(steps=1, step=self.step).begin(module)

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        """Under PGD."""
        return withstands_pgd(module, batch)

    def to_json(self) -> dict[str, Any]:
        """The method as JSON."""
        return {
            "method": "fast-training",
            "step": self.step,
            "instead": None if self.instead is None else self.instead.to_json(),
        }


def climbed(module: nn.Module, batch: Batch, loss: Callable[[Tensor], Tensor], *, steps: int, step: float) -> Tensor:
    """Pictures within the threat at which a loss of the logits (n, classes) -> (n,) is greater, from a random start.

    The module answers in evaluation mode meanwhile, so that the search moves no running statistics.
    """
    norm, threat, training = norm_of(batch.threat), batch.threat, module.training
    module.eval()
    at = norm.start(batch.x, threat.radius, batch.generator)
    for _ in range(steps):
        at.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(module(at)).sum(), at)
        at = norm.into(at.detach() + step * threat.radius * norm.steepest(gradient), batch.x, threat.radius)
    module.train(training)
    return at.detach()


def withstands_pgd(module: nn.Module, batch: Batch) -> float:
    """The share of pictures that a module, in evaluation mode, answers rightly, also after PGD of ten steps."""
    with torch.no_grad():
        classes = module(batch.x[:1]).shape[-1]
    with attackable(module, classes=classes) as classifier:
        right = classifier.logits(batch.x).argmax(dim=1) == batch.y
        x, y = batch.x[right], batch.y[right]
        if not len(y):
            return 0.0
        found = _CHECK(classifier, x, y, threat=batch.threat, generator=batch.generator)
        return float((classifier.logits(found.x).argmax(dim=1) == y).sum()) / len(batch.y)


def _cross_entropy(y: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda logits: functional.cross_entropy(logits, y, reduction="none")


def _divergence(log_clean: Tensor) -> Callable[[Tensor], Tensor]:
    """(n,) Kullback-Leibler divergence of the answers from the clean ones, given as logarithms."""

    def loss(logits: Tensor) -> Tensor:
        log_moved = functional.log_softmax(logits, dim=1)
        return functional.kl_div(log_moved, log_clean, reduction="none", log_target=True).sum(dim=1)

    return loss
