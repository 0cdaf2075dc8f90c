"""The attack on labels, run against a live service through its client, until the service has had enough."""

from __future__ import annotations

import numpy as np
import pytest
from tests.serving.service_kit import Kit, Place

from holdfast.attacks.privacy import LabelOnlyResult, label_only, named_labels
from holdfast.data import Dataset
from holdfast.http import Client, create_app, running

BUDGET = 300


@pytest.fixture(scope="module")
def found(tumour: Dataset, tmp_path_factory: pytest.TempPathFactory) -> LabelOnlyResult:
    kit = Kit.of(tumour)
    folder = tmp_path_factory.mktemp("live")
    place = Place.open(folder, kit.bundle(folder / "tumour"))
    members, _ = tumour.split(test_fraction=0.5, seed=0)  # what the kit trained its model on
    with running(create_app(place.service)) as url, Client(url, place.client("curious", query_budget=BUDGET)) as client:
        result = label_only(
            named_labels(client.predict, client.classes),
            members=members,
            non_members=kit.fresh,
            max_queries=10_000,
            copies=1,
            rng=np.random.default_rng(0),
        )
    place.close()
    return result


def test_the_service_ends_the_attack_and_what_was_found_stays(found: LabelOnlyResult) -> None:
    assert found.stopped  # by the budget, or by the watch, to which noise looks like probing
    assert 0 < found.queries <= BUDGET
    assert found.membership is None or 0 < len(found.rows) == len(found.membership.scores)
