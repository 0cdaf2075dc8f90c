"""A pass through a module leaves nothing behind in it.

What `forward` writes into a buffer, an attribute or a weight follows from exact private records. It would be released
with the module, without noise, and records that come later would be clipped by what earlier ones left. So a module that
is seen to write is refused; and where it writes later all the same, what it wrote is taken out again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.tape import TapedForward

_HOOKS: Final = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_HINT: Final = (
    "keep no statistics, counts or caches of the batch in the module: no track_running_stats, no max_norm; what "
    "follows from no record, let a pass over made-up inputs write before the training"
)


def modules_behind(called: object) -> list[nn.Module]:
    """The module that is called: itself, by a method of its own, or by a `partial` of either. None in any other way."""
    while isinstance(called, partial):
        called = called.func
    called = getattr(called, "__self__", called)
    return [called] if isinstance(called, nn.Module) else []


@contextmanager
def forgetting(module: nn.Module) -> Iterator[None]:
    """What passes write is taken out again: weights, buffers, attributes, lists and dictionaries of them.

    An object of another kind is left alone, with whatever is written into it.

    Raises:
        UnsupportedError: a weight was written to.
    """
    if _is_pytorchs(module):
        yield
        return
    weights = [(name, weight, weight.detach().clone()) for name, weight in module.named_parameters()]
    written: list[str] = []
    try:
        with _put_back(module):
            yield
    finally:
        for name, weight, copy in weights:
            if not _equal(weight, copy):
                weight.data = copy
                written.append(name)
    if written:
        raise UnsupportedError(
            f"the weight {written[0]!r} was written to in a pass, without noise; it is again what it was",
            hint="write to no weight in forward",
        )


def check_writes_nothing(module: nn.Module, run: Callable[[], object]) -> None:
    """Refuse a module in which a pass leaves something behind; it comes out as it went in.

    Args:
        module: whose weights, buffers and numbers among the attributes are looked at.
        run: takes some records through the module.

    Raises:
        UnsupportedError: naming what changed.
    """
    before = _state(module)
    weights = [(weight, weight.detach().clone()) for weight in module.parameters()]
    try:
        with _put_back(module):
            run()
            after = _state(module)
    finally:
        for weight, copy in weights:
            if not _equal(weight, copy):
                weight.data = copy
    for what, value in after.items():
        if what not in before or not _equal(value, before[what]):
            raise UnsupportedError(
                f"{what} changes with every batch, so it would carry examples out without noise", hint=_HINT
            )


def _is_pytorchs(module: nn.Module) -> bool:
    """Whether passes run PyTorch's own code alone, which writes nothing that is not refused before.

    Where they run other code, that may write into any part. It is asked at every step.
    """
    return all(
        type(part).__module__.startswith("torch.nn.modules.")
        and type(vars(part).get("forward", _TAPED)) is TapedForward
        and not any(map(vars(part).__getitem__, _HOOKS))
        for part in module.modules()
    )


_TAPED: Final = TapedForward(bool)


@contextmanager
def _put_back(module: nn.Module) -> Iterator[None]:
    contents = [(holder, holder.copy()) for holder in _holders(module)]
    tensors = [value for _, content in contents for value in _values(content) if _is_state(value)]
    copies = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        # A tensor that was written into gives way to its copy: a gradient may still need what is in it now.
        copied = zip(tensors, copies, strict=True)
        moved = {id(tensor): copy for tensor, copy in copied if not _equal(tensor, copy)}
        for holder, content in contents:
            if moved or not _holds(holder, content):
                _refill(holder, content, moved)


def _holders(module: nn.Module) -> list[Any]:
    """What its parts keep things in: their attributes, and every list and dictionary in those, however deep."""
    found: list[Any] = [vars(part) for part in module.modules()]
    seen = set(map(id, found))
    for holder in found:  # which grows
        inside = [value for value in _values(holder) if isinstance(value, (list, dict)) and id(value) not in seen]
        seen.update(map(id, inside))
        found += inside
    return found


def _values(content: dict[Any, Any] | list[Any]) -> Collection[Any]:
    return content.values() if isinstance(content, dict) else content


def _holds(holder: Any, content: Any) -> bool:
    """Whether nothing else is in a list or a dictionary than was."""
    same = len(holder) == len(content) and all(map(operator.is_, _values(holder), _values(content)))
    return same and (isinstance(holder, list) or holder.keys() == content.keys())


def _refill(holder: Any, content: Any, moved: dict[int, Tensor]) -> None:
    """Put the contents back into a list or a dictionary, with copies in the place of tensors that were written into."""
    if isinstance(holder, list):
        holder[:] = [moved.get(id(value), value) for value in content]
        return
    for name in holder.keys() - content.keys():
        del holder[name]
    holder.update({name: moved.get(id(value), value) for name, value in content.items()})


def _is_state(value: object) -> bool:
    """Whether this is a tensor that may be written into: weights are looked after by themselves."""
    return (
        isinstance(value, Tensor)
        and not isinstance(value, nn.Parameter)
        and value.layout == torch.strided
        and not value.is_meta
    )


def _state(module: nn.Module) -> dict[str, Tensor | float]:
    """Weights, buffers and numbers, as they are now, by what a person would call them."""
    found: dict[str, Tensor | float] = {}
    for name, weight in module.named_parameters(remove_duplicate=False):
        found[f"the weight {name!r}"] = weight.detach().clone()
    for name, buffer in module.named_buffers(remove_duplicate=False):
        if _is_state(buffer):
            found[f"the buffer {name!r}"] = buffer.detach().clone()
    for name, part in module.named_modules():
        for number, value in vars(part).items():
            if isinstance(value, (int, float)):
                found[f"the attribute {f'{name}.{number}'.lstrip('.')!r}"] = value
    return found


def _equal(one: Tensor | float, other: Tensor | float) -> bool:
    """Whether two are the same: tensors to the bit; of numbers, NaN is NaN."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
        return alike and torch.equal(_bits(one), _bits(other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def _bits(values: Tensor) -> Tensor:
    return values.detach().resolve_conj().resolve_neg().contiguous().view(-1).view(torch.uint8)
