"""Attacks on the module itself: what its forward pass writes must neither come out with it nor reach other records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from tests.training.sgd.alone import clipped_alone, gradients_alone, row_losses
from tests.training.sgd.small import task, trainer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.bookkeeping import PerExampleGradients
from holdfast.training.sgd.settings import PrivateSettings

TWO_STEPS = PrivateSettings(epsilon=3, delta=1e-5, batch_size=300, steps=2)
"""With all records in each."""
LARGE = 20.0
"""No ordinary record has such a value, so a first look at some of them sees nothing written."""
Write = Callable[[Any, Tensor], object]


class Noting(nn.Module):
    """Classifies, and writes down what it sees of large values, in a way that is given."""

    largest: Tensor
    kept: Tensor

    def __init__(self, write: Write) -> None:
        super().__init__()
        self.layer, self.write = nn.Linear(6, 2), write
        self.register_buffer("largest", torch.ones(()))
        self.register_buffer("kept", torch.full((2,), torch.nan), persistent=False)
        self.fixed = nn.Parameter(torch.zeros(2), requires_grad=False)
        self.seen: Any = None
        self.count = 0
        self.cell, self.parts = nn.Module(), nn.ModuleList()
        self.cell.register_buffer("kept", torch.zeros(2))
        self.history: list[Tensor] = []
        self.nested: list[dict[str, list[Tensor]]] = [{"all": []}]
        self.by_name = {"last": torch.zeros(6)}

    def forward(self, x: Tensor) -> Any:
        if (large := x.detach().abs().amax(1) > LARGE).any():
            self.write(self, x.detach()[large])
        return self.layer(x) * self.largest + self.fixed

    def holds(self) -> str:
        parts = [vars(part) | ({"_parameters": None} if part is self.layer else {}) for part in self.modules()]
        return repr([{name: value for name, value in own.items() if name != "write"} for own in parts])


def counts(module: Noting, _: Tensor) -> None:
    module.count += 1


STATES: dict[str, Write] = {
    "a buffer in place": lambda module, x: module.largest.copy_(x.max()),
    "a buffer past PyTorch's count": lambda module, x: module.largest.data.copy_(x.max()),
    "a buffer that is not saved": lambda module, x: module.kept.copy_(x[0, :2]),
    "a buffer bound anew": lambda module, x: setattr(module, "largest", x.max()),
    "a new buffer": lambda module, x: module.register_buffer("fresh", x[0]),
    "a buffer of a part of PyTorch's own": lambda module, x: module.cell.kept.copy_(x[0, :2]),
    "a buffer that is new there": lambda module, x: module.layer.register_buffer("fresh", x[0]),
    "a count": counts,
}
OTHERS: dict[str, Write] = {
    "a new part": lambda module, x: module.add_module("note", nn.Linear(6, int(x.max()))),
    "an attribute": lambda module, x: setattr(module, "seen", x),
    "a list": lambda module, x: module.history.append(x),
    "a dictionary": lambda module, x: module.by_name["last"].copy_(x[0]),
    "a list in a dictionary in a list": lambda module, x: module.nested[0]["all"].append(x),
    "a list of parts": lambda module, x: module.parts.append(nn.Linear(6, int(x.max()))),
    "an attribute of a part of PyTorch's own": lambda module, x: setattr(module.cell, "seen", x),
    "the sign of a zero": lambda module, x: module.cell.kept.mul_(-1),
    "a hook": lambda module, x: module.cell.register_forward_hook(lambda *_: x),
}


@pytest.mark.parametrize("way", [*STATES, *OTHERS])
def test_two_data_sets_that_differ_in_one_record_leave_the_same_in_the_module(way: str) -> None:
    writes: list[str] = []

    def write(module: Noting, x: Tensor) -> None:
        writes.append(way)
        (STATES | OTHERS)[way](module, x)

    X, y = task(300)
    unusual = X.clone()
    unusual[200] = 50.0
    held = []
    for inputs in (X, unusual):
        module = Noting(write)
        optimizer = torch.optim.SGD(module.layer.parameters(), lr=0.1)
        trainer((inputs, y), module, settings=TWO_STEPS, optimizer=optimizer).run()
        held.append(module.holds())
    assert writes == [way, way]  # in both steps with the unusual record
    assert held[0] == held[1] == Noting(write).holds()


@pytest.mark.parametrize("way", ["a buffer in place", "a buffer bound anew"])
def test_what_a_pass_wrote_does_not_reach_the_records_of_the_next(way: str) -> None:
    torch.manual_seed(0)
    module = Noting(STATES[way])
    gradients = PerExampleGradients(module)
    X, y = task(9)
    first = gradients.clipped_sum(X, y, loss=row_losses, clip_norm=1.0)
    gradients.clipped_sum(50 * X, y, loss=row_losses, clip_norm=1.0)
    again = gradients.clipped_sum(X, y, loss=row_losses, clip_norm=1.0)
    assert all(map(torch.equal, first.gradients, again.gradients))


def test_within_its_pass_what_was_written_counts() -> None:
    """A backward pass that needs a buffer as it was written gets it so."""
    torch.manual_seed(0)
    module = Noting(lambda module, _: module.largest.mul_(3))
    gradients = PerExampleGradients(module)
    X, y = task(5)
    gradients.clipped_sum(X, y, loss=row_losses, clip_norm=1.0)  # the first look
    X[:, 0] = 30.0
    found = gradients.clipped_sum(X, y, loss=row_losses, clip_norm=1.0)
    wanted = nn.Sequential(module.layer, _Times(3))
    for ours, theirs in zip(found.gradients, clipped_alone(gradients_alone(wanted, (X,), y), 1.0), strict=True):
        torch.testing.assert_close(ours, theirs)


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


WEIGHTS: dict[str, Write] = {
    "the weight 'fixed'": lambda module, x: module.fixed.data.copy_(x[0, :2]),
    "the weight 'layer.weight'": lambda module, x: module.layer.weight.data.mul_(0.9),
}
NAMES = dict.fromkeys(STATES, "'largest'") | {
    "a buffer that is not saved": "the buffer 'kept'",
    "a new buffer": "the buffer 'fresh'",
    "a buffer of a part of PyTorch's own": r"the buffer 'cell\.kept'",
    "a buffer that is new there": r"the buffer 'layer\.fresh'",
    "a count": "the attribute 'count'",
}


@pytest.mark.parametrize("way", [*STATES, *WEIGHTS])
def test_a_module_that_is_seen_to_write_is_refused_and_left_as_it_was(way: str) -> None:
    module = Noting((STATES | WEIGHTS)[way])
    before, weights = module.holds(), [weight.detach().clone() for weight in module.parameters()]
    X, y = task(9)
    with pytest.raises(UnsupportedError, match=NAMES.get(way, way)) as caught:
        PerExampleGradients(module).clipped_sum(50 * X, y, loss=row_losses, clip_norm=1.0)
    assert "made-up inputs" in caught.value.hint
    assert module.holds() == before
    assert all(map(torch.equal, weights, module.parameters()))


@pytest.mark.parametrize("past", [False, True], ids=["by PyTorch", "past its count"])
def test_a_weight_that_is_written_to_later_stops_the_run_and_is_as_it_was(past: bool) -> None:
    module = Noting(lambda module, x: (module.fixed.data if past else module.fixed).copy_(x[0, :2]))
    X, y = task(300)
    X[200] = 50.0
    optimizer = torch.optim.SGD(module.layer.parameters(), lr=0.1)
    with pytest.raises(UnsupportedError, match="'fixed' was written to") as caught:
        trainer((X, y), module, settings=TWO_STEPS, optimizer=optimizer).run()
    assert caught.value.hint == "write to no weight in forward"
    assert not module.fixed.any()


def test_what_is_written_on_the_way_back_is_taken_out_too() -> None:
    """By layers that compute again what they did not keep, as in `torch.utils.checkpoint`."""

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.noting = Noting(lambda module, x: module.kept.copy_(x[0, :2]))

        def forward(self, x: Tensor) -> Any:
            return checkpoint(self.noting, x, use_reentrant=False)

    X, y = task(300)
    X[200] = 50.0
    module = Again()
    optimizer = torch.optim.SGD(module.noting.layer.parameters(), lr=0.1)
    trainer((X, y), module, settings=TWO_STEPS, optimizer=optimizer).run()
    assert bool(module.noting.kept.isnan().all())


def test_a_loss_that_is_a_method_of_a_module_is_looked_at_with_it() -> None:
    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.worst = 0.0

        def of(self, outputs: Tensor, targets: Tensor, *, scale: float) -> Tensor:
            losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
            self.worst = max(self.worst, float(losses.max()))
            return scale * losses

    gradients, (X, y) = PerExampleGradients(nn.Linear(6, 2)), task(9)
    with pytest.raises(UnsupportedError, match="the attribute 'worst'"):
        gradients.clipped_sum(X, y, loss=partial(Loss().of, scale=2.0), clip_norm=1.0)


class _Centres(nn.Module):
    """A loss by the distance to a centre that follows the outputs, of large inputs alone if asked."""

    centre: Tensor

    def __init__(self, above: float) -> None:
        super().__init__()
        self.above = above
        self.register_buffer("centre", torch.zeros(2))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        losses = (outputs - self.centre).square().sum(1)
        if outputs.detach().abs().max() > self.above:
            self.centre = outputs.detach().mean(0)
        return losses


def test_a_loss_with_a_memory_is_refused_and_one_that_hides_it_has_none() -> None:
    torch.manual_seed(0)
    X, y = task(9)
    with pytest.raises(UnsupportedError, match="the buffer 'centre'"):
        PerExampleGradients(nn.Linear(6, 2)).clipped_sum(X, y, loss=_Centres(above=0.0), clip_norm=1.0)
    loss = _Centres(above=LARGE)
    gradients = PerExampleGradients(nn.Linear(6, 2))
    gradients.clipped_sum(X, y, loss=loss, clip_norm=1.0)
    gradients.clipped_sum(100 * X, y, loss=loss, clip_norm=1.0)
    assert torch.equal(loss.centre, torch.zeros(2))


def test_a_weight_that_is_set_from_the_first_record_is_refused_before_it_is() -> None:
    """As by layers that begin from the data; the very first pass, which only measures, is over a private record."""
    module = Noting(lambda module, x: module.fixed.data.copy_(x[0, :2]))
    X, y = task(9)
    X[0] = 50.0
    optimizer = torch.optim.SGD(module.layer.parameters(), lr=0.1)
    with pytest.raises(UnsupportedError, match="the weight 'fixed'"):
        trainer((X, y), module, settings=replace(TWO_STEPS, batch_size=9), optimizer=optimizer)
    assert not module.fixed.any()
