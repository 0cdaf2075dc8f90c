"""One bundle for all tests, one place of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.service_kit import Kit, Place

from holdfast.custody import Bundle
from holdfast.data import Dataset
from holdfast.serving import Store


@pytest.fixture(scope="session")
def kit(tumour: Dataset) -> Kit:
    return Kit.of(tumour)


@pytest.fixture(scope="session")
def bundle(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return kit.bundle(tmp_path_factory.mktemp("bundle") / "tumour")


@pytest.fixture
def place(tmp_path: Path, bundle: Bundle) -> Iterator[Place]:
    place = Place.open(tmp_path, bundle)
    yield place
    place.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "service.db") as store:
        yield store
