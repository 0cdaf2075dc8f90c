"""What the owner of the key finds in an answer: the same law for two models that score a row alike, for every kind.

The owner gets more here than any client does: the row is asked once and answered many times over, and the answers are
also looked at before they are cut. Where a defence is taken away, the same look must find the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.private_inference.slots.slot_programs import network_program, tree_program

from holdfast.he import Ciphertext, EvaluationKeys, rings, sampling
from holdfast.he.scheme import integers
from holdfast.private_inference import Evaluator, PrivatePlan, PrivateSession, PublicPlan, SecretPlan, evaluator, wire
from holdfast.private_inference.circuit import Circuit, Encoding, Layout
from holdfast.private_inference.coefficients import choose_layout
from holdfast.private_inference.encoding import NumericEncoding, NumericFeature
from holdfast.private_inference.program import LinearProgram, Program
from holdfast.private_inference.registry import circuit_of
from holdfast.private_inference.slots import choose_layout as choose_slots
from holdfast.private_inference.trees import BinEncoding, Block, NumberBins

ALARM = 1e-8
"""Thirty verdicts, each wrong with this probability: below 1e-6 together."""
ANSWERS = 80


@dataclass(frozen=True)
class Case:
    """Two programs of one layout that score a row alike, and that row."""

    name: Any
    encoding: Encoding
    layout: Layout
    programs: tuple[Program, Program]
    row: np.ndarray


def numbers(count: int) -> NumericEncoding:
    return NumericEncoding(features=tuple(NumericFeature(name=f"x{i}", low=-1.0, high=1.0) for i in range(count)))


def linear() -> Case:
    """The second program's weights are ten thousand times as large where the row is zero."""
    weights = np.random.default_rng(1).normal(size=(6, 6)) * [1, 1, 1, 1e-3, 1e-3, 1e-3]
    small = LinearProgram(weights=weights, intercept=np.arange(6.0))
    large = replace(small, weights=weights * [1, 1, 1, 1e4, 1e4, 1e4])
    row = np.array([[1.0, -0.5, 0.25, 0.0, 0.0, 0.0]])
    return Case("linear", numbers(6), choose_layout(large), (small, large), row)


def additive() -> Case:
    """The second program has other steps in every bin in which the row is not."""
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(2, 12))
    one_hot = NumberBins(grid=(0.5,), missing=False)
    blocks = tuple(Block(features=(i,), bins=(one_hot,), coding="one-hot") for i in range(6))
    encoding = BinEncoding(n_features=6, blocks=blocks, width=12)
    row = np.array([[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]])
    elsewhere = np.where(encoding.encode(row)[0] == 1, weights, 1e4 * rng.normal(size=weights.shape))
    small, large = (LinearProgram(weights=w, intercept=np.zeros(2)) for w in (weights, elsewhere))
    return Case("additive", encoding, choose_layout(large), (small, large), row)


def trees() -> Case:
    """The second program has other values in every leaf that the row does not reach."""
    first = tree_program(64, 32, 3)
    bits = np.random.default_rng(2).integers(0, 2, (1, 32))
    reached = (bits @ first.selection.T)[0] == -first.offset
    assert 0 < reached.sum() < 64
    values = np.where(reached, first.values, np.random.default_rng(3).integers(-9_000, 9_000, first.values.shape))
    blocks = tuple(
        Block(features=(i,), bins=(NumberBins(grid=(0.5,), missing=False),), coding="thermometer") for i in range(32)
    )
    encoding = BinEncoding(n_features=32, blocks=blocks, width=32)
    return Case("trees", encoding, choose_slots(first, width=32), (first, replace(first, values=values)), 1.0 - bits)


def network() -> Case:
    """The second program has other weights where the row is zero."""
    large, _ = network_program((8, 4, 2))
    first, *rest = large.layers
    small = replace(large, layers=(replace(first, weights=first.weights * [1, 1, 1, 1, 0, 0, 0, 0]), *rest))
    row = np.array([[0.5, 0.25, 1.0, 0.75, 0.0, 0.0, 0.0, 0.0]])
    return Case("network", numbers(8), choose_slots(large, width=8), (small, large), row)


