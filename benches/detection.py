"""How many attackers the detectors of queries give an alarm, how soon, and how many honest clients.

Prints one JSON line for each data set, attack and detector: {"bench", "case", "ours", "peer", "peer_name", "ratio",
"unit", ...}. `ours` is the share of attackers who are given an alarm by a follower that would give it to an honest
client once in 1,000 lives; beside it stand the median of the queries that it took, the share of the attackers' windows
flagged, the area under the curve, and the alarms among 30 honest clients. `attack_success` says how much of the attack
is left when it hides. `shapiro-wilk` is PRADA's test of normality on the same distances, calibrated in the same way.

Attacks. `search`: the black-box evasion of tables. `extraction`: made-up rows. `square`: Square at Linf 0.3 on MNIST.
Each also by attackers who know the detector: `mixed` puts honest queries between theirs; `noisy` adds noise to every
query; `spread` uses 32 accounts in turn; `between` makes up rows from real ones. `order`: honest pictures of MNIST in
the order of its file, where those of one writer follow one another.

The tumour data comes with scikit-learn; MNIST and the ULB sample are read from the folder that HOLDFAST_DATA names.
Names of data sets as arguments choose among them.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from bench_models import Plain, mnist_in_file_order, mnist_parts, small_network, ulb
from numpy.typing import NDArray
from scipy.stats import shapiro
from sklearn.ensemble import HistGradientBoostingClassifier

from holdfast.attacks import FeasibleChange, evasion, levelled_rows
from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.threat import PixelChange
from holdfast.data import Dataset, load, tumour_frame, tumour_schema
from holdfast.data.images import Images
from holdfast.detection import (
    DetectionTrial,
    Detector,
    Energy,
    Fingerprints,
    Follower,
    NearQueries,
    Neighbours,
    QueryDistances,
    Squeezing,
    Statistic,
    calibrate,
    view_of,
)
from holdfast.detection.distances import nearest
from holdfast.hardening.ownership import rows_between

HONEST, ATTACKERS, CHUNK = 30, 15, 8
Streams = list[NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class ShapiroWilk(NearQueries):
    """PRADA's statistic on the window's nearest distances: one minus W; honest distances are taken for normal."""

    kind: ClassVar[str] = "shapiro-wilk"

    def scores(self, windows: NDArray[np.float64]) -> NDArray[np.float64]:
        """One minus W."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of distances that are all one
            return np.array([1 - shapiro(distances).statistic for distances in nearest(windows)])


@dataclass(frozen=True)
class Attack:
    """What each attacker asks, and how much the attack achieved."""

    name: str
    streams: Streams
    success: float | None = None


@dataclass(frozen=True)
class Tried:
    """A detector, and what it says of honest queries."""

    detector: Detector
    clean: NDArray[np.float64]
    honest_alarms: int

    @classmethod
    def of(
        cls, statistic: Statistic, data: Dataset | Images, clean: NDArray[Any], rate: float, rng: np.random.Generator
    ) -> Tried:
        """Calibrate it, and let honest clients ask 500 queries each."""
        detector = calibrate(statistic, data, false_alarm_rate=rate, rng=rng)
        follower = Follower(detector)
        streams = [clean[rng.permutation(len(clean))[:500]] for _ in range(HONEST)]
        alarms = sum(follower.observe(f"honest {i}", stream).alarm for i, stream in enumerate(streams))
        return cls(detector, detector.score(clean[rng.permutation(len(clean))]), alarms)

    def tell(self, case: str, attack: Attack) -> None:
        """One JSON line for an attack."""
        detector, follower = self.detector, Follower(self.detector)
        until = [queries_until_alarm(follower, f"attacker {i}", stream) for i, stream in enumerate(attack.streams)]
        caught = [count for count in until if count]
        line = {
            "bench": "detection",
            "case": f"{case}/{attack.name}/{detector.statistic.kind} of {detector.statistic.window}",
            "ours": round(len(caught) / len(until), 3),
            "peer": None,
            "peer_name": None,
            "ratio": None,
            "unit": "share of attackers",
            "median_queries": float(np.median(caught)) if caught else None,
            "asked_false_alarm_rate": detector.limit.false_alarm_rate,
            "false_alarm_bound": round(detector.limit.rate_bound, 4),
            "honest_alarms": self.honest_alarms,
            "honest_clients": HONEST,
            "attack_success": attack.success,
        }
        if len(scores := np.concatenate([detector.score(stream) for stream in attack.streams])):
            window = detector.statistic.window
            trial = DetectionTrial(
                kind=detector.statistic.kind, window=window, limit=detector.limit, clean=self.clean, attack=scores
            )
            line["windows_flagged"] = round(trial.detection_rate.value, 3)
            line["auc"] = round(trial.auc, 3)
            line["false_alarm_rate"] = round(trial.false_alarm_rate.value, 4)
        print(json.dumps(line), flush=True)


