"""Epsilon of Poisson-sampled Gaussian sums beside prv-accountant's (Gopi, Lee and Wutschitz 2021): value and time.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}. Fifty random
settings of sampling rate, noise, steps and delta; "epsilon-above-peer" is the largest and the mean excess of our upper
bound over the peer's estimate, which itself is right to within 0.005; "below-peer" counts settings where our upper
bound is below the peer's lower bound, which must be none. "time" is the median of one accounting, peer over ours, so
above 1 is better for us; "calibration" is our time from epsilon to noise, which the peer does not do.

The peer is installed once into an environment of its own. With a path, its bounds are written there: so
tests/vectors/prv_accountant.json was made, on which the tests hold our accountant.

    python benches/privacy_accounting.py [tests/vectors/prv_accountant.json]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from peers.environments import Peer, PeerMissing

from holdfast.training import SampledSums, epsilon_of, noise_for_sampled

PEER = Peer(
    name="prv-accountant 0.2.0",
    script="prv_accountant",
    cases=("settings",),
    installs=(("prv-accountant==0.2.0",),),
)
COUNT = 50
CALIBRATIONS = {"mnist": (0.017, 2_000), "tabular": (0.1, 60), "large": (0.001, 60_000)}
DELTA = 1e-5


Setting = tuple[float, float, int, float]
"""Sampling rate, noise multiplier, steps, delta."""


def random_settings() -> dict[Setting, tuple[float, float]]:
    """Settings over what training uses, with epsilon in reach; each with our epsilon and the milliseconds it took."""
    rng = np.random.default_rng(2401)
    found: dict[Setting, tuple[float, float]] = {}
    while len(found) < COUNT:
        rate, steps = 10 ** rng.uniform(-3.5, -0.3), int(10 ** rng.uniform(0, 4))
        noise, delta = 10 ** rng.uniform(-0.2, 1.3), 10 ** rng.uniform(-9, -4)
        setting = (float(f"{rate:.4g}"), float(f"{noise:.4g}"), steps, float(f"{delta:.3g}"))
        epsilon, took = ours(setting)
        if 0.02 < epsilon < 20:
            found[setting] = epsilon, took
    return found


def ours(setting: Setting) -> tuple[float, float]:
    """Our epsilon, and the milliseconds that it took."""
    rate, noise, steps, delta = setting
    event = SampledSums(noise_multiplier=noise, sampling_rate=rate, count=steps, width=1)
    start = time.perf_counter()
    epsilon = epsilon_of([event], delta=delta)
    return epsilon, 1000 * (time.perf_counter() - start)


def peer_figures(settings: Iterable[Setting]) -> dict[str, Any]:
    """What the peer says of the settings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.npz"
        np.savez(path, settings=np.array(list(settings)))
        return PEER.run("settings", path)


def say(case: str, value: float, peer: float | None, unit: str, *, ratio: float | None = None) -> None:
    """One figure as a line of JSON."""
    line = {"bench": "privacy_accounting", "case": case, "ours": value, "peer": peer, "peer_name": PEER.name}
    print(json.dumps(line | {"ratio": ratio, "unit": unit}), flush=True)


def compare(found: dict[Setting, tuple[float, float]], figures: dict[str, Any]) -> None:
    """The differences in epsilon, and the times."""
    pairs = [(epsilon, bounds) for (epsilon, _), bounds in zip(found.values(), figures["bounds"], strict=True)]
    excess = [epsilon - estimate for epsilon, (_, estimate, _) in pairs]
    say("epsilon-above-peer-largest", max(excess), 0.0, "epsilon")
    say("epsilon-above-peer-mean", statistics.mean(excess), 0.0, "epsilon")
    say("below-peer", sum(epsilon < low for epsilon, (low, _, _) in pairs), 0, "settings")
    own, theirs = statistics.median(took for _, took in found.values()), statistics.median(figures["ms"])
    say("time", own, theirs, "ms", ratio=theirs / own)


def calibrate() -> None:
    """How long it takes from epsilon to noise."""
    for name, (rate, steps) in CALIBRATIONS.items():
        start = time.perf_counter()
        noise_for_sampled(epsilon=3.0, delta=DELTA, sampling_rate=rate, steps=steps, width=1_000)
        say(f"calibration-{name}", time.perf_counter() - start, None, "s")


def main() -> None:
    """Run everything; write the peer's bounds where a path is given."""
    ours((0.5, 1.0, 1, 0.1))  # imports dp_accounting
    calibrate()
    found = random_settings()
    try:
        figures = peer_figures(found)
    except PeerMissing as missing:
        print(json.dumps({"bench": "privacy_accounting", "peer_name": PEER.name, "missing": str(missing)}), flush=True)
        return
    compare(found, figures)
    for path in map(Path, sys.argv[1:2]):
        names = ("sampling_rate", "noise_multiplier", "steps", "delta", "low", "estimate", "high")
        rows = [
            dict(zip(names, (*setting, *b), strict=True)) for setting, b in zip(found, figures["bounds"], strict=True)
        ]
        path.write_text(
            json.dumps({"peer": PEER.name, "made_by": "benches/privacy_accounting.py", "vectors": rows}, indent=1)
            + "\n"
        )


if __name__ == "__main__":
    main()
