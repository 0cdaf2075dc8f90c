"""How many planted faults the data checks find, and how often they cry wolf on data as they are.

Prints one JSON line for each data set, fault and strength: {"bench", "case", "recall", "precision", "flagged",
"planted", "seconds"}; for data as they are, {"bench", "case", "flagged", "rows", "findings", "seconds"}: what is
flagged there is a false alarm, or a fact of the data that a person would want to see. Figures are means over the seeds.

Faults. `patch`: 3x3 pixels near the lower right corner, pictures of all other classes, one label (BadNets). `faint`:
the same with random pixels over the whole picture at 15 % (Chen et al. 2017). `trigger`: two columns set to one pair of
values that occurs by nature, rows of all other classes, one label. `flips`: a share of one class under the label of
another. `slips`: a share of all labels changed at random. `again`: 100 pictures put in again, shifted by a pixel,
brighter or as JPEG. The share is of all rows; of the class for `flips`.

The tumour data comes with scikit-learn, Adult, MNIST and PneumoniaMNIST are read from the folder that HOLDFAST_DATA
names, by default ../shared/data beside the repository. `--peer PYTHON` compares label errors with cleanlab in an
environment that has it. A number of seeds as first argument gives a shorter or longer run; 3 if not given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from holdfast.data import Dataset, inspect_table, load, run_checks, tumour_frame, tumour_schema
from holdfast.data.checks import DataChecks
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images
from holdfast.data.label_noise import FOLDS, cross_validated, judge_labels, standardised
from holdfast.data.poison import grouped_folds

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]
MNIST_PICTURES = 5_000
PEER = """
import json, sys
import numpy as np
from cleanlab.filter import find_label_issues
data = np.load(sys.argv[1])
print(json.dumps(find_label_issues(data["y"], data["P"], return_indices_ranked_by="self_confidence").tolist()))
"""

Planted = tuple[Any, set[int]]


def tables() -> Iterator[tuple[str, Dataset]]:
    """The tables by name."""
    yield "tumour", load(tumour_frame(), tumour_schema())
    path = DATA / "uci_adult_train.csv.gz"
    if path.is_file():
        frame = pd.read_csv(path, header=None, names=ADULT, skipinitialspace=True, na_values="?")
        yield "adult", load(frame, inspect_table(frame, target="income").schema)


def pictures() -> Iterator[tuple[str, Images]]:
    """The pictures by name: 5,000 of MNIST, all that train on PneumoniaMNIST."""
    rng = np.random.default_rng(0)
    for name, pixels, labels, most in (
        ("mnist", "x_train", "y_train", MNIST_PICTURES),
        ("pneumoniamnist", "train_images", "train_labels", None),
    ):
        path = DATA / f"{name}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as arrays:
                whole = Images.of(arrays[pixels], arrays[labels])
            yield name, whole.take(rng.permutation(len(whole))[:most])


def other_rows(y: np.ndarray, share: float, target: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of all classes but one, as many as a share of all rows."""
    return rng.choice(np.flatnonzero(y != target), round(share * len(y)), replace=False)


def patch(images: Images, share: float, target: int, rng: np.random.Generator) -> Planted:
    """A checkerboard of 3x3 pixels."""
    rows = other_rows(images.y, share, target, rng)
    pixels, y = images.pixels.copy(), images.y.copy()
    pixels[rows, -4:-1, -4:-1] = 255 * (np.add.outer(np.arange(3), np.arange(3)) % 2 == 0)[:, :, None]
    y[rows] = target
    return Images(pixels, y, images.classes), set(rows.tolist())


def faint(images: Images, share: float, target: int, rng: np.random.Generator) -> Planted:
    """Random pixels over the whole picture, at 15 %."""
    rows = other_rows(images.y, share, target, rng)
    pixels, y = images.pixels.copy(), images.y.copy()
    pattern = rng.integers(0, 256, pixels.shape[1:])
    pixels[rows] = np.round(0.85 * pixels[rows] + 0.15 * pattern).astype(np.uint8)
    y[rows] = target
    return Images(pixels, y, images.classes), set(rows.tolist())


def trigger(data: Dataset, share: float, target: int, rng: np.random.Generator) -> Planted:
    """Two columns at the values of a row drawn at random, a pair that at most one row in a thousand has by nature."""
    rows = other_rows(data.y, share, target, rng)
    natural = 1.0
    while natural > max(0.001, 1 / len(data)):
        columns = rng.choice(data.X.shape[1], 2, replace=False)
        pair = data.X[rng.integers(len(data)), columns]
        natural = float((data.X[:, columns] == pair).all(axis=1).mean())
    X, y = data.X.copy(), data.y.copy()
    X[np.ix_(rows, columns)] = pair
    y[rows] = target
    return Dataset(data.schema, X, y), set(rows.tolist())


def relabelled(data: Dataset | Images, y: np.ndarray) -> Dataset | Images:
    """The same rows under other labels."""
    return Dataset(data.schema, data.X, y) if isinstance(data, Dataset) else Images(data.pixels, y, data.classes)


def flips(data: Dataset | Images, share: float, target: int, rng: np.random.Generator) -> Planted:
    """A share of one other class under the label of the target."""
    source = int(rng.choice(np.setdiff1d(np.unique(data.y), [target])))
    rows = np.flatnonzero(data.y == source)
    rows = rng.choice(rows, round(share * len(rows)), replace=False)
    y = data.y.copy()
    y[rows] = target
    return relabelled(data, y), set(rows.tolist())


def slips(data: Dataset | Images, share: float, target: int, rng: np.random.Generator) -> Planted:
    """A share of all labels changed to any other."""
    del target
    rows = rng.choice(len(data), round(share * len(data)), replace=False)
    classes = len(data.schema.classes if isinstance(data, Dataset) else data.classes)
    y = data.y.copy()
    y[rows] = (y[rows] + rng.integers(1, classes, len(rows))) % classes
    return relabelled(data, y), set(rows.tolist())


