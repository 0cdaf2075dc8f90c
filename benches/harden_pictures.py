"""What hardening buys picture models, and what it costs: robust accuracy under the `standard` suite, before and after.

Prints one JSON line for each case, collected by hardening.py: {"bench", "case", "ours", "peer", "peer_name", "ratio",
"unit"} with, beside the robust accuracy, what is proven, clean accuracy and Matthews correlation before and after, and
the processor time of the training. On MNIST the peer is a published figure, else the same network trained plainly.

    python benches/harden_pictures.py --cases pneumonia faces --pictures 200

The data sets are read from ../shared/data, or from the folder that HOLDFAST_DATA names. One thread. Hardened networks
are kept under .models, with how they were trained; `--train` trains them again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from holdfast.attacks.images.evasion import picture_evasion
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images
from holdfast.hardening.images.certify import certify_robustness
from holdfast.hardening.images.interval_training import IntervalTraining, begin_for_intervals
from holdfast.hardening.images.method import Method
from holdfast.hardening.images.methods import PGDTraining
from holdfast.hardening.images.pixels import tensors
from holdfast.hardening.images.run import Augment
from holdfast.hardening.images.train import Schedule, train_robust

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
MODELS = Path(__file__).parent / ".models"
PLAIN_EPOCHS = 8


@dataclass(frozen=True, kw_only=True)
class Case:
    """Pictures, a network, and how it is hardened.

    Args:
        pictures: gives those to train on, and those to test on.
        network: a new one, from a seed.
        provable: whether the hardened network is trained so that bounds say something of it at this radius.
        published: robust accuracy of others on this task, by name; empty where none is comparable.
    """

    pictures: Callable[[], tuple[Images, Images]]
    network: Callable[[int], nn.Module]
    threat: PixelChange
    method: Method
    schedule: Schedule
    augment: Augment | None = None
    provable: bool = False
    published: tuple[str, float] | None = None


def mnist() -> tuple[Images, Images]:
    """60,000 and 10,000 digits."""
    with np.load(DATA / "mnist.npz") as file:
        return Images.of(file["x_train"], file["y_train"]), Images.of(file["x_test"], file["y_test"])


def pneumonia() -> tuple[Images, Images]:
    """4,708 and 624 chest X-rays: normal, pneumonia."""
    names = ("normal", "pneumonia")
    with np.load(DATA / "pneumoniamnist.npz") as file:
        train = Images.of(file["train_images"], file["train_labels"], names)
        return train, Images.of(file["test_images"], file["test_labels"], names)


def faces() -> tuple[Images, Images]:
    """40 persons, seven pictures of each to train on and three to test on."""
    with np.load(DATA / "orl_faces.npz") as file:
        pixels, labels = file["images"], file["labels"].astype(np.int64)
    images, rng = Images.of(pixels, labels - labels.min()), np.random.default_rng(0)
    tested = np.concatenate([rng.permutation(np.flatnonzero(images.y == person))[:3] for person in range(40)])
    return images.take(np.setdiff1d(np.arange(len(images)), tested)), images.take(np.sort(tested))


class SoftThreshold(nn.Module):
    """0 up to 0.3, 1 from 0.7 on, and a line between: what is black or white stays so when pixels move by 0.3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pixels of the same shape; written as steps whose interval bounds are exact one by one."""
        x = torch.relu((x - 0.3) / 0.4)
        return torch.relu(x * -1.0 + 1.0) * -1.0 + 1.0


def digits_network(seed: int, *, width: int = 32) -> nn.Module:
    """Two convolutions and two linear layers behind a soft threshold."""
    body = [nn.Conv2d(1, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.ReLU(), nn.Flatten()]
    network = nn.Sequential(SoftThreshold(), *body, nn.Linear(98 * width, 100), nn.ReLU(), nn.Linear(100, 10))
    begin_for_intervals(network, seed=seed)
    return network


def scans_network(seed: int) -> nn.Module:
    """Four convolutions with batch norm, averaged over all places."""
    torch.manual_seed(seed)
    body: list[nn.Module] = []
    for inputs, outputs, stride in ((1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2)):
        body += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))


def faces_network(seed: int) -> nn.Module:
    """Three convolutions with strides, for pictures of 112 x 92."""
    torch.manual_seed(seed)
    body = [nn.Conv2d(1, 16, 6, 4, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU()]
    body += [nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(32 * 7 * 5, 128), nn.ReLU(), nn.Linear(128, 40))


def shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every batch moved by up to two pixels each way, its border repeated."""
    down, right = (int(torch.randint(0, 5, (1,), generator=generator)) for _ in range(2))
    return functional.pad(x, (2, 2, 2, 2), mode="replicate")[..., down : down + x.shape[2], right : right + x.shape[3]]


