"""The common case of private training in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from holdfast.training.account.events import SampledSums
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.account.statement import PrivacyStatement
from holdfast.training.polynomials.activations import Augment, Progress
from holdfast.training.sgd.bookkeeping import Loss
from holdfast.training.sgd.records import Records
from holdfast.training.sgd.refusals import check_maker, check_parts
from holdfast.training.sgd.settings import Pace, PrivateSettings
from holdfast.training.sgd.trainer import PrivateTrainer

_USUAL_PACE: Final = Pace()


@dataclass(frozen=True, eq=False, kw_only=True)
class PrivateFit:
    """A module that was trained privately, and what it cost.

    Args:
        module: in evaluation mode; with averaged weights where an average was asked for.
        event: what the training released.
        epsilon: upper bound on the cost of this training alone, at the delta of its settings.
        statement: the guarantee in full, with everything else in the ledger.
    """

    module: nn.Module = field(repr=False)
    event: SampledSums
    epsilon: float
    statement: PrivacyStatement = field(repr=False)


def fit_private(
    module: nn.Module,
    data: Records | Dataset[Any] | Sequence[Tensor],
    *,
    settings: PrivateSettings,
    loss: Loss | None = None,
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.Adam,
    pace: Pace = _USUAL_PACE,
    augment: Augment | None = None,
    average: float = 0.0,
    ledger: LedgerFile | None = None,
    progress: Progress | None = None,
) -> PrivateFit:
    """Train a copy of a module with differential privacy; the module that was given stays as it is.

    Args:
        module: its weights are taken as public.
        data: as `PrivateTrainer` takes it.
        settings: what decides the guarantee.
        loss: gives one loss for each row; cross-entropy if none is given.
        optimizer: makes an optimizer of parameters, such as functools.partial(torch.optim.SGD, lr=0.5).
        pace: what decides memory and speed.
        augment: changes the first input, row by row.
        average: the decay of an average of the weights, which then are those of the result; 0 keeps none.
        ledger: where the training is entered before its first step.
        progress: called with the steps spent and those of the whole training.

    Raises:
        UnsupportedError, UsageError, DataError, BudgetError: see `PrivateTrainer`.
    """
    check_parts(module, settings, pace, ledger)
    check_maker(optimizer)
    trained = deepcopy(module)
    trainer = PrivateTrainer(
        trained,
        optimizer(parameter for parameter in trained.parameters() if parameter.requires_grad),
        data,
        loss=loss or nn.CrossEntropyLoss(reduction="none"),
        settings=settings,
        pace=pace,
        augment=augment,
        average=average,
        ledger=ledger,
    )
    trainer.run(progress=progress)
    result = trainer.averaged if average else trained
    return PrivateFit(
        module=result.eval(), event=trainer.events[0], epsilon=trainer.epsilon, statement=trainer.statement()
    )
