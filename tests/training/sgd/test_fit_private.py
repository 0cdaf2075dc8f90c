"""The common case in one call."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.training.sgd.small import SETTINGS, accuracy, network, task

from holdfast.errors import BudgetError, UsageError
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.sgd.fit import fit_private

SGD = partial(torch.optim.SGD, lr=0.5)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_copy_is_trained_and_the_module_stays(average: float, tmp_path: Path) -> None:
    module, ledger = network(), LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    fit = fit_private(module, task(), settings=SETTINGS, optimizer=SGD, average=average, ledger=ledger)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), network().parameters(), strict=True))
    assert accuracy(fit.module) > 0.85
    assert not fit.module.training
    assert fit.event == ledger.read().entries[0].events[0]
    assert fit.epsilon == fit.statement.own_epsilon <= 3
    assert "Parameter" not in repr(fit)


def test_frozen_parameters_need_no_optimizer() -> None:
    module = network()
    module[0].requires_grad_(False)
    fit = fit_private(module, task(), settings=SETTINGS, optimizer=SGD)
    assert torch.equal(fit.module.get_parameter("0.weight"), module[0].weight)


def test_what_the_trainer_refuses_is_refused(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=2, delta=1e-5)
    with pytest.raises(BudgetError):
        fit_private(network(), task(), settings=SETTINGS, ledger=ledger)
    with pytest.raises(UsageError):
        fit_private(network(), task(100), settings=SETTINGS)
    with pytest.raises(UsageError, match="expected module to be a Module, got LogisticRegression"):
        fit_private(LogisticRegression(), task(), settings=SETTINGS)  # type: ignore[arg-type]


def test_an_optimizer_that_is_made_already_is_refused() -> None:
    module = network()
    made = torch.optim.SGD(module.parameters(), lr=0.5)
    with pytest.raises(UsageError, match="what makes an optimizer of parameters, got SGD") as refusal:
        fit_private(module, task(), settings=SETTINGS, optimizer=made)  # type: ignore[arg-type]
    assert "functools.partial" in refusal.value.hint
