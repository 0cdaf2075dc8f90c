"""Losses that attacks climb: the published formulas, and gradients that do not vanish with few classes."""

from __future__ import annotations

import pytest
import torch
from tests.attacks.images.picture_cases import generator
from torch import Tensor

from holdfast.attacks.images.losses import best_targets, cross_entropy, dlr, margin, targeted_dlr


def _logits(classes: int, rows: int = 40) -> tuple[Tensor, Tensor]:
    logits = torch.randn(rows, classes, generator=generator(classes), dtype=torch.float64)
    return logits, torch.arange(rows) % classes


def test_the_ratios_are_those_of_the_paper() -> None:
    logits = torch.tensor([[1.0, 4.0, 3.0, -1.0, 0.5]])
    right, wrong = torch.tensor([1]), torch.tensor([2])
    torch.testing.assert_close(dlr(logits, right), torch.tensor([-(4 - 3) / (4 - 1.0)]))
    torch.testing.assert_close(dlr(logits, wrong), torch.tensor([-(3 - 4) / (4 - 1.0)]))
    expected = torch.tensor([-(4 - 3) / (4 - (1 + 0.5) / 2)])
    torch.testing.assert_close(targeted_dlr(logits, right, wrong), expected)


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_a_loss_is_above_zero_where_the_decision_is_wrong_and_below_where_it_is_right(classes: int) -> None:
    logits, y = _logits(classes)
    wrong = logits.argmax(dim=1) != y
    for loss in (margin, dlr):
        assert torch.equal(loss(logits, y) > 0, wrong)
    towards = best_targets(logits, y, 1)[:, 0]
    assert torch.equal(targeted_dlr(logits, y, towards) > 0, wrong)


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_target_has_a_gradient(classes: int, place: int) -> None:
    logits, _ = _logits(classes)
    y = logits.argmax(dim=1)
    targets = best_targets(logits, y, 9)
    assert targets.shape[1] == min(9, classes - 1)
    assert not (targets == y[:, None]).any()
    if place >= targets.shape[1]:
        return
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(targeted_dlr(logits, y, targets[:, place]).sum(), logits)
    assert (gradient.abs().amax(dim=1) > 1e-6).all()


def test_ratios_do_not_change_with_the_scale_where_cross_entropy_has_no_gradient_left() -> None:
    logits = torch.tensor([[900.0, 0.0, 300.0, 100.0]], requires_grad=True)
    y = torch.tensor([0])
    (flat,) = torch.autograd.grad(cross_entropy(logits, y).sum(), logits)
    assert not flat.any()
    for loss in (dlr, lambda z, y: targeted_dlr(z, y, torch.tensor([1]))):
        torch.testing.assert_close(loss(logits, y), loss(logits / 1000, y))
        (gradient,) = torch.autograd.grad(loss(logits, y).sum(), logits)
        assert gradient.any()
