"""A private plan served by itself: nobody can ask it in the clear, and its halves are held to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serving.service_kit import Kit, Place

from holdfast.custody import PUBLIC_PLAN, SECRET_PLAN, Bundle, verify_bundle, write_bundle
from holdfast.errors import IntegrityError, PolicyError, UnsupportedError, WireError
from holdfast.evidence import canonical_json
from holdfast.policy import Policy
from holdfast.private_inference import PrivateSession, compile_private
from holdfast.serving import Service, plan_evidence, plan_files, read_audit, watch_files

ANY = Policy(limits={})
EVIDENCE = "evidence/01-private-inference.json"


def alone(kit: Kit, folder: Path, files: Mapping[str, bytes], *, schema: Mapping[str, object]) -> Bundle:
    """A bundle without model.onnx."""
    card = kit.bundle(folder / "whole").card
    return write_bundle(folder / "alone", card=replace(card, schema=schema), files=files, signing_key=kit.signing_key)


def serve(place: Place, bundle: Bundle, *, policy: Policy = ANY) -> Service:
    """The place's service, of another bundle."""
    place.service.close()
    place.service = Service(bundle, policy=policy, store=place.store, audit=place.audit)
    return place.service


def test_the_plan_is_the_model(kit: Kit, tmp_path: Path) -> None:
    written = alone(kit, tmp_path, plan_files(kit.plan), schema={})
    bundle = verify_bundle(tmp_path / "alone", signer=kit.signing_key.public)
    assert bundle.private_only
    assert bundle.digest == written.digest
    assert bundle.model_digest == kit.plan.public.digest
    with pytest.raises(UnsupportedError, match=r"has no model\.onnx: it is a private plan alone"):
        _ = bundle.model_bytes


def test_it_is_asked_under_encryption_and_refused_in_the_clear(kit: Kit, place: Place, tmp_path: Path) -> None:
    service = serve(place, alone(kit, tmp_path, plan_files(kit.plan), schema=kit.model.schema.to_json()))
    client = service.authenticate(place.client(query_budget=3))
    session = PrivateSession(kit.plan.public)
    keys = session.keys("row")
    for index in service.begin_keys(client, keys.manifest, digest=keys.digest):
        service.upload_key(client, keys.parts[index], digest=keys.digest, index=index)
    X = kit.fresh.X[:3]
    with pytest.raises(UnsupportedError, match="is asked under encryption alone"):
        service.infer(client, lambda: X)
    with pytest.raises(UnsupportedError, match="is asked under encryption alone"):
        _ = service.schema
    entry = read_audit(place.store, newest=1)[0]
    assert (entry.action, entry.outcome, entry.rows) == ("infer", "UnsupportedError", 0)
    answer = session.decrypt(service.private_infer(client, session.encrypt(X)).data)  # the whole budget was left
    assert abs(answer.scores - kit.model.scores(X)).max() <= 2**-20
    assert read_audit(place.store, newest=1)[0].model == kit.plan.public.digest


def test_what_a_row_is_comes_from_the_plan_and_the_card(kit: Kit, place: Place, tmp_path: Path) -> None:
    schema = kit.model.schema.to_json()
    service = serve(place, alone(kit, tmp_path, plan_files(kit.plan), schema=schema))
    told = service.describe(service.authenticate(place.client()))
    assert (told["schema"], told["private"], told["digest"]) == (None, True, kit.plan.public.digest)
    assert (told["features"], told["n_features"], told["shape"]) == (schema["features"], 30, None)
    assert (told["classes"], told["link"]) == (schema["classes"], "logistic")


def test_encrypted_rows_are_counted_without_a_watch(kit: Kit, place: Place, tmp_path: Path) -> None:
    service = serve(place, alone(kit, tmp_path, plan_files(kit.plan), schema={}))
    assert not service.watched
    client = service.authenticate(place.client())
    session = PrivateSession(kit.plan.public)
    keys = session.keys("row")
    for index in service.begin_keys(client, keys.manifest, digest=keys.digest):
        service.upload_key(client, keys.parts[index], digest=keys.digest, index=index)
    for _ in range(3):
        service.private_infer(client, session.encrypt(kit.fresh.X[:30]))
    assert [alert.kind for alert in service.reactions.recorded()] == ["private rows"]


