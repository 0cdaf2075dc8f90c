"""Evasion of pictures beside the original AutoAttack: the same networks, pictures and radius, one thread, CPU time.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}. For each network
and suite the robust accuracy and the seconds of both; at the end `standard-time-ratio` and `fast-time-ratio`, ours over
the original's on the network where that is largest, and `standard-accuracy-gap` and `fast-accuracy-gap`, points on the
network where they are furthest apart. The original cannot run its protocol on two classes; there the peer is its APGD
from 25 random starts with its Square attack, and only accuracy is compared. A network that breaks within seconds says
nothing about speed, so ratios are of the networks on which the original takes over a second for each hundred pictures.

Both search at random, and another seed moves the original's own figure by more than the tenths of a point that the two
are apart. So both run with each of `--seeds` seeds; accuracies and seconds are means over them, and the accuracies of
each seed are printed beside their mean.

The original is installed from GitHub, once, or from a copy of it that `--autoattack` names. MNIST is read as in
picture_models.py, which trains the networks in minutes, once. `--pictures` says how many of the test set.

    python benches/attack_pictures.py --pictures 200 --seeds 1 --only pgd masked
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from peers.environments import Peer, PeerMissing
from picture_models import MODELS, RADIUS, PictureModel

from holdfast.attacks.evasion_result import EvasionResult
from holdfast.attacks.images.attack import Attack
from holdfast.attacks.images.evasion import picture_evasion
from holdfast.attacks.images.suite import SuiteName
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images

SOURCE: Final = "git+https://github.com/fra31/auto-attack@a39220048b3c9f2cca9a4d3a54604793c68eca7e"
SUITES: Final[tuple[SuiteName, ...]] = ("standard", "fast")
SLOW: Final = 0.01
"""Seconds of the original for each picture, above which its time says something."""


class Beside(NamedTuple):
    """One network under one suite: seconds (theirs None where they do not compare) and points apart."""

    suite: str
    model: str
    ours_s: float
    peer_s: float | None
    points: float


def say(case: str, ours: float, peer: float | None, unit: str, **more: Any) -> None:
    """One line."""
    ratio = ours / peer if peer else None
    line = {"bench": "attack_pictures", "case": case, "ours": ours, "peer": peer, "peer_name": "AutoAttack"}
    print(json.dumps({**line, "ratio": ratio, "unit": unit, **more}), flush=True)


def original(source: str) -> Peer:
    """AutoAttack in an environment of its own."""
    installs = (("torch==2.13.0", "numpy"), ("--no-build-isolation", "--no-deps", source))
    return Peer(
        name="AutoAttack",
        script="autoattack",
        cases=("standard", "exhaustive"),
        installs=(("setuptools", "wheel"), *installs),
    )


def theirs(peer: Peer, model: PictureModel, count: int, seed: int) -> tuple[float, float]:
    """The robust accuracy that the original leaves, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.npz"
        np.savez(path, name=model.name, count=count, seed=seed)
        figures = peer.run("exhaustive" if model.classes == 2 else "standard", path)
    return len(figures["stands"]) / count, figures["seconds"]


def ours(
    model: PictureModel, suite: SuiteName | Sequence[Attack], count: int, seed: int
) -> tuple[EvasionResult, float]:
    """Our result, and its seconds."""
    network = model.trained()
    x, y = model.pictures("test", count)
    pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    images = Images(pixels, y.numpy(), tuple(str(place) for place in range(model.classes)))
    start = time.process_time()
    result = picture_evasion(
        network, images, threat=PixelChange(radius=RADIUS), rng=np.random.default_rng(seed), suite=suite
    )
    return result, time.process_time() - start


def compare(peer: Peer, model: PictureModel, count: int, seeds: int) -> list[Beside]:
    """Both suites on one network beside the original."""
    shares, times = zip(*(theirs(peer, model, count, seed) for seed in range(seeds)), strict=True)
    accuracy, seconds = mean(shares), mean(times)
    rows = []
    for suite in SUITES:
        results, own_times = zip(*(ours(model, suite, count, seed) for seed in range(seeds)), strict=True)
        own_shares = [result.robust_accuracy.value for result in results]
        value, own_seconds = mean(own_shares), mean(own_times)
        each = {"ours_by_seed": own_shares, "peer_by_seed": shares, "unreliable": list(results[0].unreliable)}
        say(f"{suite}/{model.name}/robust-accuracy", value, accuracy, "share", **each)
        say(f"{suite}/{model.name}/seconds", own_seconds, seconds, "s of CPU")
        same_work = model.classes > 2 and seconds > SLOW * count
        rows.append(Beside(suite, model.name, own_seconds, seconds if same_work else None, 100 * abs(value - accuracy)))
    return rows


def main() -> int:
    """Every network, or those named; 1 where the original is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--autoattack", default=SOURCE, metavar="PATH")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peer = original(options.autoattack)
    try:
        rows = [row for name in options.only for row in compare(peer, MODELS[name], options.pictures, options.seeds)]
    except PeerMissing as error:
        print(f"no AutoAttack to compare with: {error}", file=sys.stderr)
        return 1
    run = {"pictures": options.pictures, "seeds": options.seeds}
    for suite in SUITES:
        mine = [row for row in rows if row.suite == suite]
        slow = [(row.ours_s, row.peer_s, row.model) for row in mine if row.peer_s is not None]
        if slow:
            own_s, peer_s, name = max(slow, key=lambda times: times[0] / times[1])
            say(f"{suite}-time-ratio", own_s, peer_s, "s of CPU", worst=name, **run)
        furthest = max(mine, key=lambda row: row.points)
        say(f"{suite}-accuracy-gap", furthest.points, None, "points", worst=furthest.model, **run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
