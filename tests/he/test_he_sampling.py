"""Randomness has the distributions that the proofs assume; each statistical test errs with probability below 1e-6."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats
from tests.he.schemes import CKKS

from holdfast.he import sampling
from holdfast.he.parameters import ERROR_BOUND

ALARM = 1e-7


def test_ternary_is_uniform() -> None:
    drawn = sampling.ternary(sampling.KeyStream.fresh(), 300_000)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    assert stats.chisquare(counts).pvalue > ALARM


def test_ternary_rejects_the_byte_that_would_favour_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = sampling.KeyStream(bytes(32))
    served = iter([bytes([255, 254, 0, 1]) * 4, bytes(range(16))])
    monkeypatch.setattr(stream, "read", lambda size: next(served))
    assert sampling.ternary(stream, 16).tolist() == [1, -1, 0] * 4 + [-1, 0, 1, -1]


def test_errors_have_the_stated_distribution() -> None:
    size = 400_000
    drawn = sampling.error(sampling.KeyStream.fresh(), size)
    assert np.abs(drawn).max() <= ERROR_BOUND
    # The difference of two binomials(21, 1/2) is a binomial(42, 1/2) moved by 21.
    expected = stats.binom(2 * ERROR_BOUND, 0.5).pmf(np.arange(2 * ERROR_BOUND + 1)) * size
    counts = np.bincount(drawn + ERROR_BOUND, minlength=2 * ERROR_BOUND + 1)
    body = expected >= 50
    assert stats.chisquare(counts[body], expected[body] * counts[body].sum() / expected[body].sum()).pvalue > ALARM
    tails, expected_tails = counts[~body].sum(), expected[~body].sum()
    assert stats.poisson(expected_tails).sf(tails - 1) > ALARM
    assert stats.poisson(expected_tails).cdf(tails) > ALARM


def test_errors_are_no_narrower_than_the_security_table_asks() -> None:
    drawn = sampling.error(sampling.KeyStream.fresh(), 400_000)
    # Variance 10.5; the standard error of the estimate is 0.023, so that six of them stay above 3.19^2 = 10.18.
    assert drawn.var() > 3.19**2
    assert abs(drawn.mean()) < 6 * np.sqrt(10.5 / len(drawn))


def test_the_flood_is_uniform_over_its_whole_range() -> None:
    bits = 104
    drawn = sampling.flood(sampling.KeyStream.fresh(), 40_000, bits=bits)
    assert all(-(2**bits) <= number < 2**bits for number in drawn)
    assert stats.kstest([number / 2**bits for number in drawn], stats.uniform(-1, 2).cdf).pvalue > ALARM
    assert stats.chisquare(np.bincount([number % 64 for number in drawn])).pvalue > ALARM


@pytest.mark.parametrize("bits", [0, 7, 8])
def test_small_floods_reach_both_ends(bits: int) -> None:
    drawn = sampling.flood(sampling.KeyStream.fresh(), 20_000, bits=bits)
    assert (min(drawn), max(drawn)) == (-(2**bits), 2**bits - 1)


def test_expanded_polynomials_are_uniform() -> None:
    values = sampling.uniform(CKKS.primes, 32768, seed=sampling.fresh_seed(), purpose=b"test")
    for row, prime in zip(values, CKKS.primes, strict=True):
        assert row.max() < prime
        buckets = (row.astype(np.float64) * 64 / prime).astype(np.int64)
        assert stats.chisquare(np.bincount(buckets, minlength=64)).pvalue > ALARM
        assert stats.chisquare(np.bincount((row % 64).astype(np.int64))).pvalue > ALARM


def test_expansion_follows_the_wire_format_to_the_letter() -> None:
    seed = bytes(range(32))
    values = sampling.uniform(CKKS.primes, CKKS.degree, seed=seed, purpose=b"query", index=3)
    for i, prime in enumerate(CKKS.primes):
        label = (
            b"holdfast uniform polynomial 2\0query\0" + seed + (3).to_bytes(4, "little") + prime.to_bytes(8, "little")
        )
        cipher = Cipher(algorithms.AES256(hashlib.sha256(label).digest()), modes.CTR(bytes(16))).encryptor()
        expected: list[int] = []
        while len(expected) < CKKS.degree:
            word = int.from_bytes(cipher.update(bytes(8)), "little") % 2 ** prime.bit_length()
            if word < prime:
                expected.append(word)
        assert values[i].tolist() == expected


def test_a_prime_has_the_same_residues_whatever_the_others_are() -> None:
    seed = sampling.fresh_seed()
    both = sampling.uniform(CKKS.primes, 4096, seed=seed, purpose=b"query")
    assert (sampling.uniform(CKKS.primes[1:], 4096, seed=seed, purpose=b"query")[0] == both[1]).all()


def test_expansion_rejects_words_over_the_prime_and_goes_on() -> None:
    row, bound = np.zeros(50_000, dtype=np.uint64), 3 * 2**27  # every fourth word is rejected
    sampling._fill_below(row, bound, sampling.KeyStream(bytes(32)))
    assert row.max() < bound
    assert stats.chisquare(np.bincount((row * 48 // bound).astype(np.int64), minlength=48)).pvalue > ALARM


@pytest.mark.parametrize("other", [{"purpose": b"key"}, {"index": 1}, {"seed": b"\1" * 32}])
def test_purpose_index_and_seed_each_make_another_polynomial(other: dict[str, object]) -> None:
    base: dict[str, object] = {"seed": bytes(32), "purpose": b"query", "index": 0}
    first, second = (
        sampling.uniform(CKKS.primes, 4096, **kwargs)  # type: ignore[arg-type]
        for kwargs in (base, base | other)
    )
    assert (first == second).mean() < 0.001


def test_fresh_streams_differ_and_cannot_be_pickled() -> None:
    assert sampling.KeyStream.fresh().read(32) != sampling.KeyStream.fresh().read(32)
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(sampling.KeyStream.fresh())
