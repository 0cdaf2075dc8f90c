"""What all rooms' tests share: the tumour data, and the real data sets where they are at hand."""

from __future__ import annotations

import fcntl
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


MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """A folder by its name, made by whichever worker needs it first, for all of them. Tests must not change it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # a worker's folder lies in that of the whole run

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        made = root / f"{name}.made"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                make(root / name)
                made.touch()
        return root / name

    return folder
