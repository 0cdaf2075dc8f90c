"""Answers about one window are those of the whole network, whatever it is made of, or are not given at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.images.picture_cases import asked, generator
from torch import Tensor, nn
from torch.nn import functional

from holdfast.attacks.images.classifier import Classifier, attackable
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.square_answers import windowed
from holdfast.attacks.images.square_chain import chain_of
from holdfast.attacks.images.square_spots import Spot, apart, window
from holdfast.attacks.images.square_window import Windowed
from holdfast.attacks.images.threat import PixelChange

FLOAT32 = 1e-5
"""Sums of a few hundred numbers near 1, in another order."""


class Written(nn.Module):
    """As people write networks: scaled pixels, functions in place of layers, a view in place of Flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.6]).view(1, 2, 1, 1))
        self.first, self.second = nn.Conv2d(2, 3, (3, 2), padding=(0, 1)), nn.Conv2d(3, 4, 3, stride=2)
        self.norm, self.pool, self.drop = nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Dropout()
        self.hidden, self.last = nn.LazyLinear(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first((x - self.mean) / 0.25), inplace=True)
        x = self.drop(self.pool(torch.tanh(self.norm(self.second(x)))))
        return self.last(functional.relu(self.hidden(x.view(x.size(0), -1))))


class Branches(nn.Module):
    """Two ways from the pictures, of which a window would have to take both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = nn.Conv2d(2, 2, 3, padding=1), nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(torch.flatten(torch.relu(self.conv(x)) + x, 1))


CHAINS: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)),
    "pointwise": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.LazyLinear(3)),
    "strides": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 4, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Conv2d(4, 4, 4, stride=2, padding=1), nn.ReLU()),
        nn.Flatten(),
        nn.LazyLinear(5),
        nn.ReLU(inplace=True),
        nn.Linear(5, 3),
    ),
    "gaps": lambda: nn.Sequential(nn.Conv2d(2, 4, 1, stride=3), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3)),
    "dilated": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=3, dilation=2, groups=2), nn.AvgPool2d(3, 2), nn.Flatten(), nn.LazyLinear(3)
    ),
    "written": Written,
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "branches": Branches,
    "gaps and padding": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 1, stride=3, padding=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    ),
    "averages": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(3)),
    "normal over the picture": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.LazyLinear(3)
    ),
    "no dense layer": lambda: nn.Sequential(nn.Conv2d(2, 3, (16, 13)), nn.Flatten()),
}


def made(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    module = make()
    with torch.no_grad():
        module(torch.rand(4, 2, 16, 13))  # sizes of lazy layers, and some statistics of normalisation
    return module.eval().requires_grad_(requires_grad=False)


def pictures(count: int) -> Tensor:
    return torch.rand((count, 2, 16, 13), generator=generator(count))


MADE = {name: made(make) for name, make in CHAINS.items()}


def counting(module: nn.Module) -> Classifier:
    return Classifier(answer=module, classes=3, device=torch.device("cpu"), differentiable=True)


def spot_of(shares: tuple[float, ...]) -> Spot:
    """A rectangle of a picture, told by shares of what is possible: height, width, top, left."""
    height, width = 1 + int(shares[0] * 15), 1 + int(shares[1] * 12)
    top, left = int(shares[2] * (16 - height)), int(shares[3] * (13 - width))
    return (top, top + height), (left, left + width)


SPOTS = st.tuples(*[st.floats(0, 1)] * 4).map(spot_of)
ONE_OR_TWO = st.lists(SPOTS, min_size=1, max_size=2).map(lambda spots: spots if apart(spots) else spots[:1])


@pytest.mark.parametrize("name", CHAINS)
@settings(max_examples=8, deadline=None)
@given(spots=st.lists(ONE_OR_TWO, min_size=2, max_size=5), data=st.data())
def test_windows_anywhere_one_after_the_other_get_the_answers_of_the_network(
    name: str, spots: list[list[Spot]], data: st.DataObject
) -> None:
    module, known, coins = MADE[name], pictures(6), generator(data.draw(st.integers(0, 99)))
    chain = chain_of(module)
    assert chain is not None
    counts, asked_rows = counting(module), 0
    answers = Windowed(counts, chain, known)
    for some in spots:
        rows = torch.randperm(len(known), generator=coins)[: data.draw(st.sampled_from([3, len(known)]))].sort().values
        candidates = known[rows].clone()
        for spot in some:
            candidates[window(spot)] = torch.rand(candidates[window(spot)].shape, generator=coins)
        changes = [(spot, candidates[window(spot)].clone()) for spot in some]
        logits = answers.logits(known, changes, rows)
        torch.testing.assert_close(logits, module(candidates.clone()), rtol=FLOAT32, atol=FLOAT32)
        better = torch.tensor([0, 2])
        answers.keep(better)
        known[rows[better]] = candidates[better]
        stands = torch.arange(len(known)) != 1
        asked_rows += len(rows)
        if len(known) > 4:
            answers.stand(stands)
            known = known[stands]
    assert counts.forward_rows == asked_rows


def test_uneven_strides_over_one_channel_get_the_answers_of_the_network() -> None:
    """PyTorch 2.13 reads beyond the input of such a convolution where strides look like channels last."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3, stride=(1, 2), padding=1), nn.Flatten(), nn.LazyLinear(3)
    module, known = nn.Sequential(*layers), torch.rand((60, 1, 28, 28), generator=generator(0))
    module(known)
    chain = chain_of(module.requires_grad_(requires_grad=False))
    assert chain is not None
    answers, rows = Windowed(counting(module), chain, known), torch.arange(len(known))
    for side, left in itertools.product((1, 2, 3), range(26)):
        here = window(spot := ((7, 7 + side), (left, left + side)))
        changed = known.clone()
        changed[here] = 1 - known[here]
        logits = answers.logits(known, [(spot, changed[here])], rows)
        torch.testing.assert_close(logits, module(changed), rtol=FLOAT32, atol=FLOAT32)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_chain_is_asked_as_a_whole(name: str) -> None:
    module = made(OTHERS[name])
    assert windowed(counting(module), module, pictures(4), (1, 1), 1) is None


