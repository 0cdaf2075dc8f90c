"""Audits in one run: how often a true claim is wronged, how near the lower bound comes, and which bugs are found.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}.

* `coverage-200-…`: the share of 200 trainings with DP-SGD as it should be whose lower bound is above the claim; 1,000
  canaries, three full batches, epsilon 3. It is .05 at most in the long run, and so may be somewhat above in 200;
  `coverage-1000-dp-sgd` is the longer run. Another 200 of a Gaussian mechanism for each reading.
* `tightness-1000-…`: the lower bound over the true epsilon, median of 25 runs, with 1,000 canaries and full batches,
  white box; the readings beside each other. The peer is jax_privacy's, on the same counts: the ratio is ours over its.
* `tightness-10000-…`: the same with ten times as many canaries, without the peer.
* `broken-…`: the share of 20 audits of a trainer with one bug that contradict its claim; `broken-none` is the trainer
  as it should be.
* `tumour-999-…`: the lower bound over the claim for `train_private` on the tumour data with 999 canaries of categories
  of their own, median of 9 runs, black box. `separate` takes canaries to be apart, which here they are only nearly.
* `audit-time`: milliseconds from 1,000 scores to the result, without the training.

The peer is installed once into an environment of its own. The trainings need PyTorch.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from broken_trainers import (
    DELTA,
    HalfTheNoise,
    NoClipping,
    NoNoise,
    ShuffledBatches,
    audit_full_batches,
    audit_samples,
)
from peers.environments import Peer, PeerMissing

from holdfast.attacks.privacy.audit import (
    ANY_MECHANISM,
    INTERFERING_CANARIES,
    SEPARATE_CANARIES,
    AuditMethod,
    AuditResult,
    audit,
)
from holdfast.attacks.privacy.audit_curves import gaussian, gaussian_mu
from holdfast.attacks.privacy.canaries import own_category, toss
from holdfast.data import load, tumour_frame, tumour_schema
from holdfast.training import train_private
from holdfast.training.sgd.trainer import PrivateTrainer

PEER = Peer(
    name="jax_privacy 2.0.0",
    script="jax_privacy_audit",
    cases=("definition", "curve"),
    installs=(("dp-accounting==0.6.0", "numpy", "scipy"), ("--no-deps", "jax-privacy==2.0.0")),
)
METHODS = {"definition": ANY_MECHANISM, "curve": INTERFERING_CANARIES, "separate": SEPARATE_CANARIES}
EPSILONS = (1.0, 2.0, 3.0, 4.0, 8.0)
COVERAGE_RUNS, MANY_RUNS, TIGHTNESS_RUNS, BROKEN_RUNS = 200, 1000, 25, 20
TABLE_RUNS, TABLE_CANARIES = 9, 999
ERROR = 0.05


def say(case: str, ours: float, peer: float | None, unit: str) -> None:
    line = {
        "bench": "one_run_audit",
        "case": case,
        "ours": ours,
        "peer": peer,
        "peer_name": PEER.name if peer is not None else None,
        "ratio": ours / peer if peer else None,
        "unit": unit,
    }
    print(json.dumps(line), flush=True)


def gaussian_audits(epsilon: float, canaries: int, runs: int, method: AuditMethod) -> Iterator[AuditResult]:
    """Audits of a Gaussian mechanism of exactly this epsilon, each with coins and noise of its own."""
    rng, mu = np.random.default_rng(int(1000 * epsilon) + canaries), gaussian_mu(epsilon, DELTA)
    for _ in range(runs):
        included = toss(canaries, rng=rng)
        scores = included + rng.normal(0, 1 / mu, canaries)
        yield audit(scores, included, claim=gaussian(epsilon, DELTA), method=method)


def coverage() -> None:
    """How often a true claim is wronged."""
    for name, method in METHODS.items():
        results = gaussian_audits(3.0, 1000, COVERAGE_RUNS, method)
        say(f"coverage-200-gaussian-{name}", statistics.mean(result.contradicts for result in results), None, "share")
    wronged = []
    for seed in range(MANY_RUNS):
        wronged.append(audit_full_batches(PrivateTrainer, seed=seed).contradicts)
        print(f"\rdp-sgd {seed + 1}/{MANY_RUNS}", end="", file=sys.stderr, flush=True)
    for runs in (COVERAGE_RUNS, MANY_RUNS):
        say(f"coverage-{runs}-dp-sgd", statistics.mean(wronged[:runs]), None, "share")


def tightness() -> None:
    """How near the lower bound comes, and the peer's on the same counts."""
    found = {
        (epsilon, name): list(gaussian_audits(epsilon, 1000, TIGHTNESS_RUNS, method))
        for epsilon in EPSILONS
        for name, method in METHODS.items()
    }
    for (epsilon, name), results in found.items():
        ours = statistics.median(result.epsilon_lower for result in results) / epsilon
        theirs = peer_bounds(name, results)
        peer = statistics.median(theirs) / epsilon if theirs else None
        say(f"tightness-1000-epsilon-{epsilon:g}-{name}", ours, peer, "of the true epsilon")
    for epsilon in EPSILONS:
        results = list(gaussian_audits(epsilon, 10_000, TIGHTNESS_RUNS, SEPARATE_CANARIES))
        ours = statistics.median(result.epsilon_lower for result in results) / epsilon
        say(f"tightness-10000-epsilon-{epsilon:g}-separate", ours, None, "of the true epsilon")


