"""The noise is Gaussian, whole, and from the operating system."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.training.noise_oracle import gaussian_row

from holdfast.training.release.native import native
from holdfast.training.release.noise import (
    ADDITIVE_GAP,
    CELLS,
    CHOOSER_BITS,
    FIRST_BITS,
    MULTIPLICATIVE_GAP,
    RESERVE,
    ROW,
    ROW_WORDS,
    SCALE_BITS,
    SLOTS,
    SPARES,
    RandomWords,
    gaussian_integers,
    tables,
)

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


def test_cells_of_a_64th_come_as_often_as_they_must() -> None:
    drawn = np.abs(gaussian_integers(COUNT)) * 2.0 ** (6 - SCALE_BITS)
    edges = np.arange(0, 193) / 64
    expected = 2 * np.diff(stats.norm.cdf([*edges, np.inf])) * COUNT
    counts = np.bincount(np.minimum(drawn.astype(int), 192), minlength=193)
    assert stats.chisquare(counts, expected).pvalue > UNLIKELY


def test_the_low_bits_are_uniform_so_rounding_tells_nothing() -> None:
    low = gaussian_integers(COUNT) & 0xFF
    assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > UNLIKELY


def test_the_noise_leans_to_neither_side() -> None:
    negative = int((gaussian_integers(COUNT) < 0).sum())
    assert stats.binomtest(negative, COUNT, 0.5).pvalue > UNLIKELY


def test_numbers_next_to_each_other_have_nothing_to_do_with_each_other() -> None:
    drawn = gaussian_integers(COUNT) * 2.0**-SCALE_BITS
    for lag in (1, 2, ROW):
        assert abs(np.dot(drawn[lag:], drawn[:-lag])) / np.sqrt(COUNT - lag) < stats.norm.isf(UNLIKELY)


def test_no_seed_repeats_the_noise() -> None:
    np.random.seed(1)
    first = gaussian_integers(8)
    np.random.seed(1)
    assert not np.array_equal(first, gaussian_integers(8))


def test_a_forked_process_draws_noise_of_its_own() -> None:
    gaussian_integers(8)
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, which the child never needs
        child = os.fork()
    if child == 0:
        os.write(write, gaussian_integers(8).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = np.frombuffer(os.read(read, 64), dtype=np.int64)
    os.close(read)
    os.close(write)
    assert len(theirs) == 8
    assert not np.array_equal(gaussian_integers(8), theirs)


@pytest.mark.parametrize("count", [0, 1, 2, ROW, ROW + 1])
def test_as_many_numbers_come_as_were_asked_for(count: int) -> None:
    assert gaussian_integers(count).shape == RandomWords(count).draw(count).shape == (count,)


def test_every_cell_has_the_probability_of_the_normal_density_to_2_to_the_minus_74() -> None:
    """The alias table, undone in whole numbers, against the density at the low end of each cell."""
    weights = [0] * SLOTS
    for own, (slot, threshold) in enumerate(zip(tables().slots.tolist(), tables().thresholds.tolist(), strict=True)):
        weights[own] += threshold
        weights[slot >> 16 & 0xFFFF] += 2**64 - threshold
        assert slot >> 32 == threshold >> (64 - CHOOSER_BITS)
    assert sum(weights) == SLOTS * 2**64
    assert not any(weights[CELLS:])
    density = np.exp(-((np.arange(CELLS, dtype=np.longdouble) / 64) ** 2) / 2)
    expected = density / density.sum() * np.longdouble(2) ** 74
    wrong = np.abs(np.array(weights[:CELLS], dtype=np.longdouble) - expected)
    assert (wrong <= 1 + expected * 2.0**-58).all()  # a long double has 64 bits, its exp and sum are right to about 60


def test_a_candidate_that_is_kept_unseen_would_be_kept_anywhere_in_its_cell() -> None:
    at_the_far_end = np.exp(-(2 * np.arange(CELLS) + 1) / 2.0**13) * 2.0**FIRST_BITS
    slots = tables().slots
    sure = (slots & np.uint64(0xFF)).astype(int)
    assert (sure[:CELLS] <= at_the_far_end).all()
    assert (sure[:CELLS] > at_the_far_end - 1.001).all()
    assert np.array_equal(sure[(slots >> 16 & 0xFFFF).astype(int)], (slots >> 8 & 0xFF).astype(int))


def test_a_row_has_the_words_that_it_takes() -> None:
    """A number that would need more bits of a reserve that is at its end is drawn anew, which is no longer exact."""
    cells = np.exp(-((np.arange(CELLS) / 64) ** 2) / 2)
    sure = (tables().slots[:CELLS] & np.uint64(0xFF)).astype(int) / 2.0**FIRST_BITS
    unsure = float((cells * (1 - sure)).sum() / cells.sum()) + 2.0**-CHOOSER_BITS
    needed = stats.binom(ROW + SPARES, unsure)
    assert needed.mean() == pytest.approx(69, abs=1)
    assert needed.sf(RESERVE) < ADDITIVE_GAP
    assert stats.binom(ROW + SPARES, 1 - kept_share()).sf(SPARES) < 1e-9


def kept_share() -> float:
    """Of all candidates, by the areas under the density and under its steps."""
    return float(np.sqrt(np.pi / 2) * 64 / np.exp(-((np.arange(CELLS) / 64) ** 2) / 2).sum())


def test_the_stated_gaps_are_no_smaller_than_what_they_are_made_of() -> None:
    cells = CELLS * 2.0**-75 / 0.99
    beyond = 2 * stats.norm.sf(10)
    assert cells + beyond <= ADDITIVE_GAP
    exp, argument, comparison = 8 * 2.0**-53 / 0.85, 2 * 2.0**-53, 2.0**-53 / 0.85
    assert 2 * (exp + argument + comparison) <= MULTIPLICATIVE_GAP


@pytest.fixture(params=[False, True], ids=["portable", "avx512"], scope="module")
def path(request: pytest.FixtureRequest) -> Iterator[None]:
    """The numbers do not depend on the processor."""
    if native.use_avx512(request.param) != request.param:
        pytest.skip("this processor has no AVX-512")
    yield
    native.use_avx512(True)


@pytest.mark.usefixtures("path")
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 4))
def test_the_kernel_equals_its_oracle_bit_for_bit(seed: int, rows: int) -> None:
    words = np.random.default_rng(seed).integers(0, 2**64, size=(rows, ROW_WORDS), dtype=np.uint64)
    _compare(words)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("chooser", [0, 2**15, 2**16 - 1])
@pytest.mark.parametrize("low", [0, 1 << 10, 2**41 - 1, 639])
@pytest.mark.parametrize("first", [0, 126, 127])
def test_the_kernel_equals_its_oracle_at_the_ends(first: int, chooser: int, low: int) -> None:
    """The first and the last of everything; where all candidates are unsure, the reserve runs out."""
    words = np.random.default_rng(0).integers(0, 2**64, size=(2, ROW_WORDS), dtype=np.uint64)
    words[0, : ROW + SPARES] = first << 57 | chooser << 41 | low
    words[1, 5 : ROW + SPARES : 100] = first << 57 | chooser << 41 | low
    _compare(words)


@pytest.mark.usefixtures("path")
def test_the_kernel_equals_its_oracle_where_only_more_bits_choose_the_cell() -> None:
    thresholds = tables().thresholds
    words = np.random.default_rng(0).integers(0, 2**64, size=(2, ROW_WORDS), dtype=np.uint64)
    slots = words[:, 20:100] & np.uint64(1023)
    words[:, 20:100] = slots | (thresholds[slots.astype(int)] >> np.uint64(48)) << np.uint64(41)
    _compare(words)


def _compare(words: np.ndarray) -> None:
    before = np.random.default_rng(1).integers(-(2**61), 2**61, size=(len(words), ROW))
    total = before.copy()
    filled = native.add_gaussians(words, SPARES, *tables(), total)
    for row, start, done, source in zip(total, before, filled, words, strict=True):
        expected = gaussian_row(source, tables())
        assert done == len(expected)
        assert np.array_equal(row[:done], start[:done] + expected)
        assert np.array_equal(row[done:], start[done:])


def test_the_kernel_refuses_arrays_that_would_lead_it_outside() -> None:
    words, drawn, (slots, thresholds) = (
        RandomWords(ROW_WORDS).draw(ROW_WORDS)[None],
        np.empty((1, ROW), np.int64),
        tables(),
    )
    wrong = [
        (words, SPARES, slots[1:], thresholds, drawn),
        (words, SPARES, slots, thresholds[1:], drawn),
        (words, ROW_WORDS - ROW + 1, slots, thresholds, drawn),
        (words[:, : ROW - 1].copy(), 0, slots, thresholds, drawn),
        (words, SPARES, slots, thresholds, np.empty((2, ROW), np.int64)),
        (words, SPARES, slots, thresholds, np.empty((1, ROW - 1), np.int64)),
    ]
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"table|rows"):
            native.add_gaussians(*arguments)