def queries_until_alarm(follower: Follower, client: str, stream: NDArray[Any]) -> int:
    """0 where there is none."""
    for start in range(0, len(stream), CHUNK):
        if follower.observe(client, stream[start : start + CHUNK]).alarm:
            return min(start + CHUNK, len(stream))
    return 0


def mixed(streams: Streams, clean: NDArray[Any], between: int, rng: np.random.Generator) -> Streams:
    """So many honest queries after each of the attacker's."""
    out = []
    for stream in streams:
        honest = clean[rng.integers(len(clean), size=len(stream) * between)]
        blocks = honest.reshape(len(stream), between, *stream.shape[1:])
        out.append(np.concatenate([stream[:, None], blocks], axis=1).reshape(-1, *stream.shape[1:]))
    return out


def spread(streams: Streams, accounts: int = 32) -> Streams:
    """Each attack over so many accounts in turn; an alarm for one of them counts for that one."""
    return [stream[first::accounts] for stream in streams for first in range(accounts)]


class Recorder:
    """A model of tables that remembers what it was asked."""

    def __init__(self, model: Plain) -> None:
        self.schema, self._model = model.schema, model
        self.asked: Streams = []

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, features) to (rows, classes)."""
        self.asked.append(X.copy())
        return self._model.predict_proba(X)


def table_attacks(model: Plain, fresh: Dataset, rng: np.random.Generator) -> Iterator[Attack]:
    """Searches and extractions, plain and in hiding."""
    right = np.flatnonzero(model.predict_proba(fresh.X).argmax(axis=1) == fresh.y)[:ATTACKERS]
    streams, evaded = [], []
    for row in right:
        recorder = Recorder(model)
        threat = FeasibleChange(budget=0.05)
        found = evasion(recorder, fresh.take([int(row)]), threat=threat, rng=rng, max_queries=300)
        evaded.append(bool(found.evaded[0]))
        streams.append(np.vstack(recorder.asked))
    success = float(np.mean(evaded))
    yield Attack("search", streams, success)
    yield Attack("search, mixed 1:1", mixed(streams, fresh.X, 1, rng), success)
    yield Attack("search, mixed 1:32", mixed(streams, fresh.X, 32, rng), success)
    yield Attack("search, spread", spread(streams), success)
    made_up = [levelled_rows(fresh.schema, 500, rng) for _ in range(ATTACKERS)]
    yield Attack("extraction", made_up)
    yield Attack("extraction, mixed 1:1", mixed(made_up, fresh.X, 1, rng))
    yield Attack("extraction, between real rows", [rows_between(fresh, n=500, rng=rng) for _ in range(ATTACKERS)])


def bench_tables(name: str, data: Dataset, *, rates: dict[int, float]) -> None:
    """A boosted model, its detectors and its attackers; a rate of false alarms for each size of windows."""
    rng = np.random.default_rng(0)
    train, rest = data.split(test_fraction=0.75, seed=0)
    calibration, fresh = rest.split(test_fraction=0.5, seed=1)
    model = Plain(HistGradientBoostingClassifier(max_iter=50, random_state=0), train)
    view = view_of(train)
    statistics: list[Statistic] = [Neighbours.of(train, rng=rng)]
    for window in sorted(set(rates) - {1}):
        statistics.append(NearQueries(view=view, window=window))
        statistics.append(QueryDistances.of(train, rng=rng, window=window))
    statistics.append(ShapiroWilk(view=view, window=window))
    detectors = [Tried.of(one, calibration, fresh.X, rates[one.window], rng) for one in statistics]
    for attack in table_attacks(model, fresh, rng):
        for detector in detectors:
            detector.tell(name, attack)


def square_attack(name: str, predict: Callable[..., Any], pictures: Images, noise: int) -> Attack:
    """Square on one picture after another, each query with noise of so many levels."""
    rng, streams, found = np.random.default_rng(3), [], []
    for number in range(ATTACKERS):
        asked: Streams = []

        def ask(x: NDArray[np.float32], asked: Streams = asked) -> NDArray[np.float64]:
            sent = np.rint(x.transpose(0, 2, 3, 1) * 255) + rng.integers(-noise, noise + 1, size=(len(x), 28, 28, 1))
            asked.append(sent.clip(0, 255).astype(np.uint8))
            return np.asarray(predict(asked[-1]))

        x = torch.from_numpy(pictures.pixels[number : number + 1].transpose(0, 3, 1, 2) / 255).float()
        generator = torch.Generator().manual_seed(number)
        with attackable(ask, classes=10) as classifier:
            result = Square(queries=300)(
                classifier,
                x,
                torch.from_numpy(pictures.y[number : number + 1].copy()),
                threat=PixelChange(norm="Linf", radius=0.3),
                generator=generator,
            )
        found.append(bool((result.x != x).any()))
        streams.append(np.concatenate(asked))
    return Attack(name, streams, float(np.mean(found)))


def bench_mnist() -> None:
    """A small network, its detectors and its attackers."""
    rng = np.random.default_rng(0)
    train, calibration, fresh = mnist_parts(8_000, 12_000, 12_000)
    network = small_network(train)
    view = view_of(train)
    rates = {1: 0.01, 8: 0.002, 32: 0.01}
    statistics: list[Statistic] = [
        NearQueries(view=view, window=8),
        NearQueries(view=view, window=32),
        Fingerprints(view=view, window=8),
        QueryDistances.of(train, rng=rng, window=8),
        ShapiroWilk(view=view, window=8),
        Neighbours.of(train, rng=rng),
        Squeezing(view=view, predict=network.probabilities, levels=2),
        Energy(view=view, logits=network.logits),
    ]
    detectors = [
        Tried.of(statistic, calibration, fresh.pixels, rates[statistic.window], rng) for statistic in statistics
    ]
    right = np.flatnonzero(network.logits(fresh.pixels[:200]).argmax(axis=1) == fresh.y[:200])
    plain = square_attack("square", network.probabilities, fresh.take(right), 0)
    attacks = [
        plain,
        square_attack("square, noisy", network.probabilities, fresh.take(right), 32),
        Attack("square, mixed 1:1", mixed(plain.streams, fresh.pixels, 1, rng), plain.success),
        Attack("square, mixed 1:8", mixed(plain.streams, fresh.pixels, 8, rng), plain.success),
        Attack("square, spread", spread(plain.streams), plain.success),
    ]
    for attack in attacks:
        for detector in detectors:
            detector.tell("mnist", attack)


def bench_order() -> None:
    """Honest windows flagged where pictures of one writer follow one another, and 1 % was asked for."""
    rng = np.random.default_rng(0)
    train, calibration, _ = mnist_parts()
    view, pictures = view_of(train), mnist_in_file_order()
    distances = QueryDistances.of(train, rng=rng, window=32)
    for statistic in (NearQueries(view=view, window=32), Fingerprints(view=view, window=32), distances):
        detector = calibrate(statistic, calibration, false_alarm_rate=0.01, rng=rng)
        for order, queries in (("file", pictures), ("random", pictures[rng.permutation(len(pictures))])):
            line = {"bench": "detection", "case": f"mnist/honest, in {order} order/{statistic.kind}"}
            more = {"peer": None, "peer_name": None, "ratio": None, "unit": "share of windows"}
            print(json.dumps(line | {"ours": round(float(detector.flags(queries).mean()), 4)} | more), flush=True)


def main() -> None:
    """The data sets that were asked for, or all."""
    wanted = sys.argv[1:] or ["tumour", "ulb", "mnist", "order"]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if "tumour" in wanted:
        bench_tables("tumour", load(tumour_frame(), tumour_schema()), rates={1: 0.05, 4: 0.05, 8: 0.05})
    if "ulb" in wanted:
        bench_tables("ulb", ulb(), rates={1: 0.01, 8: 0.005, 32: 0.01})
    if "mnist" in wanted:
        bench_mnist()
    if "order" in wanted:
        bench_order()


if __name__ == "__main__":
    main()
