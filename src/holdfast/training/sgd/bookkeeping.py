"""The sum of clipped per-example gradients of a module, at about the price of an ordinary backward pass.

One forward pass, one backward pass that computes gradients by activations only, then each parameter's sum straight
from what the passes left behind: the book-keeping of Bu, Wang, Zha and Karypis, "Differentially private optimization on
large model at small cost" (2023, algorithm 1). No parameter's `grad` is touched and no hook stays behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from holdfast.errors import UnsupportedError, UsageError
from holdfast.training.sgd.layers.tape import Tape, TapedForward, Target
from holdfast.training.sgd.layers.uses import Use
from holdfast.training.sgd.probe import MOST_EXAMPLES, Trial, check_examples_apart, check_gradients
from holdfast.training.sgd.supported import taped_layers

Inputs = Tensor | tuple[Tensor, ...]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class ClippedSum:
    """A sum of clipped gradients. It is exact, hence not private: only its noisy form may be released.

    Args:
        gradients: one for each trainable parameter, in the order of `module.parameters()`.
        norms: (examples,) L2 norm of each example's whole gradient before clipping.
        losses: (examples,) the loss of each example, the mean over its copies.
        dropped: examples whose gradient was not finite; they contribute nothing at all.
    """

    gradients: tuple[Tensor, ...]
    norms: Tensor
    losses: Tensor
    dropped: int


class PerExampleGradients:
    """Clipped gradient sums of one module, batch after batch.

    Args:
        module: stays as it is; its trainable parameters (`requires_grad`) are those of now.

    Raises:
        UnsupportedError: a layer that mixes examples or has no rule; the hint says what to use.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._layers = taped_layers(module)
        self._seen_with: Loss | None = None
        self._seen_several = False
        self.parameters = tuple(parameter for parameter in module.parameters() if parameter.requires_grad)

    def clipped_sum(
        self, inputs: Inputs, targets: Tensor, *, loss: Loss, clip_norm: float, copies: int = 1
    ) -> ClippedSum:
        """Σ over examples of gradient · min(1, clip_norm / norm), each gradient that of the mean over its copies.

        Adding or removing one example changes the sum by `clip_norm` at most, whatever the example holds, up to
        the rounding of the tensors' arithmetic.

        Args:
            inputs: what the module takes; the first dimension of each is examples * copies, the copies of an example
                next to each other (augmentation multiplicity, De et al. 2022).
            targets: what the loss takes, with the same first dimension.
            loss: loss(outputs, targets) gives one loss for each row.
            clip_norm: above 0.
            copies: 1 or more.

        Raises:
            UsageError: a clip_norm or copies that means nothing.
            UnsupportedError: the module or the loss mixes examples.
        """
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        rows = len(targets)
        if not clip_norm > 0 or copies < 1 or rows % copies or any(len(part) != rows for part in inputs):
            shapes = ", ".join(str(tuple(part.shape)) for part in (*inputs, targets))
            raise UsageError(
                "expected a clip_norm above 0, and inputs and targets of as many rows, in whole examples, "
                f"got {clip_norm}, {shapes} and {copies} copies"
            )
        if not rows:
            nothing = targets.new_zeros(0, dtype=self.parameters[0].dtype)
            return ClippedSum(tuple(map(torch.zeros_like, self.parameters)), nothing, nothing, 0)
        trial = Trial(self._module, loss, inputs, targets, copies)
        self.look_at(trial)
        uses, losses = self._uses(trial)
        return self._clip(uses, losses, clip_norm)

    def look_at(self, trial: Trial) -> None:
        """Check the module with a loss the first time they meet, and again with the first batch of two examples.

        Raises:
            UnsupportedError: the module or the loss mixes examples.
        """
        several = trial.examples > 1
        if self._seen_with is trial.loss and (self._seen_several or not several):
            return
        some = trial.only(torch.arange(min(trial.examples, MOST_EXAMPLES) * trial.copies))
        if several:
            check_examples_apart(some)
        check_gradients(some, self.parameters, self._written_out)
        self._seen_with, self._seen_several = trial.loss, several

    def _written_out(self, trial: Trial) -> list[Tensor]:
        """(examples, *shape) every example's gradient of each parameter."""
        found = [p.new_zeros(trial.examples, *p.shape) for p in self.parameters]
        for (place, row), use in self._uses(trial)[0].items():
            part = use.gradients()
            whole = part.shape[1:] == self.parameters[place].shape
            (found[place] if whole else found[place][:, row : row + part.shape[1]]).copy_(part)
        return found

    def _uses(self, trial: Trial) -> tuple[dict[Target, Use], Tensor]:
        """What each parameter gets from every example, and the examples' losses."""
        tape = Tape(self.parameters, examples=trial.examples, copies=trial.copies)
        with self._taped(tape), torch.enable_grad(), trial.leaving_nothing():
            losses = trial.pass_through()[1]
            if trial.copies > 1:
                losses = losses.view(-1, trial.copies).mean(1)
            if not losses.requires_grad:
                raise UnsupportedError(
                    "the loss does not depend on any trainable parameter",
                    hint="call the layers themselves, and detach nothing between them and the loss",
                )
            return tape.backward(losses), losses.detach()

    @torch.no_grad()
    def _clip(self, uses: dict[Target, Use], losses: Tensor, clip_norm: float) -> ClippedSum:
        norms = torch.linalg.vector_norm(torch.stack([use.norms() for use in uses.values()]), dim=0)
        factors = (clip_norm / norms).clamp_(max=1)
        dropped = 0
        if not math.isfinite(float(norms.sum())):  # one look; their sum alone may be infinite too
            finite = torch.isfinite(norms)
            dropped = len(norms) - int(finite.sum())
            factors = torch.where(finite, factors, 0)
            uses = {target: use.keeping(finite) for target, use in uses.items()}
        gradients: list[Tensor | None] = [None] * len(self.parameters)
        for place, row in tuple(uses):  # what a use holds is let go as soon as it is summed
            total = uses.pop((place, row)).weighted_sum(factors)
            gradients[place] = _placed(total, row, gradients[place], self.parameters[place])
        found = (torch.zeros_like(p) if g is None else g for g, p in zip(gradients, self.parameters, strict=True))
        return ClippedSum(tuple(found), norms, losses, dropped)

    @contextmanager
    def _taped(self, tape: Tape) -> Iterator[None]:
        """Each layer's forward pass replaced by its rule, and put back."""
        for layer, rule in self._layers:
            layer.__dict__["forward"] = TapedForward(rule, layer, tape)
        try:
            yield
        finally:
            for layer, _ in self._layers:
                del layer.__dict__["forward"]


def _placed(total: Tensor, row: int, gradient: Tensor | None, parameter: Tensor) -> Tensor:
    """The gradient of a parameter of which these are the rows from `row` on, with what was placed there before."""
    if total.shape == parameter.shape:
        return total
    gradient = torch.zeros_like(parameter) if gradient is None else gradient
    gradient[row : row + len(total)] = total
    return gradient
