"""Standardisation of channels: close to the true one, noisy for real, and silent about one picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training.test_audit import epsilon_at_least

from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.events import NoisySums
from holdfast.training.images.channels import LARGEST, Standardise, learn_channels, summaries
from holdfast.training.release import mechanism

CHANNELS = 3


def responses(number: int = 4_000) -> torch.Tensor:
    """Channels with means .5, 1 and .5 and deviations .5, 1 and 0, so that few pictures are clipped."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.5, 1.0, 0.0])[:, None, None]
    centre = torch.tensor([0.5, 1.0, 0.5])[:, None, None]
    return centre + spread * torch.randn(number, CHANNELS, 2, 3, generator=generator)


def event(noise_multiplier: float = 1.0) -> NoisySums:
    return NoisySums(noise_multiplier=noise_multiplier, count=1, width=2 * CHANNELS)


def test_summaries_are_means_and_mean_squares() -> None:
    some = responses(5)
    flat = some.numpy().reshape(5, CHANNELS, -1).astype(np.float64)
    np.testing.assert_allclose(summaries(some), np.hstack([flat.mean(2), (flat**2).mean(2)]), rtol=1e-12)


def test_channels_come_out_centred_and_alike() -> None:
    rows = learn_channels(summaries(responses()), event())(responses()).reshape(-1, CHANNELS, 6)
    assert rows.dtype == torch.float32
    # The noise of the mean is bound / pictures = 2 * √6 / 4000 = .0012; so are 6 of it, over the deviation .5.
    assert abs(float(rows[:, 0].mean())) < 6 * 0.0012 / 0.5
    # Of the variance .25 it is 3 times as much (square, mean * 2), so 6 * .0037 / .25 / 2 of the deviation.
    assert abs(float(rows[:, 0].std()) - 1) < 0.05
    assert abs(float(rows[:, 1].std()) - 1) < 0.05
    assert float(rows[:, 2].abs().max()) < 1, "a channel that never varies is not blown up into noise"
    assert float(rows.abs().max()) <= LARGEST


def test_sixteen_bits_are_taken() -> None:
    standardise = Standardise(np.zeros(CHANNELS), np.ones(CHANNELS))
    assert standardise(torch.full((1, CHANNELS, 1, 1), 9.0, dtype=torch.float16)).tolist() == [[LARGEST] * CHANNELS]


def test_noise_is_drawn_anew() -> None:
    summary = summaries(responses(50))
    centres = [learn_channels(summary, event()).centre for _ in range(2)]
    assert not torch.equal(*centres)


@pytest.mark.parametrize("rows", [1, 7])
def test_noise_alone_still_gives_finite_channels(rows: int) -> None:
    standardise = learn_channels(np.zeros((rows, 2 * CHANNELS)), event(50.0))
    assert torch.isfinite(standardise.centre).all()
    assert torch.isfinite(standardise.stretch).all()
    assert (standardise.stretch > 0).all()


@pytest.mark.parametrize("broken", [False, True], ids=["with noise", "without"])
def test_whether_a_picture_was_there_stays_within_the_claim(*, broken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The neighbour of a picture is one that contributes nothing; the attacker knows all the others."""
    if broken:
        monkeypatch.setattr(mechanism, "gaussian_integers", lambda count: np.zeros(count, dtype=np.int64))
    claimed = epsilon_of([event()], delta=1e-5)
    rng = np.random.default_rng(1)
    present = rng.random((5, 2 * CHANNELS))
    present[0] = [1e6, -1e6, np.inf, np.nan, 0, 0]  # as far out as a picture can be made to be
    absent = present.copy()
    absent[0] = 0

    def observe(summary: np.ndarray) -> np.ndarray:
        learned = (learn_channels(summary, event()) for _ in range(1_000))
        return np.array([float(standardise.centre[0] - standardise.centre[1]) for standardise in learned])

    found = epsilon_at_least(observe(absent), observe(present))
    assert found > 4 * claimed if broken else 0 < found <= claimed