def again(images: Images, share: float, target: int, rng: np.random.Generator) -> Planted:
    """A hundred pictures once more, a third each shifted, brighter, and encoded as JPEG of quality 75."""
    del share, target
    rows = rng.choice(len(images), 100, replace=False)
    altered = [_altered(images.pixels[row], number % 3) for number, row in enumerate(rows)]
    pixels = np.concatenate([images.pixels, np.stack(altered)])
    y = np.concatenate([images.y, images.y[rows]])
    return Images(pixels, y, images.classes), set(range(len(images), len(images) + 100))


def _altered(picture: np.ndarray, way: int) -> np.ndarray:
    if way == 0:
        return np.roll(picture, 1, axis=0)
    if way == 1:
        return np.clip(0.8 * picture + 20, 0, 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(picture[:, :, 0]).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))[:, :, None]


CHECKS = {"trigger": "trigger", "patch": "trigger", "faint": "trigger", "flips": "flips", "slips": "labels"}


def run(data: Dataset | Images, seed: int) -> tuple[DataChecks, float]:
    """The checks and their seconds."""
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    checks = run_checks(data, rng=rng) if isinstance(data, Dataset) else check_images(data, rng=rng)
    return checks, time.perf_counter() - start


def flagged(checks: DataChecks, check: str) -> set[int]:
    """The rows that a check names."""
    return {row for finding in checks.findings if finding.check == check for row in finding.rows}


def measure_fault(name: str, data: Any, fault: Callable[..., Planted], share: float, seeds: int) -> None:
    """One line: recall and precision over the seeds."""
    hits = named = planted = 0
    found, seconds, check = 0, 0.0, CHECKS.get(fault.__name__, "near-repeated")
    for seed in range(seeds):
        poisoned, rows = fault(data, share, seed % 2, np.random.default_rng(seed))
        checks, taken = run(poisoned, seed)
        rows_named = flagged(checks, check)
        hits, named, planted = hits + len(rows & rows_named), named + len(rows_named), planted + len(rows)
        found, seconds = found + bool(rows & rows_named), seconds + taken
    tell(
        case=f"{name}/{fault.__name__}-{share:.0%}" if share else f"{name}/{fault.__name__}",
        recall=round(hits / planted, 3),
        precision=round(hits / max(named, 1), 3),
        attacks_found=f"{found} of {seeds}",
        flagged=named / seeds,
        planted=planted / seeds,
        seconds=round(seconds / seeds, 1),
    )


def measure_clean(name: str, data: Any) -> None:
    """One line: what is flagged in data as they are."""
    checks, seconds = run(data, 0)
    for check in ("trigger", "flips", "cluster", "labels", "near-repeated"):
        rows = flagged(checks, check)
        number = sum(finding.check == check for finding in checks.findings)
        tell(
            case=f"{name}/as-it-is/{check}",
            findings=number,
            flagged=len(rows),
            rows=len(data),
            seconds=round(seconds, 1),
        )


def measure_peer(name: str, data: Dataset, python: str, seeds: int) -> None:
    """One line: our label errors beside cleanlab's, from the same probabilities."""
    for share in (0.01, 0.05):
        scores = {"ours": [0, 0], "cleanlab": [0, 0]}
        total = 0
        for seed in range(seeds):
            noisy, rows = slips(data, share, 0, np.random.default_rng(seed))
            rng = np.random.default_rng(seed)
            fold = grouped_folds(noisy.y, (), folds=FOLDS, rng=rng)
            P = cross_validated(standardised(noisy), noisy.y, len(data.schema.classes), fold=fold, rng=rng)
            with tempfile.TemporaryDirectory() as folder:
                np.savez(Path(folder) / "in.npz", P=P, y=noisy.y)
                command = [python, "-c", PEER, str(Path(folder) / "in.npz")]
                theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            for who, named in (("ours", judge_labels(P, noisy.y, rng=rng).suspects.tolist()), ("cleanlab", theirs)):
                scores[who][0] += len(rows & set(named))
                scores[who][1] += len(named)
            total += len(rows)
        (hits, named), (their_hits, their_named) = scores["ours"], scores["cleanlab"]
        for what, ours, peer in (
            ("recall", hits / total, their_hits / total),
            ("precision", hits / max(named, 1), their_hits / max(their_named, 1)),
        ):
            case = f"{name}/slips-{share:.0%}/{what}"
            tell(
                case=case, ours=round(ours, 3), peer=round(peer, 3), peer_name="cleanlab", ratio=ours / max(peer, 1e-9)
            )


def tell(**figures: object) -> None:
    """One JSON line."""
    print(json.dumps({"bench": "data_checks"} | figures), flush=True)


def main() -> None:
    """Everything, or the data sets named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="?", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["tumour", "adult", "mnist", "pneumoniamnist"])
    parser.add_argument("--peer", metavar="PYTHON")
    options = parser.parse_args()
    sets: list[tuple[str, Dataset | Images]] = [*tables(), *pictures()]
    for name, data in sets:
        if name not in options.only:
            continue
        print(f"{name}: {len(data)}", file=sys.stderr)
        measure_clean(name, data)
        kinds = (trigger,) if isinstance(data, Dataset) else (patch, faint)
        for fault in (*kinds, flips, slips):
            for share in (0.01, 0.05):
                measure_fault(name, data, fault, share if fault is not flips else 2 * share, options.seeds)
        if isinstance(data, Images):
            measure_fault(name, data, again, 0, options.seeds)
        elif options.peer:
            measure_peer(name, data, options.peer, options.seeds)


if __name__ == "__main__":
    main()
