"""Clipped sums the slow way: every example differentiated alone by PyTorch. The oracle of the book-keeping."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn


def row_losses(outputs: Any, targets: Any) -> Any:
    """Cross-entropy of whatever a module gives, one value for each row."""
    scores = outputs.flatten(1)
    return nn.functional.cross_entropy(scores, targets % scores.shape[1], reduction="none")


def gradients_alone(
    module: Any, inputs: tuple[Any, ...], targets: Any, *, copies: int = 1, loss: Any = None
) -> list[Any]:
    """For each example, the gradient of the mean loss of its copies by each trainable parameter."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    found = []
    for start in range(0, len(targets), copies):
        rows = slice(start, start + copies)
        mean = row_losses(module(*(part[rows] for part in inputs)), targets[rows]).mean()
        own = torch.autograd.grad(mean, parameters, allow_unused=True)
        found.append([torch.zeros_like(p) if g is None else g for g, p in zip(own, parameters, strict=True)])
    return found


def norms_alone(gradients: list[Any]) -> Any:
    """(examples,) norms of whole gradients."""
    return torch.stack([torch.cat([part.flatten() for part in own]).norm() for own in gradients])


def clipped_alone(gradients: list[Any], clip_norm: float) -> list[Any]:
    """Their sum, each scaled down to the norm."""
    factors = (clip_norm / norms_alone(gradients)).clamp(max=1)
    return [sum(f * part for f, part in zip(factors, parts, strict=True)) for parts in zip(*gradients, strict=True)]


def worst(first: Any, second: Any) -> float:
    """The largest difference between the entries of two lists of tensors."""
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))
