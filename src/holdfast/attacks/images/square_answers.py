"""Asking a model about changes of known pictures: as a whole, or by the windows alone where that is sooner done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch
from torch import Tensor, nn

from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.square_chain import Pair, chain_of
from holdfast.attacks.images.square_spots import Change, window
from holdfast.attacks.images.square_window import Windowed

_WORTH: Final = 0.6
"""Of the features: where windows reach more of them, the whole network in fused layers is sooner done."""
_MOST_BYTES: Final = 2**28
"""Remembered at most (256 MiB)."""
_TRIED: Final = 8
"""Pictures on which the answers are compared with those of the model."""
_ROUNDING: Final = 1e-4
"""Relative to the largest logit, as in `quick`."""


class Answers(Protocol):
    """A model that is asked about changes, in one window or two, of pictures that are known."""

    def logits(self, known: Tensor, changes: Sequence[Change], rows: Tensor) -> Tensor:
        """(rows, classes) of the known pictures of these rows with patches (rows, …) in windows that are apart."""
        ...

    def keep(self, better: Tensor) -> None:
        """Of the pictures just asked about, know these places (k,) from now on."""
        ...

    def stand(self, stands: Tensor) -> None:
        """Forget the pictures where `stands` is false."""
        ...


@dataclass(frozen=True)
class Whole:
    """Ask about the whole pictures."""

    model: Classifier

    def logits(self, known: Tensor, changes: Sequence[Change], rows: Tensor) -> Tensor:
        """See `Answers`."""
        if changes[0][1].shape[1:] == known.shape[1:]:
            return self.model.logits(changes[0][1])
        candidates = known.index_select(0, rows)
        for spot, patch in changes:
            candidates[window(spot)] = patch
        return self.model.logits(candidates)

    def keep(self, better: Tensor) -> None:
        """Nothing is remembered."""

    def stand(self, stands: Tensor) -> None:
        """Nothing is remembered."""


def windowed(model: Classifier, module: nn.Module, known: Tensor, sides: Pair, count: int) -> Windowed | None:
    """Answers of a module that remember `known` (n, …); None where it is no chain or such windows save too little.

    PyTorch follows one path through the module, so the answers are compared with its own on some pictures. They may
    still differ on others: what an attack finds with them must be confirmed.

    Args:
        model: where questions are counted.
        module: the same model.
        known: 1 picture or more.
        sides: height and width of the windows.
        count: windows of each question.
    """
    some = known[:_TRIED]
    try:
        chain = chain_of(module)
        if chain is None:
            return None
        tried = Windowed(replace(model), chain, some)
        fits = tried.bytes() / len(some) * len(known) <= _MOST_BYTES
        worth = _agrees(tried, module, some, sides) and tried.share * count <= _WORTH
        return Windowed(model, chain, known) if fits and worth else None
    except Exception:  # noqa: BLE001 - whatever stops it, the module still answers
        return None


def _agrees(tried: Windowed, module: nn.Module, known: Tensor, sides: Pair) -> bool:
    """Whether windows in two corners and the middle, one after the other, get the module's answers."""
    rows = torch.arange(len(known))
    for share in (0.0, 1.0, 0.5):
        top, left = (int(share * (size - side)) for size, side in zip(known.shape[2:], sides, strict=True))
        spot = (top, top + sides[0]), (left, left + sides[1])
        patch, known = 1 - known[window(spot)], known.clone()
        known[window(spot)] = patch
        expected, given = module(known), tried.logits(known, [(spot, patch)], rows)
        if not torch.allclose(given, expected, rtol=0, atol=_ROUNDING * float(expected.abs().max())):
            return False
        tried.keep(rows)
    return True
