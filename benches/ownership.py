"""How often watermark and fingerprint claim an innocent model, and what of them survives what thieves do.

Prints one JSON line for each case: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit", ...}. For false
claims `ours` is the share of innocent models claimed at a level of 5 %, with its interval; the peer is the same share
where a suspect is ranked among independent models trained on the owner's spare records, as is common. For survival
`ours` is the p-value for a copy made in that way, over three owners the largest, beside the matches and how often
the copy is right; that of the stolen model is what the watermark costs, or not.

Copies. `stolen`: the model itself. `pruned`: a tree without its weakest branches, a network without its smallest
weights. `tuned`: trained on, with other records. `distilled`: a new model of other records with the model's labels (of
pictures: probabilities). `extracted`: the same with 2,000 made-up rows. `between`: with 2,000 rows between others.

The tumour data comes with scikit-learn; the ULB sample and MNIST are read from the folder that HOLDFAST_DATA names.
Names of cases (false, tumour, ulb, mnist) as arguments choose among them.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from bench_models import Network, Plain, learn, mnist_parts, small_network, ulb
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from holdfast.attacks import levelled_rows
from holdfast.data import Dataset, load, tumour_frame, tumour_schema
from holdfast.data.images import Images
from holdfast.hardening.ownership import (
    Classify,
    Fingerprint,
    OwnershipResult,
    Watermark,
    choose_fingerprint,
    classify,
    fingerprint_model,
    marked,
    pictures_between,
    rows_between,
)
from holdfast.hardening.ownership.carriers import form_of
from holdfast.intervals import proportion

FRACTION, LEVEL, OWNERS = 0.3, 0.05, 3
Suspects = Iterator[tuple[str, Classify]]


def tree(data: Dataset, *, seed: int) -> Plain:
    """A full decision tree."""
    return Plain(DecisionTreeClassifier(max_features=0.5, random_state=seed), data)


def boosted(data: Dataset, *, seed: int) -> Plain:
    """Thirty boosted trees."""
    return Plain(GradientBoostingClassifier(n_estimators=30, subsample=0.7, random_state=seed), data)


def logistic(data: Dataset, *, seed: int) -> Plain:
    """A logistic regression, with next to no shrinkage."""
    del seed
    return Plain(LogisticRegression(C=100, max_iter=1_000), data)


TRAINERS = {"tree": tree, "boosted": boosted, "logistic": logistic}


def tell(
    case: str, ours: float, unit: str, peer: float | None = None, peer_name: str | None = None, **more: Any
) -> None:
    """One JSON line."""
    line = {"bench": "ownership", "case": case, "ours": ours, "peer": peer, "peer_name": peer_name, "ratio": None}
    print(json.dumps(line | {"unit": unit} | more), flush=True)


def drawn(records: Dataset, rng: np.random.Generator) -> tuple[Dataset, Dataset, int]:
    """One secret draw: training records, what is left, and a seed."""
    seeds = rng.integers(2**31, size=2)
    return *records.split(test_fraction=FRACTION, seed=int(seeds[0])), int(seeds[1])


def false_claims(name: str, records: Dataset, owners: int = 100, twins: int = 19) -> None:
    """Innocent models: of a stranger's records, and twins of the same records; beside the common way to judge."""
    train, rng = TRAINERS[name], np.random.default_rng(0)
    claims: dict[str, list[bool]] = {"stranger": [], "twin": [], "spare": []}
    for _ in range(owners):
        mine, other = records.split(test_fraction=0.5, seed=int(rng.integers(2**31)))
        learned, spare, seed = drawn(mine, rng)
        model = train(learned, seed=seed)
        fingerprint = fingerprint_model(
            model, mine, trainer=train, test_fraction=FRACTION, rng=rng, twins=twins, queries=300
        )
        for kind, pool in (("stranger", other), ("twin", mine)):
            part, _, seed = drawn(pool, rng)
            suspect = classify(train(part, seed=seed))
            claims[kind].append(fingerprint.verify(suspect, commitment=fingerprint.commitment, alpha=LEVEL).claimed)
            if kind == "stranger":
                judges = [classify(train(_half(spare, rng), seed=number)) for number in range(twins + 10)]
                X = rows_between(mine, n=1_200, rng=rng)
                claims["spare"].append(ranked(classify(model), suspect, judges, X) <= LEVEL)
    figures = {kind: proportion(sum(found), len(found)) for kind, found in claims.items()}
    for kind in ("stranger", "twin"):
        figure, peer = figures[kind], figures["spare"].value if kind == "stranger" else None
        tell(
            f"false claims/fingerprint/{name}/{kind}",
            figure.value,
            f"share at {LEVEL:.0%}",
            peer,
            "rank among models of spare records" if peer is not None else None,
            interval=[figure.low, figure.high],
            owners=owners,
        )


