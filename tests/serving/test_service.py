from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from tests.serving.service_kit import POLICY, Kit, Place

from holdfast.attacks import synthetic_rows
from holdfast.custody import Bundle, verify_bundle
from holdfast.data import Matrix
from holdfast.errors import (
    AccessError,
    BudgetError,
    CredentialError,
    DataError,
    HoldfastError,
    IntegrityError,
    PolicyError,
    SystemFault,
    UnsupportedError,
    WireError,
)
from holdfast.evidence import canonical_json
from holdfast.limits import MAX_REQUEST_ROWS
from holdfast.models import LinearModel, OnnxModel, fit_estimator
from holdfast.policy import Policy
from holdfast.private_inference import Evaluator, PrivateSession, PublicPlan, compile_private
from holdfast.serving import Access, Client, Service, plan_files, read_audit, verify_audit, watch_files


def outcomes(place: Place) -> list[tuple[str, int, str]]:
    return [(entry.action, entry.rows, entry.outcome) for entry in read_audit(place.store)]


def session_of(place: Place, token: str) -> PrivateSession:
    """A session with its key uploaded."""
    return session_for(place, place.service.authenticate(token))


def session_for(place: Place, client: Client) -> PrivateSession:
    session = PrivateSession(PublicPlan.from_json(place.service.private_plan(client)))
    keys = session.keys("row")
    for index in place.service.begin_keys(client, keys.manifest, digest=keys.digest):
        place.service.upload_key(client, keys.parts[index], digest=keys.digest, index=index)
    return session


def break_audit(place: Place) -> None:
    with place.store.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk'); END")


def test_rows_in_the_clear_are_answered_as_the_model_answers(place: Place, kit: Kit) -> None:
    client = place.service.authenticate(place.client())
    prediction = place.service.infer(client, lambda: kit.fresh.X)
    assert np.array_equal(prediction.probabilities, kit.model.predict_proba(kit.fresh.X))
    assert prediction.labels == tuple(kit.model.schema.classes[i] for i in prediction.probabilities.argmax(axis=1))


def test_encrypted_rows_are_answered_to_a_millionth_and_charged(place: Place, kit: Kit) -> None:
    token = place.client(query_budget=10)
    session, client = session_of(place, token), place.service.authenticate(token)
    answer = place.service.private_infer(client, session.encrypt(kit.fresh.X[:4]))
    assert np.abs(session.decrypt(answer.data).scores - kit.model.scores(kit.fresh.X[:4])).max() <= 2**-20
    assert place.service.authenticate(token).remaining == 6
    with pytest.raises(BudgetError, match="7 rows were asked, 6 are left"):
        place.service.private_infer(client, session.encrypt(kit.fresh.X[:7]))


def test_the_audit_log_tells_who_asked_what_and_nothing_of_the_rows(place: Place, kit: Kit, tmp_path: Path) -> None:
    token = place.client(query_budget=20)
    client, session = place.service.authenticate(token), session_of(place, token)
    place.service.describe(client)
    place.service.infer(client, lambda: kit.fresh.X[:3])
    place.service.private_infer(client, session.encrypt(kit.fresh.X[:2]))
    with pytest.raises(BudgetError):
        place.service.infer(client, lambda: kit.fresh.X[:16])
    with pytest.raises(DataError):
        place.service.infer(client, lambda: kit.fresh.X[:2] * 1e9)
    with pytest.raises(CredentialError):
        place.service.authenticate("wrong")
    assert outcomes(place) == [
        ("private plan", 0, "ok"),
        ("begin keys", 0, "ok"),
        ("upload key", 0, "ok"),
        ("describe", 0, "ok"),
        ("infer", 3, "ok"),
        ("private infer", 2, "ok"),
        ("infer", 16, "BudgetError"),
        ("infer", 2, "DataError"),
        ("authenticate", 1, "AccessError"),
    ]
    entries = read_audit(place.store)
    assert {entry.model for entry in entries} == {kit.model.digest}
    assert verify_audit(place.store, signer=place.audit_key.public, anchor=place.anchor).number == 9
    place.close()
    written = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
    assert token.encode() not in written
    assert np.float64(kit.fresh.X[0, 0]).tobytes() not in written
    assert repr(float(kit.fresh.X[0, 0])).encode() not in written


