"""Private logistic regression beside diffprivlib's: test accuracy and time of one training.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; the ratio is ours
over peer for accuracies and peer over ours for times, so above 1 is better for us. Accuracies are means over five
splits of about 80/20 and several trainings on each; delta is 1e-5. Tumour: 569 records, 30 features, 2
classes. Digits: 1,797 records, 64 features, 10 classes. Both ship inside scikit-learn; the ranges are public.

diffprivlib 0.6.6 does not run with current scikit-learn, so it is installed into a throw-away environment (half a
minute; or name a Python that has it in HOLDFAST_BENCH_DIFFPRIVLIB). It gets the same encoded rows and the norm that
holds for all of them. It promises pure epsilon (delta 0), which is more than we do. Where it cannot be installed a
line says why. Without arguments everything runs; give a number of trainings for a shorter run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from holdfast.data import Dataset, Feature, Schema, from_frame
from holdfast.data.tumour import tumour_frame, tumour_schema
from holdfast.models import Encoding, accuracy
from holdfast.training import estimator_from_name, private_events, train_plain, train_private

EPSILONS = (1.0, 3.0, 8.0)
DELTA = 1e-5
SPLITS = 5
PEER = "diffprivlib 0.6.6"
PEER_SCRIPT = """
import json, sys, time, warnings
import numpy as np
from diffprivlib.models import LogisticRegression
warnings.simplefilter("ignore")
epsilon, runs, norm, path = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
data, scores, times = np.load(path), [], []
for split in range(int(data["splits"])):
    A, a, B, b = (data[f"{name}{split}"] for name in ("X", "y", "Z", "z"))
    for seed in range(runs):
        start = time.perf_counter()
        model = LogisticRegression(epsilon=epsilon, data_norm=norm, max_iter=1000, random_state=seed).fit(A, a)
        times.append(time.perf_counter() - start)
        scores.append(float(model.score(B, b)))
print(json.dumps([sum(scores) / len(scores), 1000 * sorted(times)[len(times) // 2]]))
"""


def tumour() -> Dataset:
    return from_frame(tumour_frame(), tumour_schema())


def digits() -> Dataset:
    bunch = load_digits()
    pixels = tuple(Feature(name=f"pixel {n}", kind="integer", high=16) for n in range(64))
    schema = Schema(features=pixels, target="digit", classes=tuple(map(str, range(10))))
    return Dataset(schema, bunch.data, bunch.target)


def ours(parts: list[tuple[Dataset, Dataset]], *, epsilon: float, runs: int) -> tuple[float, float]:
    """Mean accuracy and median milliseconds of one training, its calibration already known."""
    private_events(parts[0][0].schema, epsilon=epsilon, delta=DELTA)
    scores, times = [], []
    for train, test in parts:
        for _ in range(runs):
            start = time.perf_counter()
            trained = train_private(train, epsilon=epsilon, delta=DELTA)
            times.append(time.perf_counter() - start)
            scores.append(accuracy(trained.model, test))
    return statistics.mean(scores), 1000 * statistics.median(times)


def save_parts(parts: list[tuple[Dataset, Dataset]], path: Path) -> None:
    """The encoded splits, for the peer."""
    encoding = Encoding(parts[0][0].schema)
    arrays: dict[str, Any] = {"splits": len(parts)}
    for split, (train, test) in enumerate(parts):
        arrays |= {f"X{split}": encoding.encode(train.X), f"y{split}": train.y}
        arrays |= {f"Z{split}": encoding.encode(test.X), f"z{split}": test.y}
    np.savez(path, **arrays)


def peer_python(folder: Path) -> str:
    """A Python that has diffprivlib."""
    if named := os.environ.get("HOLDFAST_BENCH_DIFFPRIVLIB"):
        return named
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True)
    python = str(folder / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "diffprivlib==0.6.6", "scikit-learn<1.8"]
    subprocess.run(install, check=True, capture_output=True, text=True, timeout=600)
    return python


def peer(python: str, path: Path, *, epsilon: float, runs: int, norm: float) -> tuple[float, float]:
    command = [python, "-c", PEER_SCRIPT, str(epsilon), str(runs), str(norm), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1_800)
    score, milliseconds = json.loads(done.stdout)
    return score, milliseconds


def line(case: str, mine: float, theirs: float | None, *, unit: str) -> None:
    ratio = None if theirs is None else mine / theirs if unit == "accuracy" else theirs / mine
    print(
        json.dumps(
            {
                "bench": "dp_logistic",
                "case": case,
                "ours": round(mine, 4),
                "peer": None if theirs is None else round(theirs, 4),
                "peer_name": PEER,
                "ratio": None if ratio is None else round(ratio, 3),
                "unit": unit,
            }
        ),
        flush=True,
    )


def compare(name: str, data: Dataset, python: str | None, folder: Path, *, runs: int) -> None:
    parts = [data.split(test_fraction=0.2, seed=seed) for seed in range(SPLITS)]
    path = folder / f"{name}.npz"
    save_parts(parts, path)
    norm = len(data.schema.features) ** 0.5
    for epsilon in EPSILONS:
        mine = ours(parts, epsilon=epsilon, runs=runs)
        theirs = peer(python, path, epsilon=epsilon, runs=runs, norm=norm) if python else (None, None)
        line(f"{name}, epsilon {epsilon:g}", mine[0], theirs[0], unit="accuracy")
        line(f"{name}, epsilon {epsilon:g}, one training", mine[1], theirs[1], unit="ms")
    line(f"{name}, without privacy", mean_plain(parts), None, unit="accuracy")


def mean_plain(parts: Iterable[tuple[Dataset, Dataset]]) -> float:
    logistic = estimator_from_name("sklearn.linear_model.LogisticRegression", {"C": 100.0, "max_iter": 5_000})
    return statistics.mean(accuracy(train_plain(train, estimator=logistic, seed=0), test) for train, test in parts)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            python: str | None = peer_python(folder)
        except (subprocess.SubprocessError, OSError) as error:
            reason = (str(getattr(error, "stderr", "") or error).strip().splitlines() or ["no reason given"])[-1]
            print(json.dumps({"bench": "dp_logistic", "skipped": PEER, "reason": reason}), flush=True)
            python = None
        compare("tumour", tumour(), python, folder, runs=runs)
        compare("digits", digits(), python, folder, runs=max(1, runs // 10))


if __name__ == "__main__":
    main()
