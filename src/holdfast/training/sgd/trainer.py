"""DP-SGD in one piece: sampler, clipping, noise and accountant cannot come apart.

Abadi et al., "Deep learning with differential privacy" (2016, algorithm 1). What is released is the weights after each
step, and what follows from them. Losses, norms, the sizes of samples and the number of gradients that were not finite
are exact values of private records; nothing here shows them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from holdfast.errors import UsageError
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.events import SampledSums
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.account.statement import PrivacyStatement
from holdfast.training.polynomials.activations import Augment, Progress
from holdfast.training.sgd.account import Account
from holdfast.training.sgd.averaging import Average
from holdfast.training.sgd.bookkeeping import Loss, PerExampleGradients
from holdfast.training.sgd.checkpoint import Checkpoint
from holdfast.training.sgd.memory import bytes_of_record
from holdfast.training.sgd.probe import MOST_EXAMPLES, Trial, check_augmentation, told_if_not_taken
from holdfast.training.sgd.records import Records, records_of
from holdfast.training.sgd.refusals import (
    check_arithmetic,
    check_loss,
    check_optimizer,
    check_parameters,
    check_parts,
)
from holdfast.training.sgd.release import NoisySum
from holdfast.training.sgd.rounding import clip_margin
from holdfast.training.sgd.sampling import PoissonSampler
from holdfast.training.sgd.settings import Pace, PrivateSettings

_USUAL_PACE: Final = Pace()


class PrivateTrainer:
    """Trains a module in place, with an optimizer of the user's, at a cost of at most `settings.epsilon`.

    The whole run is accounted before its first step. Weights that the module brings are taken as public.

    Args:
        module: an ordinary module; layers that mix examples are refused.
        optimizer: over all trainable parameters of the module. Its schedule may depend on steps alone.
        data: a map-style data set, tensors, or `Records`.
        loss: loss(outputs, targets) gives one loss for each row.
        settings: what decides the guarantee.
        pace: what decides memory and speed.
        augment: changes the first input, row by row, random by its generator alone; it gets each copy of each record.
        average: the decay of an average of the weights; 0 keeps none.
        ledger: where the run is entered before its first step.
        checkpoint: where `save` writes; a run without one cannot be resumed.

    Raises:
        UnsupportedError: a layer, optimizer, loss or data set that cannot be accounted for; the hint names a way round.
        UsageError, DataError: settings that do not fit the data, see `PrivateSettings.plan`.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        data: Records | Dataset[Any] | Sequence[Tensor],
        *,
        loss: Loss,
        settings: PrivateSettings,
        pace: Pace = _USUAL_PACE,
        augment: Augment | None = None,
        average: float = 0.0,
        ledger: LedgerFile | None = None,
        checkpoint: Path | str | None = None,
    ) -> None:
        check_parts(module, settings, pace, ledger)
        check_loss(loss)
        self._module, self._optimizer, self._loss = module, optimizer, loss
        self._records = records_of(data)
        self._settings, self._augment = settings, augment
        self._gradients = PerExampleGradients(module)
        parameters = self._gradients.parameters
        check_parameters(parameters)
        check_optimizer(optimizer, parameters)
        plan = settings.plan(records=len(self._records), width=sum(parameter.numel() for parameter in parameters))
        if augment is not None:
            some, _ = self._records.fetch(np.arange(min(len(self._records), MOST_EXAMPLES)))
            check_augmentation(augment, some[0].repeat_interleave(settings.copies, 0), copies=settings.copies)
        self._micro_batch = pace.rows(batch_size=settings.batch_size, record_bytes=self._record_bytes)
        self._checkpoint = Path(checkpoint) if checkpoint is not None else None
        self._account = Account(plan, ledger=ledger, checkpoint=self._checkpoint)
        self._sampler, self._sum = self._mechanism()
        self._average = Average(module, decay=average) if average else None
        self._generator = Generator().manual_seed(secrets.randbits(63))
        self._step = 0
        self._one_at_a_time = Lock()  # two threads in one sum would add a record twice

    def __repr__(self) -> str:
        kind, plan = type(self._module).__name__, self._account.plan
        done = f"{self._account.spent:,} of {plan.count:,} steps, epsilon at most {self._settings.epsilon:g}"
        return f"<PrivateTrainer: {kind}, {len(self._records):,} records, {done}>"

    @property
    def events(self) -> tuple[SampledSums, ...]:
        """What the run costs, as a whole from before its first step on."""
        return (self._account.plan,) if self._account.begun else ()

    @property
    def epsilon(self) -> float:
        """Upper bound on the epsilon of this run alone at `settings.delta`; 0 before it begins.

        With a ledger, `statement` says what all entries together cost, which is more where there are others.
        """
        return epsilon_of(self.events, delta=self._settings.delta)

    @property
    def averaged(self) -> nn.Module:
        """A copy of the module with the average of its weights.

        Raises:
            UsageError: no average was asked for.
        """
        if self._average is None:
            raise UsageError("no average of the weights was kept", hint="ask for one: PrivateTrainer(…, average=0.999)")
        return self._average.module()

    def statement(self) -> PrivacyStatement:
        """What the run guarantees, with everything else in the ledger, or by itself where there is none.

        Raises:
            UsageError: the run has not begun.
        """
        return self._account.statement(epsilon=self._settings.epsilon, delta=self._settings.delta)

    def run(self, *, progress: Progress | None = None, save_every: int = 0) -> None:
        """Take all steps that are left; where none is, return at once. Training on takes a trainer, and a run, more.

        Args:
            progress: called with the steps spent and those of the whole run.
            save_every: save a checkpoint after so many steps, and after the last; 0 saves none but the first.
        """
        for spent in self.steps():
            if save_every and (spent % save_every == 0 or spent == self._account.plan.count):
                self.save()
            if progress is not None:
                progress(spent, self._account.plan.count)

    def steps(self) -> Iterator[int]:
        """Take one step after the other; yields how many of the run are spent.

        Raises:
            UnsupportedError: the module or the loss mixes records, or does not take them.
            BudgetError: the ledger's limit would be passed; no step is taken.
            UsageError: another run has its checkpoint where this one's would be.
        """
        if not self._account.begun:
            self._module.train()
            telling = self._records.telling(MOST_EXAMPLES)
            self._gradients.look_at(self._trial(telling))  # a module or records that are refused are not entered
            self._account.begin(lambda: self._records.digest)
            if self._checkpoint is not None:
                self.save()
        while True:
            with self._one_at_a_time:
                if self._account.spent >= self._account.plan.count:
                    return
                if not self._module.training:
                    self._module.train()
                self._take_step()
                spent = self._account.spent
            yield spent

    def save(self) -> None:
        """Write a checkpoint, whole or not at all. PyTorch's generator begins anew, here and where the run goes on.

        Raises:
            UsageError: the trainer was given no place for one, or has not begun.
            SystemFault: the disk refuses; the last checkpoint is left.
        """
        if self._checkpoint is None or not self._account.begun:
            raise UsageError("expected a run that has begun, with a place: PrivateTrainer(…, checkpoint=Path(…))")
        self._account.sync()
        torch.manual_seed(secrets.randbits(63))  # how far dropout moved the old state on tells of the sizes of samples
        Checkpoint(
            run=self._account.run,
            step=self._step,
            records=len(self._records),
            settings=self._settings,
            plan=self._account.plan,
            link=self._account.link,
            module=self._module.state_dict(),
            optimizer=self._optimizer.state_dict(),
            average=self._average.state() if self._average else {},
            randomness=torch.get_rng_state(),
        ).save(self._checkpoint)

    def resume(self) -> None:
        """Go on with the run whose checkpoint is there, on a trainer that was made like the one that began it.

        The events are those that the run was entered with, to the bit, and nothing is entered again. A step is spent
        once its noise is drawn: those after the checkpoint are lost and stay spent, so the run has as many steps less.

        Raises:
            UsageError: other settings, records, module or optimizer than the run's; or another process has the run.
            InputError: no checkpoint there.
            IntegrityError, WireError: a damaged checkpoint or count of steps.
        """
        if self._checkpoint is None or self._account.begun:
            raise UsageError("expected a trainer that has not begun, with the checkpoint of the run to go on with")
        checkpoint = Checkpoint.load(self._checkpoint)
        checkpoint.check(
            settings=self._settings, records=len(self._records), width=self._account.plan.width, module=self._module
        )
        if bool(checkpoint.average) != (self._average is not None):
            raise UsageError("expected the same choice of an average as in the run that the checkpoint is of")
        try:
            self._optimizer.load_state_dict(dict(checkpoint.optimizer))
        except (ValueError, KeyError):
            raise UsageError(
                f"expected the optimizer of the run, got another {type(self._optimizer).__name__}"
            ) from None
        self._account.resume(checkpoint, lambda: self._records.digest)
        self._module.load_state_dict(checkpoint.module)
        if self._average is not None:
            self._average.restore(checkpoint.average)
        torch.set_rng_state(checkpoint.randomness)
        self._sampler, self._sum = self._mechanism()  # as the run was accounted
        self._step = checkpoint.step

    def _mechanism(self) -> tuple[PoissonSampler, NoisySum]:
        """What draws the records of a step, and what adds the noise."""
        plan = self._account.plan
        noisy = NoisySum(
            self._gradients.parameters,
            deviation=plan.noise_multiplier * self._settings.clip_norm,
            divisor=self._settings.batch_size,
        )
        return PoissonSampler(len(self._records), plan.sampling_rate), noisy

    def _record_bytes(self) -> int:
        """What the first record takes, in all its copies; only its shape matters, which is public."""
        inputs, _ = self._records.fetch(np.zeros(1, dtype=np.int64))
        device = self._gradients.parameters[0].device
        with told_if_not_taken(self._module, inputs):
            return self._settings.copies * bytes_of_record(self._module, tuple(part.to(device) for part in inputs))

    def _take_step(self) -> None:
        """Algorithm 1 of Abadi et al.: sample, clip, add noise, descend. An empty sample is a step of noise alone."""
        check_arithmetic(self._gradients.parameters[0].device)
        rows = self._sampler.sample()
        self._sum.clear()
        for part in np.array_split(rows, -(-len(rows) // self._micro_batch)) if len(rows) else []:
            self._sum.add(self._clipped(part))
        self._account.spend()
        self._sum.release()
        self._optimizer.step()
        if self._average is not None:
            self._average.update()
        self._step += 1

    def _clipped(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """The sum of the clipped gradients of some records: exact, so for the noisy sum and nothing else."""
        trial = self._trial(rows)
        return self._gradients.clipped_sum(
            trial.inputs,
            trial.targets,
            loss=self._loss,
            clip_norm=self._settings.clip_norm * (1 - clip_margin(self._micro_batch)),
            copies=trial.copies,
        ).gradients

    def _trial(self, rows: NDArray[np.int64]) -> Trial:
        """Some records as the module is to see them: each in its copies, augmented."""
        inputs, targets = self._records.fetch(rows)
        copies, device = self._settings.copies, self._gradients.parameters[0].device
        if copies > 1:
            inputs = tuple(part.repeat_interleave(copies, 0) for part in inputs)
            targets = targets.repeat_interleave(copies, 0)
        if self._augment is not None:
            inputs = (self._augment(inputs[0], self._generator), *inputs[1:])
        return Trial(self._module, self._loss, tuple(part.to(device) for part in inputs), targets.to(device), copies)
