"""Multi-head attention (Vaswani et al. 2017) as products, so that its projections can be taped."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.dense import product
from holdfast.training.sgd.layers.tape import Tape


def attention(
    layer: nn.MultiheadAttention,
    tape: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,  # noqa: FBT001, FBT002 - the order of PyTorch's own arguments
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,  # noqa: FBT001, FBT002
    is_causal: bool = False,  # noqa: FBT001, FBT002, ARG001 - a hint only; the mask decides
) -> tuple[Tensor, Tensor | None]:
    """The layer's forward pass, taped: (outputs, weights) as `torch.nn.MultiheadAttention` documents it.

    Raises:
        UnsupportedError: a key or value that the layer adds of its own, or inputs without a dimension of rows.
    """
    if layer.bias_k is not None or layer.add_zero_attn or query.dim() != 3:
        raise UnsupportedError(
            "attention is taped on batches, without add_bias_kv and add_zero_attn",
            hint="leave these options out, and give (rows, positions, features) with batch_first=True",
        )
    if not layer.batch_first:
        query, key, value = (part.transpose(0, 1) for part in (query, key, value))
    q, k, v = _projected(layer, tape, query, key, value)
    scores = q @ k.transpose(-2, -1) * (layer.head_dim**-0.5)
    scores = scores + _mask(layer, scores, attn_mask, key_padding_mask)
    weights = functional.dropout(scores.softmax(-1), layer.dropout, layer.training)
    out: Tensor = layer.out_proj((weights @ v).transpose(1, 2).flatten(2))
    shown = weights.mean(1) if average_attn_weights else weights
    return out if layer.batch_first else out.transpose(0, 1), shown if need_weights else None


def _projected(layer: nn.MultiheadAttention, tape: Tape, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys and values, each (rows, heads, positions, head_dim)."""
    width = layer.embed_dim
    separate = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
    parts = []
    for place, x in enumerate(inputs):
        rows = slice(place * width, (place + 1) * width)
        if layer._qkv_same_embed_dim:
            y = product(tape, x, layer.in_proj_weight, layer.in_proj_bias, rows=rows)
        else:
            y = product(tape, x, separate[place], None)
            if layer.in_proj_bias is not None:
                y = y + tape.per_example(layer.in_proj_bias)[:, None, rows]
        parts.append(y.reshape(*y.shape[:2], layer.num_heads, -1).transpose(1, 2))
    return tuple(parts)


def _mask(
    layer: nn.MultiheadAttention, scores: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None
) -> Tensor:
    """What is added to the scores (rows, heads, queries, keys): minus infinity where a key is not to be seen."""
    total = scores.new_zeros(())
    if attn_mask is not None:
        mask = _as_numbers(attn_mask, scores)
        total = total + (mask if mask.dim() == 2 else mask.view(-1, layer.num_heads, *mask.shape[1:]))
    if key_padding_mask is not None:
        total = total + _as_numbers(key_padding_mask, scores)[:, None, None, :]
    return total


def _as_numbers(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return like.new_zeros(mask.shape).masked_fill_(mask, float("-inf"))
