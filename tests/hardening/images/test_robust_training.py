"""Training against a threat: what each method buys, what it leaves alone, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.hardening.images.picture_cases import small_network, stripes
from torch import Tensor, nn

from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.pgd import Pgd
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.hardening.images.boxes import Box, boxes_of
from holdfast.hardening.images.certify import certify_robustness
from holdfast.hardening.images.interval_training import IntervalTraining, begin_for_intervals
from holdfast.hardening.images.method import Batch, Method
from holdfast.hardening.images.methods import TRADES, FastTraining, PGDTraining, withstands_pgd
from holdfast.hardening.images.pixels import tensors
from holdfast.hardening.images.steps import steps_of
from holdfast.hardening.images.train import RobustTraining, Schedule, train_robust

THREAT = PixelChange(radius=0.15)
METHODS = [PGDTraining(steps=3, step=0.5), TRADES(steps=3, step=0.5), FastTraining(), IntervalTraining()]
TEST = stripes(100, seed=2, noise=80)


def trained(method: Method, *, threat: PixelChange = THREAT, **options: Any) -> RobustTraining:
    schedule = Schedule(**{"epochs": 10, "batch_size": 16, "learning_rate": 0.02} | options)
    images, rng = stripes(160, seed=1, noise=80), np.random.default_rng(0)
    return train_robust(small_network(), images, threat=threat, method=method, rng=rng, schedule=schedule)


def robust_accuracy(module: nn.Module, images: Images, threat: PixelChange) -> float:
    x, y = tensors(images, torch.device("cpu"))
    with attackable(module, classes=len(images.classes)) as classifier:
        right = classifier.logits(x).argmax(dim=1) == y
        attack = Pgd(steps=30, step=0.1, restarts=2)
        found = attack(classifier, x[right], y[right], threat=threat, generator=torch.Generator().manual_seed(0))
        return float((classifier.logits(found.x).argmax(dim=1) == y[right]).sum()) / len(y)


@dataclass(frozen=True)
class Plain:
    """Cross entropy at the pictures as they are."""

    name: str = "plain"
    instead: Method | None = None

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        return lambda batch: nn.functional.cross_entropy(module(batch.x), batch.y)

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        return withstands_pgd(module, batch)

    def to_json(self) -> dict[str, Any]:
        return {"method": self.name}


@pytest.fixture(scope="module")
def plain() -> RobustTraining:
    return trained(Plain())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_every_method_withstands_more_than_training_without_one(method: Method, plain: RobustTraining) -> None:
    run = trained(method)
    assert not run.module.training
    assert robust_accuracy(run.module, TEST, THREAT) >= robust_accuracy(plain.module, TEST, THREAT) + 0.1
    assert run.chosen_epoch == len(run.held_out) - int(np.argmax(run.held_out[::-1]))
    assert json.loads(json.dumps(run.to_json()))["method"] == method.to_json()["method"]


def test_interval_training_can_be_proven_where_plain_training_cannot(plain: RobustTraining) -> None:
    module = trained(IntervalTraining()).module
    proven = certify_robustness(module, TEST, threat=THREAT)
    assert 0.5 < proven.certified_accuracy.value <= robust_accuracy(module, TEST, THREAT)
    assert (
        proven.certified_accuracy.value
        > certify_robustness(plain.module, TEST, threat=THREAT).certified_accuracy.value + 0.1
    )


@dataclass(frozen=True)
class Collapsing:
    """Learns well for an epoch, and then the opposite of every label, whatever its own attack says."""

    instead: Method | None
    name: str = "collapsing"

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        def loss(batch: Batch) -> Tensor:
            return nn.functional.cross_entropy(module(batch.x), batch.y if batch.done < 0.5 else 1 - batch.y)

        return loss

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        return withstands_pgd(module, batch)

    def to_json(self) -> dict[str, Any]:
        return {"method": self.name}


def test_a_collapse_is_seen_undone_and_followed_by_another_method() -> None:
    easy = PixelChange(radius=0.05)
    run = trained(Collapsing(instead=PGDTraining(steps=2, step=0.7)), epochs=10, batch_size=8, threat=easy)
    (collapsed,) = run.collapsed_epochs
    assert collapsed > 5
    assert run.held_out[collapsed - 1] < 0.5 * max(run.held_out[: collapsed - 1])
    assert min(run.held_out[collapsed:]) > 0.9
    without = trained(Collapsing(instead=None), epochs=10, batch_size=8, threat=easy)
    assert without.collapsed_epochs == ()
    assert without.held_out[-1] < 0.1
    assert robust_accuracy(without.module, TEST, easy) > 0.9  # the best epoch is kept


def test_the_module_that_is_given_stays_as_it_is_and_the_seed_decides() -> None:
    module, images = small_network(), stripes(40, seed=1)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    runs = [
        train_robust(
            module,
            images,
            threat=THREAT,
            method=FastTraining(),
            rng=np.random.default_rng(seed),
            schedule=Schedule(epochs=1),
        )
        for seed in (1, 1, 2)
    ]
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)  # the global generator is where it was
    for kept, parameter in zip(before, module.parameters(), strict=True):
        torch.testing.assert_close(kept, parameter.detach(), rtol=0, atol=0)
    same, again, other = (torch.cat([p.detach().flatten() for p in run.module.parameters()]) for run in runs)
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


class Mixing(nn.Module):
    """Batch norm and dropout, more than two classes, two channels; notes in which mode it is called."""

    modes: ClassVar[list[bool]] = []

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(100, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        Mixing.modes.append(self.training)
        logits: Tensor = self.body(x)
        return logits


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_batch_norm_learns_its_statistics_and_answers_do_not_depend_on_the_batch(method: Method) -> None:
    Mixing.modes.clear()
    rng = np.random.default_rng(0)
    images = Images.of(rng.integers(0, 256, (30, 5, 5, 2), dtype=np.uint8), np.arange(30) % 3)
    seen = []
    run = train_robust(
        Mixing(),
        images,
        threat=PixelChange(radius=8 / 255),
        method=method,
        rng=rng,
        schedule=Schedule(epochs=2, batch_size=8),
        augment=lambda x, generator: x.flip(3) if torch.rand(1, generator=generator) < 0.5 else x,
        progress=lambda done, steps: seen.append((done, steps)),
    )
    assert seen == [(done, 6) for done in range(1, 7)]
    x, _ = tensors(images, torch.device("cpu"))
    torch.testing.assert_close(run.module(x)[:1], run.module(x[:1]))
    assert run.module.get_buffer("body.1.running_mean").abs().sum() > 0
    assert sum(Mixing.modes) >= 5  # of 6 steps, not only those before the first measurement


def test_the_start_for_intervals_keeps_widths_about_as_they_are() -> None:
    x, _ = tensors(stripes(20, seed=0), torch.device("cpu"))

    def growth(module: nn.Module) -> float:
        boxes = boxes_of(steps_of(module), Box.around(x, 0.1))
        return float(boxes[-1].radius.detach().mean() / boxes[0].radius.mean())

    wide = nn.Sequential(nn.Flatten(), nn.Linear(36, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU())
    assert growth(wide) > 5
    begin_for_intervals(wide, seed=0)
    assert 0.5 < growth(wide) < 2
    before = [parameter.clone() for parameter in wide.parameters()]
    begin_for_intervals(wide, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, wide.parameters(), strict=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: PGDTraining(steps=0),
        lambda: PGDTraining(step=0.0),
        lambda: TRADES(beta=0),
        lambda: TRADES(steps=1_001),
        lambda: FastTraining(step=float("nan")),
        lambda: IntervalTraining(bound_share=0),
        lambda: IntervalTraining(warm_up=1.5),
        lambda: IntervalTraining(regularisation=-1),
        lambda: Schedule(epochs=0),
        lambda: Schedule(batch_size=1),
        lambda: Schedule(learning_rate=0),
        lambda: Schedule(learning_rate=float("nan")),
    ],
)
def test_numbers_that_mean_nothing_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        make()


def test_pictures_and_modules_that_cannot_be_trained_are_refused() -> None:
    rng, images = np.random.default_rng(0), stripes(20, seed=0)

    def attempt(module: nn.Module, images: Images, method: Method = METHODS[0]) -> None:
        train_robust(module, images, threat=THREAT, method=method, rng=rng, schedule=Schedule(epochs=1))

    with pytest.raises(DataError, match="got 1 of 1"):
        attempt(small_network(), images.take([0]))
    with pytest.raises(DataError, match="two classes"):
        attempt(small_network(), images.take(np.arange(0, 20, 2)))
    with pytest.raises(UsageError, match="parameters"):
        attempt(nn.Flatten(), images)
    with pytest.raises(UnsupportedError, match="Tanh"):
        attempt(nn.Sequential(nn.Flatten(), nn.Linear(36, 2), nn.Tanh()), images, IntervalTraining())
    broken = small_network()
    nn.init.constant_(broken.get_parameter("5.weight"), float("nan"))
    with pytest.raises(UnsupportedError, match="not a finite number"):
        attempt(broken, images)