def test_strangers_cannot_fill_the_audit_log(place: Place) -> None:
    for _ in range(50):
        with pytest.raises(CredentialError):
            place.service.authenticate("wrong")
    assert len(read_audit(place.store)) <= 3  # one a second


def refused_tokens(place: Place) -> int:
    return sum(entry.rows for entry in read_audit(place.store) if entry.action == "authenticate")


def test_no_refused_token_is_lost_from_the_audit_log(place: Place) -> None:
    """They wait to be entered together: until the next entry, or until the service is closed."""

    def knock(times: int) -> None:
        for _ in range(times):
            with pytest.raises(CredentialError):
                place.service.authenticate("wrong")

    client = place.service.authenticate(place.client())
    knock(300)
    place.service.describe(client)
    assert refused_tokens(place) == 300
    knock(300)
    place.service.close()
    assert refused_tokens(place) == 600


def test_refused_tokens_are_entered_when_their_second_is_over(place: Place) -> None:
    for _ in range(20):
        with pytest.raises(CredentialError):
            place.service.authenticate("wrong")
    deadline = time.monotonic() + 30
    while refused_tokens(place) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert refused_tokens(place) == 20


def test_refused_tokens_that_cannot_be_entered_wait(place: Place) -> None:
    break_audit(place)
    with pytest.raises(SystemFault):
        place.service.authenticate("wrong")
    with place.store.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER broken")
    place.service.close()
    assert refused_tokens(place) == 1


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda access: access.revoke("ward 7"), CredentialError),
        (lambda access: access.restrict("ward 7", "block"), AccessError),
        (lambda access: setattr(access, "_clock", lambda: 4e9), BudgetError),
    ],
    ids=["revoked", "blocked", "expired"],
)
@pytest.mark.parametrize("when", ["before it is charged", "while it is computed"])
def test_who_is_shut_out_after_authentication_gets_no_answer(
    place: Place,
    kit: Kit,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Access], None],
    kind: type[HoldfastError],
    when: str,
) -> None:
    """A client can let seconds pass between its token and the end of its body; a model can compute for as long."""
    access = place.service.access
    client = access.authenticate(
        access.add_client("ward 7", query_budget=10, expires=datetime.fromtimestamp(3.9e9, UTC))
    )
    session = session_for(place, client)
    query = session.encrypt(kit.fresh.X[:2])
    if when == "before it is charged":
        change(access)
    else:
        compute, answer = type(kit.model).predict_proba, Evaluator.answer
        monkeypatch.setattr(type(kit.model), "predict_proba", lambda model, X: (change(access), compute(model, X))[1])
        monkeypatch.setattr(Evaluator, "answer", lambda *args, **more: (change(access), answer(*args, **more))[1])
    with pytest.raises(kind):
        place.service.infer(client, lambda: kit.fresh.X[:2])
    spent = access.clients()[0].spent
    with pytest.raises(kind):
        place.service.private_infer(client, query)
    assert spent == (0 if when == "before it is charged" else 2)


