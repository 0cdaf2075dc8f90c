"""ART's KnockoffNets and CopycatCNN on given questions and answers: a network with one hidden layer of 32.

KnockoffNets learns from probabilities, CopycatCNN from labels. The black box is a table of the answers that it would
give, which ART has a class for. As many epochs as its own documentation uses (10) leave the network far from done, so
it gets 200, in its favour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from peers.measure import Arrays, Figures, main

EPOCHS, BATCH = 200, 64


def knockoff(arrays: Arrays) -> Figures:
    """From probabilities."""
    from art.attacks.extraction import KnockoffNets

    options = {"sampling_strategy": "random", "use_probability": True, "verbose": False}
    return copied(arrays, lambda box, **sizes: KnockoffNets(box, **sizes, **options))


def copycat(arrays: Arrays) -> Figures:
    """From labels."""
    from art.attacks.extraction import CopycatCNN

    return copied(arrays, lambda box, **sizes: CopycatCNN(box, **sizes, use_probability=False))


def copied(arrays: Arrays, attack_on: Callable[..., Any]) -> Figures:
    """Fidelity on the test rows, and the seconds of CPU time that the copy took."""
    import torch
    from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier

    torch.manual_seed(0)
    torch.set_num_threads(1)
    np.random.seed(0)
    X, P = arrays["X"], arrays["P"]
    width, classes = X.shape[1], P.shape[1]
    box = BlackBoxClassifier((X, P), input_shape=(width,), nb_classes=classes, fuzzy_float_compare=False)
    network = torch.nn.Sequential(torch.nn.Linear(width, 32), torch.nn.Tanh(), torch.nn.Linear(32, classes))
    thief = PyTorchClassifier(
        network,
        loss=torch.nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(network.parameters(), lr=3e-3),
        input_shape=(width,),
        nb_classes=classes,
        device_type="cpu",
    )
    rows = len(X)
    attack = attack_on(box, batch_size_fit=BATCH, batch_size_query=rows, nb_epochs=EPOCHS, nb_stolen=rows)
    start = time.process_time()
    copy = attack.extract(X, thieved_classifier=thief)
    seconds = time.process_time() - start
    said = copy.predict(arrays["X_test"]).argmax(axis=1)
    return {"fidelity": float((said == arrays["labels"]).mean()), "cpu_s": seconds}


if __name__ == "__main__":
    main({"knockoff": knockoff, "copycat": copycat})