class Once:
    """A circuit that computes a query once, and gives the result for every further answer to it."""

    def __init__(self, circuit: Circuit) -> None:
        self.layout, self.addends, self.memory_bytes = circuit.layout, circuit.addends, circuit.memory_bytes
        self._circuit = circuit
        self.results: list[Ciphertext] = []

    def evaluate(self, query: Sequence[Ciphertext], keys: EvaluationKeys, *, n_rows: int) -> list[Ciphertext]:
        self.results = self.results or self._circuit.evaluate(query, keys, n_rows=n_rows)
        return self.results


class Owner:
    """The owner of the key, and a server for each of the two models of a case."""

    def __init__(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        self.case, self.layout, self.monkeypatch = case, case.layout, monkeypatch
        plans = [self._plan(program) for program in case.programs]
        session = PrivateSession(plans[0].public)
        self.secret, keys = session._secret("row"), session.keys("row")
        query = session.encrypt(case.row)
        digests = [bytes.fromhex(plan.public.digest.removeprefix("sha256:")) for plan in plans]
        queries = [query[:8] + digest + query[40:-32] for digest in digests]  # the same ciphertexts for both
        self.queries = [data + hashlib.sha256(data).digest() for data in queries]
        self.circuits = [Once(circuit_of(self.layout, program)) for program in case.programs]
        made = iter(self.circuits)
        monkeypatch.setattr(evaluator, "circuit_of", lambda layout, program: next(made))
        self.servers = [Evaluator(plan) for plan in plans]
        self.keys = self.servers[0].load_keys(keys.manifest, keys.parts)
        self.answers = [self._decoded(0, self.servers[0].answer(self.queries[0], keys=self.keys))]
        self.positions = self.layout.positions(0, n_rows=1)

    def _plan(self, program: Program) -> PrivatePlan:
        secret = SecretPlan(program=program, salt=bytes(32))
        public = PublicPlan(
            kind=self.case.name,
            encoding=self.case.encoding,
            layouts={"row": self.layout},
            link="identity",
            classes=(),
            measured=None,
            notes=(),
            commitment=secret.commitment,
        )
        return PrivatePlan(public=public, secret=secret)

    def _decoded(self, model: int, data: bytes) -> Any:
        assert data[8:40] == self.queries[model][8:40]
        return wire.decode_answer(data, self.layout, n_rows=1).answers[0]

    def ask(self, model: int, count: int) -> list[Any]:
        return [
            self._decoded(model, self.servers[model].answer(self.queries[model], keys=self.keys)) for _ in range(count)
        ]

    def phase(self, model: int) -> list[int]:
        """What a model's result is under the revealed coefficients, noise and all, before anything hides it."""
        result = self.circuits[model].results[0]
        phase = integers(self.secret.phase(result.parts), self.layout.parameters, result.level)
        return [int(phase[at]) for at in self.positions]

    def noises(self, answers: Sequence[Any]) -> np.ndarray:
        """What the cut answers have over the first model's result, in units of 1 modulo 2^answer_bits."""
        modulus, bits = self.layout.parameters.modulus(self.layout.answer_level), self.layout.answer_bits
        t = self.layout.parameters.plaintext_modulus
        added = self.circuits[0].addends(0, n_rows=1)
        whole = [
            (c + (int(a) if t else round(float(a) * self.layout.answer_scale))) * (pow(t, -1, modulus) if t else 1)
            for c, a in zip(self.phase(0), added, strict=True)
        ]
        expected = np.array([w % modulus * 2**bits / modulus for w in whole])
        found = []
        for answer in answers:
            product = self.secret.inner_products(answer.second, self.positions)
            phase = (answer.first + product) & np.uint64(2**bits - 1)
            found.append((phase.astype(np.float64) - expected + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1))
        return np.concatenate(found)

    def uncut(self, model: int, count: int) -> np.ndarray:
        """What answers have over the first model's result before they are cut, in units of the flood."""
        seen: list[tuple[list[int], np.ndarray]] = []
        masked = evaluator.reveal.__globals__["masked"]
        with self.monkeypatch.context() as patched:
            patched.setitem(
                evaluator.reveal.__globals__, "masked", lambda *a, **k: seen.append(masked(*a, **k)) or seen[-1]
            )
            self.ask(model, count)
        parameters, level = self.layout.parameters, self.layout.answer_level
        modulus, unit, ring = (
            parameters.modulus(level),
            parameters.plaintext_modulus or 1,
            rings.chain(parameters, level),
        )
        found = []
        for first, second in seen:
            parts = np.stack([np.zeros_like(second), ring.forward(second)])
            product = integers(self.secret.phase(parts), parameters, level)
            over = [c + int(product[at]) - p for c, at, p in zip(first, self.positions, self.phase(0), strict=True)]
            found += [((o + modulus // 2) % modulus - modulus // 2) / unit for o in over]
        return np.array(found, dtype=np.float64) / 2.0**self.layout.flood_bits


@pytest.fixture(params=[linear, additive, trees, network], ids=lambda case: case.__name__)
def owner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Owner:
    return Owner(request.param(), monkeypatch)


def without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source of randomness that gives zeros."""
    zeros = {
        "flood": lambda stream, size, bits: [0] * size,
        "ternary": lambda stream, size: np.zeros(size, dtype=np.int64),
    }
    monkeypatch.setattr(sampling, name, zeros[name])


def flood_law(owner: Owner) -> Any:
    """The distribution function of the flood as it is cut, and the rounding of N coefficients times the secret."""
    parameters, layout = owner.layout.parameters, owner.layout
    half = 2.0 ** (layout.flood_bits + layout.answer_bits) / parameters.modulus(layout.answer_level)
    deviation = np.sqrt((1 + parameters.degree * 2 / 3) / 12)

    def area(x: np.ndarray) -> np.ndarray:
        return np.asarray(x * stats.norm.cdf(x / deviation) + deviation * stats.norm.pdf(x / deviation))

    return lambda x: (area(x + half) - area(x - half)) / (2 * half)


def test_two_models_that_score_a_row_alike_answer_it_alike(owner: Owner) -> None:
    for model in (0, 1):
        assert stats.kstest(owner.noises(owner.ask(model, ANSWERS)), flood_law(owner)).pvalue > ALARM
    first, second = (owner.uncut(model, ANSWERS) for model in (0, 1))
    assert stats.ks_2samp(first, second).pvalue > ALARM
    for seen in (first, second):
        assert stats.kstest(seen, stats.uniform(-1, 2).cdf).pvalue > ALARM


def test_without_the_flood_the_law_is_another_and_tells_the_models_apart(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    without("flood", monkeypatch)
    assert stats.kstest(owner.noises(owner.ask(0, 2 * ANSWERS)), flood_law(owner)).pvalue < ALARM
    first, second = (owner.uncut(model, 40) for model in (0, 1))
    assert stats.ks_2samp(first, second).pvalue < ALARM


def chi_square(differences: np.ndarray, bits: int) -> float:
    counts = np.bincount((differences >> np.uint64(bits - 8)).astype(np.int64), minlength=256)
    return float(stats.chisquare(counts).pvalue)


@pytest.mark.parametrize("masked", [True, False], ids=["as it is", "without the mask"])
def test_the_second_half_is_new_in_every_answer_to_a_query(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    """The difference of two answers to one query: uniform; or, without the mask, an error that the cut swallows."""
    if not masked:
        without("ternary", monkeypatch)
    bits, answers = owner.layout.answer_bits, owner.ask(0, 4)
    pairs = [(a.second - b.second) & np.uint64(2**bits - 1) for a, b in zip(answers[:2], answers[2:], strict=True)]
    assert (chi_square(np.concatenate(pairs), bits) > ALARM) == masked


def test_the_second_halves_of_two_models_differ_by_something_uniform(owner: Owner) -> None:
    bits = owner.layout.answer_bits
    pairs = [a.second - b.second for a, b in zip(owner.ask(0, 4), owner.ask(1, 4), strict=True)]
    assert chi_square(np.concatenate(pairs) & np.uint64(2**bits - 1), bits) > ALARM


def test_two_answers_to_one_query_are_of_equal_length_whatever_the_model(owner: Owner) -> None:
    sizes = {
        len(server.answer(query, keys=owner.keys)) for server, query in zip(owner.servers, owner.queries, strict=True)
    }
    assert sizes == {wire.answer_bytes(owner.layout, 1)}