def peer_bounds(name: str, results: list[AuditResult]) -> list[float]:
    """The peer's lower bounds for these counts; none where it has no such reading or cannot be had."""
    if name not in PEER.cases:
        return []
    counts = [(result.guesses.canaries, result.guesses.made, result.guesses.correct) for result in results]
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "counts.npz"
        np.savez(arrays, counts=np.array(counts), error=np.array(ERROR), delta=np.array(DELTA))
        try:
            figures = PEER.run(name, arrays)
        except PeerMissing as missing:
            reason = {"bench": "one_run_audit", "peer_name": PEER.name, "skipped": True, "reason": str(missing)}
            print(json.dumps(reason), flush=True)
            return []
    return list(map(float, figures["epsilons"]))


def broken() -> None:
    """Which bugs are found, and that no bug is found where there is none."""
    for name, kind in {
        "none": PrivateTrainer,
        "no-noise": NoNoise,
        "half-noise": HalfTheNoise,
        "no-clip": NoClipping,
    }.items():
        flagged = [audit_full_batches(kind, seed=seed).contradicts for seed in range(BROKEN_RUNS)]
        say(f"broken-{name}", statistics.mean(flagged), None, "share")
    for name, kind in {"none-sampled": PrivateTrainer, "shuffled-as-poisson": ShuffledBatches}.items():
        flagged = [audit_samples(kind, seed=seed).contradicts for seed in range(BROKEN_RUNS)]
        say(f"broken-{name}", statistics.mean(flagged), None, "share")


def tables() -> None:
    """How near the audit of a training on a table comes, which is asked for probabilities only."""
    data = load(tumour_frame(), tumour_schema())
    for epsilon in (1.0, 3.0, 8.0):
        found: dict[str, list[float]] = {"curve": [], "separate": []}
        for seed in range(TABLE_RUNS):
            canaries = own_category(data, count=TABLE_CANARIES, rng=np.random.default_rng(seed))
            scores = canaries.scores(train_private(canaries.data, epsilon=epsilon, delta=DELTA).model)
            for name, bounds in found.items():
                result = audit(scores, canaries.included, claim=gaussian(epsilon, DELTA), method=METHODS[name])
                bounds.append(result.epsilon_lower)
        for name, bounds in found.items():
            case = f"tumour-{TABLE_CANARIES}-epsilon-{epsilon:g}-{name}"
            say(case, statistics.median(bounds) / epsilon, None, "of the claimed epsilon")


def speed() -> None:
    """How long the audit itself takes."""
    start = time.perf_counter()
    runs = sum(1 for _ in gaussian_audits(3.0, 1000, 20, SEPARATE_CANARIES))
    say("audit-time", 1000 * (time.perf_counter() - start) / runs, None, "ms")


def main() -> None:
    """Run everything, about three minutes."""
    speed()
    tightness()
    tables()
    broken()
    coverage()


if __name__ == "__main__":
    main()
