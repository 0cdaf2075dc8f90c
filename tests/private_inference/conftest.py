"""Keys that several tests share are made once."""

from __future__ import annotations

import pytest
from tests.private_inference.private_pair import Pair, random_plan


@pytest.fixture(scope="session")
def pair() -> Pair:
    """Three features and two classes."""
    return Pair.of(random_plan(3, 1))
