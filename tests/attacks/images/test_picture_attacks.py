"""One contract for every attack on pictures, and what gradient attacks must reach on models whose border is known."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.attacks.images.picture_cases import (
    THREATS,
    asked,
    convolutional,
    fooled,
    generator,
    grey_pictures,
    linear,
    own_labels,
    smallest_changes,
)
from torch import nn

from holdfast.attacks.images.apgd import Apgd, ApgdTargeted
from holdfast.attacks.images.attack import Attack, Found, options_of
from holdfast.attacks.images.fab import FabTargeted
from holdfast.attacks.images.losses import dlr, margin
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.pgd import Pgd, fgsm
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.threat import PixelChange
from holdfast.errors import UsageError

CLIMBING = [
    Pgd(steps=10),
    Pgd(name="pgd-margin", steps=10, restarts=2, loss=margin),
    Apgd(steps=12),
    Apgd(name="apgd-dlr", loss=dlr, steps=12, restarts=2),
    ApgdTargeted(targets=3, steps=12),
]
ATTACKS: list[Attack] = [*CLIMBING, fgsm(), FabTargeted(steps=8), Square(queries=40)]
EPS = torch.finfo(torch.float32).eps


def _attacked(attack: Attack, module: nn.Module, threat: PixelChange, count: int, classes: int) -> Found:
    x = grey_pictures(count)
    with asked(module, classes) as classifier:
        return attack(classifier, x, own_labels(module, x), threat=threat, generator=generator(3))


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_keeps_its_contract(attack: Attack, threat: PixelChange) -> None:
    module, x = convolutional(), grey_pictures(9)
    y, untouched, norm = own_labels(module, x), x.clone(), norm_of(threat)
    with asked(module) as classifier:
        found = attack(classifier, x, y, threat=threat, generator=generator(3))
        rows = classifier.forward_rows
        differentiated = classifier.backward_rows
    assert torch.equal(x, untouched)
    rounding = EPS * (threat.radius + float(norm.length(torch.ones_like(x[:1]))))
    assert norm.length(found.x - x).max() <= threat.radius + rounding
    assert 0 <= float(found.x.min()) <= float(found.x.max()) <= 1
    moved = (found.x != x).flatten(1).any(dim=1)
    assert torch.equal(moved, fooled(module, found.x, y))
    assert (found.queries >= 1).all()
    assert int(found.queries.sum()) <= rows  # confirming what was found costs a few that are nobody's
    assert (differentiated > 0) is attack.needs_gradient
    again = _attacked(attack, module, threat, 9, 4)
    assert torch.equal(again.x, found.x)
    assert torch.equal(again.queries, found.queries)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_few_classes_and_a_single_picture_are_attacked_like_others(attack: Attack, classes: int) -> None:
    module, x = linear(classes), grey_pictures(1, seed=4)
    easy = PixelChange(radius=min(1.0, 8 * float(smallest_changes(module, x, THREATS[0]))))
    assert fooled(module, _attacked_one(attack, module, easy, classes), own_labels(module, x)).all()
    hard = easy.with_radius(easy.radius / 16)
    assert torch.equal(_attacked_one(attack, module, hard, classes), x)


def _attacked_one(attack: Attack, module: nn.Module, threat: PixelChange, classes: int) -> torch.Tensor:
    x = grey_pictures(1, seed=4)
    with asked(module, classes) as classifier:
        return attack(classifier, x, own_labels(module, x), threat=threat, generator=generator(1)).x


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize(
    ("attack", "classes"), [(ApgdTargeted(targets=3, steps=60), 4), (Apgd(loss=margin, steps=60), 2)]
)
def test_apgd_finds_what_there_is_on_a_linear_model(attack: Attack, classes: int, threat: PixelChange) -> None:
    module, x = linear(classes), grey_pictures(120)
    nearest = smallest_changes(module, x, threat)
    found = fooled(module, _attacked(attack, module, threat, 120, classes).x, own_labels(module, x))
    assert 20 < int((nearest < threat.radius).sum()) < 100
    assert not found[nearest > threat.radius].any()
    assert found[nearest < 0.97 * threat.radius].all()  # the last steps are a few hundredths of the radius long


@pytest.mark.parametrize("classes", [2, 4, 9])
def test_few_classes_are_climbed_to_as_often_as_many(classes: int) -> None:
    nowhere = THREATS[0].with_radius(1e-6)
    found = _attacked(ApgdTargeted(targets=8, steps=3), linear(classes), nowhere, 3, classes)
    assert (found.queries == 8 * (1 + 3) + 1).all()


def test_fgsm_is_exact_on_a_linear_model_of_two_classes() -> None:
    module, x, threat = linear(2), grey_pictures(150), THREATS[0]
    nearest = smallest_changes(module, x, threat)
    found = fooled(module, _attacked(fgsm(), module, threat, 150, 2).x, own_labels(module, x))
    assert torch.equal(found, nearest < threat.radius)


def test_pictures_that_are_found_are_not_asked_again() -> None:
    module, x = linear(), grey_pictures(40)
    threat = THREATS[0].with_radius(0.5)
    found = _attacked(Apgd(), module, threat, 40, 4)
    assert fooled(module, found.x, own_labels(module, x)).all()
    assert found.queries.max() < 10


@pytest.mark.parametrize("steps", [0, -1, True, 2.5])
def test_counts_that_mean_nothing_are_refused(steps: int) -> None:
    for make in (Apgd, ApgdTargeted, Pgd):
        with pytest.raises(UsageError, match="or more"):
            make(steps=steps)
    with pytest.raises(UsageError, match="targets"):
        ApgdTargeted(targets=0)
    with pytest.raises(UsageError, match="PGD"):
        Pgd(step=0)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_an_attack_is_does_not_depend_on_where_it_lies_in_memory(attack: Attack) -> None:
    assert options_of(attack) == options_of(copy.deepcopy(attack))
    assert not any(" at 0x" in value for value in options_of(attack).values())
    assert options_of(Apgd(loss=dlr)) != options_of(Apgd(loss=margin))
