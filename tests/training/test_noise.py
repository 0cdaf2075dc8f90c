"""The noise is Gaussian, whole, and from the operating system."""

from __future__ import annotations

import numpy as np
from scipy import stats

from holdfast.training.noise import SCALE_BITS, gaussian_integers

COUNT = 200_000
UNLIKELY = 1e-7


def test_the_noise_is_standard_normal_in_its_scale() -> None:
    drawn = gaussian_integers(COUNT) * 2.0**-SCALE_BITS
    assert drawn.shape == (COUNT,)
    assert stats.kstest(drawn, "norm").pvalue > UNLIKELY


def test_the_tails_are_as_heavy_as_they_must_be() -> None:
    drawn = np.abs(gaussian_integers(COUNT) * 2.0**-SCALE_BITS)
    edges = [0, 1, 2, 3, 4, np.inf]
    expected = 2 * np.diff(stats.norm.cdf(edges))
    counts, _ = np.histogram(drawn, bins=edges)
    for count, probability in zip(counts, expected, strict=True):
        assert stats.binomtest(int(count), COUNT, probability).pvalue > UNLIKELY


def test_the_low_bits_are_uniform_so_rounding_tells_nothing() -> None:
    low = gaussian_integers(COUNT) & 0xFF
    assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > UNLIKELY


def test_the_noise_leans_to_neither_side() -> None:
    negative = int((gaussian_integers(COUNT) < 0).sum())
    assert stats.binomtest(negative, COUNT, 0.5).pvalue > UNLIKELY


def test_no_seed_repeats_the_noise() -> None:
    np.random.seed(1)
    first = gaussian_integers(8)
    np.random.seed(1)
    assert not np.array_equal(first, gaussian_integers(8))


def test_no_noise_can_be_asked_for() -> None:
    assert gaussian_integers(0).size == 0
