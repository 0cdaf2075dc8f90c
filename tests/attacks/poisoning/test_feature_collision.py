"""Clean-label poison collides with its victim, keeps its looks, and turns a last layer trained on it against one."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.data.poisoning import shapes
from torch import nn

from holdfast.attacks.poisoning.collision import feature_collision
from holdfast.attacks.poisoning.poisoned import Poisoned
from holdfast.data.images import Images, Pixels
from holdfast.errors import DataError, UnsupportedError, UsageError

TARGET = 0


@pytest.fixture(scope="module")
def features() -> nn.Module:
    """A ready-made network without its last layer: 48 features of 256 pixels; dropout shows its mode."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 48), nn.LeakyReLU(0.3), nn.Dropout(0.1))


@pytest.fixture(scope="module")
def data() -> Images:
    return shapes(60)


@pytest.fixture(scope="module")
def victim() -> Pixels:
    return np.asarray(shapes(9, seed=5).pixels[4])


@pytest.fixture(scope="module")
def poisoned(data: Images, features: nn.Module, victim: Pixels) -> Poisoned[Images]:
    return feature_collision(data, features, victim, target_class=TARGET, share=0.3, rng=np.random.default_rng(0))


def seen(features: nn.Module, pixels: Pixels) -> np.ndarray:
    with torch.no_grad():
        still = copy.deepcopy(features).eval()
        return np.asarray(still(torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255))).numpy())


def last_layer(features: nn.Module, data: Images) -> Any:
    fitted = LogisticRegression(C=100, max_iter=2_000).fit(seen(features, data.pixels), data.y)
    return lambda pixels: fitted.predict(seen(features, pixels))


def test_poison_lies_ten_times_nearer_to_the_victim_than_honest_pictures_of_its_class_and_still_looks_like_its_base(
    data: Images, features: nn.Module, victim: Pixels, poisoned: Poisoned[Images]
) -> None:
    honest, poison = (seen(features, each.pixels) for each in (data.take(data.y == TARGET), poisoned.data))
    goal = seen(features, victim[None])
    nearest = np.linalg.norm(honest - goal, axis=1).min()
    assert np.linalg.norm(poison[poisoned.rows] - goal, axis=1).max() < nearest / 10
    moved, bases = (each.pixels[poisoned.rows].astype(float) for each in (poisoned.data, data))
    to_base, to_victim = (((moved - other) ** 2).mean(axis=(1, 2, 3)) for other in (bases, victim.astype(float)))
    assert (to_base < to_victim / 2).all()


def test_a_last_layer_trained_on_it_takes_most_victims_for_the_target_and_hardly_anything_else(
    data: Images, features: nn.Module
) -> None:
    """Four pictures of other classes, six poisoned ones each; the paper has one, and a network of 2,048 features."""
    honest, fresh = last_layer(features, data), shapes(300, seed=7)
    others = shapes(9, seed=5)
    victims = [picture for picture, label in zip(others.pixels, others.y, strict=True) if label != TARGET]
    victims = victims[:4]
    assert (honest(np.stack(victims)) != TARGET).all()
    taken = []
    for each in victims:
        rng = np.random.default_rng(0)
        poison = feature_collision(data, features, each, target_class=TARGET, share=0.3, rng=rng)
        fooled = last_layer(features, poison.data)
        taken.append(fooled(each[None])[0] == TARGET)
        assert np.mean(fooled(fresh.pixels) == fresh.y) > 0.9
    assert sum(taken) >= 3


def test_only_pictures_of_the_target_are_changed_no_label_is_and_the_network_stays(
    data: Images, features: nn.Module, victim: Pixels, poisoned: Poisoned[Images]
) -> None:
    changed = np.flatnonzero((poisoned.data.pixels != data.pixels).any(axis=(1, 2, 3)))
    np.testing.assert_array_equal(changed, poisoned.rows)
    np.testing.assert_array_equal(poisoned.data.y, data.y)
    assert (data.y[poisoned.rows] == TARGET).all()
    assert len(poisoned.rows) == round(0.3 * (data.y == TARGET).sum())
    assert features.training
    assert all(parameter.requires_grad for parameter in features.parameters())
    again = feature_collision(data, features, victim, target_class=TARGET, share=0.3, rng=np.random.default_rng(0))
    assert again.data.digest == poisoned.data.digest


def test_more_pull_keeps_pictures_closer_to_what_they_were(data: Images, features: nn.Module, victim: Pixels) -> None:
    changes = []
    for pull in (0.0, 100.0):
        rng = np.random.default_rng(0)
        made = feature_collision(data, features, victim, target_class=TARGET, share=0.1, rng=rng, steps=50, pull=pull)
        changes.append(float(((made.data.pixels.astype(float) - data.pixels) ** 2).mean()))
    assert changes[1] < changes[0] / 2


def test_a_victim_that_is_its_own_base_and_dead_features_leave_pictures_as_they_are(data: Images) -> None:
    dead = nn.Sequential(nn.Flatten(), nn.Linear(256, 4), nn.ReLU())
    with torch.no_grad():
        for parameter in dead.parameters():
            parameter.fill_(-1.0)
    made = feature_collision(data, dead, data.pixels[1], target_class=TARGET, share=1.0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(made.data.pixels, data.pixels)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"victim": np.zeros((15, 16, 1), dtype=np.uint8)}, "victim of uint8"),
        ({"victim": np.zeros((16, 16, 1))}, "victim of uint8"),
        ({"victim": None}, "expected victim to be an ndarray"),
        ({"features": lambda x: x}, "expected features to be a Module"),
        ({"target_class": 3}, "class from 0 to 2, got 3"),
        ({"target_class": "0"}, "class from 0 to 2, got '0'"),
        ({"share": 0}, "share above 0"),
        ({"rng": 0}, "expected rng"),
        ({"steps": 0}, "1 or more steps"),
        ({"steps": 1.5}, "1 or more steps"),
        ({"pull": -1.0}, "pull of 0 or more"),
        ({"pull": np.nan}, "pull of 0 or more"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_means_nothing_is_refused(
    data: Images, features: nn.Module, victim: Pixels, change: dict[str, Any], sentence: str
) -> None:
    given = {"features": features, "victim": victim, "target_class": 0, "share": 0.1, "rng": np.random.default_rng(0)}
    with pytest.raises(UsageError, match=sentence):
        feature_collision(data, **(given | change))


class NoGradient(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 4)), "does not take pictures of shape"),
        (NoGradient(), "that can be differentiated"),
        (nn.Sequential(nn.Flatten(), nn.Threshold(2.0, float("nan"))), "finite features"),
    ],
    ids=["size", "no gradient", "nan"],
)
def test_a_network_that_cannot_be_collided_with_is_refused(
    data: Images, victim: Pixels, network: nn.Module, sentence: str
) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        feature_collision(data, network, victim, target_class=0, share=0.1, rng=np.random.default_rng(0))


def test_a_table_and_a_class_without_pictures_are_refused(data: Images, features: nn.Module, victim: Pixels) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="expected data to be an Images"):
        feature_collision(data.pixels, features, victim, target_class=0, share=0.1, rng=rng)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="none of the classes"):
        feature_collision(data.take(data.y == 1), features, victim, target_class=0, share=0.1, rng=rng)
