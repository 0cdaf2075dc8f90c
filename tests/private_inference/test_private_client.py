"""The client takes an answer to its own query and nothing else, and its secrets stay with it."""

from __future__ import annotations

import hashlib
import pickle
import zlib

import numpy as np
import pytest
from tests.private_inference.private_pair import Pair, random_model

from holdfast.errors import IntegrityError, UsageError, WireError
from holdfast.models import LinearModel
from holdfast.private_inference import PrivateSession, compile_private

ROW = np.array([[0.5, -0.25, 1.0]])
FIELDS = 8 + 32 + 32 + 4 + 32


def resealed(data: bytes) -> bytes:
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_an_answer_to_another_query_is_refused(pair: Pair) -> None:
    stranger = Pair.of(pair.plan)
    answer = stranger.evaluator.answer(stranger.session.encrypt(ROW), keys=stranger.keys)
    pair.session.encrypt(ROW)
    with pytest.raises(IntegrityError, match="a query of this session, got one to another query"):
        pair.session.decrypt(answer)


def test_an_answer_is_taken_once(pair: Pair) -> None:
    answer = pair.evaluator.answer(pair.session.encrypt(ROW), keys=pair.keys)
    pair.session.decrypt(answer)
    with pytest.raises(IntegrityError):
        pair.session.decrypt(answer)


@pytest.mark.parametrize("at", [8, 40], ids=["plan", "keys"])
def test_an_answer_under_another_plan_or_key_set_is_refused(pair: Pair, at: int) -> None:
    answer = pair.evaluator.answer(pair.session.encrypt(ROW), keys=pair.keys)
    with pytest.raises(IntegrityError, match="this session's plan and key"):
        pair.session.decrypt(resealed(answer[:at] + bytes(32) + answer[at + 32 :]))


def test_an_answer_of_another_number_of_rows_is_refused(pair: Pair) -> None:
    answer = pair.evaluator.answer(pair.session.encrypt(ROW), keys=pair.keys)
    with pytest.raises(WireError, match="an answer to 1 rows, got one to 2"):
        pair.session.decrypt(resealed(answer[:72] + (2).to_bytes(4, "little") + answer[76:]))


def test_an_answer_of_garbage_is_refused_and_the_query_still_waits_for_the_true_one(pair: Pair) -> None:
    X = np.zeros((16, 3))
    answer = pair.evaluator.answer(pair.session.encrypt(X), keys=pair.keys)
    size = 16 * pair.plan.public.layout("row").answer_bits // 8
    noise = np.random.default_rng(0).bytes(size)
    with pytest.raises(IntegrityError, match="out of bounds"):
        pair.session.decrypt(resealed(answer[:FIELDS] + noise + answer[FIELDS + size :]))
    assert np.abs(pair.session.decrypt(answer).scores - pair.plan.clear_scores(X)).max() <= 2.0**-20


def test_an_answer_re_encrypted_to_another_key_is_refused_even_if_it_claims_this_one(pair: Pair) -> None:
    stranger = Pair.of(pair.plan)
    query = pair.session.encrypt(np.zeros((16, 3)))
    # The server masks the answer with the stranger's key instead of this client's.
    object.__setattr__(stranger.keys, "digest", pair.keys.digest)
    with pytest.raises(IntegrityError, match="out of bounds"):
        pair.session.decrypt(pair.evaluator.answer(query, keys=stranger.keys))


def test_a_secret_kept_from_an_earlier_session_serves_again_without_a_new_upload(pair: Pair) -> None:
    first = pair.session
    again = PrivateSession(pair.plan.public, secret=first.secret_bytes(), key_digests={"row": first.key_digest("row")})
    scores = again.decrypt(pair.evaluator.answer(again.encrypt(ROW), keys=pair.keys)).scores
    assert np.abs(scores - pair.plan.clear_scores(ROW)).max() <= 2.0**-20


def test_key_sets_of_one_secret_differ_and_each_serves(pair: Pair) -> None:
    again = PrivateSession(pair.plan.public, secret=pair.session.secret_bytes())
    keys = again.keys("row")
    assert keys.digest != pair.keys.digest
    loaded = pair.evaluator.load_keys(keys.manifest, keys.parts)
    scores = again.decrypt(pair.evaluator.answer(again.encrypt(ROW), keys=loaded)).scores
    assert np.abs(scores - pair.plan.clear_scores(ROW)).max() <= 2.0**-20


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33)])
def test_a_secret_of_another_size_is_refused(pair: Pair, secret: bytes) -> None:
    with pytest.raises(UsageError, match="secret of a session in 32 bytes"):
        PrivateSession(pair.plan.public, secret=secret)


def test_a_session_prints_and_pickles_no_secret(pair: Pair) -> None:
    assert "<secret>" in repr(pair.session)
    assert pair.session.secret_bytes().hex() not in repr(vars(pair.session).keys())
    with pytest.raises(TypeError, match="secret key"):
        pickle.dumps(pair.session)


def test_the_oldest_query_is_given_up_when_too_many_wait(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.setattr("holdfast.private_inference.client.MAX_PENDING_QUERIES", 2)
    session = PrivateSession(pair.plan.public)
    made = session.keys("row")
    keys = pair.evaluator.load_keys(made.manifest, made.parts)
    answers = [pair.evaluator.answer(session.encrypt(ROW), keys=keys) for _ in range(3)]
    with pytest.raises(IntegrityError):
        session.decrypt(answers[0])
    assert session.decrypt(answers[1]).scores.shape == (1, 1)


def test_equal_rows_make_unequal_queries_and_nothing_of_a_row_shows(pair: Pair) -> None:
    row = np.array([[0.123456789, -0.987654321, 0.5]])
    first, second = pair.session.encrypt(row), pair.session.encrypt(row)
    bodies = [np.frombuffer(query[FIELDS:-32], dtype=np.uint8) for query in (first, second)]
    assert abs((bodies[0] == bodies[1]).mean() - 1 / 256) < 0.002
    for value in row[0]:
        assert np.float64(value).tobytes() not in first
    inner = bodies[0].tobytes()
    assert len(zlib.compress(inner, 9)) >= 0.999 * len(inner)


def test_the_size_of_a_query_tells_the_number_of_rows_and_not_what_is_in_them(pair: Pair) -> None:
    rng = np.random.default_rng(0)
    sizes = {len(pair.session.encrypt(X)) for X in (np.zeros((2, 3)), np.ones((2, 3)), rng.uniform(-1, 1, (2, 3)))}
    assert len(sizes) == 1


def test_models_of_one_shape_answer_in_one_size() -> None:
    first = random_model(3, 3)
    models = (first, LinearModel(first.schema, -first.coef, first.intercept))
    pairs = [Pair.of(compile_private(model)) for model in models]
    assert len({len(p.evaluator.answer(p.session.encrypt(ROW), keys=p.keys)) for p in pairs}) == 1


def test_probabilities_are_the_models_own(pair: Pair) -> None:
    answer = pair.session.decrypt(pair.evaluator.answer(pair.session.encrypt(ROW), keys=pair.keys))
    share = 1 / (1 + np.exp(-pair.plan.clear_scores(ROW)[0, 0]))
    assert answer.values == pytest.approx(np.array([[1 - share, share]]), abs=1e-6)


def test_many_rows_are_split_into_queries(pair: Pair) -> None:
    portions = list(pair.plan.public.split(3_000))
    assert [(p.rows.start, p.rows.stop) for p in portions] == [(0, 1280), (1280, 2560), (2560, 3000)]
    assert list(pair.plan.public.split(0)) == []