# The policy.


def test_the_policy_judges_the_evidence_of_the_plan(kit: Kit, place: Place, tmp_path: Path) -> None:
    demand = Policy(limits={}, require=("private-inference",))
    with pytest.raises(PolicyError, match="no private-inference evidence about this model"):
        serve(place, alone(kit, tmp_path / "a", plan_files(kit.plan), schema={}), policy=demand)
    evidence = plan_evidence(kit.plan)
    assert evidence.figures["agreement"].value == 1
    assert evidence.figures["worst_error"].value <= 2**-20
    assert "128-bit" in evidence.context["security"]
    files = plan_files(kit.plan) | {EVIDENCE: canonical_json(evidence.to_json())}
    assert serve(place, alone(kit, tmp_path / "b", files, schema={}), policy=demand).verdict.met


def test_evidence_about_another_plan_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    other = compile_private(kit.model, X=kit.fresh.X)
    files = plan_files(kit.plan) | {EVIDENCE: canonical_json(plan_evidence(other).to_json())}
    with pytest.raises(IntegrityError, match="evidence is about the model"):
        serve(place, alone(kit, tmp_path, files, schema={}))


def test_a_plan_that_was_compared_with_nothing_has_no_evidence(kit: Kit) -> None:
    with pytest.raises(UnsupportedError, match="compiled without rows"):
        plan_evidence(compile_private(kit.model))


# What is not one plan.


def test_halves_of_two_plans_are_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    """Also of one model: each plan has a salt of its own."""
    other = plan_files(compile_private(kit.model, X=kit.fresh.X))
    for half in (PUBLIC_PLAN, SECRET_PLAN):
        bundle = alone(kit, tmp_path / half[8:12], plan_files(kit.plan) | {half: other[half]}, schema={})
        with pytest.raises(IntegrityError, match="public and the secret half of the plan are of different models"):
            serve(place, bundle)


def test_a_secret_half_that_is_exchanged_after_signing_is_not_loaded(kit: Kit, tmp_path: Path) -> None:
    alone(kit, tmp_path, plan_files(kit.plan), schema={})
    other = plan_files(compile_private(kit.model, X=kit.fresh.X))
    (tmp_path / "alone" / SECRET_PLAN).write_bytes(other[SECRET_PLAN])
    with pytest.raises(IntegrityError, match=r"secret\.safetensors was changed after the bundle was signed"):
        verify_bundle(tmp_path / "alone", signer=kit.signing_key.public)


@pytest.mark.parametrize("half", [PUBLIC_PLAN, SECRET_PLAN])
def test_half_a_plan_is_no_model(kit: Kit, tmp_path: Path, half: str) -> None:
    with pytest.raises(WireError, match=r"expected model\.onnx in the bundle, or both halves of a private plan"):
        alone(kit, tmp_path, {half: plan_files(kit.plan)[half]}, schema={})


def test_a_plan_in_other_words_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    """The digest of its file is the model's identity, so there is one file of each plan."""
    spaced = json.dumps(kit.plan.public.to_json(), indent=1).encode()
    with pytest.raises(WireError, match="the same plan in other words"):
        serve(place, alone(kit, tmp_path, plan_files(kit.plan) | {PUBLIC_PLAN: spaced}, schema={}))


def test_a_watch_of_rows_that_nobody_sees_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    files = plan_files(kit.plan) | watch_files(kit.profile)
    with pytest.raises(WireError, match="encrypted rows cannot be watched"):
        serve(place, alone(kit, tmp_path, files, schema={}))


def test_a_card_that_says_other_things_than_the_plan_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    schema = kit.model.schema.to_json()
    cases = (
        ({"features": schema["features"][1:]}, IntegrityError, "names 29 columns, the private plan takes rows of 30"),
        (schema | {"classes": schema["classes"][::-1]}, IntegrityError, "other classes than the private plan"),
        ({"features": [{"name": "radius"}]}, WireError, "the schema in the card is malformed"),
        ({"features": 3}, WireError, "the schema in the card is malformed"),
    )
    for number, (wrong, kind, sentence) in enumerate(cases):
        with pytest.raises(kind, match=sentence):
            serve(place, alone(kit, tmp_path / str(number), plan_files(kit.plan), schema=wrong))