def test_who_is_throttled_while_it_asks_is_paced(place: Place, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    client = place.service.authenticate(place.client())
    compute = type(kit.model).predict_proba

    def throttled_meanwhile(model: LinearModel, X: Matrix) -> Matrix:
        place.service.access.restrict("ward 7", "throttle")
        return compute(model, X)

    monkeypatch.setattr(type(kit.model), "predict_proba", throttled_meanwhile)
    with pytest.raises(BudgetError, match="throttled"):
        place.service.infer(client, lambda: kit.fresh.X[:7])


def test_weights_packed_into_few_encrypted_rows_are_told_of(place: Place, kit: Kit) -> None:
    """As many rows as weights are not needed: two weights fit into one exact score, 2^31 apart."""
    token = place.client()
    client, session = place.service.authenticate(token), session_of(place, token)
    for _ in range(16):
        place.service.private_infer(client, session.encrypt(np.zeros((1, 30))))
    assert [alert.kind for alert in place.service.reactions.recorded()] == ["private rows"]


def test_an_unexpected_error_is_in_the_log_too(place: Place) -> None:
    client = place.service.authenticate(place.client())
    with pytest.raises(ZeroDivisionError):
        place.service.infer(client, lambda: np.array([[1 // 0]]))
    assert outcomes(place) == [("infer", 0, "fault")]


def test_an_answer_that_cannot_be_logged_is_not_given(place: Place, kit: Kit) -> None:
    client = place.service.authenticate(place.client())
    break_audit(place)
    with pytest.raises(SystemFault, match="audit log could not be written"):
        place.service.infer(client, lambda: kit.fresh.X[:1])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda X: X[:0], "expected 1 to 10000 rows in one request, got 0"),
        (lambda X: np.repeat(X[:1], MAX_REQUEST_ROWS + 1, axis=0), "got 10001"),
        (lambda X: X[:, :-1], "expected rows of 30 features"),
        (lambda X: X * np.nan, "no value in row 0"),
        (lambda X: X * np.inf, "is inf in row 0"),
        (lambda X: X * -1, "its range is"),
    ],
)
def test_rows_that_are_not_of_the_schema_are_refused_and_not_charged(
    place: Place, kit: Kit, spoil: Callable[[Matrix], Matrix], sentence: str
) -> None:
    token = place.client()
    client = place.service.authenticate(token)
    with pytest.raises(DataError, match=sentence):
        place.service.infer(client, lambda: spoil(kit.fresh.X[:2]))
    assert place.service.authenticate(token).spent == 0


def test_an_extraction_attack_is_stopped_before_it_has_an_answer(place: Place, kit: Kit) -> None:
    """Ten thousand made-up rows in one request: charged, refused, and the client is blocked from then on."""
    token = place.client(query_budget=20_000)
    client = place.service.authenticate(token)
    X = synthetic_rows(kit.model.schema, 10_000, np.random.default_rng(0))
    with pytest.raises(AccessError, match="'ward 7' is blocked: its queries look like"):
        place.service.infer(client, lambda: X)
    again = place.service.authenticate(token)
    assert (again.restriction, again.spent) == ("block", 10_000)
    with pytest.raises(AccessError, match="is blocked"):
        place.service.infer(again, lambda: kit.fresh.X[:1])
    with pytest.raises(AccessError, match="is blocked"):
        place.service.private_infer(again, session_of(place, token).encrypt(np.zeros((1, 30))))
    (alert,) = place.service.reactions.recorded()
    assert (alert.client, alert.kind, alert.action) == ("ward 7", "far rows", "block")
    assert ("alert", 10_000, "far rows") in outcomes(place)
    assert place.service.authenticate(token).spent == 10_000  # a blocked client is not charged any more
    place.service.access.restrict("ward 7", None)
    assert len(place.service.infer(place.service.authenticate(token), lambda: kit.fresh.X[:1]).labels) == 1


def test_a_service_that_only_alerts_goes_on_answering(tmp_path: Path, bundle: Bundle, kit: Kit) -> None:
    place = Place.open(tmp_path, bundle, reaction="alert")
    token = place.client()
    client = place.service.authenticate(token)
    X = synthetic_rows(kit.model.schema, 100, np.random.default_rng(0))
    assert len(place.service.infer(client, lambda: X).labels) == 100
    assert [alert.action for alert in place.service.reactions.recorded()] == ["alert"]
    assert place.service.reactions.count() == 1
    assert place.service.authenticate(token).restriction is None
    place.close()


def test_a_throttled_client_may_ask_a_few_rows_a_minute(tmp_path: Path, bundle: Bundle, kit: Kit) -> None:
    place = Place.open(tmp_path, bundle, reaction="throttle")
    token = place.client()
    with pytest.raises(BudgetError, match="throttled to 6 rows a minute"):
        place.service.infer(
            place.service.authenticate(token),
            lambda: synthetic_rows(kit.model.schema, 100, np.random.default_rng(0)),
        )
    now = [0.0]
    place.service.reactions._clock = lambda: now[0]
    place.service.reactions._free_at.clear()

    def ask(rows: int) -> int:
        client = place.service.authenticate(token)
        return len(place.service.infer(client, lambda: kit.fresh.X[:rows]).labels)

    assert ask(6) == 6
    with pytest.raises(BudgetError, match="throttled"):
        ask(1)
    now[0] += 10.0
    assert ask(1) == 1
    with pytest.raises(BudgetError, match="throttled"):
        ask(1)
    place.close()


def test_many_encrypted_rows_are_told_and_not_blocked(place: Place, kit: Kit) -> None:
    token = place.client()
    client, session = place.service.authenticate(token), session_of(place, token)
    for _ in range(2):
        place.service.private_infer(client, session.encrypt(kit.fresh.X[:20]))
    (alert,) = place.service.reactions.recorded()
    assert (alert.kind, alert.action) == ("private rows", "alert")
    assert place.service.authenticate(token).restriction is None


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (Policy(limits={"min_accuracy": 0.9999}), "tumour 1 is not served, because accuracy is .*at least 0.9999"),
        (Policy(limits={"max_epsilon": 1.0}), "no privacy-guarantee evidence about this model"),
        (Policy(limits={}, require=("evasion", "extraction")), "no evasion evidence .*; no extraction evidence"),
    ],
)
def test_a_bundle_that_does_not_meet_the_policy_is_not_served(
    place: Place, bundle: Bundle, policy: Policy, sentence: str
) -> None:
    with pytest.raises(PolicyError, match=sentence):
        Service(bundle, policy=policy, store=place.store, audit=place.audit)


