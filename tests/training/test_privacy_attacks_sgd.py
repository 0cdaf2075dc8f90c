"""Ways round the account that were tried on DP-SGD, none of which may work."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.sgd.small import SETTINGS, checkpointed, network, task, trainer
from torch import Generator, Tensor, nn

from holdfast.data import Dataset, Feature, Schema
from holdfast.errors import IntegrityError, UnsupportedError, UsageError
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.estimators.mlp import DPMLPClassifier
from holdfast.training.release.noise import gaussian_integers
from holdfast.training.sgd.bookkeeping import PerExampleGradients
from holdfast.training.sgd.checkpoint import Checkpoint
from holdfast.training.sgd.sampling import PoissonSampler


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_run_cannot_be_copied_and_trained_twice_for_one_price(copied: Any) -> None:
    """The noise of both would be fresh, and one of them is in the account."""
    private = trainer()
    next(private.steps())
    with pytest.raises(UsageError, match="cannot be copied"):
        copied(private)


def _forked(private: Any, answers: Any) -> None:
    try:
        private.run()
        answers.put("trained")
    except UsageError as error:
        answers.put(str(error))


def test_a_fork_of_a_run_does_not_go_on_with_it() -> None:
    """Both processes would take the same steps with other noise."""
    private = trainer()
    next(private.steps())
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_forked, args=(private, answers))
    child.start()
    assert "a fork of it" in answers.get(timeout=60)
    child.join()


def _drawn(answers: Any) -> None:
    answers.put((gaussian_integers(3).tolist(), PoissonSampler(100, 0.5).sample().tolist()))


def test_forked_processes_draw_other_noise_and_other_samples() -> None:
    """Also after this process has drawn: nothing of a generator is inherited."""
    gaussian_integers(3)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    children = [context.Process(target=_drawn, args=(answers,)) for _ in range(2)]
    for child in children:
        child.start()
    (noise, sample), (other_noise, other_sample) = (answers.get(timeout=60) for _ in children)
    for child in children:
        child.join()
    assert noise != other_noise
    assert sample != other_sample


def test_two_threads_take_the_steps_of_one_run_together() -> None:
    """Each step is taken by one of them, and as many are taken as are paid for."""
    private = trainer()
    taken: list[int] = []
    steps = private.steps()
    next(steps)  # the run has begun

    def work() -> None:
        taken.extend(private.steps())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(2, 31))


def test_a_run_goes_on_with_the_records_that_it_was_entered_with(tmp_path: Path) -> None:
    """Others of the same number would be used for nothing."""
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    _, private = checkpointed(tmp_path / "run", ledger=ledger)
    next(private.steps())
    private.save()
    del private
    _, other = checkpointed(tmp_path / "run", ledger=ledger, data=task(seed=5))
    with pytest.raises(UsageError, match="the records of the run"):
        other.resume()


@pytest.mark.parametrize(("entered", "says"), [(True, "does not hold the run"), (False, "costs more")])
def test_a_checkpoint_cannot_have_less_noise_than_was_paid_for(tmp_path: Path, *, entered: bool, says: str) -> None:
    """Whoever edits the plan in the file is told, with a ledger and without."""
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5) if entered else None
    _, private = checkpointed(tmp_path / "run", ledger=ledger)
    next(private.steps())
    private.save()
    del private
    stored = Checkpoint.load(tmp_path / "run")
    replace(stored, plan=replace(stored.plan, noise_multiplier=stored.plan.noise_multiplier / 2)).save(tmp_path / "run")
    _, again = checkpointed(tmp_path / "run", ledger=ledger)
    with pytest.raises(IntegrityError, match=says):
        again.resume()


def _mixed(rows: Tensor, random: Generator) -> Tensor:
    return 0.5 * rows + 0.5 * rows[torch.randperm(len(rows), generator=random)]


def _centred(rows: Tensor, random: Generator) -> Tensor:
    del random
    return rows - rows.mean(0)


def _unseeded(rows: Tensor, random: Generator) -> Tensor:
    del random
    return rows + torch.from_numpy(np.random.default_rng().normal(size=rows.shape)).to(rows.dtype)


@pytest.mark.parametrize("augment", [_mixed, _centred, _unseeded])
def test_an_augmentation_that_mixes_rows_is_refused(augment: Any) -> None:
    """A record would reach the sum through the gradients of others."""
    with pytest.raises(UnsupportedError, match="augmentation"):
        trainer(augment=augment)


def test_a_checkpoint_does_not_tell_how_much_dropout_was_drawn(tmp_path: Path) -> None:
    """Whoever knows the seed could step the generator on until it is in the state that was kept, and count."""
    kept = []
    for name in ("first", "second"):
        torch.manual_seed(5)
        _, private = checkpointed(tmp_path / name)
        next(private.steps())
        private.save()
        kept.append(Checkpoint.load(tmp_path / name).randomness)
    torch.manual_seed(5)
    for _ in range(20_000):
        assert not any(torch.equal(torch.get_rng_state(), state) for state in kept)
        torch.rand(1)
    assert not torch.equal(*kept)


def test_a_statement_is_on_its_own_run_whatever_was_entered_after_it(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=10, delta=1e-5)
    first, second = trainer(ledger=ledger), trainer(ledger=ledger, settings=replace(SETTINGS, epsilon=1))
    next(first.steps())
    next(second.steps())
    assert first.statement().events == first.events != second.events == second.statement().events
    assert first.statement().own_epsilon == first.epsilon
    assert second.statement().own_epsilon == second.epsilon
    assert first.statement().epsilon == second.statement().epsilon == ledger.read().epsilon


def test_an_augmentation_of_each_row_is_taken() -> None:
    """With noise of its own for each row, from the generator."""
    private = trainer(augment=lambda rows, random: rows + 0.1 * torch.randn(rows.shape, generator=random))
    next(private.steps())


def test_mixed_precision_is_refused_before_a_step_is_taken() -> None:
    """The margin for rounding reckons with 24 bits."""
    module = network()
    before = [parameter.clone() for parameter in module.parameters()]
    private = trainer(module=module)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(UnsupportedError, match="autocast"):
        private.run()
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(UnsupportedError, match="fewer bits"):
            private.run()
    finally:
        torch.set_float32_matmul_precision("highest")
    assert all(torch.equal(now, then) for now, then in zip(module.parameters(), before, strict=True))


@pytest.mark.parametrize("positions", [1, 3])
def test_tiny_inputs_and_huge_losses_do_not_get_past_clipping(positions: int) -> None:
    """The squares of 2e-23 are 0 in 32 bits; times a gradient of 1e18 the product is far above the clipping norm."""
    module = nn.Linear(1000, 400, bias=False)
    inputs = torch.full((2, positions, 1000), 2e-23)
    found = PerExampleGradients(module).clipped_sum(
        inputs, torch.zeros(2), loss=lambda outputs, _: outputs.sum((1, 2)) * 5e17, clip_norm=1e-4
    )
    assert float(found.gradients[0].double().norm()) <= 2e-4 * (1 + 2**-11)


class _Table(nn.Module):
    """As many weights as there are, each with the gradient of one number of the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, :1] * self.weight).sum(1)


@pytest.mark.parametrize("value", [1.0, 1.1, 0.7])
def test_the_norm_of_millions_of_numbers_is_within_the_margin(value: float) -> None:
    """2**-11 is kept for it; running sums over millions of equal squares lose five times as much."""
    width = 4_000_000
    found = PerExampleGradients(_Table(width)).clipped_sum(
        torch.full((1, 1), value), torch.zeros(1), loss=lambda outputs, _: outputs, clip_norm=1.0
    )
    assert float(found.gradients[0].double().norm()) <= 1 + 2**-11


def test_a_perceptron_is_trained_by_the_events_that_were_entered() -> None:
    """Planned for ten rows and trained on a hundred, it would sample at another rate than the ledger says."""
    schema = Schema(features=(Feature(name="a", kind="real", low=-1, high=1),), target="y", classes=("n", "p"))
    random = np.random.default_rng(0)
    data = Dataset(schema, random.uniform(-1, 1, (100, 1)), random.integers(0, 2, 100))
    estimator = DPMLPClassifier(3.0, epochs=1)
    events = estimator.plan(schema, rows=10)
    with pytest.raises(UsageError, match="planned for 100 rows"):
        estimator.train_on(data, events)
