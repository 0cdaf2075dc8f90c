"""One call trains, and costs what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from tests.training.sgd.small import LOSS, SETTINGS, accuracy, network, task, trainer
from torch import Generator, Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from holdfast.errors import BudgetError, UsageError
from holdfast.training.account.accounting import advantage_of, epsilon_of
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.sgd.bookkeeping import PerExampleGradients
from holdfast.training.sgd.records import Records
from holdfast.training.sgd.settings import Pace, PrivateSettings

UNLIKELY = 1e-7


def test_a_module_learns_at_the_cost_that_was_asked_for() -> None:
    module, seen = network(), []
    private = trainer(module=module, average=0.9)
    assert private.epsilon == 0.0
    assert private.events == ()
    private.run(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(step, 30) for step in range(1, 31)]
    assert accuracy(module) > 0.85
    assert accuracy(private.averaged) > 0.85
    (event,) = private.events
    assert (event.count, event.width) == (30, sum(p.numel() for p in module.parameters()))
    assert event.sampling_rate == pytest.approx(128 / 1_000, abs=2.0**-32)
    assert 0.98 * 3 <= private.epsilon == epsilon_of(private.events, delta=1e-5) <= 3


def test_the_steps_are_those_of_the_plan_and_then_there_are_none() -> None:
    private = trainer(settings=replace(SETTINGS, steps=None, epochs=1))
    assert list(private.steps()) == list(range(1, 9))  # 1,000 / 128, rounded
    assert list(private.steps()) == []


def test_the_whole_run_is_accounted_before_its_first_step() -> None:
    private = trainer()
    next(private.steps())
    assert private.events[0].count == 30


def test_an_empty_sample_is_a_step_of_noise_alone() -> None:
    """Batches of 1 record of 20 on average are empty 36 times in 100; then the weights move all the same."""
    module = network()
    private = trainer(task(20), module, settings=replace(SETTINGS, batch_size=1), optimizer=_sgd(module))
    before = _weights(module)
    for _ in private.steps():
        after = _weights(module)
        assert (after != before).all()
        before = after


@pytest.mark.parametrize(("steps", "micro_batch"), [(1, 256), (3, 16)])
def test_noise_of_the_accounted_size_is_added_once_in_a_step(steps: int, micro_batch: int) -> None:
    """A loss without gradients, and steps of size 1: the weights move by the noise and nothing else."""
    module = nn.Linear(1_000, 2)
    private = trainer(
        (torch.randn(300, 1_000), torch.zeros(300, dtype=torch.long)),
        module,
        optimizer=_sgd(module),
        loss=lambda outputs, targets: outputs.sum(1) * 0.0,
        settings=replace(SETTINGS, batch_size=50, steps=steps, clip_norm=0.5),
        pace=Pace(micro_batch=micro_batch),
    )
    before = _weights(module).double()
    private.run()
    moved = (_weights(module).double() - before) * 50 / (0.5 * private.events[0].noise_multiplier * steps**0.5)
    assert stats.kstest(moved.numpy(), "norm").pvalue > UNLIKELY


FEW_STEPS = PrivateSettings(epsilon=10, delta=1e-2, batch_size=30, steps=4)
RUNS = 50


def test_whoever_guesses_whether_a_record_was_there_is_right_as_often_as_accounted_and_no_more() -> None:
    """The best guess from a step over all records: half a clipping norm along the record's gradient, or more.

    With noise of the accounted size it is right Φ(1 / (2 noise_multiplier)) of the time; with half the noise, 15 points
    more often, which is seven standard deviations.
    """
    right, guesses = 0, 0
    for there in [True, False] * RUNS:
        module = _untrained()
        private = trainer(_canary(there=there), module, optimizer=_sgd(module), settings=FEW_STEPS)
        for _ in private.steps():
            right += (30 * _along_the_canary(-module.weight.detach()) > 0.5) == there
            guesses += 1
            module.load_state_dict(_untrained().state_dict())
    expected = stats.norm.cdf(1 / (2 * private.events[0].noise_multiplier))
    assert stats.binomtest(right, guesses, expected).pvalue > UNLIKELY
    assert expected <= (1 + advantage_of([replace(private.events[0], count=1)])) / 2


@pytest.mark.parametrize("there", [True, False])
def test_the_same_guess_is_always_right_where_the_noise_is_left_out(there: bool) -> None:
    module = _untrained()
    X, y = _canary(there=there)
    exact = PerExampleGradients(module).clipped_sum(X, y, loss=LOSS, clip_norm=1.0).gradients[0]
    assert (_along_the_canary(exact) > 0.5) == there


def _canary(*, there: bool) -> tuple[Tensor, Tensor]:
    """30 records of which the first, if it is there, has the only gradient by the weights."""
    X = torch.zeros(30, 3)
    X[0] = 100.0 if there else 0.0
    return X, torch.zeros(30, dtype=torch.long)


def _untrained() -> nn.Linear:
    module = nn.Linear(3, 2)
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module


def _along_the_canary(gradient: Tensor) -> float:
    """Its part, in clipping norms, along the canary's gradient (-1, 1) ⊗ (1, 1, 1) of length 1."""
    return float((gradient[1] - gradient[0]).sum() / 6**0.5)