CASES = {
    "mnist": Case(
        pictures=mnist,
        network=digits_network,
        threat=PixelChange(radius=0.3),
        method=IntervalTraining(bound_share=1.0),
        schedule=Schedule(epochs=30, learning_rate=5e-3),
        provable=True,
        published=("Madry et al. 2018, as published", 0.885),
    ),
    "pneumonia": Case(
        pictures=pneumonia,
        network=scans_network,
        threat=PixelChange(radius=4 / 255),
        method=PGDTraining(steps=4, step=0.5),
        schedule=Schedule(epochs=8, batch_size=64),
    ),
    "faces": Case(
        pictures=faces,
        network=faces_network,
        threat=PixelChange(radius=8 / 255),
        method=PGDTraining(steps=7, step=0.3),
        schedule=Schedule(epochs=60, batch_size=28),
        augment=shifted,
    ),
}


def plainly(case: Case, images: Images) -> nn.Module:
    """The same network, trained by cross entropy on the pictures as they are."""
    network, rng, generator = case.network(1), np.random.default_rng(1), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(max(PLAIN_EPOCHS, 12_000 // len(images))):
        order, size = rng.permutation(len(images)), case.schedule.batch_size
        for start in range(0, len(order) - size + 1, size):
            x, y = tensors(images.take(order[start : start + size]), torch.device("cpu"))
            loss = functional.cross_entropy(network(x if case.augment is None else case.augment(x, generator)), y)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return network.eval()


def hardened(name: str, case: Case, images: Images, *, again: bool) -> tuple[nn.Module, dict[str, Any]]:
    """The network trained against the threat, and how; from .models where it was trained before."""
    MODELS.mkdir(exist_ok=True)
    weights, notes = MODELS / f"hardened-{name}.pt", MODELS / f"hardened-{name}.json"
    network = case.network(0)
    if again or not notes.exists():
        start = time.process_time()
        run = train_robust(
            network,
            images,
            threat=case.threat,
            method=case.method,
            rng=np.random.default_rng(0),
            schedule=case.schedule,
            augment=case.augment,
            progress=lambda done, steps: say(f"{name}: step {done} of {steps}", every=100, at=done),
        )
        torch.save(run.module.state_dict(), weights)
        notes.write_text(json.dumps(run.to_json() | {"training_cpu_s": round(time.process_time() - start, 1)}))
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval(), json.loads(notes.read_text())


def measured(module: nn.Module, images: Images, threat: PixelChange, *, provable: bool = False) -> dict[str, float]:
    """Robust accuracy under `standard`, with what stands beside it; what is proven needs no attack."""
    proven = np.zeros(len(images), dtype=bool)
    if provable:
        progress = lambda done, n: say(f"proof {done} of {n}")  # noqa: E731
        proven = certify_robustness(module, images, threat=threat, progress=progress).certified
    attacked = np.flatnonzero(~proven)
    result = picture_evasion(
        module,
        images.take(attacked),
        threat=threat,
        rng=np.random.default_rng(0),
        progress=lambda done, n: say(f"attack {done} of {n}"),
    )
    robust, right = proven.copy(), proven.copy()
    robust[attacked], right[attacked] = result.robust, result.correct
    constant = np.bincount(images.y).max() / len(images)
    return {
        "robust": float(robust.mean()),
        "proven": float(proven.mean()),
        "clean": float(right.mean()),
        "constant": float(constant),
    }


def figures(name: str, case: Case, *, pictures: int, again: bool) -> dict[str, Any]:
    """One JSON line."""
    train, test = case.pictures()
    test = test.take(np.random.default_rng(0).permutation(len(test))[:pictures])
    network, notes = hardened(name, case, train, again=again)
    before = measured(plainly(case, train), test, case.threat)
    after = measured(network, test, case.threat, provable=case.provable)
    peer_name, peer = case.published or ("the same network, trained plainly", before["robust"])
    return {
        "bench": "harden_pictures",
        "case": f"{name}-robust-accuracy",
        "ours": round(after["robust"], 4),
        "peer": round(peer, 4),
        "peer_name": peer_name,
        "ratio": round(after["robust"] / peer, 3) if peer else None,
        "unit": "share",
        "pictures": len(test),
        "before": {key: round(value, 4) for key, value in before.items()},
        "after": {key: round(value, 4) for key, value in after.items()},
        "training_cpu_s": notes["training_cpu_s"],
    }


def say(text: str, *, every: int = 1, at: int = 0) -> None:
    """Progress, to the error output."""
    if at % every == 0:
        print(text, file=sys.stderr, flush=True)


def lines(cases: list[str], *, pictures: int = 1_000, again: bool = False) -> Iterator[dict[str, Any]]:
    """The figures of each case, or why there are none."""
    torch.set_num_threads(1)
    for name in cases:
        try:
            yield figures(name, CASES[name], pictures=pictures, again=again)
        except FileNotFoundError as error:
            yield {"bench": "harden_pictures", "case": name, "skipped": True, "reason": f"no data: {error.filename}"}


def main() -> None:
    """The cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--pictures", type=int, default=1_000, help="of the test set")
    parser.add_argument("--train", action="store_true", help="train again, whatever is kept")
    arguments = parser.parse_args()
    for line in lines(arguments.cases, pictures=arguments.pictures, again=arguments.train):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
