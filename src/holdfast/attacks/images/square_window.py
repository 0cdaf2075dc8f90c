"""Answers about pictures that differ from known ones in one window, at the price of that window.

Most questions of the Square attack are about a square of a few pixels. What a convolution gives for it changes in a
window a little larger, and nowhere else: what each layer was given is remembered, and only that window computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.square_chain import Chain, Layer, Pair, chain_of

Window = tuple[slice, slice, slice, slice]
"""All pictures, all channels, and a rectangle."""
Spot = tuple[Pair, Pair]
"""Start and stop down a picture, and across it."""

_WORTH: Final = 0.6
"""Of the features: where a window reaches more of them, the whole network in fused layers is sooner done."""
_MOST_BYTES: Final = 2**28
"""Remembered at most (256 MiB)."""
_TRIED: Final = 8
"""Pictures on which the answers are compared with those of the model."""
_ROUNDING: Final = 1e-4
"""Relative to the largest logit, as in `quick`."""


class Answers(Protocol):
    """A model that is asked about changes, in one window, of pictures that are known."""

    def logits(self, known: Tensor, window: Window, patch: Tensor, rows: Tensor) -> Tensor:
        """(rows, classes) of the known pictures of these rows with `patch` (rows, …) in the window."""
        ...

    def keep(self, better: Tensor) -> None:
        """Of the pictures just asked about, know those where `better` (rows,) is true from now on."""
        ...

    def stand(self, stands: Tensor) -> None:
        """Forget the pictures where `stands` is false."""
        ...


@dataclass(frozen=True)
class Whole:
    """Ask about the whole pictures."""

    model: Classifier

    def logits(self, known: Tensor, window: Window, patch: Tensor, rows: Tensor) -> Tensor:
        """See `Answers`."""
        if patch.shape[1:] == known.shape[1:]:
            return self.model.logits(patch)
        candidates = known[rows]
        candidates[window] = patch
        return self.model.logits(candidates)

    def keep(self, better: Tensor) -> None:
        """Nothing is remembered."""

    def stand(self, stands: Tensor) -> None:
        """Nothing is remembered."""


class Windowed:
    """Ask about the window alone. All that is remembered is (n, height, width, channels), as convolutions like it.

    Args:
        model: where questions are counted.
        chain: the same model.
        known: (n, channels, height, width) pictures, 1 or more.

    Attributes:
        share: of the features, those that the last change reached.
    """

    def __init__(self, model: Classifier, chain: Chain, known: Tensor) -> None:
        self.model, self.chain = model, chain
        self.given: list[Tensor] = []  # to each layer, with its padding
        for layer in chain.layers:
            down, across = layer.padding
            self.given.append(_channels_last(functional.pad(known, (across, across, down, down))).contiguous())
            known = layer.run(_channels_first(self.given[-1]))
        self.features = _channels_last(known).clone(memory_format=torch.contiguous_format)
        self.weight = chain.dense.weight.view(-1, *known.shape[1:]).permute(2, 3, 1, 0).contiguous()
        self.sums = chain.dense(known.flatten(1))
        self.asked, self.changes, self.share = torch.arange(0), list[tuple[Tensor, Tensor]](), 1.0

    def logits(self, known: Tensor, window: Window, patch: Tensor, rows: Tensor) -> Tensor:
        """See `Answers`."""
        del known
        self.asked, self.changes = rows, []
        spot, now = ((window[2].start, window[2].stop), (window[3].start, window[3].stop)), _channels_last(patch)
        for layer, given in zip(self.chain.layers, self.given, strict=True):
            spot = _moved(spot, layer.padding)
            self.changes.append((given[_at(spot)], now))
            reached, seen = _reach(layer, spot, given)
            region = given[_at(seen)].index_select(0, rows)
            _put(now, region, spot[0][0] - seen[0][0], spot[1][0] - seen[1][0])
            spot, now = reached, _channels_last(layer.run(_channels_first(region)))
        self.share = now[0, ..., 0].numel() / self.features[0, ..., 0].numel()
        here = self.features[_at(spot)]
        change = (now - here.index_select(0, rows)).flatten(1)
        sums = torch.addmm(self.sums.index_select(0, rows), change, self.weight[_at(spot)[1:]].flatten(0, 2))
        self.changes += [(here, now), (self.sums, sums)]
        return self._counted(self.chain.rest(sums))

    def keep(self, better: Tensor) -> None:
        """See `Answers`. A rounding stays in the sums each time, which the confirmation of what is found makes good."""
        rows = self.asked[better]
        for remembered, now in self.changes:
            remembered[rows] = now[better]

    def stand(self, stands: Tensor) -> None:
        """See `Answers`."""
        self.given = [given[stands] for given in self.given]
        self.features, self.sums = self.features[stands], self.sums[stands]

    def bytes(self) -> int:
        """How much is remembered."""
        return sum(kept.nbytes for kept in (*self.given, self.features, self.sums))

    def _counted(self, logits: Tensor) -> Tensor:
        self.model.forward_rows += len(logits)
        self.model.odd_rows += int((~logits.isfinite()).any(dim=1).sum())
        return logits


def windowed(model: Classifier, module: nn.Module, known: Tensor, sides: Pair) -> Windowed | None:
    """Answers of a module that remember `known` (n, …); None where it is no chain or such windows save too little.

    PyTorch follows one path through the module, so the answers are compared with its own on some pictures. They may
    still differ on others: what an attack finds with them must be confirmed.

    Args:
        model: where questions are counted.
        module: the same model.
        known: 1 picture or more.
        sides: height and width of the windows.
    """
    some = known[:_TRIED]
    try:
        chain = chain_of(module)
        if chain is None:
            return None
        tried = Windowed(replace(model), chain, some)
        fits = tried.bytes() / len(some) * len(known) <= _MOST_BYTES
        return Windowed(model, chain, known) if fits and _worth(tried, module, some, sides) else None
    except Exception:  # noqa: BLE001 - whatever stops it, the module still answers
        return None


def _worth(tried: Windowed, module: nn.Module, known: Tensor, sides: Pair) -> bool:
    """Whether windows in two corners and the middle get the module's answers, and the last reaches few features."""
    rows = torch.arange(len(known))
    for share in (0.0, 1.0, 0.5):
        top, left = (int(share * (size - side)) for size, side in zip(known.shape[2:], sides, strict=True))
        window = (slice(None), slice(None), slice(top, top + sides[0]), slice(left, left + sides[1]))
        patch, known = 1 - known[window], known.clone()
        known[window] = patch
        expected, given = module(known), tried.logits(known, window, patch, rows)
        if not torch.allclose(given, expected, rtol=0, atol=_ROUNDING * float(expected.abs().max())):
            return False
        tried.keep(rows >= 0)
    return tried.share <= _WORTH


