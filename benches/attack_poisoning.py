"""What poison does to a model, how much of it the data checks find, and what training on partitions withstands.

Prints one JSON line for each data set, attack and share of poisoned rows: {"bench", "case", "success",
"clean_accuracy", "recall", "precision", "success_after_checks", "success_partitioned", "accuracy_partitioned",
"seconds"}. `success` is the share of test rows of other classes that get the attacker's class with the trigger on them;
for flips, of the class whose labels were flipped, with no trigger. `recall` and `precision` are of the rows that the
checks name as trigger, flips, cluster or wrong label; `success_after_checks` that of a model trained without the rows
they name; `success_partitioned` that of a vote of 51 models.

Attacks. `badnets`: a checkerboard of 3x3 pixels, or a rare pair of values, on rows of other classes, labels changed.
`label-consistent`: the same on rows of the target class, made hard to tell, no label changed; the share is of that
class. `flips`: labels of one class changed to the target; the share is of that class. `collision`: pictures of the
target class whose features become those of one victim, no label changed; the share is of that class. There `success` is
the share of ten victims, each with a poisoning of its own, that get the attacker's class, recall and precision are
means over the ten.

The learner is logistic regression; for `collision` on the 64 features of a small network that was trained on MNIST's
test pictures, which it is for both sets of pictures, so for the X-rays it is transfer learning in earnest. The tumour
data comes with scikit-learn; Adult, MNIST and PneumoniaMNIST are read as in data_checks.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from bench_models import DATA, Network, small_network
from data_checks import pictures, tables
from poison_certificates import picture_trainer, table_trainer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from holdfast.attacks.poisoning.collision import feature_collision
from holdfast.attacks.poisoning.poisoned import Poisoned, badnets, flip_labels, label_consistent
from holdfast.attacks.poisoning.success import backdoor_success
from holdfast.attacks.poisoning.triggers import PictureTrigger, checkerboard, rare_pair
from holdfast.data import Dataset, run_checks
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images
from holdfast.models import predict
from holdfast.training.partitions.train import train_partitioned, train_partitioned_pictures

TARGET, SOURCE = 0, 1
PARTITIONS = 51
BLEND = 0.8
CHECKS = {"trigger", "flips", "cluster", "labels"}
VICTIMS = 10
COLLISION_SHARES = (0.05, 0.2)
SHARES = {"badnets": (0.01, 0.05), "label-consistent": (0.1, 0.3), "flips": (0.1, 0.3)}

Classify = Callable[[Any], Any]


def trained(data: Any) -> Classify:
    """Logistic regression on all rows."""
    if isinstance(data, Images):
        return picture_trainer(data, seed=0)  # type: ignore[no-any-return]
    model = table_trainer(data, seed=0)
    return lambda X: predict(model, X)


def trained_in_parts(data: Any) -> Classify:
    """A vote of logistic regressions on a part of the rows each."""
    if isinstance(data, Images):
        vote = train_partitioned_pictures(data, picture_trainer, partitions=PARTITIONS, seed=0)
        return lambda pixels: vote.votes(pixels).argmax(axis=1)
    model = train_partitioned(data, table_trainer, partitions=PARTITIONS, seed=0)
    return lambda X: predict(model, X)


def poison(data: Any, attack: str, share: float, rng: np.random.Generator) -> Poisoned[Any]:
    """The training rows with poison in them."""
    if attack == "flips":
        return flip_labels(data, share=share, rng=rng, source_class=SOURCE, target_class=TARGET)
    if isinstance(data, Images):
        height, width, channels = data.pixels.shape[1:]
        trigger: Any = PictureTrigger(checkerboard(3, channels=channels), top=height - 4, left=width - 4)
    else:
        trigger = rare_pair(data, rng)
    if attack == "badnets":
        return badnets(data, trigger, target_class=TARGET, share=share, rng=rng)
    return label_consistent(data, trigger, target_class=TARGET, share=share, blend=BLEND, rng=rng)


def success(classify: Classify, test: Any, poisoned: Poisoned[Any]) -> tuple[float, float]:
    """How often the attacker gets what he wants, and the accuracy on clean rows."""
    if poisoned.trigger is not None:
        result = backdoor_success(classify, test, poisoned.trigger, target_class=TARGET)
        return result.attack_success.value, result.clean_accuracy.value
    said = classify(test.X if isinstance(test, Dataset) else test.pixels)
    return float((said[test.y == SOURCE] == TARGET).mean()), float((said == test.y).mean())


def flagged(data: Any) -> set[int]:
    """The rows that the checks name."""
    rng = np.random.default_rng(0)
    checks = run_checks(data, rng=rng) if isinstance(data, Dataset) else check_images(data, rng=rng)
    return {row for finding in checks.findings if finding.check in CHECKS for row in finding.rows}


def measure(name: str, train: Any, test: Any, attack: str, share: float) -> None:
    """One line."""
    start = time.perf_counter()
    poisoned = poison(train, attack, share, np.random.default_rng(0))
    planted, named = set(poisoned.rows.tolist()), flagged(poisoned.data)
    kept = np.setdiff1d(np.arange(len(train)), sorted(named))
    plain, clean_accuracy = success(trained(poisoned.data), test, poisoned)
    checked, _ = success(trained(poisoned.data.take(kept)), test, poisoned)
    parted, parted_accuracy = success(trained_in_parts(poisoned.data), test, poisoned)
    figures = {
        "success": plain,
        "clean_accuracy": clean_accuracy,
        "recall": len(planted & named) / len(planted),
        "precision": len(planted & named) / max(len(named), 1),
        "success_after_checks": checked,
        "success_partitioned": parted,
        "accuracy_partitioned": parted_accuracy,
        "seconds": time.perf_counter() - start,
    }
    tell(f"{name}/{attack}-{share:.0%}", figures)


@cache
def ready_made() -> Network:
    """A network of digits without its last layer."""
    with np.load(DATA / "mnist.npz", allow_pickle=False) as arrays:
        digits = Images.of(arrays["x_test"], arrays["y_test"])
    return Network(nn.Sequential(*list(small_network(digits, epochs=3).module)[:-1]))


def last_layer(data: Images, *, seed: int) -> Classify:
    """Logistic regression on the features of the ready-made network."""
    del seed
    layer = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    layer.fit(ready_made().logits(data.pixels), data.y)
    return lambda pixels: layer.predict(ready_made().logits(pixels))


def measure_collision(name: str, train: Images, test: Images, share: float) -> None:
    """One line: means over victims of other classes that are answered rightly without poison."""
    start, lines = time.perf_counter(), []
    clean = last_layer(train, seed=0)(test.pixels)
    for victim in np.flatnonzero((clean == test.y) & (test.y != TARGET))[:VICTIMS]:
        picture, rng = test.pixels[victim], np.random.default_rng(0)
        poisoned = feature_collision(train, ready_made().module, picture, target_class=TARGET, share=share, rng=rng)
        planted, named = set(poisoned.rows.tolist()), flagged(poisoned.data)
        kept = poisoned.data.take(np.setdiff1d(np.arange(len(train)), sorted(named)))
        vote = train_partitioned_pictures(poisoned.data, last_layer, partitions=PARTITIONS, seed=0)
        plain, checked = last_layer(poisoned.data, seed=0), last_layer(kept, seed=0)
        lines.append(
            {
                "success": plain(picture[None])[0] == TARGET,
                "clean_accuracy": np.mean(plain(test.pixels) == test.y),
                "recall": len(planted & named) / len(planted),
                "precision": len(planted & named) / max(len(named), 1),
                "success_after_checks": checked(picture[None])[0] == TARGET,
                "success_partitioned": vote.votes(picture[None]).argmax() == TARGET,
                "accuracy_partitioned": np.mean(vote.votes(test.pixels).argmax(axis=1) == test.y),
            }
        )
    figures = {key: float(np.mean([line[key] for line in lines])) for key in lines[0]}
    figures["seconds"] = time.perf_counter() - start
    tell(f"{name}/collision-{share:.0%}", figures)


def tell(case: str, figures: dict[str, float]) -> None:
    """One JSON line."""
    line = {key: round(value, 4) for key, value in figures.items()}
    print(json.dumps({"bench": "attack_poisoning", "case": case, **line}), flush=True)


def main() -> None:
    """Every data set and attack, or the data sets named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=["tumour", "adult", "mnist", "pneumoniamnist"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets: list[tuple[str, Any]] = [*tables(), *pictures()]
    for name, data in sets:
        if name in options.only:
            train, test = data.split(test_fraction=0.3, seed=0)
            for attack, shares in SHARES.items():
                for share in shares:
                    measure(name, train, test, attack, share)
            if isinstance(data, Images):
                for share in COLLISION_SHARES:
                    measure_collision(name, train, test, share)


if __name__ == "__main__":
    main()
