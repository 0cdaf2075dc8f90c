"""A model of pictures as attacks meet it: logits for rows, gradients where it has them, and every row counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from holdfast.attacks.images.thin import thin_convolutions
from holdfast.attacks.patience import within
from holdfast.errors import UnsupportedError

Scores = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
"""From pictures (n, channels, height, width), from 0 to 1, to a score or probability for each class (n, classes)."""

_SUM_TOLERANCE: Final = 1e-3
"""How far the probabilities of a row may miss 1: softmax in float16 still keeps to that."""
_LEAST_PROBABILITY: Final = 1e-30


@dataclass(kw_only=True)
class Classifier:
    """A model that gives logits. Make one with `attackable`.

    Args:
        answer: from pictures (n, channels, height, width) to logits (n, classes).
        classes: how many there are, 2 or more.
        device: where the pictures go.
        differentiable: whether gradients flow through `answer`.
        timeout_s: most seconds of one call, or None.
        forward_rows: asked so far, gradients included.
        backward_rows: differentiated so far.
        odd_rows: answered by NaN or infinity so far.
    """

    answer: Callable[[Tensor], Tensor]
    classes: int
    device: torch.device
    differentiable: bool
    timeout_s: float | None = None
    forward_rows: int = field(default=0, init=False)
    backward_rows: int = field(default=0, init=False)
    odd_rows: int = field(default=0, init=False)

    def logits(self, x: Tensor) -> Tensor:
        """(n, classes) without a gradient.

        Raises:
            UnsupportedError: the model raises, does not answer in time, or answers in another shape.
        """
        with torch.no_grad():
            return self._ask(x)

    def gradient(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, classes), losses (n,) and their gradients by the pixels (n, …), in one pass there and back.

        Args:
            x: the pictures.
            loss: from logits to one loss for each row; rows must not mix.

        Raises:
            UnsupportedError: as `logits`, or the model has no gradient.
        """
        x = x.detach().requires_grad_(self.differentiable)
        with torch.enable_grad():
            logits = self._ask(x)
            losses = loss(logits)
        if not losses.requires_grad:
            raise UnsupportedError(
                "expected a model that can be differentiated by its pixels, got one without a gradient",
                hint='attack it through its answers alone, with suite="black-box"',
            )
        (gradient,) = torch.autograd.grad(losses.sum(), x)
        self.backward_rows += len(x)
        return logits.detach(), losses.detach(), gradient

    def wrong(self, logits: Tensor, y: Tensor) -> Tensor:
        """(n,) whether these answers are a wrong decision; NaN and infinity are none."""
        return (logits.argmax(dim=1) != y) & logits.isfinite().all(dim=1)

    def _ask(self, x: Tensor) -> Tensor:
        try:
            logits = within(self.timeout_s, lambda: self.answer(x.clone()))  # some modules write to their input
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UnsupportedError(
                f"the model does not take pictures of shape {tuple(x.shape)}: {type(error).__name__}: {error}",
                hint="it must take float32 of shape (pictures, channels, height, width) from 0 to 1",
            ) from error
        if not isinstance(logits, Tensor) or tuple(logits.shape) != (len(x), self.classes):
            raise UnsupportedError(
                f"expected logits of shape {(len(x), self.classes)} from the model, got {_shape(logits)}",
                hint="a model of two classes gives two logits: torch.cat([-z, z], dim=1) of a single one",
            )
        self.forward_rows += len(x)
        self.odd_rows += int((~logits.isfinite()).any(dim=1).sum())
        return logits


@contextmanager
def attackable(model: nn.Module | Scores, *, classes: int, timeout_s: float | None = None) -> Iterator[Classifier]:
    """A model to attack: in evaluation mode and with frozen parameters for as long, then as it was.

    Args:
        model: a module that gives logits, or a callable that gives scores or probabilities and is only asked.
        classes: how many there are.
        timeout_s: most seconds that one call may take; None waits for ever.
    """
    if not isinstance(model, nn.Module):
        yield Classifier(
            answer=_of_scores(model),
            classes=classes,
            device=torch.device("cpu"),
            differentiable=False,
            timeout_s=timeout_s,
        )
        return
    modes = {part: part.training for part in model.modules()}
    learning = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        model.eval().requires_grad_(requires_grad=False)
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        with thin_convolutions(model) if device.type == "cpu" else nullcontext():
            yield Classifier(answer=model, classes=classes, device=device, differentiable=True, timeout_s=timeout_s)
    finally:
        for part, mode in modes.items():
            part.training = mode
        for parameter, wanted in learning.items():
            parameter.requires_grad_(wanted)


def are_probabilities(answers: Tensor) -> bool:
    """Whether every row looks like probabilities: nothing below 0, and a sum of 1."""
    return bool((answers >= 0).all() and ((answers.sum(dim=1) - 1).abs() <= _SUM_TOLERANCE).all())


def _of_scores(scores: Scores) -> Callable[[Tensor], Tensor]:
    """Scores as logits: probabilities by their logarithm, so that margins do not vanish where a model is sure."""

    def answer(x: Tensor) -> Tensor:
        answers = torch.as_tensor(np.asarray(scores(x.cpu().numpy()), dtype=np.float32))
        if answers.ndim == 2 and are_probabilities(answers):
            return answers.clamp(min=_LEAST_PROBABILITY).log()
        return answers

    return answer


def _shape(answer: object) -> str:
    return str(tuple(answer.shape)) if isinstance(answer, Tensor) else type(answer).__name__
