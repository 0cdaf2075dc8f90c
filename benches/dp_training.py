"""One step of private training against one of plain training, in time and in memory, beside Opacus.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}. A figure is how
many times as much a private step takes as a plain one of the same network, on the same rows: whole steps, from drawing
the sample to the optimizer, ten of the one and ten of the other in turn in one process, by the median of the ratios of
neighbours, so that what else the machine does falls on both. Memory is the peak that some steps add to a process of
their own, code that they load included; allocators and threads move it by a tenth either way, so it is the median of
three processes for each. Ours choose their own micro-batches. `ratio` is the peer's figure over ours, so above 1 is
better for us.

    mlp-step        92,162 parameters, batches of 1,024 rows on average
    mnist-cnn-step  26,010 parameters, 512 rows
    cifar-cnn-step  550,570 parameters, 256 rows

Two threads; run it on a machine at rest. Opacus lives in an environment of its own, made when first needed (a minute);
where it cannot be installed a line says why.
"""

from __future__ import annotations

import argparse
import json
import operator
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers.environments import Peer, PeerMissing
from peers.opacus_steps import CASES, THREADS, Setting, peak, plain, ratio
from torch import nn

from holdfast.training.sgd.settings import PrivateSettings
from holdfast.training.sgd.trainer import PrivateTrainer

OPACUS = Peer(
    name="Opacus 1.6.0",
    script="opacus_steps",
    cases=tuple(CASES),
    installs=(("torch==2.13.0", "opacus==1.6.0", "numpy"),),
)
REPEATS = {"mlp-step": 40, "mnist-cnn-step": 8, "cifar-cnn-step": 3}
"""Turns of ten steps each."""
PEAKS = 3
"""Processes of which the median peak counts."""


def private(setting: Setting) -> Callable[[], object]:
    """A step of ours: sample, clip, noise, account, descend."""
    module, optimizer = setting.trained()
    trainer = PrivateTrainer(
        module,
        optimizer,
        (setting.X, setting.y),
        loss=nn.CrossEntropyLoss(reduction="none"),
        settings=PrivateSettings(epsilon=3.0, delta=1e-6, batch_size=setting.batch, steps=1_000),
    )
    steps = trainer.steps()
    return lambda: next(steps)


def figure(case: str, what: str, repeats: int) -> float:
    """Ours, in this process: "ratio" of times, or the bytes that "plain" or "private" steps need."""
    torch.set_num_threads(THREADS)
    setting = Setting(case)
    if what == "ratio":
        return ratio(private(setting), plain(setting), repeats=repeats)
    step = plain(setting) if what == "plain" else private(setting)
    return float(peak(step) or 0)


def ours(case: str, what: str, repeats: int) -> float:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--figure", case, what, str(repeats)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(case: str, what: str, repeats: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.npz"
        np.savez(path, case=case, what=what, repeats=repeats)
        found = OPACUS.run(case, path)
    return float(found["ratio" if what == "ratio" else "peak"])


def both(measure: Callable[[str, str, int], float], case: str, repeats: int) -> dict[str, float]:
    """How many times the time and the memory of a plain step."""
    peaks = [[measure(case, what, repeats) for what in ("private", "plain")] for _ in range(PEAKS)]
    memory = operator.truediv(*map(statistics.median, zip(*peaks, strict=True)))
    return {case: measure(case, "ratio", repeats), f"{case}, memory": memory}


def compare(case: str, *, peer: bool, repeats: int) -> None:
    mine = both(ours, case, repeats)
    other: dict[str, float] = {}
    if peer:
        try:
            other = both(theirs, case, max(1, repeats // 10))
        except PeerMissing as error:
            tell({"bench": "dp_training", "case": case, "skipped": OPACUS.name, "reason": str(error)})
    for name, value in mine.items():
        against = other.get(name)
        figures = {"ours": round(value, 3), "peer": None if against is None else round(against, 3)}
        names = {"peer_name": None if against is None else OPACUS.name}
        ratios = {"ratio": None if against is None else round(against / value, 2)}
        tell({"bench": "dp_training", "case": name, **figures, **names, **ratios, "unit": "times a plain step"})


def tell(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--figure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.figure:
        case, what, repeats = arguments.figure
        print(figure(case, what, int(repeats)))
        return
    for case in arguments.cases:
        compare(case, peer=not arguments.no_peer, repeats=arguments.repeats or REPEATS[case])


if __name__ == "__main__":
    main()
