"""torchattacks 3.5.1: PGD with forty steps of a tenth of the radius, its APGD, its Square, and its AutoAttack.

Its AutoAttack gives APGD and FAB their default of ten steps, a tenth of the published protocol, and is faster for it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from peers.measure import main
from peers.pictures import measured

BATCH = 250


def batched(attack: Any, x: Any, y: Any) -> Any:
    """It has no batches of its own."""
    import torch

    return torch.cat([attack(x[at : at + BATCH], y[at : at + BATCH]) for at in range(0, len(x), BATCH)])


def attack(name: str) -> Any:
    """One of its attacks as a function of network, pictures and classes."""

    def run(network: Any, x: Any, y: Any) -> Any:
        import torchattacks
        from picture_models import RADIUS

        classes = network(x[:1]).shape[1]
        made = {
            "pgd": lambda: torchattacks.PGD(network, eps=RADIUS, alpha=RADIUS / 10, steps=40),
            "apgd": lambda: torchattacks.APGD(network, norm="Linf", eps=RADIUS, steps=100),
            "square": lambda: torchattacks.Square(network, norm="Linf", eps=RADIUS, n_queries=5000),
            "autoattack": lambda: torchattacks.AutoAttack(network, norm="Linf", eps=RADIUS, n_classes=classes),
        }[name]()
        return batched(made, x, y)

    return run


if __name__ == "__main__":
    names = ("pgd", "apgd", "square", "autoattack")
    main({name: partial(measured, attack=attack(name)) for name in names})
