"""Evasion of pictures beside ART, torchattacks and foolbox: the same networks, pictures and radius, one thread.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; for each attack
that a library has the robust accuracy that is left (less is a stronger attack) and the seconds of CPU time of both. A
library that fails has a line with `skipped` and the reason. Networks are those of picture_models.py.

    python benches/attack_libraries.py --pictures 100 --only pgd two-class
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from attack_pictures import ours
from peers.environments import Peer, PeerMissing
from picture_models import MODELS, PictureModel

from holdfast.attacks.images.apgd import Apgd
from holdfast.attacks.images.attack import Attack
from holdfast.attacks.images.pgd import Pgd
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.suite import SuiteName

TORCH: Final = ("torch==2.13.0", "numpy")
PEERS: Final = (
    Peer(
        name="torchattacks 3.5.1",
        script="torchattacks_pictures",
        cases=("pgd", "apgd", "square", "autoattack"),
        installs=((*TORCH, "torchvision", "scipy", "tqdm", "requests"), ("--no-deps", "torchattacks==3.5.1")),
    ),
    Peer(name="foolbox 3.3.4", script="foolbox_pictures", cases=("pgd",), installs=((*TORCH, "foolbox==3.3.4"),)),
    Peer(
        name="ART 1.20.1",
        script="art_pictures",
        cases=("pgd", "square", "autoattack"),
        installs=((*TORCH, "adversarial-robustness-toolbox==1.20.1", "packaging", "multiprocess"),),
    ),
)
OURS: Final[dict[str, SuiteName | list[Attack]]] = {
    "pgd": [Pgd(steps=40, step=0.1)],
    "apgd": [Apgd()],
    "square": [Square()],
    "autoattack": "standard",
}


def say(case: str, ours: float, peer: float | None, unit: str, **more: Any) -> None:
    """One line; the ratio is of costs alone."""
    ratio = peer / ours if peer and unit != "share" else None
    line = {"bench": "attack_libraries", "case": case, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit}
    print(json.dumps({**line, **more}), flush=True)


def theirs(peer: Peer, case: str, model: PictureModel, count: int) -> tuple[float, float, float]:
    """The robust accuracy that is left, their seconds, and their largest change of a pixel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.npz"
        np.savez(path, name=model.name, count=count)
        figures = peer.run(case, path)
    return len(figures["stands"]) / count, figures["seconds"], figures["furthest"]


def compare(model: PictureModel, attack: str, count: int) -> None:
    """One attack on one network, beside every library that has it."""
    result, seconds = ours(model, OURS[attack], count, seed=0)
    accuracy = result.robust_accuracy.value
    for peer in PEERS:
        if attack not in peer.cases:
            continue
        case, named = f"{model.name}/{attack}", {"peer_name": peer.name, "pictures": count}
        try:
            peer_accuracy, peer_seconds, furthest = theirs(peer, attack, model, count)
        except PeerMissing as error:
            say(f"{case}/robust-accuracy", accuracy, None, "share", **named, skipped=True, reason=str(error)[-300:])
            continue
        say(f"{case}/robust-accuracy", accuracy, peer_accuracy, "share", **named, peer_furthest=furthest)
        say(f"{case}/seconds", seconds, peer_seconds, "s of CPU", **named)


def main() -> int:
    """Every network and attack, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--attacks", nargs="+", choices=list(OURS), default=list(OURS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only:
        for attack in options.attacks:
            compare(MODELS[name], attack, options.pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
