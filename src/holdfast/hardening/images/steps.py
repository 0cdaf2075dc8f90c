"""A module as the chain of steps it takes: affine maps and ReLUs, found by tracing its `forward`."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from holdfast.errors import UnsupportedError
from holdfast.hardening.images.affine import Affine, affine_of, affine_of_call


class Relu:
    """max(x, 0) of every value."""


Step = Affine | Relu

_RELU_CALLS: Final = frozenset({torch.relu, functional.relu, Tensor.relu})
_COMPUTING: Final = frozenset({"placeholder", "call_module", "call_function", "call_method"})
_KNOWN: Final = (
    "bounds are known of Linear, Conv2d, ReLU, Flatten, AvgPool2d, BatchNorm in evaluation mode, and arithmetic with "
    "constants, one after the other; certify others by Smoothed(module, …)"
)


def steps_of(module: nn.Module) -> tuple[Step, ...]:
    """What a module does to a batch, step by step; the steps use the module's own parameters, as they are then.

    Raises:
        UnsupportedError: a layer that is not known, or a module that branches.
    """
    for layer in module.modules():
        if layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer):
            raise UnsupportedError(
                f"the {type(layer).__name__} of {type(module).__name__} answers by a hook or a forward of its own",
                hint="take hooks off the module, and make a replaced forward a class",
            )
    try:
        traced = fx.symbolic_trace(module)
    except (TypeError, ValueError, RuntimeError, NameError, fx.proxy.TraceError) as error:
        raise UnsupportedError(
            f"{type(module).__name__} cannot be read as a chain of layers: {error}",
            hint="its forward must not depend on the values or the shape of its input",
        ) from None
    nodes = [node for node in traced.graph.nodes if node.op in _COMPUTING and not _is_shape(node)]
    steps: list[Step] = []
    for before, node in pairwise(nodes):
        sources, users = set(node.all_input_nodes) & set(nodes), set(before.users) & set(nodes)
        if sources != {before} or users != {node}:
            raise UnsupportedError(f"{type(module).__name__} branches at {node.name}", hint=_KNOWN)
        steps.append(_step(traced, node))
    if [*traced.graph.output_node().args] != nodes[-1:]:
        raise UnsupportedError(f"{type(module).__name__} returns something else than its last step", hint=_KNOWN)
    return tuple(steps)


def _is_shape(node: fx.Node) -> bool:
    """Whether a node tells the number of pictures, as in x.view(x.shape[0], -1)."""
    if node.op == "call_function" and node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and _is_shape(node.args[0])
    return (node.op, node.target) == ("call_method", "size") or (
        node.op == "call_function" and node.target is getattr and node.args[1] == "shape"
    )


def _step(traced: fx.GraphModule, node: fx.Node) -> Step:
    step: Step | None = None
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        step = Relu() if isinstance(layer, nn.ReLU) else affine_of(layer)
        name = type(layer).__name__
    else:
        function: Any = getattr(Tensor, str(node.target)) if node.op == "call_method" else node.target
        constants = tuple(_constant(traced, argument) for argument in node.args)
        step = Relu() if function in _RELU_CALLS else affine_of_call(function, constants, dict(node.kwargs))
        name = str(node.target)
    if step is None:
        raise UnsupportedError(f"no bounds are known of {name} ({node.name})", hint=_KNOWN)
    return step


def _constant(traced: fx.GraphModule, argument: Any) -> Any:
    """A constant as it is; a buffer by its value; None for the pictures and their number."""
    if not isinstance(argument, fx.Node):
        return argument
    if argument.op != "get_attr":
        return None
    holder, _, name = str(argument.target).rpartition(".")
    return getattr(traced.get_submodule(holder), name)
