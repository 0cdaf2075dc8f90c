"""Model inversion and attribute inference on real data: faces recognised, and what a model adds to a guess.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; the peer of a
share is chance, or the guess without the model. ORL: 40 people, ten photographs of 56x46 pixels each, of which a
network sees seven; the pictures drawn are compared with the other three. Tumour data: half of it trained on.

    python benches/inversion.py [picture.png]

With a path, ten of the pictures are written there, each above the mean of that person's photographs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from holdfast.attacks.privacy.attribute import attribute_inference
from holdfast.attacks.privacy.inversion import invert_network, invert_service
from holdfast.attacks.privacy.inversion_result import InversionResult
from holdfast.data import from_frame, tumour_frame, tumour_schema
from holdfast.models import fit_estimator

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
PEOPLE, PHOTOGRAPHS, SEEN = 40, 10, 7
FEATURES = ("mean texture", "mean smoothness", "worst symmetry")


def say(case: str, ours: float, peer: float | None, peer_name: str | None, unit: str) -> None:
    ratio = ours / peer if peer else None
    line = {"bench": "inversion", "case": case, "ours": ours, "peer": peer, "peer_name": peer_name, "ratio": ratio}
    print(json.dumps({**line, "unit": unit}), flush=True)


def faces() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(400, 56, 46, 1) photographs from 0 to 1, and whose they are."""
    with np.load(DATA / "orl_faces.npz", allow_pickle=False) as file:
        images, labels = file["images"].astype(np.float64) / 255, file["labels"].astype(np.int64)
    halves = images.reshape(len(images), 56, 2, 46, 2).mean(axis=(2, 4))
    return halves[..., None], labels - labels.min()


def as_tensor(pictures: NDArray[np.float64]) -> Tensor:
    return torch.tensor(np.moveaxis(pictures, -1, 1), dtype=torch.float32)


def fitted(module: nn.Module, pictures: NDArray[np.float64], labels: NDArray[np.int64], *, steps: int = 300) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    x, y = as_tensor(pictures), torch.from_numpy(labels)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(module(x), y))
        optimizer.step()


def networks(pixels: int) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "softmax": nn.Sequential(nn.Flatten(), nn.Linear(pixels, PEOPLE)),
        "mlp": nn.Sequential(nn.Flatten(), nn.Linear(pixels, 100), nn.Tanh(), nn.Linear(100, PEOPLE)),
    }


def inversion(picture: Path | None) -> None:
    """White box over all people, black box over ten of them; an untrained network is the control."""
    pictures, labels = faces()
    seen = np.arange(len(labels)) % PHOTOGRAPHS < SEEN
    others = pictures[~seen], labels[~seen]
    shape, people = pictures.shape[1:], np.arange(PEOPLE)
    for name, module in networks(pictures[0].size).items():
        control = invert_network(module, shape=shape, classes=people)
        say(f"faces-{name}-untrained", control.recognised(*others).value, 1 / PEOPLE, "chance", "recognised")
        fitted(module, pictures[seen], labels[seen])
        right = float((module(as_tensor(others[0])).argmax(1).numpy() == others[1]).mean())
        say(f"faces-{name}-accuracy", right, None, None, "share")
        start = time.perf_counter()
        drawn = invert_network(module, shape=shape, classes=people)
        say(f"faces-{name}-time", time.perf_counter() - start, None, None, "s")
        say(f"faces-{name}", drawn.recognised(*others).value, 1 / PEOPLE, "chance", "recognised")
        asked = service(module, shape, people[::4])
        say(f"faces-{name}-answers", asked.recognised(*others).value, 1 / PEOPLE, "chance", "recognised")
        say(f"faces-{name}-answers-queries", asked.queries / len(asked.classes), None, None, "queries a person")
        if picture is not None and name == "softmax":
            picture.write_bytes(shown(drawn, pictures, labels))


def service(module: nn.Module, shape: Any, people: NDArray[np.int64]) -> InversionResult:
    def ask(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.no_grad():
            return np.asarray(torch.softmax(module(as_tensor(pictures)), dim=1).numpy(), dtype=np.float64)

    return invert_service(ask, shape=shape, classes=people, rng=np.random.default_rng(0))


def shown(drawn: InversionResult, pictures: NDArray[np.float64], labels: NDArray[np.int64]) -> bytes:
    first = InversionResult(
        pictures=drawn.pictures[:10],
        classes=drawn.classes[:10],
        confidence=drawn.confidence[:10],
        queries=drawn.queries,
        attack=drawn.attack,
    )
    return first.png(beside=np.array([pictures[labels == person].mean(axis=0) for person in range(10)]))


def attributes() -> None:
    """A value of the tumour data, with a forest and a logistic regression trained on half of it."""
    members, others = from_frame(tumour_frame(), tumour_schema()).split(test_fraction=0.5, seed=0)
    models = {"forest": RandomForestClassifier(random_state=0), "logistic": LogisticRegression(max_iter=1000)}
    for name, estimator in models.items():
        model = fit_estimator(estimator, members)
        for feature in FEATURES:
            result = attribute_inference(
                model, members=members, non_members=others, feature=feature, rng=np.random.default_rng(0)
            )
            case = f"attribute-{name}-{feature.replace(' ', '-')}"
            say(case, result.accuracy.value, result.imputation.value, "imputation", "guessed")


def main() -> None:
    """Run everything, about two minutes."""
    attributes()
    if not (DATA / "orl_faces.npz").is_file():
        print(json.dumps({"bench": "inversion", "case": "faces", "skipped": True, "reason": f"no faces in {DATA}"}))
        return
    inversion(Path(sys.argv[1]) if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    main()
