"""What the scripts of picture attacks share: the network and pictures of a case, and which pictures withstood."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from peers.measure import Arrays, Figures


def measured(arrays: Arrays, attack: Callable[[Any, Any, Any], Any]) -> Figures:
    """Run (network, x, y) -> changed pictures on one thread.

    Returns:
        The positions of the pictures that withstood, the largest change of a pixel, and the seconds of CPU time.
    """
    import torch
    from picture_models import MODELS

    torch.manual_seed(0)
    np.random.seed(0)
    torch.set_num_threads(1)
    made = MODELS[str(arrays["name"])]
    network = made.trained().eval()
    x, y = made.pictures("test", int(arrays["count"]))
    start = time.process_time()
    changed = torch.as_tensor(attack(network, x, y)).detach()
    seconds = time.process_time() - start
    with torch.no_grad():
        stands = (network(changed).argmax(dim=1) == y) & (network(x).argmax(dim=1) == y)
    return {
        "stands": np.flatnonzero(stands.numpy()).tolist(),
        "furthest": float((changed - x).abs().max()),
        "seconds": seconds,
    }