def test_windows_that_reach_most_of_the_picture_are_asked_as_a_whole() -> None:
    module = MADE["strides"]
    assert windowed(counting(module), module, pictures(4), (2, 2), 1) is not None
    assert windowed(counting(module), module, pictures(4), (14, 12), 1) is None
    assert windowed(counting(module), module, pictures(4), (2, 2), 2) is None


def test_answers_that_differ_from_the_network_are_not_given() -> None:
    module = made(CHAINS["strides"])
    module[1].register_forward_hook(lambda part, given, gave: gave - gave.mean(dim=(2, 3), keepdim=True))  # type: ignore[index]
    assert chain_of(module) is not None
    assert windowed(counting(module), module, pictures(4), (2, 2), 1) is None


def exact() -> nn.Module:
    """A network whose sums of pixels on steps of 1/256 are exact in float32, in any order."""
    coins = generator(5)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 3),
    )
    with torch.no_grad():
        for values in network.parameters():
            values.copy_(torch.randint(-1, 2, values.shape, generator=coins) / 4)
    return network.eval()


def test_the_attack_finds_the_same_with_windows_as_without() -> None:
    network, x = exact(), torch.randint(0, 257, (40, 1, 16, 16), generator=generator(1)) / 256
    with torch.no_grad():
        y = network(x).argmax(dim=1)
    threat, attack = PixelChange(norm="Linf", radius=1 / 32), Square(queries=150, schedule=250)
    with asked(network, 3) as classifier:
        found = attack(classifier, x, y, threat=threat, generator=generator(2))
        assert classifier.forward_rows == int(found.queries.sum())
    with attackable(lambda pixels: network(torch.as_tensor(pixels)).detach().numpy(), classes=3) as classifier:
        expected = attack(classifier, x, y, threat=threat, generator=generator(2))
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.queries, expected.queries)
    assert 0 < int((found.x != x).flatten(1).any(dim=1).sum()) < 40
