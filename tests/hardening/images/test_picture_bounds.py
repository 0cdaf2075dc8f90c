"""Bounds hold for every picture within a threat, and are no looser than they must be."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hardening.images.picture_cases import Everything, small_network, stripes
from torch import Tensor, nn
from torch.nn import functional

from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.pgd import Pgd
from holdfast.attacks.images.threat import NormName, PixelChange
from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError
from holdfast.hardening.images.boxes import Box, boxes_of, rounding_of
from holdfast.hardening.images.certify import certify_robustness
from holdfast.hardening.images.linear_bounds import lower_bounds, tight_boxes
from holdfast.hardening.images.margins import interval_margins, margin_functions
from holdfast.hardening.images.methods import PGDTraining
from holdfast.hardening.images.pixels import tensors
from holdfast.hardening.images.steps import steps_of
from holdfast.hardening.images.train import Schedule, train_robust

CPU = torch.device("cpu")


def frozen(module: nn.Module) -> nn.Module:
    return deepcopy(module).double().eval().requires_grad_(requires_grad=False)


def pictures(n: int, channels: int, seed: int, side: int = 6) -> Tensor:
    return torch.rand((n, channels, side, side), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Images]:
    """A network that answers nearly all of 60 pictures rightly, without any bound in its training."""
    module = train_robust(
        small_network(),
        stripes(80, seed=1),
        threat=PixelChange(radius=0.05),
        method=PGDTraining(steps=2, step=0.7),
        rng=np.random.default_rng(0),
        schedule=Schedule(epochs=12, batch_size=16, learning_rate=0.02),
    ).module
    return module, stripes(60, seed=2, noise=80)


@given(seed=st.integers(0, 2**31), radius=st.sampled_from([0.0, 0.003, 0.05, 0.6]))
@settings(max_examples=15)
def test_no_picture_in_the_box_leaves_the_intervals_of_any_step(seed: int, radius: float) -> None:
    module, x = frozen(Everything(seed % 1000)), pictures(2, 2, seed)
    steps = steps_of(module)
    boxes = boxes_of(steps, Box.around(x, radius))
    corners = torch.rand((40, *x.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).round()
    for share in corners:
        value = boxes[0].low + share * (boxes[0].high - boxes[0].low)
        for step, box in zip(steps, boxes[1:], strict=True):
            value = value.relu() if not hasattr(step, "apply") else step.apply(value)
            assert (value >= box.low - 1e-12).all()
            assert (value <= box.high + 1e-12).all()


def test_a_box_of_one_picture_is_what_the_module_answers() -> None:
    module, x = frozen(Everything()), pictures(3, 2, 0)
    box = boxes_of(steps_of(module), Box.around(x, 0.0))[-1]
    torch.testing.assert_close(box.centre, module(x))
    torch.testing.assert_close(box.low, box.high)


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
@pytest.mark.parametrize("radius", [0.01, 0.2])
def test_linear_bounds_lie_below_all_margins_and_above_intervals(norm: NormName, radius: float) -> None:
    threat = PixelChange(norm=norm, radius=radius)
    module, x, y = frozen(Everything(3)), pictures(4, 2, 5), torch.tensor([0, 1, 2, 0])
    steps = steps_of(module)
    boxes = tight_boxes(steps, x, threat)
    functions = margin_functions(y, 3, x)
    bounds = lower_bounds(steps, boxes, functions, x, threat)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        moved = norm_of(threat).into(x + 2 * radius * torch.randn(x.shape, generator=generator).double(), x, radius)
        margins = torch.einsum("nkc,nc->nk", functions, module(moved))
        assert (margins >= bounds - 1e-9).all()
    plain = interval_margins(steps, boxes_of(steps, Box.around(x, radius)), y)
    assert bounds.sum() > plain.sum()


def test_bounds_of_a_linear_model_are_exact_in_every_norm() -> None:
    torch.manual_seed(0)
    module, x, y = (
        frozen(nn.Sequential(nn.Flatten(), nn.Linear(36, 2))),
        pictures(3, 1, 1) * 0.2 + 0.4,
        torch.zeros(3).long(),
    )
    W = module[1].weight  # type: ignore[index]
    for norm in ("Linf", "L2", "L1"):
        threat = PixelChange(norm=norm, radius=0.1)  # type: ignore[arg-type]
        steps = steps_of(module)
        bounds = lower_bounds(steps, tight_boxes(steps, x, threat), margin_functions(y, 2, x), x, threat)[:, 1]
        steepness = norm_of(threat).dual_length((W[0] - W[1]).view(1, 1, 6, 6))
        answers = module(x)
        torch.testing.assert_close(bounds, answers[:, 0] - answers[:, 1] - 0.1 * steepness)


def test_pgd_never_fools_a_certified_picture_and_does_fool_others(
    trained: tuple[nn.Module, Images],
) -> None:
    module, images = trained
    threat = PixelChange(radius=0.17)
    certificate = certify_robustness(module, images, threat=threat)
    x, y = tensors(images, CPU)
    with attackable(module, classes=2) as classifier:
        found = Pgd(steps=60, step=0.1, restarts=3)(
            classifier, x, y, threat=threat, generator=torch.Generator().manual_seed(0)
        ).x
        fooled = (classifier.logits(found).argmax(dim=1) != y).numpy()
    assert 0.2 < certificate.certified.mean() < 1
    assert fooled.any()
    assert not (fooled & certificate.certified).any()
    assert certificate.certified_accuracy.value == certificate.certified.mean()
    assert not (certificate.certified & ~certificate.correct).any()


def test_certificates_shrink_with_the_radius_and_grow_by_linear_bounds(trained: tuple[nn.Module, Images]) -> None:
    module, images = trained
    shares = [
        certify_robustness(module, images, threat=PixelChange(radius=radius)).margin
        for radius in (1e-6, 0.05, 0.17, 0.5)
    ]
    for nearer, farther in pairwise(shares):
        assert (farther <= nearer + 1e-9).all()
    assert (shares[-1] <= 0).all()
    x, y = tensors(images, CPU)
    steps = steps_of(frozen(module))
    plain = interval_margins(steps, boxes_of(steps, Box.around(x.double(), 0.17)), y)
    intervals = (plain.scatter(1, y[:, None], torch.inf).amin(dim=1) > 0).numpy()
    assert not (intervals & ~(shares[2] > 0)).any()
    assert (shares[2] > 0).sum() > intervals.sum()


def test_rounding_in_single_precision_stays_below_what_is_taken_off() -> None:
    module, x = Everything(7), pictures(50, 2, 9).float()
    steps = steps_of(frozen(module))
    boxes = boxes_of(steps, Box.around(x.double(), 0.0))
    error = (module(x).double() - boxes[-1].centre).abs()
    allowed = rounding_of(steps, boxes)
    assert (error <= allowed).all()
    assert error.max() > 0  # single precision does round here
    assert allowed.max() < 0.01 * module(x).std()  # and it is not much


def test_the_module_is_left_as_it_is(trained: tuple[nn.Module, Images]) -> None:
    module, images = trained
    module = deepcopy(module).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    certify_robustness(module, images.take([0]), threat=PixelChange(radius=0.01))
    assert module.training
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in module.parameters())
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_certificate_as_evidence_is_a_lower_bound(trained: tuple[nn.Module, Images]) -> None:
    module, images = trained
    certificate = certify_robustness(module, images, threat=PixelChange(radius=8 / 255))
    evidence = certificate.to_evidence("sha256:" + "0" * 64)
    assert evidence.figures["certified_accuracy"].bound == "lower"
    assert "8/255" in evidence.title
    assert list(evidence.samples["certified"]) == certificate.certified.tolist()


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.inner(x)).flatten(1)


class Forgetting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        torch.relu(flat)
        return flat


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.mean() > 0 else -x


class Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(x.flatten(1))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh(), nn.Linear(4, 2)), "Tanh"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect", padding=1), nn.Flatten()), "padding_mode='reflect'"),
        (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten()), "running statistics"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Flatten()), "MaxPool2d"),
        (Residual(), "branches at"),
        (Forgetting(), "something else"),
        (Deciding(), "cannot be read as a chain"),
        (Functional(), "gelu"),
    ],
)
def test_modules_without_known_bounds_are_refused_with_a_way_round(module: nn.Module, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words) as caught:
        certify_robustness(module, stripes(2, seed=0), threat=PixelChange(radius=0.1))
    assert caught.value.hint


class Negated(nn.ReLU):
    """Not what its type says."""

    def forward(self, x: Tensor) -> Tensor:
        return -x


Negated.__module__ = nn.ReLU.__module__  # for tracing, PyTorch's own layers are leaves


def test_a_module_that_answers_otherwise_than_its_layers_is_refused() -> None:
    images, threat = stripes(4, seed=0), PixelChange(radius=0.01)
    odd = nn.Sequential(nn.Flatten(), nn.Linear(36, 2), Negated())
    with pytest.raises(UnsupportedError, match="as the layers of the module give them"):
        certify_robustness(odd, images, threat=threat)


@pytest.mark.parametrize("sly", ["hook", "pre-hook", "forward"])
def test_a_layer_that_may_answer_otherwise_elsewhere_is_refused(sly: str) -> None:
    """At the pictures it answers as it should, so that comparing answers would not tell."""
    module = small_network()
    if sly == "hook":
        module[5].register_forward_hook(lambda layer, given, logits: logits)
    elif sly == "pre-hook":
        module[5].register_forward_pre_hook(lambda layer, given: given)
    else:
        module[5].forward = module[5].forward
    with pytest.raises(UnsupportedError, match="by a hook or a forward of its own") as caught:
        certify_robustness(module, stripes(4, seed=0), threat=PixelChange(radius=0.01))
    assert "hooks" in caught.value.hint


def test_no_picture_and_classes_without_a_logit_are_refused() -> None:
    images = stripes(4, seed=0)
    with pytest.raises(DataError, match="at least one picture"):
        certify_robustness(small_network(), images.take([]), threat=PixelChange(radius=0.1))
    one = nn.Sequential(nn.Flatten(), nn.Linear(36, 1))
    with pytest.raises(UnsupportedError, match="logits of shape"):
        certify_robustness(one, images, threat=PixelChange(radius=0.1))
