"""The original AutoAttack on the networks of picture_models.py, which are trained and kept before this runs.

`standard` is its own protocol. It cannot run that on two classes, as its targeted loss needs four; there `exhaustive`
is the same APGD on cross entropy from many random starts, then its Square attack.
"""

from __future__ import annotations

import time

import numpy as np

from peers.measure import Arrays, Figures, main

RESTARTS = 25
BATCH = 250


def attacked(arrays: Arrays, *, exhaustive: bool) -> Figures:
    """Which pictures withstood, and the seconds of CPU time that it took on one thread."""
    import torch
    from autoattack import AutoAttack
    from picture_models import MODELS, RADIUS

    torch.set_num_threads(1)
    made = MODELS[str(arrays["name"])]
    network = made.trained()
    x, y = made.pictures("test", int(arrays["count"]))
    start = time.process_time()
    seed = int(arrays["seed"])
    attack = AutoAttack(network, norm="Linf", eps=RADIUS, version="custom", device="cpu", seed=seed, verbose=False)
    if exhaustive:
        attack.attacks_to_run = ["apgd-ce", "square"]
        attack.apgd.n_restarts = RESTARTS
    else:
        attack.set_version("standard")
    changed = attack.run_standard_evaluation(x, y, bs=BATCH)
    seconds = time.process_time() - start
    with torch.no_grad():
        stands = (network(changed).argmax(dim=1) == y).numpy()
    return {"stands": np.flatnonzero(stands).tolist(), "seconds": seconds}


if __name__ == "__main__":
    main(
        {
            "standard": lambda arrays: attacked(arrays, exhaustive=False),
            "exhaustive": lambda arrays: attacked(arrays, exhaustive=True),
        }
    )
