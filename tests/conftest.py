"""What all rooms' tests share: the tumour data, and the real data sets where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from holdfast.data import Dataset, load, tumour_frame, tumour_schema

# A busy machine is not a failure.
hypothesis.settings.register_profile("no clock", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("no clock")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tumour() -> Dataset:
    """The tumour data: 569 rows, 30 features, two classes."""
    return load(tumour_frame(), tumour_schema())


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The path of a real data set by its file name; the test is skipped where it is absent.

    They lie in the folder that HOLDFAST_DATA names, by default `../shared/data` beside the repository.
    """
    folder = Path(os.environ.get("HOLDFAST_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"the data set {name} is not in {folder}; set HOLDFAST_DATA to its folder")
        return path

    return find
