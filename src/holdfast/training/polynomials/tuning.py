"""Fine-tuning of a network with polynomials under the eyes of the one that it came from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from holdfast.arguments import check_kind
from holdfast.errors import DataError
from holdfast.training.polynomials.activations import Augment, Progress, SwappedNetwork
from holdfast.training.polynomials.layers import Polynomial, Swap, with_polynomials

_FIT_ROWS: Final = 512
_QUANTILE: Final = 0.995
_BATCH: Final = 1_000
_TEACHER_SHARE: Final = 0.7
_TEMPERATURE: Final = 2.0
_MAX_GRADIENT: Final = 1.0
_WEIGHT_DECAY: Final = 1e-4

_Data = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to tune."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


def swap_and_tune(
    module: nn.Module,
    train: _Data,
    test: _Data,
    *,
    schedule: Schedule,
    augment: Augment | None,
    progress: Progress | None,
) -> SwappedNetwork:
    """See `swap_activations`."""
    check_kind("module", module, nn.Module, example="nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))")
    teacher = copy.deepcopy(module).eval()
    dtype = next((parameter.dtype for parameter in teacher.parameters()), torch.float32)
    (X, y), (X_test, y_test) = (
        (torch.as_tensor(rows, dtype=dtype), torch.as_tensor(c).long()) for rows, c in (train, test)
    )
    generator = torch.Generator().manual_seed(schedule.seed)
    sample = X[torch.randperm(len(X), generator=generator)[:_FIT_ROWS]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schedule.seed)  # dropout draws from the one generator of PyTorch
        swap = with_polynomials(teacher, sample, quantile=_QUANTILE)
        _check_classes(teacher, sample[:1], torch.cat([y, y_test]))
        _tune(swap, teacher, X, y, schedule=schedule, generator=generator, augment=augment, progress=progress)
    swap.module.eval()
    return SwappedNetwork(
        module=swap.module,
        accuracy_before=_accuracy(teacher, X_test, y_test),
        accuracy_after=_accuracy(swap.module, X_test, y_test),
        test_rows=len(X_test),
        swapped=swap.names,
        ranges=_ranges(swap.module, X, X_test),
    )


def _check_classes(teacher: nn.Module, row: Tensor, labels: Tensor) -> None:
    """Refuse classes that the network has no score for."""
    with torch.no_grad():
        scores = teacher(row)
    last = int(labels.max())
    if scores.ndim != 2 or last >= scores.shape[1]:
        raise DataError(f"expected one score for each class up to {last}, got {tuple(scores.shape)} scores for a row")


def _tune(
    swap: Swap,
    teacher: nn.Module,
    X: Tensor,
    y: Tensor,
    *,
    schedule: Schedule,
    generator: torch.Generator,
    augment: Augment | None,
    progress: Progress | None,
) -> None:
    module = swap.module
    optimizer = torch.optim.AdamW(module.parameters(), lr=schedule.learning_rate, weight_decay=_WEIGHT_DECAY)
    batches = max(1, len(X) // schedule.batch_size)  # the last rows of an order that fill no batch wait for the next
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.learning_rate, schedule.epochs * batches)
    for epoch in range(schedule.epochs):
        module.train()
        order = torch.randperm(len(X), generator=generator)
        for picked in order[: batches * schedule.batch_size].chunk(batches):
            rows = X[picked] if augment is None else augment(X[picked], generator)
            with _values_before_polynomials(module) as values:
                loss = _loss(module(rows), teacher, rows, y[picked])
                for name, x in values.items():
                    loss = loss + (functional.relu(x.abs() - swap.limits[name]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), _MAX_GRADIENT)
            optimizer.step()
            rates.step()
        if progress is not None:
            progress(epoch + 1, schedule.epochs)


def _loss(scores: Tensor, teacher: nn.Module, rows: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels, and with the teacher's softened probabilities (Hinton et al. 2015)."""
    with torch.no_grad():
        wanted = functional.log_softmax(teacher(rows) / _TEMPERATURE, dim=1)
    given = functional.log_softmax(scores / _TEMPERATURE, dim=1)
    distance = functional.kl_div(given, wanted, reduction="batchmean", log_target=True) * _TEMPERATURE**2
    return (1 - _TEACHER_SHARE) * functional.cross_entropy(scores, labels) + _TEACHER_SHARE * distance


@contextmanager
def _values_before_polynomials(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """What reaches each polynomial in the pass inside, by the names of the polynomials, in their order."""
    polynomials = {name: part for name, part in module.named_modules() if isinstance(part, Polynomial)}
    values: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        return lambda _, inputs: values.__setitem__(name, inputs[0])

    handles = [part.register_forward_pre_hook(watch(name)) for name, part in polynomials.items()]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()


def _ranges(module: nn.Module, *rows: Tensor) -> tuple[float, ...]:
    largest: dict[str, float] = {}
    for batch in (batch for X in rows for batch in torch.split(X, _BATCH)):
        with torch.no_grad(), _values_before_polynomials(module) as values:
            module(batch)
        largest = {name: max(float(x.abs().max()), largest.get(name, 0.0)) for name, x in values.items()}
    return tuple(largest.values())


def _accuracy(module: nn.Module, X: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        picks = torch.cat([module(rows).argmax(dim=1) for rows in torch.split(X, _BATCH)])
    return float((picks == y).double().mean())
