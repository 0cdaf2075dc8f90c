"""A real server on a real socket, for each file of tests; whatever they did, its audit log verifies afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest
from tests.serving.service_kit import Kit, Place

from holdfast.custody import Bundle
from holdfast.data import Dataset
from holdfast.http import Client, create_app, running
from holdfast.serving import verify_audit

_numbers = count()


@dataclass(frozen=True)
class Live:
    """A running service."""

    url: str
    place: Place
    kit: Kit

    def token(self, *, query_budget: int = 10_000) -> str:
        """The token of a new client."""
        return self.place.client(f"client {next(_numbers)}", query_budget=query_budget)

    def client(self, *, query_budget: int = 10_000, **options: Any) -> Client:
        return Client(self.url, self.token(query_budget=query_budget), **options)

    def http(self, token: str | None = None) -> httpx.Client:
        """Plain HTTP, as any other client of the protocol speaks it."""
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, verify=False)  # noqa: S501 - http


@pytest.fixture(scope="session")
def kit(tumour: Dataset) -> Kit:
    return Kit.of(tumour)


@pytest.fixture(scope="session")
def bundle(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return kit.bundle(tmp_path_factory.mktemp("bundle") / "tumour")


@pytest.fixture(scope="module")
def live(kit: Kit, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place = Place.open(tmp_path_factory.mktemp("place"), bundle)
    with running(create_app(place.service)) as url:
        yield Live(url, place, kit)
    verify_audit(place.store, signer=place.audit_key.public, anchor=place.anchor)
    place.close()


@pytest.fixture
def tensors() -> Callable[..., dict[str, Any]]:
    """The inference request of some rows: one tensor per feature, as the protocol would have it."""

    def make(kit: Kit, rows: int = 2) -> dict[str, Any]:
        X = kit.fresh.X[:rows]
        return {
            "inputs": [
                {"name": name, "datatype": "FP64", "shape": [rows], "data": X[:, column].tolist()}
                for column, name in enumerate(kit.model.schema.names)
            ]
        }

    return make