def ranked(model: Classify, suspect: Classify, independent: list[Classify], X: NDArray[Any]) -> float:
    """The common way: inputs on which ten independent models differ from the owner's, matches ranked among others'."""
    said = model(X)
    chosen = np.argsort(np.mean([other(X) == said for other in independent[:10]], axis=0), kind="stable")[:300]
    matches = [int(np.sum(other(X[chosen]) == said[chosen])) for other in (suspect, *independent[10:])]
    return sum(other >= matches[0] for other in matches) / len(matches)


def _half(data: Dataset, rng: np.random.Generator) -> Dataset:
    return data.take(rng.permutation(len(data))[: len(data) // 2])


def false_watermarks(records: Dataset, keys: int = 1_000) -> None:
    """Innocent models of each kind, ten trained independently, against many keys."""
    for name, train in TRAINERS.items():
        halves = [records.split(test_fraction=0.5, seed=seed)[0] for seed in range(10)]
        suspects = [classify(train(half, seed=seed)) for seed, half in enumerate(halves)]
        false_keys(name, suspects, records, count=50, keys=keys)


def false_keys(name: str, suspects: list[Classify], data: Dataset | Images, *, count: int, keys: int) -> None:
    """A line: how many of so many keys claim one of the innocent models, each key asking another one in turn."""
    rng = np.random.default_rng(0)
    asked = [(drawn_key(data, count, rng), suspects[number % len(suspects)]) for number in range(keys)]
    figure = proportion(sum(_verified(key, suspect, alpha=LEVEL).claimed for key, suspect in asked), keys)
    case, interval = f"false claims/watermark/{name}", [figure.low, figure.high]
    tell(case, figure.value, f"share at {LEVEL:.0%}", interval=interval, keys=keys, models=len(suspects))


def drawn_key(data: Dataset | Images, count: int, rng: np.random.Generator) -> Watermark:
    """As `draw_watermark`, but the same in every run."""
    return Watermark(form=form_of(data), count=count, secret=rng.bytes(32))


def _verified(key: Watermark | Fingerprint, suspect: Classify, alpha: float = 0.01) -> OwnershipResult:
    return key.verify(suspect, commitment=key.commitment, alpha=alpha)


def copies_of(model: Classify, train: Callable[..., Plain], other: Dataset, rng: np.random.Generator) -> Suspects:
    """What thieves make of a model of tables, who have other records or none."""
    yield "stolen", model
    schema = other.schema
    sources = {
        "distilled": other.X,
        "extracted": levelled_rows(schema, 2_000, rng),
        "between": rows_between(other, n=2_000, rng=rng),
    }
    for kind, X in sources.items():
        yield kind, classify(train(Dataset(schema, X, model(X)), seed=int(rng.integers(2**31))))


def pruned(data: Dataset, seed: int) -> Plain:
    """The same tree without the branches that cost complexity above 0.003 does not keep."""
    return Plain(DecisionTreeClassifier(max_features=0.5, ccp_alpha=0.003, random_state=seed), data)


def survival(name: str, records: Dataset, kinds: list[str], *, twins: int, carriers: int) -> None:
    """Both proofs on copies of tables' models."""
    for kind in kinds:
        train, found = TRAINERS[kind], Tally(f"{name}/{kind}")
        for owner in range(OWNERS):
            rng = np.random.default_rng(owner)
            mine, rest = records.split(test_fraction=0.5, seed=owner + 1)
            other, test = rest.split(test_fraction=0.5, seed=owner + 10)
            learned, _, seed = drawn(mine, rng)
            model = train(learned, seed=seed)
            key = drawn_key(records, carriers, rng)
            data = marked(learned, key)
            with_mark = train(data, seed=seed)
            fingerprint = fingerprint_model(model, mine, trainer=train, test_fraction=FRACTION, rng=rng, twins=twins)
            suspects = {
                "fingerprint": [*copies_of(classify(model), train, other, rng)],
                "watermark": [*copies_of(classify(with_mark), train, other, rng)],
            }
            if kind == "tree":
                suspects["fingerprint"].append(("pruned", classify(pruned(learned, seed))))
                suspects["watermark"].append(("pruned", classify(pruned(data, seed))))
            for method, secret in (("fingerprint", fingerprint), ("watermark", key)):
                for thief, suspect in suspects[method]:
                    found.add(method, thief, _verified(secret, suspect), float(np.mean(suspect(test.X) == test.y)))
        found.tell()


class Tally:
    """Results over owners, by method and copy."""

    def __init__(self, case: str) -> None:
        self._case = case
        self._results: dict[tuple[str, str], list[tuple[OwnershipResult, float]]] = {}

    def add(self, method: str, thief: str, result: OwnershipResult, worth: float) -> None:
        """One copy."""
        self._results.setdefault((method, thief), []).append((result, worth))

    def tell(self) -> None:
        """A line for each kind of copy: the p-values of all owners, the largest first."""
        for (method, thief), found in self._results.items():
            tell(
                f"survival/{self._case}/{method}/{thief}",
                max(result.p_value for result, _ in found),
                "p-value",
                p_values=sorted((result.p_value for result, _ in found), reverse=True),
                match_rate=round(float(np.mean([result.matches / result.queries for result, _ in found])), 3),
                copy_accuracy=round(float(np.mean([worth for _, worth in found])), 3),
            )


def thinned(network: Network, share: float) -> Network:
    """Without this share of the weights of each layer, the smallest."""
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        for layer in module:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight[layer.weight.abs() < layer.weight.abs().flatten().quantile(share)] = 0.0
    return Network(module)


def tuned(network: Network, data: Images, epochs: int) -> Network:
    """Trained on, with other pictures and their true labels."""
    module = copy.deepcopy(network.module)
    learn(module, data.pixels, torch.from_numpy(data.y.copy()), epochs=epochs, seed=1)
    return Network(module)


def student(network: Network, pixels: NDArray[np.uint8], seed: int) -> Network:
    """A new network with the probabilities of the old one for its targets."""
    made = copy.deepcopy(network.module)
    torch.manual_seed(seed)
    for layer in made:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.reset_parameters()
    targets = torch.from_numpy(network.probabilities(pixels)).float()
    learn(made, pixels, targets, epochs=4, seed=seed)
    return Network(made)


def network_copies(network: Network, other: Images, rng: np.random.Generator) -> Iterator[tuple[str, Network]]:
    """What thieves make of a network who have 10,000 other pictures."""
    yield "stolen", network
    yield "pruned 50 %", thinned(network, 0.5)
    yield "pruned 80 %, tuned", tuned(thinned(network, 0.8), other, 1)
    yield "tuned", tuned(network, other, 3)
    yield "distilled", student(network, other.pixels, 5)
    yield "between", student(network, pictures_between(other, n=10_000, rng=rng), 6)


def bench_mnist(twins: int = 19) -> None:
    """Both proofs on copies of a small network."""
    rng = np.random.default_rng(0)
    mine, other, test = mnist_parts(8_000, 10_000, 5_000)
    seeds = rng.integers(2**31, size=twins + 1)

    def made(seed: int) -> Network:
        return small_network(mine.split(test_fraction=FRACTION, seed=seed)[0], seed=seed, epochs=4)

    models = []
    for seed in seeds.tolist():
        models.append(made(seed))
        print(f"network {len(models)} of {len(seeds)}", file=sys.stderr)
    candidates = pictures_between(mine, n=4_000, rng=rng)
    fingerprint = choose_fingerprint(
        models[0].classes, [model.classes for model in models[1:]], candidates, classes=10, queries=1_000
    )
    false_keys("network", [model.classes for model in models], mine, count=100, keys=1_000)
    key = drawn_key(mine, 100, rng)
    first = int(seeds[0])
    learned = mine.split(test_fraction=FRACTION, seed=first)[0]
    with_mark = small_network(marked(learned, key, copies=30), seed=first, epochs=4)
    found = Tally("mnist/network")
    for method, secret, model in (("fingerprint", fingerprint, models[0]), ("watermark", key, with_mark)):
        for thief, suspect in network_copies(model, other, rng):
            worth = float(np.mean(suspect.classes(test.pixels) == test.y))
            found.add(method, thief, _verified(secret, suspect.classes), worth)
    found.tell()


def main() -> None:
    """The cases that were asked for, or all."""
    wanted = sys.argv[1:] or ["false", "tumour", "ulb", "mnist"]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    tumour = load(tumour_frame(), tumour_schema())
    if "false" in wanted:
        false_watermarks(tumour)
        for name in ("tree", "logistic"):
            false_claims(name, tumour)
    if "tumour" in wanted:
        survival("tumour", tumour, ["tree", "boosted", "logistic"], twins=99, carriers=50)
    if "ulb" in wanted:
        records = ulb().take(np.random.default_rng(0).permutation(len(ulb()))[:8_000])
        survival("ulb", records, ["tree", "logistic"], twins=19, carriers=50)
    if "mnist" in wanted:
        bench_mnist()


if __name__ == "__main__":
    main()
