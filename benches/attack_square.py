"""The Square attack beside the one of AutoAttack: CPU time and success at the same number of queries, one thread.

Both take 250 pictures at a time, which is the default of both, and the schedule of AutoAttack's `standard` version.

Prints one JSON line for each norm and model: `square-time-ratio`, ours over theirs in CPU seconds, and
`square-success-gap`, the share of pictures that theirs flips less the share that ours flips, in points. Ours counts
only the queries that were asked; theirs takes a row for every step. The networks are those of `picture_models.py`.

`--autoattack PATH` is a folder with the package `autoattack` in it, such as a checkout of github.com/fra31/auto-attack;
it needs torch and nothing else, and is run in this process, in turn with ours. Without it only ours is measured.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from picture_models import MODELS
from torch import Tensor, nn

from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.threat import NormName, PixelChange

CASES: tuple[tuple[str, NormName, float], ...] = (
    ("pgd", "Linf", 0.3),
    ("trades", "Linf", 0.3),
    ("masked", "Linf", 0.3),
    ("pgd", "L2", 2.0),
    ("pgd", "L1", 10.0),
)
PEER_NAME = "AutoAttack's Square"
BATCH = 250

Attacker = Callable[[nn.Module, Tensor, Tensor, PixelChange, int], Tensor]


def ours(network: nn.Module, x: Tensor, y: Tensor, threat: PixelChange, queries: int) -> Tensor:
    with attackable(network, classes=10) as classifier:
        coins = torch.Generator().manual_seed(0)
        return Square(queries=queries)(classifier, x, y, threat=threat, generator=coins).x


def theirs(square: Any) -> Attacker:
    """The original, which takes one step more than the queries it is given, for its start."""

    def attack(network: nn.Module, x: Tensor, y: Tensor, threat: PixelChange, queries: int) -> Tensor:
        options = {
            "norm": threat.norm,
            "eps": threat.radius,
            "n_queries": queries - 1,
            "seed": 0,
            "resc_schedule": False,
        }
        with torch.no_grad():
            flipped: Tensor = square.SquareAttack(network, **options).perturb(x, y)
        return flipped

    return attack


@dataclass
class Measured:
    """CPU seconds, and pictures flipped."""

    seconds: float = 0.0
    flipped: int = 0

    def run(
        self, attack: Attacker, network: nn.Module, x: Tensor, y: Tensor, threat: PixelChange, queries: int
    ) -> None:
        """Attack some pictures."""
        start = time.process_time()
        changed = attack(network, x, y, threat, queries)
        self.seconds += time.process_time() - start
        with torch.no_grad():
            self.flipped += int((network(changed).argmax(dim=1) != y).sum())


def bench(pictures: int, queries: int, square: Any) -> None:
    for name, norm, radius in CASES:
        network = MODELS[name].trained()
        x, y = MODELS[name].pictures("test", pictures)
        with torch.no_grad():
            right = network(x).argmax(dim=1) == y
        x, y, threat = x[right], y[right], PixelChange(norm=norm, radius=radius)
        mine, other = Measured(), Measured()
        for some, classes in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
            mine.run(ours, network, some, classes, threat, queries)
            if square is not None:
                other.run(theirs(square), network, some, classes, threat, queries)
        about = {"model": name, "threat": threat.to_json(), "pictures": len(x), "queries": queries}
        share, peer_share = mine.flipped / len(x), other.flipped / len(x)
        if square is None:
            line("square-time-ratio", ours=mine.seconds, peer=None, unit="s", flipped=share, **about)
            continue
        seconds, ratio = {"ours": mine.seconds, "peer": other.seconds}, mine.seconds / other.seconds
        line("square-time-ratio", **seconds, unit="s", ratio=ratio, **about)
        line("square-success-gap", ours=100 * share, peer=100 * peer_share, unit="points", **about)


def line(case: str, **figures: Any) -> None:
    print(json.dumps({"bench": "attacks", "case": case, "peer_name": PEER_NAME, **figures}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--autoattack", type=Path)
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--queries", type=int, default=5_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    square = None
    if options.autoattack is not None:
        sys.path.insert(0, str(options.autoattack))
        square = importlib.import_module("autoattack.square")
    bench(options.pictures, options.queries, square)


if __name__ == "__main__":
    main()
