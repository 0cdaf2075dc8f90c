"""A private score is the clear one to within 2^-20, for every shape of a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.private_inference.private_pair import Pair, random_model, random_plan

from holdfast.errors import UnsupportedError
from holdfast.he import MIN_FLOODING_BITS, Ciphertext, expand, flooding_bits
from holdfast.private_inference import compile_private, wire
from holdfast.private_inference.coefficients import CoefficientCircuit, CoefficientLayout, choose_layout
from holdfast.private_inference.program import LinearProgram


@pytest.mark.parametrize(
    ("n_features", "n_scores", "n_rows"),
    [
        (1, 1, 1),
        (1, 1, 17),  # a second ciphertext of one row
        (3, 1, 16),
        (5, 3, 6),  # five rows side by side, and one more
        (5, 17, 2),  # two parts, the second of one score
        (700, 11, 2),
        (2731, 3, 2),  # just too wide for three scores side by side
        (4097, 1, 2),
        (8192, 1, 2),  # the whole ring
    ],
)
def test_private_equals_clear_for_every_shape(n_features: int, n_scores: int, n_rows: int) -> None:
    model = random_model(n_features, n_scores)
    pair = Pair.of(compile_private(model))
    X = np.random.default_rng(1).uniform(-1, 1, (n_rows, n_features))
    X[0] = np.sign(X[0])  # a corner, where scores are largest
    scores = pair.ask(X)
    assert scores.shape == (n_rows, n_scores)
    assert np.abs(scores - model.scores(X)).max() <= 2.0**-20


@pytest.mark.parametrize("width", [7_680, 8_193, 20_000])
def test_one_hot_rows_wider_than_a_ciphertext_are_asked_in_several(width: int) -> None:
    rng = np.random.default_rng(3)
    program = LinearProgram(weights=rng.normal(size=(2, width)), intercept=rng.normal(size=2))
    layout = choose_layout(program)
    E = np.zeros((2, width))
    E[:, rng.integers(0, width, 30)] = 1
    scores = _asked(layout, program, E)
    assert layout.n_ciphertexts(1) == -(-width // 8192)
    assert np.abs(scores - program.clear(E)).max() <= 2.0**-20


def _asked(layout: CoefficientLayout, program: LinearProgram, E: np.ndarray) -> np.ndarray:
    """Through layout and circuit, without a plan and its messages."""
    from holdfast.he import Encoder, EvaluationKeys, PublicKey, SecretKey, encrypt, fresh_seed, read, reveal

    secret = SecretKey.generate(layout.parameters)
    public, encoder = PublicKey.generate(secret, level=layout.answer_level), Encoder(layout.parameters)
    query = [
        encrypt(
            secret,
            encoder.encode_coefficients(numbers, level=layout.query_level, scale=layout.scale),
            seed=fresh_seed(),
            index=0,
        )
        for numbers in layout.arrange(E)
    ]
    circuit = CoefficientCircuit(layout, program)
    keys = EvaluationKeys.generate(secret, layout.key_request)
    revealed = []
    for i, result in enumerate(circuit.evaluate(query, keys, n_rows=len(E))):
        places = layout.positions(i, n_rows=len(E))
        answer = reveal(
            result,
            places,
            public=public,
            flood_bits=layout.flood_bits,
            answer_bits=layout.answer_bits,
            addend=circuit.addends(i, n_rows=len(E)),
        )
        revealed.append(read(secret, answer, places, scale=layout.answer_scale, magnitude=layout.answer_magnitude))
    return layout.scores([numbers.astype(np.float64) for numbers in revealed], n_rows=len(E))


def test_many_queries_in_a_row_are_all_right(pair: Pair) -> None:
    rng = np.random.default_rng(2)
    for _ in range(12):
        X = rng.uniform(-1, 1, (int(rng.integers(1, 20)), 3))
        assert np.abs(pair.ask(X) - pair.plan.clear_scores(X)).max() <= 2.0**-20


def test_answers_may_come_in_another_order_than_their_queries(pair: Pair) -> None:
    rows = [np.full((1, 3), value) for value in (0.25, -0.5)]
    queries = [pair.session.encrypt(X) for X in rows]
    for query, X in reversed(list(zip(queries, rows, strict=True))):
        scores = pair.session.decrypt(pair.evaluator.answer(query, keys=pair.keys)).scores
        assert np.abs(scores - pair.plan.clear_scores(X)).max() <= 2.0**-20


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32), width=st.integers(1, 3_000), outputs=st.integers(1, 20), exponent=st.integers(-30, 25)
)
def test_every_layout_floods_well_enough_and_holds_the_largest_score(
    seed: int, width: int, outputs: int, exponent: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(outputs, width)) * 2.0**exponent
    program = LinearProgram(weights=weights, intercept=rng.normal(size=outputs) * 2.0**exponent)
    try:
        layout = choose_layout(program)
    except UnsupportedError:
        assert np.abs(weights).sum() > 2.0**12
        return
    assert layout.error_bits == 20 or np.abs(weights).sum() > 2.0**6
    assert np.abs(weights).sum(axis=1).max() < layout.answer_magnitude
    circuit = CoefficientCircuit(layout, program)
    bound = wire.message_bound(layout)
    zeros = np.zeros((layout.query_level, layout.parameters.degree), dtype=np.uint64)
    query: list[Ciphertext] = [
        expand(layout.parameters, zeros, seed=bytes(32), index=i, scale=layout.scale, message=bound)
        for i in range(layout.n_ciphertexts(1))
    ]
    from holdfast.he import EvaluationKeys

    for result in circuit.evaluate(query, EvaluationKeys(parameters=layout.parameters, keys={}), n_rows=1):
        hidden = flooding_bits(layout.parameters, result, flood_bits=layout.flood_bits, n_positions=16)
        assert hidden >= MIN_FLOODING_BITS
        assert result.scale == layout.answer_scale


def test_huge_weights_are_refused_with_a_way_round() -> None:
    with pytest.raises(UnsupportedError, match="too large for private scores") as caught:
        random_plan(30, 1, size=1e12)
    assert "common factor" in caught.value.hint


def test_a_model_that_is_too_wide_is_refused() -> None:
    program = LinearProgram(weights=np.zeros((1, 2**18 + 1)), intercept=np.zeros(1))
    with pytest.raises(UnsupportedError, match="at most 262144 encoded numbers, got 262145"):
        choose_layout(program)