def _reach(layer: Layer, spot: Spot, given: Tensor) -> tuple[Spot, Spot]:
    """The outputs that look at these inputs, and all that they look at."""
    down, across = (layer.reached(axis, spot[axis], given.shape[1 + axis]) for axis in (0, 1))
    return (down, across), (layer.seen(0, down), layer.seen(1, across))


def _put(now: Tensor, region: Tensor, top: int, left: int) -> None:
    """Write into a region from a place on; what lies beyond it is looked at by no output."""
    (rows, down), (columns, across) = (
        _overlap(top, now.shape[1], region.shape[1]),
        _overlap(left, now.shape[2], region.shape[2]),
    )
    region[:, rows, columns] = now[:, down, across]


def _overlap(start: int, length: int, size: int) -> tuple[slice, slice]:
    """Of a stretch that starts in or outside one of this size: what they share, counted from the start of each."""
    first = max(start, 0)
    last = max(min(start + length, size), first)
    return slice(first, last), slice(first - start, last - start)


def _moved(spot: Spot, by: Pair) -> Spot:
    (top, bottom), (left, right) = spot
    return (top + by[0], bottom + by[0]), (left + by[1], right + by[1])


def _at(spot: Spot) -> tuple[slice, slice, slice]:
    """Of tensors (n, height, width, …)."""
    return slice(None), slice(*spot[0]), slice(*spot[1])


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _channels_first(x: Tensor) -> Tensor:
    """Of one channel without strides that look like channels last: for those PyTorch 2.13 reads beyond the input."""
    n, height, width, channels = x.shape
    return x.reshape(n, 1, height, width) if channels == 1 else x.permute(0, 3, 1, 2)
