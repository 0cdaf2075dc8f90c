"""What a private training refuses of a loss, an optimizer and parameters, with the fix named."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from holdfast.arguments import check_kind
from holdfast.errors import UnsupportedError, UsageError
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.sgd.settings import Pace, PrivateSettings

_DTYPES = (torch.float32, torch.float64)


def check_parts(module: object, settings: object, pace: object, ledger: object) -> None:
    """Refuse what is no module of PyTorch, and settings or a ledger of another kind.

    Raises:
        UsageError: naming the argument, and how it is written.
    """
    check_kind("module", module, nn.Module, example="nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))")
    example = "PrivateSettings(epsilon=3, delta=1e-5, batch_size=128, epochs=4)"
    check_kind("settings", settings, PrivateSettings, example=example)
    check_kind("pace", pace, Pace, example="Pace(micro_batch=64)")
    if ledger is not None:
        check_kind("ledger", ledger, LedgerFile, example='LedgerFile("ledger.json", epsilon_limit=3, delta=1e-5)')


def check_maker(optimizer: object) -> None:
    """Refuse an optimizer that is made already, where one is to be made of the copy's parameters.

    Raises:
        UsageError: see above.
    """
    if not callable(optimizer):
        raise UsageError(
            f"expected what makes an optimizer of parameters, got {type(optimizer).__name__}, which is none",
            hint="write for instance optimizer=functools.partial(torch.optim.SGD, lr=0.5)",
        )


def check_parameters(parameters: Sequence[nn.Parameter]) -> None:
    """Refuse a module without trainable parameters, or with ones of a type or place that the sums do not know.

    Raises:
        UsageError, UnsupportedError: see above.
    """
    if not parameters:
        raise UsageError("expected a module with trainable parameters, got none that requires a gradient")
    if wrong := {parameter.dtype for parameter in parameters} - set(_DTYPES):
        raise UnsupportedError(
            f"expected parameters of 32 or 64 bits, got {wrong.pop()}", hint="train the module as module.float()"
        )
    if len({parameter.device for parameter in parameters}) > 1:
        raise UnsupportedError("expected all parameters on one device", hint="move the module: module.to(device)")


def check_optimizer(optimizer: Optimizer, parameters: Sequence[nn.Parameter]) -> None:
    """Refuse an optimizer that asks for gradients itself, or that is over other parameters than the module's.

    Raises:
        UsageError, UnsupportedError: see above.
    """
    check_kind("optimizer", optimizer, Optimizer, example="torch.optim.Adam(module.parameters())")
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise UnsupportedError(
            f"{type(optimizer).__name__} computes several gradients in a step, and one is accounted for",
            hint="use torch.optim.SGD, Adam or another that takes a step without a closure",
        )
    mine = {id(parameter) for parameter in parameters}
    theirs = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if theirs != mine:
        raise UsageError(
            f"expected an optimizer over the {len(mine)} trainable parameters of the module, got one that lacks "
            f"{len(mine - theirs)} of them and has {len(theirs - mine)} others",
            hint="make it after the module is complete: torch.optim.Adam(module.parameters())",
        )


def check_arithmetic(device: torch.device) -> None:
    """Refuse arithmetic with fewer bits than the margin for rounding reckons with.

    Raises:
        UnsupportedError: naming what is set, and how to set it back.
    """
    if torch.is_autocast_enabled(device.type):
        raise UnsupportedError(
            "clipping does not bound a record in mixed precision, and torch.autocast is on",
            hint="take the steps outside of torch.autocast",
        )
    if torch.get_float32_matmul_precision() != "highest" or (device.type == "cuda" and torch.backends.cudnn.allow_tf32):
        raise UnsupportedError(
            "clipping does not bound a record where 32-bit products are rounded to fewer bits, as PyTorch is set to do",
            hint='torch.set_float32_matmul_precision("highest"); torch.backends.cudnn.allow_tf32 = False',
        )


def check_loss(loss: object) -> None:
    """Refuse what is no function, and one of PyTorch's losses that is set to sum or average over the rows.

    Raises:
        UsageError, UnsupportedError: see above.
    """
    if isinstance(loss, type) or not callable(loss):
        raise UsageError(
            f"expected a loss(outputs, targets), got {loss!r:.60}",
            hint='write for instance loss=nn.CrossEntropyLoss(reduction="none")',
        )
    reduction = getattr(loss, "reduction", "none")
    if reduction != "none":
        raise UnsupportedError(
            f"expected a loss with one value for each row, got {type(loss).__name__} with reduction={reduction!r}",
            hint=f'use {type(loss).__name__}(reduction="none")',
        )
