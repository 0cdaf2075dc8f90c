"""The client takes an answer to its own query and nothing else, and its secrets stay with it."""

from __future__ import annotations

import hashlib
import pickle
import zlib

import numpy as np
import pytest
from tests.private_inference.private_pair import Pair, random_plan

from holdfast.errors import IntegrityError, WireError
from holdfast.he import EXACT_8192, SecretKey
from holdfast.limits import MAX_PENDING_QUERIES
from holdfast.private_inference import PrivateSession

ROW = np.array([[0.5, -0.25, 1.0]])


def resealed(data: bytes) -> bytes:
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_an_answer_to_another_query_is_refused(pair: Pair) -> None:
    stranger = Pair.of(pair.plan)
    answer = stranger.evaluator.answer(stranger.session.encrypt(ROW), key=stranger.key)
    pair.session.encrypt(ROW)
    with pytest.raises(IntegrityError, match="a query of this session, got one to another query"):
        pair.session.decrypt(answer)


def test_an_answer_is_taken_once(pair: Pair) -> None:
    answer = pair.evaluator.answer(pair.session.encrypt(ROW), key=pair.key)
    pair.session.decrypt(answer)
    with pytest.raises(IntegrityError):
        pair.session.decrypt(answer)


@pytest.mark.parametrize("at", [8, 40], ids=["plan", "key"])
def test_an_answer_under_another_plan_or_key_is_refused(pair: Pair, at: int) -> None:
    answer = pair.evaluator.answer(pair.session.encrypt(ROW), key=pair.key)
    with pytest.raises(IntegrityError, match="this session's plan and key"):
        pair.session.decrypt(resealed(answer[:at] + bytes(32) + answer[at + 32 :]))


def test_an_answer_of_another_number_of_rows_is_refused(pair: Pair) -> None:
    answer = pair.evaluator.answer(pair.session.encrypt(ROW), key=pair.key)
    with pytest.raises(WireError, match="an answer to 1 rows, got one to 2"):
        pair.session.decrypt(resealed(answer[:72] + (2).to_bytes(4, "little") + answer[76:]))


def test_an_answer_of_garbage_is_refused_and_the_query_still_waits_for_the_true_one(pair: Pair) -> None:
    E = np.zeros((16, 3))
    answer = pair.evaluator.answer(pair.session.encrypt(E), key=pair.key)
    first = 8 + 32 + 32 + 4 + 32
    noise = np.random.default_rng(0).integers(0, 2**30, 3 * 16, dtype=np.uint32).astype("<u4").tobytes()
    with pytest.raises(IntegrityError, match="noise is out of bounds"):
        pair.session.decrypt(resealed(answer[:first] + noise + answer[first + len(noise) :]))
    assert (pair.session.decrypt(answer).integers == pair.plan.clear_scores(E)).all()


def test_an_answer_re_encrypted_to_another_key_is_refused_even_if_it_claims_this_one(pair: Pair) -> None:
    stranger = PrivateSession(pair.plan.public)
    key = pair.evaluator.load_key(stranger.public_key_bytes())
    query = pair.session.encrypt(np.zeros((16, 3)))
    # The server masks the answer with the stranger's key instead of this client's.
    object.__setattr__(key, "digest", pair.key.digest)
    with pytest.raises(IntegrityError, match="noise is out of bounds"):
        pair.session.decrypt(pair.evaluator.answer(query, key=key))


def test_a_key_kept_from_an_earlier_session_serves_again(pair: Pair) -> None:
    secret = SecretKey.generate(EXACT_8192)
    again = SecretKey.from_secret_bytes(EXACT_8192, secret.secret_bytes())
    session = PrivateSession(pair.plan.public, secret_key=again)
    key = pair.evaluator.load_key(session.public_key_bytes())
    scores = session.decrypt(pair.evaluator.answer(session.encrypt(ROW), key=key))
    assert (scores.integers == pair.plan.clear_scores(ROW)).all()


def test_a_session_prints_and_pickles_no_secret(pair: Pair) -> None:
    assert "<secret>" in repr(pair.session)
    with pytest.raises(TypeError, match="secret key"):
        pickle.dumps(pair.session)


def test_the_oldest_query_is_given_up_when_too_many_wait(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.setattr("holdfast.private_inference.client.MAX_PENDING_QUERIES", 2)
    session = PrivateSession(pair.plan.public)
    key = pair.evaluator.load_key(session.public_key_bytes())
    answers = [pair.evaluator.answer(session.encrypt(ROW), key=key) for _ in range(3)]
    with pytest.raises(IntegrityError):
        session.decrypt(answers[0])
    assert session.decrypt(answers[1]).integers.shape == (1, 1)
    assert MAX_PENDING_QUERIES > 2


def test_equal_rows_make_unequal_queries_and_nothing_of_a_row_shows(pair: Pair) -> None:
    row = np.array([[0.123456789, -0.987654321, 0.5]])
    first, second = pair.session.encrypt(row), pair.session.encrypt(row)
    words = [np.frombuffer(query[108:-32], dtype="<u4") for query in (first, second)]
    assert (words[0] == words[1]).mean() < 0.001
    for value in row[0]:
        fixed = int(np.rint(value * 2**pair.plan.public.feature_bits))
        for plain in (np.float64(value).tobytes(), (fixed % 2**64).to_bytes(8, "little")):
            assert plain not in first
    low = (words[0] & 0xFFFFFF).astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    assert len(zlib.compress(low, 9)) >= len(low)


def test_the_size_of_a_query_tells_the_number_of_rows_and_not_what_is_in_them(pair: Pair) -> None:
    rng = np.random.default_rng(0)
    sizes = {len(pair.session.encrypt(E)) for E in (np.zeros((2, 3)), np.ones((2, 3)), rng.uniform(-1, 1, (2, 3)))}
    assert len(sizes) == 1


def test_models_of_one_shape_answer_in_one_size() -> None:
    pairs = [Pair.of(random_plan(3, 3, seed=seed)) for seed in (1, 2)]
    assert len({len(p.evaluator.answer(p.session.encrypt(ROW), key=p.key)) for p in pairs}) == 1
