"""Trees asked under encryption over a real socket: megabytes of keys for each client, one plan, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from tests.serving.service_kit import POLICY, Kit, Place

from holdfast import limits
from holdfast.evidence import canonical_json
from holdfast.http import Client, create_app, running
from holdfast.models import OnnxModel, fit_estimator
from holdfast.private_inference import compile_private
from holdfast.serving import AuditLog, Service, plan_files, verify_audit

CLIENTS = 5


@dataclass(frozen=True)
class Trees:
    """A service of trees."""

    place: Place
    model: OnnxModel
    url: str


@pytest.fixture(scope="module")
def trees(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trees]:
    folder = tmp_path_factory.mktemp("trees")
    model = fit_estimator(GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0), kit.fresh)
    assert isinstance(model, OnnxModel)
    evidence = canonical_json(kit.evidence(model).to_json())
    plan = compile_private(model, X=kit.seen.X)
    files = {"model.onnx": model.onnx, "evidence/01-utility.json": evidence} | plan_files(plan)
    place = Place.open(folder, kit.bundle(folder / "linear"))
    place.service.close()
    bundle = kit.bundle(folder / "bundle", files)
    place.service = Service(bundle, policy=POLICY, store=place.store, audit=place.audit, keys=folder / "keys")
    with running(create_app(place.service)) as url:
        yield Trees(place, model, url)
    place.close()


def test_clients_with_keys_of_their_own_are_answered_in_the_memory_of_one(
    trees: Trees, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = kit.fresh.X[:2]
    expected = trees.model.predict_proba(X)
    tokens = [trees.place.client(f"client {number}") for number in range(CLIENTS)]
    monkeypatch.setattr(limits, "MAX_PREPARED_KEY_BYTES", 40 * 2**20)
    held = []

    def work(token: str) -> bool:
        near = []
        with Client(trees.url, token, timeout_s=120) as client:
            for row in range(2):
                P = client.predict_proba(X[row : row + 1], private=True)
                near.append(np.abs(P - expected[row]).max() <= 1e-4)
                ready = trees.place.service._desk.keys._ready  # type: ignore[union-attr]
                held.append(sum(keys.memory_bytes for keys in list(ready.values())))
        return all(near)

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(work, tokens)) == [True] * CLIENTS
    assert 0 < max(held) <= 40 * 2**20
    verify_audit(trees.place.store, signer=trees.place.audit_key.public, anchor=trees.place.anchor)


def test_keys_are_found_by_the_next_service_and_no_part_is_sent_twice(trees: Trees, kit: Kit, tmp_path: Path) -> None:
    """A restart in the middle of an upload: the client goes on with the parts that are missing."""
    place = trees.place
    client = place.service.authenticate(place.client("restarted"))
    with Client(trees.url, place.client("other")) as plain:
        session = plain._private_line()._session
        keys = session.keys("row")
        assert len(keys.parts) > 3
        first = place.service.begin_keys(client, keys.manifest, digest=keys.digest)
        assert first == tuple(range(len(keys.parts)))
        for index in first[::2]:
            place.service.upload_key(client, keys.parts[index], digest=keys.digest, index=index)
        audit = AuditLog(place.store, key=place.audit_key, anchor=place.anchor)
        folder = place.service._desk.keys._files._folder  # type: ignore[union-attr]
        after = Service(place.service.bundle, policy=POLICY, store=place.store, audit=audit, keys=folder)
        missing = after.missing_keys(client, digest=keys.digest)
        assert missing == first[1::2]
        for index in missing:
            after.upload_key(client, keys.parts[index], digest=keys.digest, index=index)
        answer = after.private_infer(client, session.encrypt(kit.fresh.X[:1]))
        assert np.abs(session.decrypt(answer.data).values - trees.model.predict_proba(kit.fresh.X[:1])).max() <= 1e-4
        after.close()
        audit.close()
