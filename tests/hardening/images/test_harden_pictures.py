"""Hardening a picture model in one call: both models attacked alike, and what it bought beside what it cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.hardening.images.picture_cases import small_network, stripes
from torch import nn
from torch.nn import functional

from holdfast.attacks.images.pgd import Pgd
from holdfast.attacks.images.threat import PixelChange
from holdfast.hardening.images.harden import harden_pictures
from holdfast.hardening.images.methods import PGDTraining
from holdfast.hardening.images.pixels import tensors
from holdfast.hardening.images.train import Schedule
from holdfast.hardening.result import HardeningResult

THREAT = PixelChange(radius=0.17)


@pytest.fixture(scope="module")
def hardened() -> tuple[nn.Module, HardeningResult[nn.Module]]:
    module, images = small_network(), stripes(160, seed=1, noise=80)
    x, y = tensors(images, torch.device("cpu"))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(module(x), y))
        optimizer.step()
    return module, harden_pictures(
        module,
        images,
        stripes(80, seed=2, noise=80),
        threat=THREAT,
        method=PGDTraining(steps=3, step=0.5),
        rng=np.random.default_rng(0),
        suite=[Pgd(steps=20, step=0.1)],
        schedule=Schedule(epochs=10, batch_size=16, learning_rate=0.02),
    )


def test_hardening_buys_robust_accuracy_that_chance_does_not_explain(
    hardened: tuple[nn.Module, HardeningResult[nn.Module]],
) -> None:
    module, result = hardened
    assert result.improved
    assert result.after.robust_accuracy.value > result.before.robust_accuracy.value
    assert result.before.accuracy.value == 1.0
    assert result.model is not module
    x, y = tensors(stripes(80, seed=2, noise=80), torch.device("cpu"))
    right = (module(x).argmax(dim=1) == y).numpy()
    np.testing.assert_array_equal(result.before.correct, right)


def test_the_evidence_says_how_it_was_trained_and_against_what(
    hardened: tuple[nn.Module, HardeningResult[nn.Module]],
) -> None:
    evidence = hardened[1].to_evidence("sha256:" + "0" * 64)
    assert evidence.kind == "hardening"
    assert evidence.context["threat"] == THREAT.to_json()
    assert evidence.context["method"] == "pgd-training"
    assert len(evidence.context["held_out"]) == 10
