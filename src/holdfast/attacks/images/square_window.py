"""Answers about pictures that differ from known ones in a window or two, at the price of those windows.

Most questions of the Square attack are about squares of a few pixels. What a convolution gives for them changes in
windows a little larger, and nowhere else: what each layer gave is remembered, and only those windows computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.square_chain import Chain, Layer
from holdfast.attacks.images.square_spots import (
    Change,
    Spot,
    apart,
    around,
    at,
    put,
    reached,
    seen,
    shared,
    sides,
    within,
)

_WIDER: Final = 2
"""As many times the products of a convolution take a matrix less time, as it needs no neighbours and starts sooner."""
_LARGEST: Final = 2**18
"""Values of a matrix (1 MiB) that takes the place of a convolution; there are some tens of them."""


@dataclass(frozen=True)
class _Part:
    """What a layer is given in one rectangle, (rows, height, width, channels): as it is known, and changed."""

    spot: Spot
    known: Tensor
    now: Tensor

    @property
    def change(self) -> Tensor:
        """(rows, values)."""
        return (self.now - self.known).flatten(1)


class Windowed:
    """Ask about the windows alone. All that is remembered is (n, height, width, channels), as convolutions like it.

    Args:
        model: where questions are counted.
        chain: the same model.
        known: (n, channels, height, width) pictures, 1 or more.

    Attributes:
        share: of the features, those that the last change reached.
    """

    def __init__(self, model: Classifier, chain: Chain, known: Tensor) -> None:
        self.model, self.chain = model, chain
        self.made = [_channels_last(known).clone(memory_format=torch.contiguous_format)]  # the pictures, by each layer
        for layer in chain.layers:
            down, across = layer.padding
            raw = layer.run(functional.pad(known, (across, across, down, down)))
            self.made.append(_channels_last(raw).clone(memory_format=torch.contiguous_format))
            known = layer.after(raw)
        self.weight = chain.dense.weight.view(-1, *known.shape[1:]).permute(2, 3, 1, 0).contiguous()
        self.sums = chain.dense(known.flatten(1))
        self.asked, self.changes, self.share = torch.arange(0), list[tuple[Tensor, Tensor]](), 1.0
        self._ways = dict[tuple[int, Spot], tuple[Spot, Tensor | None]]()
        self._matrices = dict[tuple[int, ...], Tensor]()

    def logits(self, known: Tensor, changes: Sequence[Change], rows: Tensor) -> Tensor:
        """See `Answers`."""
        del known
        self.asked, self.changes = rows, []
        parts = [self._pictured(change) for change in changes]
        for place in range(len(self.chain.layers)):
            parts = self._through(place, parts)
        sums = self._of_asked(self.sums)
        for part in parts:
            sums = torch.addmm(sums, part.change, self.weight[at(part.spot)[1:]].flatten(0, 2))
        self.changes.append((self.sums, sums))
        self.share = sum(part.now[0, ..., 0].numel() for part in parts) / self.made[-1][0, ..., 0].numel()
        logits: Tensor = self.chain.rest(sums.clone())  # some write to their input
        self.model.forward_rows += len(logits)
        if not bool(logits.isfinite().all()):
            self.model.odd_rows += int((~logits.isfinite()).any(dim=1).sum())
        return logits

    def keep(self, better: Tensor) -> None:
        """See `Answers`. A rounding stays each time, which the confirmation of what is found makes good."""
        rows = self.asked[better]
        for remembered, now in self.changes:
            remembered[rows] = now[better]

    def stand(self, stands: Tensor) -> None:
        """See `Answers`."""
        self.made, self.sums = [made[stands] for made in self.made], self.sums[stands]

    def bytes(self) -> int:
        """How much is remembered."""
        return sum(kept.nbytes for kept in (*self.made, self.sums))

    def _pictured(self, change: Change) -> _Part:
        """A change of the pictures."""
        spot, patch = change
        here, now = self.made[0][at(spot)], _channels_last(patch)
        self.changes.append((here, now))
        return _Part(spot, self._of_asked(here), now)

    def _through(self, place: int, parts: list[_Part]) -> list[_Part]:
        """What a layer makes of these changes; of two in one where some output looks at both."""
        spots = [self._way(place, part.spot)[0] for part in parts]
        if apart(spots):
            return [self._made(place, spot, [part]) for spot, part in zip(spots, parts, strict=True)]
        return [self._made(place, around(spots), parts)]

    def _made(self, place: int, spot: Spot, parts: Sequence[_Part]) -> _Part:
        """What a layer gives in one rectangle, which holds all that these changes reach."""
        layer, here = self.chain.layers[place], self.made[place + 1][at(spot)]
        known = self._of_asked(here)
        now = self._added(place, spot, known, parts)
        if now is None:
            region = self._given(place, seen(layer, spot))
            for part in parts:
                put(part.now, part.spot, region, seen(layer, spot))
            now = _channels_last(layer.run(_channels_first(region)))
        self.changes.append((here, now))
        return _Part(spot, _after(layer, known), _after(layer, now))

    def _added(self, place: int, spot: Spot, known: Tensor, parts: Sequence[_Part]) -> Tensor | None:
        """What a linear layer gives in one rectangle, by matrices; None where a convolution is sooner done."""
        now = known
        for part in parts:
            own, matrix = self._way(place, part.spot)
            if matrix is None:
                return None
            if own == spot:
                now = torch.addmm(now.flatten(1), part.change, matrix).view_as(known)
            else:
                now = now.clone(memory_format=torch.contiguous_format)
                here = now[at(shared(own, spot)[1])]
                here += (part.change @ matrix).view_as(here)
        return now

    def _given(self, place: int, spot: Spot) -> Tensor:
        """What a layer is given in one rectangle as it is known, with its padding."""
        inside = within(spot, self.made[place].shape[1:3])
        region = self._of_asked(self.made[place][at(inside)])
        region = _after(self.chain.layers[place - 1], region) if place else region
        (above, below), (left, right) = (
            (mine[0] - whole[0], whole[1] - mine[1]) for mine, whole in zip(inside, spot, strict=True)
        )
        return functional.pad(region, (0, 0, left, right, above, below)).clone()

    def _of_asked(self, here: Tensor) -> Tensor:
        return here if len(self.asked) == len(here) else here.index_select(0, self.asked)

    def _way(self, place: int, spot: Spot) -> tuple[Spot, Tensor | None]:
        """What inputs of a layer reach, and by which matrix (values of inputs, values of outputs), if by one."""
        if (place, spot) not in self._ways:
            outputs = reached(self.chain.layers[place], spot, self.made[place].shape[1:3])
            self._ways[place, spot] = outputs, self._matrix(place, spot, outputs)
        return self._ways[place, spot]

    def _matrix(self, place: int, spot: Spot, outputs: Spot) -> Tensor | None:
        """Every input meets every output; in a convolution every output meets all that it looks at, changed or not."""
        layer, channels = self.chain.layers[place], self.made[place].shape[3]
        (high, wide), values = sides(spot), self.made[place + 1][0][at(outputs)[1:]].numel()
        small = (
            high * wide <= _WIDER * layer.extent[0] * layer.extent[1] and high * wide * channels * values <= _LARGEST
        )
        if not layer.linear or not small:
            return None
        origin = seen(layer, outputs)
        key = place, spot[0][0] - origin[0][0], spot[1][0] - origin[1][0], *sides(spot), *sides(outputs)
        if key not in self._matrices:
            self._matrices[key] = _matrix_of(layer, spot, origin, self.made[place])
        return self._matrices[key]


def _matrix_of(layer: Layer, spot: Spot, origin: Spot, like: Tensor) -> Tensor:
    """What each input of a rectangle, by 1, adds to the outputs that look at `origin`."""
    (high, wide), channels = sides(spot), like.shape[3]
    units = torch.eye(high * wide * channels, dtype=like.dtype, device=like.device)
    region = units.new_zeros(len(units) + 1, *sides(origin), channels)
    put(units.view(-1, high, wide, channels), spot, region[:-1], origin)
    made = _channels_last(layer.run(_channels_first(region))).flatten(1)
    return made[:-1] - made[-1]


def _after(layer: Layer, made: Tensor) -> Tensor:
    """What the next layer is given, (n, height, width, channels) both."""
    return _channels_last(layer.after(made.permute(0, 3, 1, 2)))


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _channels_first(x: Tensor) -> Tensor:
    """Of one channel without strides that look like channels last: for those PyTorch 2.13 reads beyond the input."""
    n, height, width, channels = x.shape
    return x.reshape(n, 1, height, width) if channels == 1 else x.permute(0, 3, 1, 2)
