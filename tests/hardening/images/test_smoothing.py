"""Randomised smoothing against the closed form: for a linear classifier the certified radius is its distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.hardening.images.picture_cases import small_network, stripes
from torch import Tensor, nn

from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.hardening.images.smoothing import ABSTAINED, Smoothed
from holdfast.intervals import clopper_pearson

SIGMA = 0.25


class HalfSpace(nn.Module):
    """Class 1 where w . x > b, for w of length 1: under Gaussian noise the vote for it is Phi((w . x - b) / sigma)."""

    def __init__(self, w: Tensor, b: float) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(w / w.norm()), b

    def forward(self, x: Tensor) -> Tensor:
        ahead = x.flatten(1) @ self.w - self.b
        return torch.stack([-ahead, ahead], dim=1)


def grey(values: list[int], y: list[int]) -> Images:
    return Images.of(np.array(values, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 3), np.uint8), np.array(y))


def test_radii_of_a_half_space_stay_below_the_true_distance_and_come_near_it() -> None:
    values = [90, 110, 120, 128, 140, 160, 200]
    images = grey(values, [0, 0, 0, 0, 1, 1, 1])
    smoothed = Smoothed(module=HalfSpace(torch.ones(9), 1.5), classes=2, sigma=SIGMA)
    certificate = smoothed.certify(images, rng=np.random.default_rng(0), samples=4_000, failure_probability=0.001)
    distance = np.abs(3 * np.array(values) / 255 - 1.5)  # w . x is 3 times the grey
    decided = certificate.prediction != ABSTAINED
    assert (certificate.prediction[decided] == images.y[decided]).all()
    assert (certificate.radius[decided] <= distance[decided]).all()
    assert not decided[3]  # half a step from the border
    assert certificate.radius[3] == 0
    near = decided & (distance < 2 * SIGMA)
    assert near.sum() >= 3
    # what sampling costs: the lower end of the interval around the true share of votes, which 4 deviations cover
    share = np.array([0.5 * math.erfc(-d / SIGMA / math.sqrt(2)) for d in distance[near]])
    fewest = np.floor(4_000 * share - 4 * np.sqrt(4_000 * share * (1 - share)))
    lows = [clopper_pearson(int(k), 4_000, confidence=0.998)[0] for k in fewest]
    assert (certificate.radius[near] >= [SIGMA * _quantile(low) for low in lows]).all()
    # no radius can be certified beyond what unanimous votes prove
    assert certificate.radius.max() <= SIGMA * _quantile(0.001 ** (1 / 4_000)) + 1e-9
    assert certificate.certified_accuracy(0.0).value == decided.mean()
    assert certificate.certified_accuracy(0.3).value == (certificate.radius > 0.3).mean()
    assert certificate.certified_accuracy(0.3).bound == "lower"


def _quantile(share: float) -> float:
    low, high = -10.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2)) < share else (low, middle)
    return low


def test_votes_are_those_of_the_half_space_and_abstain_at_its_border() -> None:
    smoothed = Smoothed(module=HalfSpace(torch.ones(9), 3 * 128 / 255), classes=2, sigma=SIGMA)
    images = grey([100, 128, 150], [0, 0, 1])
    votes = smoothed.predict(images, rng=np.random.default_rng(1), samples=500)
    np.testing.assert_array_equal(votes, [0, ABSTAINED, 1])
    few = smoothed.predict(images, rng=np.random.default_rng(1), samples=5)
    assert (few == ABSTAINED).all()  # 5 of 5 have a chance of 1 in 16


def test_the_seed_decides_and_the_module_is_left_as_it_is() -> None:
    module = small_network().train()
    images = stripes(4, seed=0)
    smoothed = Smoothed(module=module, classes=2, sigma=1.0)
    first, same, other = (smoothed.certify(images, rng=np.random.default_rng(s), samples=200) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.radius, same.radius)
    assert (first.radius != other.radius).any()
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_smoothed_certificate_as_evidence() -> None:
    seen: list[tuple[int, int]] = []
    smoothed = Smoothed(module=HalfSpace(torch.ones(9), 1.5), classes=2, sigma=SIGMA)
    certificate = smoothed.certify(
        grey([20, 250], [0, 0]),
        rng=np.random.default_rng(0),
        samples=100,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]
    evidence = certificate.to_evidence("sha256:" + "0" * 64)
    assert evidence.figures["certified_accuracy"].bound == "lower"
    assert evidence.figures["clean_accuracy"].value == 0.5
    assert evidence.context["sigma"] == SIGMA


def test_votes_that_mean_nothing_are_refused() -> None:
    images, rng = stripes(2, seed=0), np.random.default_rng(0)
    smoothed = Smoothed(module=small_network(), classes=2, sigma=0.1)
    for sigma, classes in ((0.0, 2), (math.inf, 2), (math.nan, 2), (0.1, 1)):
        with pytest.raises(UsageError, match="expected 2 or more classes and a sigma above 0"):
            Smoothed(module=small_network(), classes=classes, sigma=sigma)
    with pytest.raises(UsageError, match="votes"):
        smoothed.predict(images, rng=rng, samples=0)
    with pytest.raises(UsageError, match="failure probability"):
        smoothed.certify(images, rng=rng, failure_probability=0.5)
    with pytest.raises(DataError, match="at least one picture"):
        smoothed.predict(images.take([]), rng=rng)
    with pytest.raises(UsageError, match="radius"):
        smoothed.certify(images, rng=rng, samples=10).certified_accuracy(-1.0)
    with pytest.raises(UnsupportedError, match="logits of shape"):
        Smoothed(module=small_network(), classes=3, sigma=0.1).predict(images, rng=rng)