def test_a_run_past_the_ledgers_limit_does_not_start(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    trainer(ledger=ledger).run()
    module = network()
    before, bytes_before = _weights(module), ledger.path.read_bytes()
    with pytest.raises(BudgetError, match="would cost epsilon"):
        trainer(module=module, ledger=ledger, checkpoint=tmp_path / "run").run()
    assert (_weights(module) == before).all()
    assert ledger.path.read_bytes() == bytes_before
    assert not list(tmp_path.glob("run*"))


def test_the_ledger_has_the_run_before_its_first_step(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    private = trainer(ledger=ledger)
    assert ledger.read().entries == ()
    next(private.steps())
    (entry,) = ledger.read().entries
    assert (entry.step, entry.method, entry.released, entry.events) == ("train", "dp-sgd", True, private.events)
    assert entry.data_digest == Records(task()).digest
    assert private.statement().epsilon == ledger.read().epsilon


def test_a_run_states_its_guarantee_without_a_ledger_too() -> None:
    private = trainer()
    with pytest.raises(UsageError, match="has not begun"):
        private.statement()
    next(private.steps())
    text = private.statement().to_text()
    assert private.statement().epsilon == private.epsilon
    assert "Poisson" in text
    assert "zero-out" in text


class Pairs(Dataset):  # type: ignore[type-arg]
    """A map-style data set that is no tensor."""

    def __init__(self) -> None:
        self.data = task(200)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 200

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        self.asked.append(row)
        return self.data[0][row], int(self.data[1][row])


def test_data_sets_of_every_kind_give_the_same_records() -> None:
    rows = np.array([3, 50, 199])
    tensors = Records(task(200)).fetch(rows)
    for source in (TensorDataset(*task(200)), Pairs()):
        inputs, targets = Records(source).fetch(rows)
        assert torch.equal(inputs[0], tensors[0][0])
        assert torch.equal(targets, tensors[1])
    module = network()
    pairs = Pairs()
    trainer(pairs, module, settings=replace(SETTINGS, batch_size=20, steps=5)).run()
    assert 50 < len(pairs.asked) < 150  # 5 Poisson samples of 20; beyond it less than once in 10**6


def test_copies_are_augmented_apart_and_clipped_together() -> None:
    shapes = []

    def augment(inputs: Tensor, generator: Generator) -> Tensor:
        shapes.append(inputs.shape)
        assert torch.equal(inputs[0::3], inputs[1::3])
        assert torch.equal(inputs[0::3], inputs[2::3])
        return inputs + 0.01 * torch.randn(inputs.shape, generator=generator)

    module = network()
    private = trainer(module=module, augment=augment, settings=replace(SETTINGS, copies=3, steps=20))
    private.run()
    assert all(rows % 3 == 0 for rows, _ in shapes)
    assert accuracy(module) > 0.8
    once = trainer(settings=replace(SETTINGS, steps=20))
    next(once.steps())
    assert once.events == private.events  # copies cost nothing


def test_a_record_that_is_not_finite_trains_nothing_and_breaks_nothing() -> None:
    X, y = task()
    X[::10] = float("nan")
    module = network()
    trainer((X, y), module).run()
    assert torch.isfinite(_weights(module)).all()
    assert accuracy(module) > 0.8


def test_the_average_forgets_its_beginning_and_needs_to_be_asked_for() -> None:
    module = network()
    private = trainer(module=module, average=0.9)
    expected = _weights(module)
    for step in private.steps():
        share = 1 - min(0.9, (1 + step) / (10 + step))
        expected = expected + share * (_weights(module) - expected)
    assert torch.allclose(_weights(private.averaged), expected, atol=1e-6)
    with pytest.raises(UsageError, match="no average"):
        _ = trainer().averaged


def test_a_schedule_of_the_users_is_free() -> None:
    module = network()
    optimizer = _sgd(module)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    for _ in trainer(module=module, optimizer=optimizer).steps():
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_frozen_parameters_stay_and_cost_nothing() -> None:
    module = network()
    module[0].requires_grad_(False)
    frozen = module[0].weight.clone()
    private = trainer(module=module, optimizer=torch.optim.Adam(module[3].parameters(), lr=0.05))
    private.run()
    assert torch.equal(module[0].weight, frozen)
    assert private.events[0].width == 18


def _sgd(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=1.0)


def _weights(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
