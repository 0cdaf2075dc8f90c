"""A pass through a module leaves nothing behind in it.

What `forward` writes into a buffer, an attribute or a weight follows from exact private records. It would be released
with the module, without noise, and records that come later would be clipped by what earlier ones left. So a module that
is seen to write is refused; and where it writes later all the same, what it wrote is taken out again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from holdfast.errors import UnsupportedError

_PYTORCHS: Final = vars(nn.Module()).keys() - {"_parameters", "_buffers", "_modules"}
"""What every module has for PyTorch's own use, hooks above all."""
_TAPED: Final = partial(bool)
_HINT: Final = (
    "keep no statistics, counts or caches of the batch in the module: no track_running_stats, no max_norm; what "
    "follows from no record, let a pass over made-up inputs write before the training"
)


@contextmanager
def forgetting(module: nn.Module) -> Iterator[None]:
    """What a pass writes beside the weights is taken out again: buffers, attributes, lists and dictionaries of them.

    An object of another kind is left alone, with whatever is written into it.

    Raises:
        UnsupportedError: a weight was written to. That is seen, and not taken back.
    """
    versions = [(weight, weight._version) for weight in module.parameters()]
    with _put_back(module):
        yield
    written = {id(weight) for weight, version in versions if weight._version != version}
    if written:
        name = next(name for name, weight in module.named_parameters() if id(weight) in written)
        raise UnsupportedError(
            f"the weight {name!r} was written to in a pass, so it holds what no noise was added to",
            hint="throw the module away, and write to no weight in forward",
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
                weight.data.copy_(copy)
    for what, value in after.items():
        if what not in before or not _equal(value, before[what]):
            raise UnsupportedError(
                f"{what} changes with every batch, so it would carry examples out without noise", hint=_HINT
            )


@contextmanager
def _put_back(module: nn.Module) -> Iterator[None]:
    writers = filter(_may_write, module.modules())
    contents = [(holder, holder.copy()) for part in writers for holder in _holders(part)]
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


def _may_write(part: nn.Module) -> bool:
    """Whether a part's forward pass is anyone's but PyTorch's own, which writes nothing that is not refused before.

    It is asked at every step. Layers that are taped have a `partial` of their rule for the time of a pass.
    """
    own = vars(part)
    others = own["_forward_hooks"] or own["_forward_pre_hooks"] or type(own.get("forward", _TAPED)) is not partial
    return bool(others) or not type(part).__module__.startswith("torch.nn.modules.")


def _holders(part: nn.Module) -> Iterator[Any]:
    """What a part keeps things in: its attributes, its buffers, and every list and dictionary of its own."""
    own = vars(part)
    yield own
    for name in own.keys() - _PYTORCHS:
        if isinstance(own[name], (list, dict)):
            yield own[name]


def _values(content: dict[str, Any] | list[Any]) -> Collection[Any]:
    return content.values() if isinstance(content, dict) else content


def _holds(holder: Any, content: Any) -> bool:
    """Whether nothing else is in a list or a dictionary; a look at every step, so it is a quick one."""
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
    """Whether this is a tensor that may be written into: weights are looked after by their versions."""
    return isinstance(value, Tensor) and not isinstance(value, nn.Parameter)


def _state(module: nn.Module) -> dict[str, Tensor | float]:
    """Weights, buffers and numbers, as they are now, by what a person would call them."""
    found: dict[str, Tensor | float] = {}
    for name, weight in module.named_parameters(remove_duplicate=False):
        found[f"the weight {name!r}"] = weight.detach().clone()
    for name, buffer in module.named_buffers(remove_duplicate=False):
        found[f"the buffer {name!r}"] = buffer.detach().clone()
    for name, part in module.named_modules():
        for number, value in vars(part).items():
            if isinstance(value, (int, float)):
                found[f"the attribute {f'{name}.{number}'.lstrip('.')!r}"] = value
    return found


def _equal(one: Tensor | float, other: Tensor | float) -> bool:
    """Whether two are the same to the bit; NaN is NaN."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if (one.shape, one.dtype, one.device) != (other.shape, other.dtype, other.device):
            return False
        same = torch.equal(one, other)
        return same or (one.is_floating_point() and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True))
    return bool(one == other)
