"""What a first look at a module and a loss must show: no example has a say in what another one contributes.

The layers' types cannot show it, as a forward pass may compute anything between them. So some examples of the first
batch are run again: beside copies of themselves, where nothing of theirs may change, and each alone through PyTorch's
own differentiation, where the same gradients must come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from holdfast.errors import UnsupportedError, UsageError
from holdfast.training.polynomials.activations import Augment
from holdfast.training.sgd.forgetting import check_writes_nothing, forgetting, modules_behind

MOST_EXAMPLES: Final = 4
"""Looked at: few, as each is differentiated alone."""
_ROUNDINGS: Final = 2.0**12
"""Units in the last place by which the same row may differ in another batch; a say of others is far larger."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Some whole examples with a module and a loss.

    Args:
        module: as it is trained.
        loss: loss(outputs, targets) gives one loss for each row.
        inputs: each (examples * copies, …).
        targets: (examples * copies, …).
        copies: rows of one example.
    """

    module: nn.Module
    loss: Callable[[Any, Tensor], Tensor]
    inputs: tuple[Tensor, ...]
    targets: Tensor
    copies: int

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self.targets) // self.copies

    def only(self, rows: Tensor) -> Trial:
        """The same with these rows."""
        inputs = tuple(part[rows] for part in self.inputs)
        return Trial(self.module, self.loss, inputs, self.targets[rows], self.copies)

    @property
    def modules(self) -> list[nn.Module]:
        """The module, and that of the loss where it has one."""
        return [*modules_behind(self.module), *modules_behind(self.loss)]

    @contextmanager
    def leaving_nothing(self) -> Iterator[None]:
        """Passes inside leave nothing behind, and neither does going back through them.

        Raises:
            UnsupportedError: a weight was written to.
        """
        with ExitStack() as stack:
            for module in self.modules:
                stack.enter_context(forgetting(module))
            yield

    def run(self) -> tuple[Any, Tensor]:
        """Outputs, and the loss of every row (examples * copies,), from a pass that leaves nothing behind.

        Raises:
            UnsupportedError: the loss is not one number for each row, or a weight was written to.
        """
        with self.leaving_nothing():
            return self.pass_through()

    def pass_through(self) -> tuple[Any, Tensor]:
        """The same, and what the pass writes stays."""
        with told_if_not_taken(self.module, self.inputs):
            outputs = self.module(*self.inputs)
            losses: object = self.loss(outputs, self.targets)
        if not isinstance(losses, Tensor) or losses.shape != (len(self.targets),):
            got = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
            raise UnsupportedError(
                f"expected a loss with one value for each of {len(self.targets)} rows, got {got}",
                hint='use reduction="none", and take the mean over all dimensions but the first',
            )
        return outputs, losses


@contextmanager
def told_if_not_taken(module: nn.Module, inputs: Sequence[Tensor]) -> Iterator[None]:
    """What PyTorch says where a module or a loss does not take some records, as one sentence with a fix.

    Raises:
        UnsupportedError: see above.
    """
    try:
        yield
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        weights = next(module.parameters()).dtype
        hint = "check the shape and type of the inputs, and that every target is one of the module's classes"
        if other := [part.dtype for part in inputs if part.is_floating_point() and part.dtype != weights]:
            hint = f"inputs are {other[0]} and the module's weights {weights}: give inputs.to({weights})"
        raise UnsupportedError(f"the module or the loss does not take these records: {said}", hint=hint) from error


def check_examples_apart(trial: Trial) -> None:
    """Refuse a module or a loss in which an example's outputs or loss depend on the other examples, or on a state.

    Raises:
        UnsupportedError: naming which of the two, and the fix.
    """
    look: Callable[[], object] = partial(_seeded, trial.pass_through)
    for module in trial.modules:
        look = partial(check_writes_nothing, module, look)
    look()
    outputs, losses = _seeded(trial.run)
    for example in (0, trial.examples - 1):
        own = torch.arange(example * trial.copies, (example + 1) * trial.copies)
        alone_outputs, alone_losses = _seeded(trial.only(own.repeat(trial.examples)).run)
        if isinstance(outputs, Tensor) and not _same(alone_outputs[own], outputs[own]):
            raise UnsupportedError(
                f"the outputs of {type(trial.module).__name__} for an example depend on the others in its batch",
                hint="normalise or attend within an example only, such as by GroupNorm, and with batch_first=True",
            )
        if not _same(alone_losses[own], losses[own]):
            raise UnsupportedError(
                "the loss of an example depends on the others in its batch",
                hint="weight classes by fixed numbers, and use no contrast, ranking or centring over the batch",
            )


def check_augmentation(augment: Augment, inputs: Tensor, *, copies: int) -> None:
    """Refuse an augmentation that makes of an example what depends on the others, or that cannot be repeated.

    Args:
        augment: augment(inputs, generator), random by the generator alone.
        inputs: (examples * copies, …) two examples or more.
        copies: rows of one example.

    Raises:
        UsageError: it is no function.
        UnsupportedError: naming the fix.
    """
    if not callable(augment):
        raise UsageError(f"expected augment(inputs, generator), got {augment!r:.60}", hint="give a function of the two")

    def changed(rows: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return augment(rows.clone(), torch.Generator().manual_seed(0))

    examples = len(inputs) // copies
    beside = changed(inputs)
    for example in (0, examples - 1):
        own = torch.arange(example * copies, (example + 1) * copies)
        alone = changed(inputs[own.repeat(examples)])[own]
        same = _same(alone, beside[own]) if alone.is_floating_point() else torch.equal(alone, beside[own])
        if not same:
            raise UnsupportedError(
                "what the augmentation makes of a row depends on the others, or on more than its generator",
                hint="change each row by itself, with no mixing of rows, and draw from the generator alone",
            )


def check_gradients(trial: Trial, parameters: Sequence[nn.Parameter], taped: Callable[[Trial], list[Tensor]]) -> None:
    """Refuse a module whose taped gradients are not those that PyTorch finds for each example alone.

    Args:
        trial: some examples.
        parameters: the trainable ones.
        taped: gives for a trial, for each parameter, (examples, *shape) gradients.

    Raises:
        UnsupportedError: naming the parameter.
    """
    names = {id(parameter): name for name, parameter in trial.module.named_parameters()}
    with _evaluating(trial.module):
        found = taped(trial)
        for example in range(trial.examples):
            rows = torch.arange(example * trial.copies, (example + 1) * trial.copies)
            with (one := trial.only(rows)).leaving_nothing():
                alone = one.pass_through()[1].mean()
                expected = torch.autograd.grad(alone, parameters, allow_unused=True)
            largest = max(float(gradient.abs().max()) for gradient in expected if gradient is not None)
            for parameter, gradients, gradient in zip(parameters, found, expected, strict=True):
                wanted = torch.zeros_like(parameter) if gradient is None else gradient
                if not _same(wanted, gradients[example], largest=largest):
                    _check_no_chance(trial)
                    raise UnsupportedError(
                        f"the gradient of {names[id(parameter)]!r} cannot be told apart by examples: it is used "
                        "outside of its layer, or on a tensor whose first dimension is not the examples",
                        hint="call the layer itself instead of using its weight, and keep rows first everywhere",
                    )


def _check_no_chance(trial: Trial) -> None:
    """Refuse a module that draws random numbers in evaluation mode: nobody can compare its gradients."""
    with torch.no_grad():
        first, second = trial.run()[1], trial.run()[1]
    if not torch.equal(first, second) and bool(torch.isfinite(first).all()):
        raise UnsupportedError(
            f"{type(trial.module).__name__} draws random numbers in evaluation mode too, so that its gradients cannot "
            "be compared with those of each example alone",
            hint="draw them only where self.training is True, as torch.nn.Dropout does",
        )


def _seeded(run: Callable[[], tuple[Any, Tensor]]) -> tuple[Any, Tensor]:
    """Outputs and losses with the same dropout every time, and without touching anyone's generator."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        return run()


def _same(alone: Tensor, beside: Tensor, *, largest: float | None = None) -> bool:
    """Whether an example gives the same beside others, up to rounding; what is not finite by itself shows nothing.

    `largest` is the scale of the numbers that both were computed from, where it is not their own: the offset before a
    normalisation has a gradient of rounding errors alone.
    """
    if not bool(torch.isfinite(alone).all()) or not alone.numel():
        return True
    scale = float(alone.detach().abs().max()) if largest is None else largest
    slack = _ROUNDINGS * torch.finfo(alone.dtype).eps * scale
    return torch.allclose(alone, beside, rtol=0, atol=slack)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, so that dropout draws nothing, and every part back in its own afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
