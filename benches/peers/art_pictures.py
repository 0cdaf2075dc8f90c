"""ART 1.20.1: PGD with forty steps of a tenth of the radius, its Square, and its AutoAttack."""

from __future__ import annotations

from functools import partial
from typing import Any

from peers.measure import main
from peers.pictures import measured

BATCH = 250


def attack(name: str) -> Any:
    """One of its attacks as a function of network, pictures and classes."""

    def run(network: Any, x: Any, y: Any) -> Any:
        import torch
        from art.attacks.evasion import AutoAttack, ProjectedGradientDescent, SquareAttack
        from art.estimators.classification import PyTorchClassifier
        from picture_models import RADIUS

        estimator = PyTorchClassifier(
            network,
            loss=torch.nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=network(x[:1]).shape[1],
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )
        size = {"eps": RADIUS, "batch_size": BATCH}
        made = {
            "pgd": lambda: ProjectedGradientDescent(
                estimator, eps_step=RADIUS / 10, max_iter=40, num_random_init=1, verbose=False, **size
            ),
            "square": lambda: SquareAttack(estimator, max_iter=5000, verbose=False, **size),
            "autoattack": lambda: AutoAttack(estimator, eps_step=RADIUS / 10, **size),
        }[name]()
        return made.generate(x.numpy(), y.numpy())

    return run


if __name__ == "__main__":
    main({name: partial(measured, attack=attack(name)) for name in ("pgd", "square", "autoattack")})
