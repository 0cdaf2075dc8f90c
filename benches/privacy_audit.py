"""Attacks on membership beside what the papers write and what others published, and 64 shadow models in one go.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}. The ratio is peer
over ours for seconds and ours over peer for all else, so above 1 is better for us.

shadow-64           seconds on the clock and of processors for 64 shadow models, multilayer perceptrons of 64 hidden
                    units, and their answers about all records: trained as one, beside the same 64 trained one after the
                    other by an ordinary PyTorch loop. Adult: 5,000 records, 105 encoded features, 20 epochs of batches
                    of 64. Location-30: 2,000 records, 446 features, 30 epochs of batches of 32. Threads as
                    OMP_NUM_THREADS says.
textbook            AUC of LiRA and RMIA on Location-30, mean over ten targets, beside loops that follow the papers'
                    formulas on the same shadows. For so few shadows variances are pooled over records, as the paper
                    advises.
location-30         advantage over guessing (TPR - FPR) at a threshold that was fixed on the shadows, mean over the ten
                    targets: about 1,000 members and 1,000 others, networks that fit their members perfectly. Published
                    for as many records: 0.562 (modified entropy) and 0.526 (confidence), which the code of Song and
                    Mittal (USENIX Security 2021, github.com/inspire-group/membership-inference-evaluation) gives on the
                    predictions that it comes with, of a network with 62.6 % test accuracy; 0.46 by an attack network
                    (Jia et al., CCS 2019, github.com/jinyuan-jia/MemGuard: accuracy 0.73 without a defence). Ours is
                    another network, whose accuracy is printed too, and its attacker is stronger: he trains shadows on
                    the very records. The loss threshold alone is the like of theirs.
label-only          advantage of the attack on labels alone, on 300 members and 300 others of one target, beside the gap
                    attack, which calls every record a member that is labelled rightly.

Adult and Location-30 are read from the folder that HOLDFAST_DATA names, by default ../shared/data beside the
repository. Cases as arguments (shadow-64, textbook, location-30, label-only) run alone.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from holdfast.attacks.privacy import (
    ATTACKS,
    LIRA,
    LIRA_OFFLINE,
    RMIA,
    RMIA_OFFLINE,
    Attack,
    MembershipTest,
    NetworkTrainer,
    Shadows,
    label_only,
    labels_of,
    train_shadows,
)
from holdfast.data import Dataset, Feature, Schema
from holdfast.models import Encoding, accuracy

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SHADOWS = 64
TARGETS = 10
ADULT_NUMBERS = {0: (0, 120), 2: (0, 2_000_000), 4: (0, 20), 10: (0, 100_000), 11: (0, 10_000), 12: (0, 100)}
ADULT_TRAINER = NetworkTrainer(hidden=(64,), epochs=20, batch_size=64)
LOCATION_TRAINER = NetworkTrainer(hidden=(64,), epochs=30, batch_size=32)
PUBLISHED = 0.562
"""The strongest of the published attacks on Location-30, see above."""

Floats = NDArray[np.float64]


def adult(rows: int = 5_000) -> Dataset:
    """The first rows of the training file."""
    frame = pd.read_csv(DATA / "uci_adult_train.csv.gz", header=None, nrows=rows, skipinitialspace=True)
    features, columns = [], []
    for position in range(14):
        column = frame[position]
        if position in ADULT_NUMBERS:
            low, high = ADULT_NUMBERS[position]
            features.append(Feature(name=f"f{position}", kind="real", low=low, high=high))
            columns.append(column.to_numpy(dtype=np.float64))
        else:
            codes, names = pd.factorize(column.astype(str), sort=True)
            features.append(Feature(name=f"f{position}", kind="category", categories=tuple(names)))
            columns.append(codes.astype(np.float64))
    schema = Schema(features=tuple(features), target="income", classes=("<=50K", ">50K"))
    return Dataset(schema, np.column_stack(columns), np.array(frame[14].str.strip(". ") == ">50K", dtype=np.int64))


def location(rows: int = 2_000) -> Dataset:
    """Rows drawn at random: 446 places, visited or not, and the kind of visitor."""
    with np.load(DATA / "location30_bangkok.npz", allow_pickle=False) as file:
        X, y = file["features"].astype(np.float64), file["labels"].astype(np.int64)
    places = tuple(Feature(name=f"place {n}", kind="integer", low=0, high=1) for n in range(X.shape[1]))
    schema = Schema(features=places, target="kind", classes=tuple(map(str, range(30))))
    drawn = np.random.default_rng(0).permutation(len(y))[:rows]
    return Dataset(schema, X[drawn], y[drawn] - y.min())


def line(case: str, ours: float, peer: float | None = None, *, peer_name: str = "", unit: str) -> None:
    ratio = None if not peer else peer / ours if unit in ("s", "CPU s") else ours / peer
    figures = {"ours": ours, "peer": peer, "ratio": ratio}
    rounded = {name: None if value is None else round(value, 4) for name, value in figures.items()}
    print(
        json.dumps({"bench": "privacy_audit", "case": case, "peer_name": peer_name, "unit": unit} | rounded), flush=True
    )


def one_after_the_other(data: Dataset, trainer: NetworkTrainer, inside: NDArray[np.bool_]) -> None:
    """The same networks by an ordinary loop."""
    X, y = torch.from_numpy(Encoding(data.schema).encode(data.X).astype(np.float32)), torch.from_numpy(data.y.copy())
    for seed, members in enumerate(inside):
        torch.manual_seed(seed)
        widths = (X.shape[1], *trainer.hidden)
        layers = [layer for a, b in pairwise(widths) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], len(data.schema.classes)))
        optimizer = torch.optim.Adam(model.parameters(), lr=trainer.learning_rate)
        rows = torch.from_numpy(np.flatnonzero(members))
        for _ in range(trainer.epochs):
            for batch in rows[torch.randperm(len(rows))].split(trainer.batch_size):  # type: ignore[no-untyped-call]
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        with torch.no_grad():
            model(X).softmax(dim=1)


def seconds_of(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of processors."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def shadows_of(name: str, data: Dataset, trainer: NetworkTrainer, *, timed: bool) -> Shadows:
    made: list[Shadows] = []

    def together() -> None:
        made.append(train_shadows(data, trainer=trainer, n_shadows=SHADOWS, rng=np.random.default_rng(1)))

    ours = seconds_of(together)
    if timed:
        peer = seconds_of(lambda: one_after_the_other(data, trainer, made[0].inside))
        for mine, theirs, unit in zip(ours, peer, ("s", "CPU s"), strict=True):
            line(f"shadow-64 {name}", mine, theirs, peer_name="PyTorch, one after the other", unit=unit)
    return made[0]


def gaussians(values: Floats, inside: NDArray[np.bool_], *, side: bool) -> tuple[Floats, float]:
    """Means by record, and the deviation pooled over all of them."""
    groups = [values[inside[:, i] == side, i] for i in range(values.shape[1])]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return np.array([group.mean() for group in groups]), math.sqrt(squares / sum(len(group) - 1 for group in groups))


def textbook_lira(target: Floats, shadows: Shadows) -> Floats:
    """Carlini et al. 2022, algorithm 1."""
    (mean_in, scale_in), (mean_out, scale_out) = (
        gaussians(shadows.logits, shadows.inside, side=side) for side in (True, False)
    )
    likelihoods = zip(target, mean_in, mean_out, strict=True)
    return np.array([stats.norm.logpdf(t, a, scale_in) - stats.norm.logpdf(t, b, scale_out) for t, a, b in likelihoods])


def textbook_lira_offline(target: Floats, shadows: Shadows) -> Floats:
    mean, scale = gaussians(shadows.logits, shadows.inside, side=False)
    return np.array([-stats.norm.logsf(t, m, scale) for t, m in zip(target, mean, strict=True)])


def textbook_rmia(target: Floats, shadows: Shadows, *, offline: bool = False) -> Floats:
    """Zarifzadeh et al. 2024, algorithm 1, gamma = 1, the records themselves as the population."""
    P = 1 / (1 + np.exp(-shadows.logits))
    a = (1 - P[shadows.inside]).mean() / (1 - P[~shadows.inside]).mean()
    ratios = []
    for i in range(len(target)):
        p_in, p_out = P[shadows.inside[:, i], i].mean(), P[~shadows.inside[:, i], i].mean()
        p_x = ((1 + a) * p_out + 1 - a) / 2 if offline else (p_in + p_out) / 2
        ratios.append(1 / (1 + math.exp(-target[i])) / p_x)
    return np.array([np.mean(ratio / np.array(ratios) >= 1) for ratio in ratios])


TEXTBOOK: dict[str, Callable[[Floats, Shadows], Floats]] = {
    LIRA.name: textbook_lira,
    LIRA_OFFLINE.name: textbook_lira_offline,
    RMIA.name: textbook_rmia,
    RMIA_OFFLINE.name: lambda target, shadows: textbook_rmia(target, shadows, offline=True),
}


def target(shadows: Shadows, position: int) -> MembershipTest:
    """One of the shadows as the target, the others as its shadows."""
    return MembershipTest(
        logits=shadows.logits[position], member=shadows.inside[position], shadows=shadows.without(position)
    )


def beside_the_papers(attack: Attack, tests: list[MembershipTest]) -> None:
    def area(scores: Callable[[Floats, Shadows], Floats]) -> float:
        return statistics.mean(float(roc_auc_score(test.member, scores(test.logits, test.shadows))) for test in tests)

    if attack.name in TEXTBOOK:
        line(attack.name, area(attack.scores), area(TEXTBOOK[attack.name]), peer_name="the paper as loops", unit="AUC")


def beside_the_published(attack: Attack, tests: list[MembershipTest]) -> None:
    found = statistics.mean(test.run(attack).advantage.value for test in tests)
    line(f"location-30 {attack.name}", found, PUBLISHED, peer_name="Song and Mittal 2021", unit="advantage")


def labels_alone(data: Dataset, shadows: Shadows) -> None:
    members, others = data.take(shadows.inside[0]), data.take(~shadows.inside[0])
    model = LOCATION_TRAINER(members, seed=0)
    line("location-30 members", accuracy(model, members), unit="accuracy")
    line("location-30 others", accuracy(model, others), unit="accuracy")
    found = label_only(
        labels_of(model),
        members=members.take(np.arange(300)),
        non_members=others.take(np.arange(300)),
        trainer=LOCATION_TRAINER,
        max_queries=100_000,
        rng=np.random.default_rng(0),
    )
    if (result := found.membership) is not None:
        right = result.scores > 0
        gap = float(right[result.member].mean() - right[~result.member].mean())
        line("label-only location-30", result.advantage.value, gap, peer_name="gap attack", unit="advantage")
    line("label-only location-30", found.queries / 600, unit="queries for a record")


def main(cases: set[str]) -> None:
    def wanted(case: str) -> bool:
        return not cases or case in cases

    if wanted("shadow-64"):
        shadows_of("adult", adult(), ADULT_TRAINER, timed=True)
    data = location()
    shadows = shadows_of("location-30", data, LOCATION_TRAINER, timed=wanted("shadow-64"))
    tests = [target(shadows, position) for position in range(TARGETS)]
    for attack in ATTACKS:
        if wanted("textbook"):
            beside_the_papers(attack, tests)
        if wanted("location-30"):
            beside_the_published(attack, tests)
    if wanted("label-only"):
        labels_alone(data, shadows)


if __name__ == "__main__":
    main(set(sys.argv[1:]))
