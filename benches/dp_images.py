"""What private training of pictures reaches, beside training without privacy on the same pictures.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}, the means over
all runs on the official test pictures, and with "runs" each of ours. `mnist-eps3` is MNIST at epsilon 3,
`pneumonia-eps8` PneumoniaMNIST at epsilon 8, delta 1e-5 in both. The peers see the records in the clear: the same
features under a linear model without noise or clipping, and a small convolutional network. Seconds are those of a whole
private fit, features included.

MNIST and PneumoniaMNIST are read from the folder that HOLDFAST_DATA names, by default ../shared/data beside the
repository. A run takes minutes, so each is appended to a file (`--out`, by default benches/.models/dp_images.jsonl) and
not repeated. `--runs N` says how many (5); name cases to run only those.

The constants of the recipe were chosen on training pictures of MNIST, held out from one another; no test picture and no
picture of PneumoniaMNIST had a part in that.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn

from holdfast.data.images import Images
from holdfast.training.account.events import NoisySums
from holdfast.training.images.channels import learn_channels
from holdfast.training.images.classifier import DPImageClassifier
from holdfast.training.images.features import features_of
from holdfast.training.images.moves import moved
from holdfast.training.images.network import Responses

DATA: Final = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))


class Case(NamedTuple):
    """A file, epsilon, the epochs of the peers, and the copies of each picture that all but one of them get."""

    name: str
    epsilon: float
    epochs: int
    copies: int


OUT: Final = Path(__file__).parent / ".models" / "dp_images.jsonl"
DELTA: Final = 1e-5
CASES: Final = {
    "mnist-eps3": Case("mnist", 3.0, epochs=5, copies=1),
    "pneumonia-eps8": Case("pneumoniamnist", 8.0, epochs=30, copies=8),
}
NO_NOISE: Final = 0.25
"""The least noise multiplier of a noisy sum; over thousands of pictures it moves nothing."""

Figures = dict[str, float]


def load(name: str) -> tuple[Images, Images]:
    """Training and test pictures."""
    with np.load(DATA / f"{name}.npz") as archive:
        pixels, labels = ("x_{}", "y_{}") if "x_train" in archive.files else ("{}_images", "{}_labels")
        parts = [(archive[pixels.format(part)], archive[labels.format(part)]) for part in ("train", "test")]
    train, test = (Images.of(X, y.astype(np.int64)) for X, y in parts)
    return train, test


def private(train: Images, test: Images, case: Case, _run: int) -> Figures:
    start = time.perf_counter()
    fitted = DPImageClassifier(case.epsilon, delta=DELTA, copies=case.copies).fit(train)
    seconds = time.perf_counter() - start
    return {**scores(test, fitted.predict_proba(test)), "seconds": seconds, "epsilon": fitted.epsilon_}


def same_features(train: Images, test: Images, case: Case, run: int) -> Figures:
    responses = Responses(*train.pixels.shape[1:])
    (X, y), summary = records(train, responses, copies=case.copies)
    standardise = learn_channels(summary, NoisySums(noise_multiplier=NO_NOISE, count=1, width=summary.shape[1]))
    (T, _), _ = records(test, responses, copies=1)
    module = nn.Sequential(standardise, nn.Linear(int(np.prod(responses.shape)), len(train.classes)))
    learn(module, X, y, epochs=case.epochs, rate=1e-4, run=run, one_of=lambda rows, coins: rows[any_copy(rows, coins)])
    return scores(test, answers(module, T[:, 0]))


def any_copy(rows: Tensor, coins: torch.Generator) -> tuple[Tensor, Tensor]:
    return torch.arange(len(rows)), torch.randint(rows.shape[1], (len(rows),), generator=coins)


def records(images: Images, responses: Responses, *, copies: int) -> Any:
    return features_of(images, responses, copies=copies, memory_cap_bytes=2**33, progress=lambda _done, _total: None)


def network(train: Images, test: Images, case: Case, run: int) -> Figures:
    torch.manual_seed(run)
    module = nn.Sequential(
        *(nn.Conv2d(train.pixels.shape[3], 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.LazyLinear(64), nn.ReLU(), nn.Linear(64, len(train.classes))),
    )
    X, T = (torch.tensor(part.pixels).permute(0, 3, 1, 2) / 255 for part in (train, test))
    module(X[:1])
    learn(
        module,
        X,
        torch.tensor(train.y),
        epochs=case.epochs,
        rate=1e-3,
        run=run,
        one_of=moves if case.copies > 1 else still,
    )
    return scores(test, answers(module, T))


def moves(rows: Tensor, coins: torch.Generator) -> Tensor:
    return moved(rows.permute(0, 2, 3, 1), coins).permute(0, 3, 1, 2)


def still(rows: Tensor, _coins: torch.Generator) -> Tensor:
    return rows


Copy = Callable[[Tensor, torch.Generator], Tensor]


def learn(module: nn.Module, X: Tensor, y: Tensor, *, epochs: int, rate: float, run: int, one_of: Copy) -> None:
    """Adam, in shuffled batches, with a rate that falls to 0."""
    generator = torch.Generator().manual_seed(run)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(y), generator=generator), 128):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(module(one_of(X[rows], generator)), y[rows]))
            optimizer.step()
        schedule.step()


def answers(module: nn.Module, X: Tensor) -> Any:
    with torch.no_grad():
        return torch.cat([module(part) for part in torch.split(X, 512)]).numpy()


def scores(test: Images, answered: Any) -> Figures:
    predicted = answered.argmax(1)
    return {
        "accuracy": float(np.mean(predicted == test.y)),
        "balanced accuracy": float(balanced_accuracy_score(test.y, predicted)),
    }


WAYS: Final[dict[str, Callable[[Images, Images, Case, int], Figures]]] = {
    "ours": private,
    "same features without privacy": same_features,
    "convolutional network without privacy": network,
}


def measure(case: str, *, runs: int, out: Path) -> dict[str, list[Figures]]:
    """Every run of a case, those in the file as they are there."""
    kept = [json.loads(text) for text in out.read_text().splitlines()] if out.exists() else []
    done = {(line["way"], line["run"]): line["figures"] for line in kept if line["case"] == case}
    train, test = load(CASES[case].name)
    for run in range(runs):
        for way, make in WAYS.items():
            if (way, run) not in done:
                done[way, run] = make(train, test, CASES[case], run)
                with out.open("a") as file:
                    file.write(json.dumps({"case": case, "way": way, "run": run, "figures": done[way, run]}) + "\n")
    return {way: [done[way, run] for run in range(runs)] for way in WAYS}


def report(case: str, figures: dict[str, list[Figures]]) -> None:
    for unit in ("accuracy", "balanced accuracy", "seconds"):
        runs = [round(run[unit], 4) for run in figures["ours"]]
        line: dict[str, Any] = {"bench": "dp_images", "case": case, "ours": round(statistics.mean(runs), 4)}
        for way in list(WAYS)[1:] if unit != "seconds" else [None]:
            theirs = statistics.mean(run[unit] for run in figures[way]) if way else None
            ratio = round(line["ours"] / theirs, 3) if theirs else None
            beside = {"peer": theirs and round(theirs, 4), "peer_name": way, "ratio": ratio, "unit": unit, "runs": runs}
            print(json.dumps(line | beside), flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("cases", nargs="*", default=list(CASES))
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--out", type=Path, default=OUT)
    asked = options.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    for case in asked.cases:
        try:
            report(case, measure(case, runs=asked.runs, out=asked.out))
        except FileNotFoundError as missing:
            print(json.dumps({"bench": "dp_images", "skipped": case, "reason": str(missing)}), flush=True)


if __name__ == "__main__":
    main()
