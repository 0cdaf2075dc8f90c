"""Ways round the account that were tried on events, the ledger and the sums, none of which may work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import UsageError
from holdfast.models import probabilities
from holdfast.training.account.accounting import advantage_of, epsilon_of
from holdfast.training.account.events import NoisySums, SampledSums
from holdfast.training.account.ledger import Entry
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.release.mechanism import clipped_integers, exact_sum, on_grid
from holdfast.training.release.noise import SCALE_BITS

DIGEST = "sha256:" + "0" * 64


def _ledger(path: Path) -> LedgerFile:
    return LedgerFile(path, epsilon_limit=3, delta=1e-5)


def _entry(step: str, event: Any) -> Entry:
    return Entry(step=step, data_digest=DIGEST, released=True, events=(event,), method="logistic-regression")


@pytest.mark.parametrize(
    "event",
    [
        NoisySums(noise_multiplier=4, count=1, width=1),
        SampledSums(noise_multiplier=40, sampling_rate=1, count=1, width=1),
    ],
)
def test_whole_numbers_for_real_ones_leave_a_ledger_that_can_be_read(tmp_path: Path, event: Any) -> None:
    """What `spend` has written, `read` takes: a ledger that is refused for ever is a budget that is lost."""
    file = _ledger(tmp_path / "ledger.json")
    assert file.spend(_entry("a", event)).epsilon == file.read().epsilon


@pytest.mark.parametrize("name", ["count", "width"])
@pytest.mark.parametrize("number", [True, 1.5, float("nan"), 0, 2**53 + 1])
def test_numbers_that_no_ledger_could_read_back_make_no_event(name: str, number: Any) -> None:
    """They are refused before anything is written."""
    with pytest.raises(UsageError, match="noisy sums are"):
        NoisySums(**{"noise_multiplier": 4.0, "count": 1, "width": 1, name: number})


@pytest.mark.parametrize("noise", [1e-200, 1e200, float("nan"), float("inf"), 0.0, -1.0])
def test_noise_that_floats_cannot_square_makes_no_event(noise: float) -> None:
    """Its cost could not be added up."""
    with pytest.raises(UsageError, match="above 0"):
        NoisySums(noise_multiplier=noise, count=1, width=1)


@pytest.mark.parametrize(("noise", "epsilon"), [(1e-100, np.inf), (1e100, 1e-12)])
def test_the_least_and_the_largest_noise_can_be_added_up(noise: float, epsilon: float) -> None:
    """Out of reach, and next to nothing: the gap of the noise alone."""
    events = [NoisySums(noise_multiplier=noise, count=2**53, width=1)]
    assert epsilon_of(events, delta=1e-5) >= epsilon
    assert 0 < advantage_of(events) <= 1


def test_a_ledger_that_is_reached_by_a_link_is_the_same_ledger(tmp_path: Path) -> None:
    """Two projects share a table, one by a symbolic link: what either spends, both have spent."""
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.json"
    link.symlink_to(tmp_path / "ledger.json")
    event = NoisySums(noise_multiplier=4.0, count=1, width=1)
    _ledger(link).spend(_entry("first", event))
    _ledger(tmp_path / "ledger.json").spend(_entry("second", event))
    assert link.is_symlink()
    assert _ledger(link).read() == _ledger(tmp_path / "ledger.json").read()
    assert [entry.step for entry in _ledger(link).read().entries] == ["first", "second"]


def test_a_path_means_the_same_ledger_from_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its folder does not begin a new ledger."""
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    file = _ledger(Path("ledger.json"))
    file.spend(_entry("first", NoisySums(noise_multiplier=4.0, count=1, width=1)))
    monkeypatch.chdir(tmp_path / "a")
    assert len(file.read().entries) == 1


@pytest.mark.parametrize("scores", [1, 2, 3, 10])
def test_a_record_contributes_the_same_to_the_bit_in_any_company(scores: int) -> None:
    """Probabilities and clipped contributions do not depend on the place in a table, or on its layout in memory."""
    random = np.random.default_rng(scores)
    S, rows = on_grid(random.normal(0, 3, (301, scores))), on_grid(random.normal(0, 1, (301, 40)))
    P = probabilities(S)
    coefficients = P[:, -scores:] - 0.3
    together = clipped_integers(rows, coefficients, clip_norm=0.4, noise_multiplier=3.0)
    for row in range(0, 301, 7):
        for first in range(max(0, row - 3), row + 1):
            some = slice(first, row + 1)
            assert np.array_equal(probabilities(S[some])[-1], P[row])
            alone = clipped_integers(
                np.asfortranarray(rows[some]), coefficients[some], clip_norm=0.4, noise_multiplier=3.0
            )
            assert np.array_equal(alone[-1], together[row])


@pytest.mark.parametrize("record", [1e300, -1e300, np.inf, np.nan, 5e-324, 8.0, -8.0, 2.0**-16])
@pytest.mark.parametrize("coefficient", [1e300, -np.inf, np.nan, 2.0**10, 1e-300, 1.0])
@pytest.mark.parametrize("clip_norm", [1e-6, 0.4, 1e6])
def test_one_record_moves_a_sum_by_the_clipping_norm_at_most(
    record: float, coefficient: float, clip_norm: float
) -> None:
    """Added to or removed from a table, whatever it holds; compared in whole numbers, so without a tolerance."""
    random = np.random.default_rng(0)
    rows = on_grid(np.vstack([random.normal(0, 1, (50, 6)), np.full((1, 6), record)]))
    coefficients = np.vstack([random.normal(0, 1, (50, 3)), np.full((1, 3), coefficient)])
    options = {"clip_norm": clip_norm, "noise_multiplier": 0.25}
    moved = exact_sum(rows, coefficients, **options) - exact_sum(rows[:-1], coefficients[:-1], **options)
    assert sum(int(number) ** 2 for number in moved.flat) <= (2**SCALE_BITS * 4) ** 2
