"""Threats and norms: projections keep within ball and box and are the nearest, steps are the steepest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from tests.attacks.images.picture_cases import generator

from holdfast.attacks.images.l1_ball import into_l1_ball
from holdfast.attacks.images.norms import NORMS, norm_of
from holdfast.attacks.images.threat import NormName, PixelChange
from holdfast.errors import UsageError

names = st.sampled_from(["Linf", "L2", "L1"])
EPS = torch.finfo(torch.float32).eps


@settings(max_examples=60)
@given(name=names, seed=st.integers(0, 10_000), radius=st.floats(1e-3, 1.0), reach=st.floats(0.0, 3.0))
def test_a_projection_is_within_ball_and_box_and_leaves_alone_what_is(
    name: NormName, seed: int, radius: float, reach: float
) -> None:
    norm, noise = NORMS[name], generator(seed)
    x = torch.rand(5, 2, 4, 4, generator=noise)
    moved = x + reach * torch.randn(x.shape, generator=noise)
    inside = norm.into(moved, x, radius)
    rounding = 4 * EPS * (radius + float(norm.length(torch.ones_like(x[:1]))))  # a rounding of each pixel
    assert inside.min() >= 0
    assert inside.max() <= 1
    assert norm.length(inside - x).max() <= radius + rounding
    again = norm.into(inside, x, radius)
    torch.testing.assert_close(again, inside, rtol=0, atol=rounding)
    start = norm.start(x, radius, noise)
    assert norm.length(start - x).max() <= radius + rounding
    assert 0 <= float(start.min()) <= float(start.max()) <= 1


@settings(max_examples=40)
@given(name=names, seed=st.integers(0, 10_000))
def test_the_steepest_step_has_length_one_and_gains_the_dual_length(name: NormName, seed: int) -> None:
    norm = NORMS[name]
    gradient = torch.randn(4, 1, 5, 5, generator=generator(seed))
    step = norm.steepest(gradient)
    torch.testing.assert_close(norm.length(step), torch.ones(4))
    torch.testing.assert_close((step * gradient).flatten(1).sum(dim=1), norm.dual_length(gradient))


@pytest.mark.parametrize("name", ["Linf", "L2", "L1"])
def test_a_gradient_of_zero_is_no_step_and_no_number_is_lost(name: NormName) -> None:
    zero = torch.zeros(2, 1, 3, 3)
    assert torch.equal(NORMS[name].steepest(zero), zero)
    assert torch.isfinite(NORMS[name].into(zero, zero, 0.1)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_projection_onto_the_l1_ball_is_the_nearest_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, moved, radius = rng.random(6), rng.normal(0.5, 1.0, 6), 0.4
    given_ = into_l1_ball(torch.tensor(moved[None]), torch.tensor(x[None]), radius)[0].numpy()
    # x + up - down, both at least 0, is smooth; SLSQP is an oracle of another kind
    best = minimize(
        lambda parts: np.sum((x + parts[:6] - parts[6:] - moved) ** 2),
        np.zeros(12),
        jac=lambda parts: (lambda off: np.concatenate([off, -off]))(2 * (x + parts[:6] - parts[6:] - moved)),
        bounds=[(0, 1 - value) for value in x] + [(0, value) for value in x],
        constraints={"type": "ineq", "fun": lambda parts: radius - parts.sum(), "jac": lambda parts: -np.ones(12)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert best.success
    np.testing.assert_allclose(given_, x + best.x[:6] - best.x[6:], atol=1e-5)  # of SLSQP


@pytest.mark.parametrize(
    "options",
    [
        {"radius": 0.0},
        {"radius": -1},
        {"radius": math.nan},
        {"radius": math.inf, "norm": "L2"},
        {"radius": True},
        {"radius": "8/255"},
        {"radius": 8.0},
        {"radius": 0.1, "norm": "L3"},
    ],
    ids=str,
)
def test_a_threat_that_means_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="pixel change"):
        PixelChange(**options)


def test_a_threat_says_itself_in_words_and_as_json() -> None:
    assert PixelChange(radius=8 / 255).within == "when every pixel may move by up to 8/255"
    assert "0.3" in PixelChange(radius=0.3).within
    assert "sum" in PixelChange(norm="L1", radius=12).within
    threat = PixelChange(norm="L2", radius=0.5)
    assert (threat.budget, threat.unit, threat.to_json()) == (0.5, "L2", {"norm": "L2", "radius": 0.5})
    assert threat.with_radius(2.0) == PixelChange(norm="L2", radius=2.0)
    assert norm_of(threat) is NORMS["L2"]
