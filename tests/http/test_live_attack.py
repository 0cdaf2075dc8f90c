"""The extraction attack of the attacks room, run against a live service; and normal clients beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from holdfast.attacks import extraction
from holdfast.errors import AccessError
from holdfast.http import Client
from holdfast.serving import read_audit


def test_the_attacker_is_blocked_and_the_copy_is_worthless(live: Any) -> None:
    with live.client(query_budget=1_000_000) as attacker:
        result = extraction(
            attacker, reference=live.kit.fresh, queries=1_000, rng=np.random.default_rng(0), model=live.kit.model
        )
        assert "AccessError" in result.stopped_by
        assert result.queries == 0  # the first request was refused as a whole
        with pytest.raises(AccessError, match="is blocked"):
            attacker.predict_proba(live.kit.fresh.X[:1])
    alert = live.place.service.reactions.recorded()[-1]
    assert (alert.kind, alert.action) == ("far rows", "block")
    entries = [entry for entry in read_audit(live.place.store) if entry.client == alert.client]
    assert [entry.outcome for entry in entries if entry.action == "alert"] == ["far rows"]
    assert {entry.outcome for entry in entries if entry.action == "infer"} == {"AccessError"}


def test_one_row_at_a_time_the_attacker_gets_fewer_than_fifty_answers(live: Any) -> None:
    from holdfast.attacks import synthetic_rows

    answers: list[Any] = []
    with live.client() as attacker:
        rows = iter(synthetic_rows(attacker.schema, 100, np.random.default_rng(1)))
        with pytest.raises(AccessError, match="is blocked"):
            answers.extend(attacker.predict_proba(row[None]) for row in rows)
    assert 0 < len(answers) < 50


def test_twenty_normal_clients_at_once_are_all_answered(live: Any) -> None:
    before = live.place.service.reactions.count()
    fresh = live.kit.fresh

    def work(seed: int) -> int:
        rows = np.random.default_rng(seed).permutation(len(fresh))
        with live.client() as client:
            return sum(len(client.predict(fresh.X[part])) for part in np.array_split(rows, 5))

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(work, range(20))) == [len(fresh)] * 20
    assert live.place.service.reactions.count() == before


def test_a_block_holds_after_a_restart(live: Any, tmp_path: Any) -> None:
    from tests.serving.service_kit import POLICY

    from holdfast.http import create_app, running
    from holdfast.serving import Service

    place, token = live.place, live.token()
    place.service.access.restrict(place.service.authenticate(token).name, "block")
    again = Service(place.service.bundle, policy=POLICY, store=place.store, audit=place.audit)
    with running(create_app(again)) as url, Client(url, token) as client, pytest.raises(AccessError, match="blocked"):
        client.predict_proba(live.kit.fresh.X[:1])
