"""Checks are small work: they take one thread, and give the others back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import sklearn.ensemble  # noqa: F401  # brings the threads
from threadpoolctl import threadpool_info, threadpool_limits

from holdfast.data import load, run_checks, tumour_frame, tumour_schema
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images
from holdfast.data.label_noise import FOLDS
from holdfast.data.one_thread import one_thread

Progress = Callable[[int, int], None]


def threads() -> set[int]:
    """Of whatever has a pool of them here."""
    return {pool["num_threads"] for pool in threadpool_info()}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(limits=2):
        assert threads() == {2}
        yield


def check_table(progress: Progress) -> None:
    run_checks(
        load(tumour_frame(), tumour_schema()).take(np.arange(60)), rng=np.random.default_rng(0), progress=progress
    )


def check_pictures(progress: Progress) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    check_images(Images.of(pixels, np.arange(40) % 2), rng=np.random.default_rng(0), progress=progress)


@pytest.mark.parametrize("check", [check_table, check_pictures])
def test_from_the_first_step_to_the_last_there_is_one_thread(check: Callable[[Progress], None]) -> None:
    seen: list[set[int]] = []
    check(lambda done, total: seen.append(threads()))
    assert len(seen) > FOLDS
    assert all(one == {1} for one in seen)
    assert threads() == {2}


def test_a_failure_gives_them_back_too() -> None:
    @one_thread()
    def fail() -> None:
        raise ValueError(threads())

    with pytest.raises(ValueError, match=r"^\{1\}$"):
        fail()
    assert threads() == {2}
