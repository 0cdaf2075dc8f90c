"""Two keys, and one that is used for another project."""

from __future__ import annotations

import pytest

from holdfast.data.protect import DataKey, ProjectKey


@pytest.fixture(scope="session")
def key() -> ProjectKey:
    return ProjectKey(service=DataKey.generate(), project="loans")


@pytest.fixture(scope="session")
def other_key() -> ProjectKey:
    return ProjectKey(service=DataKey.generate(), project="loans")


@pytest.fixture(scope="session")
def other_project(key: ProjectKey) -> ProjectKey:
    return ProjectKey(service=key.service, project="claims")