def test_a_tampered_bundle_is_not_loaded(kit: Kit, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    kit.bundle(folder)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.onnx was changed"):
        verify_bundle(folder, signer=kit.signing_key.public)


def refused(kit: Kit, place: Place, folder: Path, files: dict[str, bytes]) -> Service:
    return Service(kit.bundle(folder, files), policy=POLICY, store=place.store, audit=place.audit)


def test_evidence_about_another_model_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    other = replace(kit.evidence(kit.model), subject="sha256:" + "0" * 64, kind="evasion")
    files = kit.files() | {"evidence/02-evasion.json": canonical_json(other.to_json())}
    with pytest.raises(IntegrityError, match="evasion evidence is about the model sha256:00000000"):
        refused(kit, place, tmp_path / "b", files)


def test_a_private_plan_of_another_model_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    other = compile_private(LinearModel(kit.model.schema, kit.model.coef * 1.001, kit.model.intercept))
    with pytest.raises(IntegrityError, match="not of the model beside it"):
        refused(kit, place, tmp_path / "b", kit.files() | plan_files(other))


def test_half_a_private_plan_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    files = kit.files()
    del files["private/secret.safetensors"]
    with pytest.raises(WireError, match=r"both halves of a private plan in the bundle, got private/plan\.json alone"):
        refused(kit, place, tmp_path / "b", files)


def test_a_watch_of_another_schema_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    other = dataclasses.replace(kit.profile, schema_digest="sha256:" + "0" * 64)
    with pytest.raises(HoldfastError, match="another schema"):
        refused(kit, place, tmp_path / "b", kit.files() | watch_files(other))


def test_a_model_without_a_plan_is_served_in_the_clear_only(kit: Kit, place: Place, tmp_path: Path) -> None:
    trees = fit_estimator(GradientBoostingClassifier(n_estimators=10, random_state=0), kit.seen)
    assert isinstance(trees, OnnxModel)
    evidence = canonical_json(kit.evidence(trees).to_json())
    bundle = kit.bundle(tmp_path / "b", {"model.onnx": trees.onnx, "evidence/01-utility.json": evidence})
    service = Service(bundle, policy=POLICY, store=place.store, audit=place.audit)
    client = service.authenticate(place.client())
    assert service.plan is None
    assert not service.watched
    P = service.infer(client, lambda: kit.fresh.X).probabilities
    assert np.allclose(P, trees.predict_proba(kit.fresh.X))
    for act in (
        lambda: service.private_plan(client),
        lambda: service.private_infer(client, b""),
        lambda: service.begin_keys(client, b"", digest=""),
        lambda: service.missing_keys(client, digest=""),
        lambda: service.upload_key(client, b"", digest="", index=0),
    ):
        with pytest.raises(UnsupportedError, match="cannot be asked privately"):
            act()


def test_a_plan_beside_another_model_is_not_accepted(kit: Kit, place: Place, tmp_path: Path) -> None:
    trees = fit_estimator(GradientBoostingClassifier(n_estimators=10, random_state=0), kit.seen)
    files = {"model.onnx": trees.onnx, "evidence/01-utility.json": canonical_json(kit.evidence(trees).to_json())}
    with pytest.raises(IntegrityError, match="not of the model beside it"):
        refused(kit, place, tmp_path / "b", files | plan_files(kit.plan))
