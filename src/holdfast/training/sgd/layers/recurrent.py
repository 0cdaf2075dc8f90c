"""RNN, GRU and LSTM, step by step: each step is two products, and the uses of all steps add up.

The ordinary layer keeps its weights and its results; only during a taped pass is it unrolled, which is slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.dense import product
from holdfast.training.sgd.layers.tape import Tape

State = tuple[Tensor, ...]
Weights = Sequence[Tensor]
"""Of inputs, of the hidden state, and the offsets of both where there are any."""
Cell = Callable[[Tape, Tensor, State, Weights], State]
"""cell(tape, x, state, weights) is the next state, whose first part is what the step gives."""


def recurrent(
    layer: nn.RNN | nn.GRU | nn.LSTM, tape: Tape, x: Tensor, state: Tensor | tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """The layer's forward pass, taped: (outputs, last state) as `torch.nn` documents it.

    Raises:
        UnsupportedError: a packed sequence, or one without a dimension of rows.
    """
    if not isinstance(x, Tensor) or x.dim() != 3:
        raise UnsupportedError(
            f"expected a batch of sequences as one tensor for {type(layer).__name__}, got {type(x).__name__}",
            hint="pad the sequences to one length and give them as (rows, steps, features) with batch_first=True",
        )
    x = x if layer.batch_first else x.transpose(0, 1)
    first = _first_state(layer, x, state)
    last: list[State] = []
    for level in range(layer.num_layers):
        if level and layer.dropout:
            x = functional.dropout(x, layer.dropout, layer.training)
        outputs = []
        for backwards in range(2 if layer.bidirectional else 1):
            place = len(last)
            start = tuple(part[place] for part in first)
            steps, end = _unroll(_cell(layer), tape, x, start, layer.all_weights[place], backwards=bool(backwards))
            outputs.append(steps)
            last.append(end)
        x = torch.cat(outputs, -1)
    ends = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
    y = x if layer.batch_first else x.transpose(0, 1)
    return y, (ends[0], ends[1]) if isinstance(layer, nn.LSTM) else ends[0]


def rnn_cell(tape: Tape, x: Tensor, state: State, weights: Weights) -> State:
    """A step of the plain recurrent network with tanh."""
    return (_sum(tape, x, state[0], weights).tanh(),)


def relu_cell(tape: Tape, x: Tensor, state: State, weights: Weights) -> State:
    """A step of the plain recurrent network with ReLU."""
    return (_sum(tape, x, state[0], weights).relu(),)


def gru_cell(tape: Tape, x: Tensor, state: State, weights: Weights) -> State:
    """A step of the gated recurrent unit, its gates in PyTorch's order."""
    of_x, of_h = _products(tape, x, state[0], weights)
    (r_x, z_x, n_x), (r_h, z_h, n_h) = of_x.chunk(3, -1), of_h.chunk(3, -1)
    keep = torch.sigmoid(z_x + z_h)
    new = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
    return (new + keep * (state[0] - new),)


def lstm_cell(tape: Tape, x: Tensor, state: State, weights: Weights) -> State:
    """A step of the long short-term memory, its gates in PyTorch's order, with a projection where there is one."""
    biased = len(weights) >= 4
    i, f, g, o = _sum(tape, x, state[0], weights[: 4 if biased else 2]).chunk(4, -1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    hidden = torch.sigmoid(o) * torch.tanh(cell)
    projection = weights[4:] if biased else weights[2:]
    return (product(tape, hidden, projection[0], None) if projection else hidden), cell


def _cell(layer: nn.RNN | nn.GRU | nn.LSTM) -> Cell:
    if isinstance(layer, nn.LSTM):
        return lstm_cell
    if isinstance(layer, nn.GRU):
        return gru_cell
    return relu_cell if layer.nonlinearity == "relu" else rnn_cell


def _unroll(
    cell: Cell, tape: Tape, x: Tensor, state: State, weights: Weights, *, backwards: bool
) -> tuple[Tensor, State]:
    """(rows, steps, width) what every step gives, and the state after the last."""
    steps = []
    for step in reversed(x.unbind(1)) if backwards else x.unbind(1):
        state = cell(tape, step, state, weights)
        steps.append(state[0])
    return torch.stack(steps[::-1] if backwards else steps, 1), state


def _products(tape: Tape, x: Tensor, hidden: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    of_input, of_hidden, *offsets = weights
    first, second = offsets or (None, None)
    return product(tape, x, of_input, first), product(tape, hidden, of_hidden, second)


def _sum(tape: Tape, x: Tensor, hidden: Tensor, weights: Weights) -> Tensor:
    of_x, of_h = _products(tape, x, hidden, weights)
    return of_x + of_h


def _first_state(
    layer: nn.RNN | nn.GRU | nn.LSTM, x: Tensor, state: Tensor | tuple[Tensor, Tensor] | None
) -> tuple[Tensor, ...]:
    """The state before the first step, each part (layers * directions, rows, width)."""
    if state is not None:
        return (state,) if isinstance(state, Tensor) else state
    number, rows = layer.num_layers * (2 if layer.bidirectional else 1), len(x)
    hidden = x.new_zeros(number, rows, layer.proj_size or layer.hidden_size)
    return (hidden, x.new_zeros(number, rows, layer.hidden_size)) if isinstance(layer, nn.LSTM) else (hidden,)
