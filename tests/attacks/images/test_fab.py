"""FAB-T: the smallest changes, where they are known, and projections that no other solver betters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from tests.attacks.images.picture_cases import (
    RADII,
    asked,
    convolutional,
    fooled,
    generator,
    grey_pictures,
    linear,
    own_labels,
    smallest_changes,
)
from torch import nn

from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.fab import FabTargeted
from holdfast.attacks.images.fab_projection import step_onto
from holdfast.attacks.images.norms import NORMS
from holdfast.attacks.images.threat import NormName, PixelChange
from holdfast.errors import UnsupportedError, UsageError

NAMES: list[NormName] = ["Linf", "L2", "L1"]
FLOAT32 = 1e-3
"""Relative: a linear model's border is hit exactly, but by steps in float32 that overshoot and come back by 10 %."""


def box_problem(seed: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A point in the box, some of it at the walls; a normal vector with some zeros; and what is to be made up for."""
    rng = np.random.default_rng(seed)
    x = rng.random((1, width))
    x = np.where(rng.random(x.shape) < 0.3, np.rint(x), x)
    w = np.where(rng.random(x.shape) < 0.2, 0.0, rng.normal(size=x.shape))
    return torch.tensor(x), torch.tensor(w), torch.tensor(rng.normal(size=1) * rng.choice([0.1, 1.0, 5.0]))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 12))
def test_no_step_onto_the_hyperplane_is_shorter_as_far_as_a_linear_program_knows(seed: int, width: int) -> None:
    x, w, b = box_problem(seed, width)
    a, low, high = w[0].numpy(), -x[0].numpy(), 1 - x[0].numpy()
    most = np.maximum(a * low, a * high).sum() if b > 0 else np.minimum(a * low, a * high).sum()
    for norm in ("Linf", "L1"):
        step = step_onto(norm, x, w, b)[0].numpy()
        assert (low - 1e-12 <= step).all()
        assert (step <= high + 1e-12).all()
        reachable = abs(most) >= abs(float(b))
        assert a @ step == pytest.approx(float(b) if reachable else most, abs=1e-9)
        if reachable:
            assert NORMS[norm].length(torch.tensor(step)[None]).item() <= _least(norm, a, float(b), low, high) + 1e-9


def _least(norm: str, a: np.ndarray, b: float, low: np.ndarray, high: np.ndarray) -> float:
    """The optimum by linear programming: u >= |step| coordinatewise, or one u for all."""
    n = len(a)
    width = 1 if norm == "Linf" else n
    bound = np.ones((n, 1)) if norm == "Linf" else np.eye(n)
    rows = np.block([[np.eye(n), -bound], [-np.eye(n), -bound]])
    cost = np.concatenate([np.zeros(n), np.ones(width)])
    equal = np.concatenate([a, np.zeros(width)])[None]
    bounds = [*zip(low, high, strict=True), *[(0, None)] * width]
    solved = linprog(cost, A_ub=rows, b_ub=np.zeros(2 * n), A_eq=equal, b_eq=[b], bounds=bounds)
    assert solved.success
    return float(solved.fun)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 12))
def test_a_gradient_however_faint_leads_to_the_same_step(seed: int, width: int) -> None:
    x, w, b = (part.float() for part in box_problem(seed, width))
    faint = 2.0**-60  # a power of two, which rounds nothing; gradients that a network masks are as small
    for norm in NAMES:
        assert torch.equal(step_onto(norm, x, faint * w, faint * b), step_onto(norm, x, w, b))


@pytest.mark.parametrize("norm", NAMES)
def test_no_gradient_is_no_step_and_does_not_hold_up_the_others(norm: NormName) -> None:
    x = torch.full((3, 4), 0.5)
    w = torch.tensor([[0.0] * 4, [torch.nan] * 4, [1.0, 0.0, -1.0, 0.0]])
    step = step_onto(norm, x, w, torch.tensor([1.0, 1.0, 0.5]))
    assert torch.equal(step[0], torch.zeros(4))
    assert float(w[2] @ step[2]) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(8))
def test_the_euclidean_step_is_no_longer_than_that_of_a_general_solver(seed: int) -> None:
    x, w, b = box_problem(seed, 6)
    b = b.clamp(-0.5, 0.5) * w.abs().sum() / 6
    step = step_onto("L2", x, w, b)[0].numpy()
    a = w[0].numpy()
    if not np.isclose(a @ step, float(b)):
        pytest.skip("the box has no such point")
    bounds = list(zip(-x[0].numpy(), 1 - x[0].numpy(), strict=True))
    meets = {"type": "eq", "fun": lambda d: a @ d - float(b)}
    other = minimize(lambda d: d @ d, step * 0.5, bounds=bounds, constraints=[meets], method="SLSQP")
    assert step @ step <= other.fun + 1e-7


@pytest.mark.parametrize("norm", NAMES)
@pytest.mark.parametrize("classes", [2, 4])
def test_the_smallest_change_of_a_linear_model_is_found(norm: NormName, classes: int) -> None:
    model, x = linear(classes), grey_pictures(20)
    y = own_labels(model, x)
    with asked(model, classes) as classifier:
        found = FabTargeted(steps=30).smallest(classifier, x, y, norm=norm)
    known = smallest_changes(model, x, PixelChange(norm=norm, radius=RADII[norm]))
    assert fooled(model, found.x, y).all()
    length = NORMS[norm].length(found.x - x)
    assert (length >= known * (1 - FLOAT32)).all()
    assert (length <= known * (1 + 10 * FLOAT32)).all()


@pytest.mark.parametrize("norm", NAMES)
def test_what_is_handed_back_is_within_the_threat_and_is_all_that_can_be_flipped(norm: NormName) -> None:
    model, x = linear(), grey_pictures(40)
    y = own_labels(model, x)
    known = smallest_changes(model, x, PixelChange(norm=norm, radius=RADII[norm]))
    threat = PixelChange(norm=norm, radius=float(known.median()))
    with asked(model) as classifier:
        found = FabTargeted(steps=30)(classifier, x, y, threat=threat, generator=generator())
    flipped = fooled(model, found.x, y)
    assert (NORMS[threat.norm].length(found.x - x) <= threat.radius).all()
    assert torch.equal(found.x[~flipped], x[~flipped])
    assert flipped[known < 0.99 * threat.radius].all()
    assert not flipped[known > 1.01 * threat.radius].any()
    assert 0.4 < flipped.float().mean() < 0.6


def test_a_picture_that_is_found_is_asked_no_more() -> None:
    model, x = convolutional(), grey_pictures(10)
    y = own_labels(model, x)
    with asked(model) as classifier:
        eager = FabTargeted(steps=20)(
            classifier, x, y, threat=PixelChange(norm="L2", radius=3.0), generator=generator()
        )
        patient = FabTargeted(steps=20).smallest(classifier, x, y, norm="L2")
    assert (eager.queries < patient.queries).all()
    assert (patient.queries == 3 * 20 * 2 + 2).all()
    assert (NORMS["L2"].length(patient.x - x) <= NORMS["L2"].length(eager.x - x) + 1e-6).all()


def test_a_model_without_a_slope_gives_nothing_and_no_nan() -> None:
    class Steps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            level = x.flatten(1).mean(dim=1) * 0
            return torch.stack([level + 1, level], dim=1)

    x = grey_pictures(3)
    with asked(Steps(), 2) as classifier:
        found = FabTargeted(steps=3).smallest(classifier, x, torch.zeros(3, dtype=torch.int64), norm="L2")
    assert torch.equal(found.x, x)


def test_nonsense_and_models_without_a_gradient_are_refused() -> None:
    with pytest.raises(UsageError, match="1 step and 1 target"):
        FabTargeted(steps=0)
    x, y = grey_pictures(2), torch.zeros(2, dtype=torch.int64)
    with (
        attackable(lambda pictures: pictures.reshape(len(pictures), -1)[:, :2], classes=2) as classifier,
        pytest.raises(UnsupportedError, match="gradient"),
    ):
        FabTargeted(steps=1).smallest(classifier, x, y, norm="L2")
