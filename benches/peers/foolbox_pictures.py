"""foolbox 3.3.4: PGD with forty steps of a tenth of the radius. It has no APGD, no Square and no AutoAttack."""

from __future__ import annotations

from functools import partial
from typing import Any

from peers.measure import main
from peers.pictures import measured

BATCH = 250


def pgd(network: Any, x: Any, y: Any) -> Any:
    """Batch by batch, as it has none of its own."""
    import foolbox
    import torch
    from picture_models import RADIUS

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(rel_stepsize=0.1, steps=40)
    starts = range(0, len(x), BATCH)
    return torch.cat([attack(model, x[at : at + BATCH], y[at : at + BATCH], epsilons=RADIUS)[1] for at in starts])


if __name__ == "__main__":
    main({"pgd": partial(measured, attack=pgd)})
