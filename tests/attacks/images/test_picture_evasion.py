"""Evasion of pictures from end to end: the worst case over attacks, resumed where it stopped, doubted where it must."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.attacks.images.picture_cases import (
    THREATS,
    convolutional,
    fooled,
    grey_pictures,
    images_of,
    linear,
    own_labels,
    smallest_changes,
)
from torch import Generator, Tensor, nn

from holdfast.attacks import EvasionResult
from holdfast.attacks.images.apgd import Apgd, ApgdTargeted
from holdfast.attacks.images.attack import Attack, Found
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.evasion import picture_evasion
from holdfast.attacks.images.losses import margin
from holdfast.attacks.images.pgd import Pgd, fgsm
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.suite import attacks_of
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError, UsageError, WireError
from holdfast.evidence import Evidence

QUICK: list[Attack] = [Apgd(steps=10), ApgdTargeted(targets=3, steps=10), Square(queries=30)]
COUNT = 40


class Wrapped(nn.Module):
    """A linear model of four classes with something done to its pictures or its answers."""

    def __init__(self, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.before, self.after = linear(), before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.inner(self.before(x)))


def _same(x: Tensor) -> Tensor:
    return x


def _case(module: nn.Module, count: int = COUNT, classes: int = 4) -> tuple[Tensor, Tensor, Images]:
    """Pictures, a quarter of them with a class that the model does not see in them."""
    x = grey_pictures(count)
    y = own_labels(module, x)
    y[::4] = (y[::4] + 1) % classes
    return x, y, images_of(x, y, classes)


def _evade(model: Any, images: Images, threat: PixelChange = THREATS[0], **options: Any) -> EvasionResult:
    options = {"suite": QUICK, "batch_size": 16, **options}
    return picture_evasion(model, images, threat=threat, rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
def test_the_result_is_what_the_model_says_of_the_pictures_that_it_holds(threat: PixelChange) -> None:
    module = linear()
    x, y, images = _case(module)
    result = _evade(module, images, threat, suite=[ApgdTargeted(targets=3, steps=50), Square(queries=30)])
    changed = torch.as_tensor(np.moveaxis(result.adversarial, -1, 1))
    right = ~fooled(module, x, y)
    assert torch.equal(torch.as_tensor(result.correct), right)
    assert torch.equal(torch.as_tensor(result.evaded), right & fooled(module, changed, y))
    assert result.adversarial.dtype == np.float32
    assert result.adversarial.shape == images.pixels.shape
    nearest = smallest_changes(module, x, threat).numpy()
    assert (result.distance[result.correct] >= 0.999 * nearest[result.correct]).all()  # float32
    assert not result.evaded[nearest > threat.radius].any()
    assert result.evaded[result.correct & (nearest < 0.97 * threat.radius)].all()
    assert (result.distance[~result.correct] == 0).all()
    assert (result.queries[result.correct] > 0).all()
    assert (result.queries[~result.correct] == 0).all()
    assert result.robust_accuracy.bound == "upper"
    assert result.unreliable == ()


def test_found_pictures_are_brought_nearer_so_that_the_curve_says_something() -> None:
    module = linear(2)
    _, _, images = _case(module, classes=2)
    threat = PixelChange(radius=0.1)
    result = _evade(module, images, threat, suite=[fgsm()])
    nearest = smallest_changes(module, torch.as_tensor(images.pixels / 255.0).float().permute(0, 3, 1, 2), threat)
    found = result.evaded
    np.testing.assert_allclose(result.distance[found], nearest.numpy()[found], atol=0.1 / 2**7)
    assert result.curve.robust_accuracy[0] > result.curve.robust_accuracy[10] > result.curve.robust_accuracy[-1]


def test_the_worst_case_of_several_attacks_is_that_of_each_on_its_own() -> None:
    module, threat = linear(), THREATS[0]
    _, _, images = _case(module)
    attacks = [fgsm(), Pgd(name="steps", steps=8, random_start=False)]  # without chance
    together = _evade(module, images, threat, suite=attacks)
    alone = [_evade(module, images, threat, suite=[attack]).evaded for attack in attacks]
    np.testing.assert_array_equal(together.evaded, alone[0] | alone[1])
    assert 0 < together.evaded.sum() < together.correct.sum()
    greater = _evade(module, images, threat.with_radius(0.2), suite=attacks)
    assert greater.robust_accuracy.value < together.robust_accuracy.value


@pytest.mark.parametrize("suite", ["standard", "fast", "black-box"])
@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
def test_named_suites_are_the_published_attacks_and_run(suite: Any, threat: PixelChange) -> None:
    names = [attack.name for attack in attacks_of(suite, threat)]
    assert names[-1] == "square"
    if suite == "standard":
        first, second, third, fourth = attacks_of(suite, threat)
        assert isinstance(first, Apgd)
        assert isinstance(second, ApgdTargeted)
        assert names == ["apgd-ce", "apgd-t", "fab-t", "square"]
        assert (first.steps, first.restarts) == (100, 5 if threat.norm == "L1" else 1)
        assert (second.steps, second.targets) == (100, 5 if threat.norm == "L1" else 9)
        assert repr(third).startswith("FabTargeted(steps=100, targets=9")
        assert repr(fourth).startswith("Square(queries=5000")


def test_a_whole_suite_runs_on_a_model_of_two_classes() -> None:
    module = linear(2)
    _, _, images = _case(module, count=6, classes=2)
    result = _evade(module, images, THREATS[0].with_radius(0.02), suite="standard")
    nearest = smallest_changes(module, grey_pictures(6), THREATS[0]).numpy()
    np.testing.assert_array_equal(result.evaded, result.correct & (nearest < 0.02))
    assert "suite standard" in result.method


class Stops(Exception):
    """The plug is pulled."""


def test_an_evaluation_goes_on_where_it_stopped_and_ends_the_same(tmp_path: Path) -> None:
    module = convolutional()
    _, _, images = _case(module)
    threat, path = PixelChange(radius=0.05), tmp_path / "kept.npz"
    whole = _evade(module, images, threat)
    for _ in range(2):
        seen = 0

        def pull_the_plug(done: int, total: int) -> None:
            nonlocal seen
            seen += 1
            if seen == 2:
                raise Stops

        with pytest.raises(Stops):
            _evade(module, images, threat, resume=path, progress=pull_the_plug)
    calls: list[tuple[int, int]] = []
    resumed = picture_evasion(
        module,
        images,
        threat=threat,
        rng=np.random.default_rng(99),  # the file knows the seed
        suite=QUICK,
        batch_size=16,
        resume=path,
        progress=lambda done, total: calls.append((done, total)),
    )
    np.testing.assert_array_equal(resumed.adversarial, whole.adversarial)
    np.testing.assert_array_equal(resumed.queries, whole.queries)
    assert calls[0][0] > 30
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    finished = _evade(module, images, threat, resume=path, progress=pull_the_plug)
    np.testing.assert_array_equal(finished.adversarial, whole.adversarial)


def test_a_kept_evaluation_that_leaves_the_threat_is_refused(tmp_path: Path) -> None:
    module, path = linear(), tmp_path / "kept.npz"
    _, _, images = _case(module, count=8)
    _evade(module, images, suite=[fgsm()], resume=path)
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files}
    for change in (
        {"changed": kept["changed"] + 0.5},
        {"changed": np.full_like(kept["changed"], np.nan)},
        {"queries": kept["queries"] - 1000},
        {"seed": np.array(-1)},
        {"attack": np.array(-1)},
    ):
        with path.open("wb") as file:
            np.savez(file, **(kept | change))
        with pytest.raises(WireError, match="holds no kept evasion: it"):
            _evade(module, images, suite=[fgsm()], resume=path)


def test_a_kept_evaluation_is_not_taken_for_another(tmp_path: Path) -> None:
    module, path = linear(), tmp_path / "kept.npz"
    x, y, images = _case(module, count=8)
    _evade(module, images, suite=[fgsm()], resume=path)
    others: list[tuple[nn.Module, Images, PixelChange, list[Attack]]] = [
        (linear(seed=1), images, THREATS[0], [fgsm()]),
        (module, images_of(x, (y + 1) % 4, 4), THREATS[0], [fgsm()]),
        (module, images, THREATS[0].with_radius(0.1), [fgsm()]),
        (module, images, THREATS[0], [replace(fgsm(), steps=2)]),
        (module, images, THREATS[0], [replace(fgsm(), loss=margin)]),
    ]
    for model, pictures, threat, suite in others:
        with pytest.raises(DataError, match="is of another"):
            _evade(model, pictures, threat, suite=suite, resume=path)
    _evade(copy.deepcopy(module), images, suite=[Pgd(**vars(fgsm()))], resume=path)  # the same in all that matters
    whole = path.read_bytes()
    for data in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(WireError, match="holds no kept evasion"):
            _evade(module, images, suite=[fgsm()], resume=path)


def test_a_model_that_hangs_can_be_gone_on_with(tmp_path: Path) -> None:
    module, hangs, path = linear(), [False], tmp_path / "kept.npz"
    _, _, images = _case(module, count=24)

    def scores(pictures: np.ndarray[Any, Any]) -> Any:
        time.sleep(1.0 if hangs[0] else 0.0)
        with torch.no_grad():
            return module(torch.as_tensor(pictures)).softmax(dim=1).numpy()

    def hang(done: int, total: int) -> None:
        hangs[0] = True

    options: dict[str, Any] = {"suite": [Square(queries=20)], "timeout_s": 0.5, "batch_size": 12}
    with pytest.raises(UnsupportedError, match=r"within 0\.5 s, got none") as caught:
        _evade(scores, images, resume=path, progress=hang, **options)
    assert "resume" in caught.value.hint
    hangs[0] = False
    resumed = _evade(scores, images, resume=path, **options)
    np.testing.assert_array_equal(resumed.evaded, _evade(scores, images, **options).evaded)


@pytest.mark.parametrize(
    ("before", "after", "doubt"),
    [
        (lambda x: x.round(), _same, "gradient is zero"),
        (_same, lambda z: z + 0.1 * torch.randn_like(z), "differently each time"),
        (_same, lambda z: 0 * z, "same answer for all"),
        (lambda x: torch.where(x == x.clamp(0.2, 0.8), x, torch.nan), _same, "NaN or infinity"),
    ],
    ids=["masked", "random", "constant", "nan"],
)
def test_what_withstood_for_a_bad_reason_is_doubted(
    before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor], doubt: str
) -> None:
    module = Wrapped(before, after)
    x = grey_pictures(12)
    images = images_of(x, own_labels(module, x), 4)
    radius = 0.5 if doubt.startswith("NaN") else 0.004
    result = _evade(module, images, PixelChange(radius=radius), suite=[Pgd(steps=3), Square(queries=20)])
    assert any(doubt in why for why in result.unreliable)
    assert any(doubt in why for why in result.void) == (doubt != "gradient is zero")  # asking may flip it
    evidence = result.to_evidence("sha256:" + "0" * 64)
    assert not any("Black-box" in name for name in evidence.references)  # Pgd reads the weights
    assert any("may be unreliable" in caveat for caveat in evidence.caveats)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest


def test_answers_alone_that_beat_gradients_are_told_of() -> None:
    module = Wrapped(lambda x: x.round(decimals=2), _same)  # steps: the gradient of rounding is zero
    x = grey_pictures(40)
    images = images_of(x, own_labels(module, x), 4)
    result = _evade(
        module, images, PixelChange(radius=0.03), suite=[Pgd(steps=5, random_start=False), Square(queries=200)]
    )
    assert result.evaded.sum() > 5
    assert any("answers alone flipped" in why for why in result.unreliable)
    assert result.void == ()
    result.gate(min_robust_accuracy=0.0)


def test_logits_are_due_of_a_network_and_scores_will_do_through_answers_alone() -> None:
    module = nn.Sequential(linear(), nn.Softmax(dim=1))
    _, _, images = _case(module)
    with pytest.raises(UnsupportedError, match="expected logits") as caught:
        _evade(module, images)
    assert "softmax" in caught.value.hint

    def scores(pictures: np.ndarray[Any, Any]) -> Any:
        with torch.no_grad():
            return module(torch.as_tensor(pictures)).numpy()

    with pytest.raises(UnsupportedError, match="can only be asked") as caught:
        _evade(scores, images, suite="standard")
    assert "black-box" in caught.value.hint
    result = _evade(scores, images, suite=[Square(queries=100)])
    assert result.evaded.any()
    assert result.queries.max() <= 100 + 10


class Cheat:
    """Goes further than the threat allows."""

    name = "cheat"
    needs_gradient = False

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        return Found((x + 1.5 * threat.radius).clamp(0, 1), torch.ones_like(y))


def test_bad_input_is_refused_in_one_sentence() -> None:
    module = linear()
    x, y, images = _case(module, count=4)
    with pytest.raises(UsageError, match="cheat changed a picture by"):
        _evade(module, images, suite=[Cheat()])
    for suite in ("strong", [], [fgsm(), fgsm()]):
        with pytest.raises(UsageError, match="expected"):
            _evade(module, images, suite=suite)
    for options in ({"batch_size": 0}, {"timeout_s": 0.0}):
        with pytest.raises(UsageError, match="batches of 1 picture or more"):
            _evade(module, images, **options)
    with pytest.raises(DataError, match="at least one picture"):
        _evade(module, images.take(np.zeros(0, dtype=np.int64)))
    with pytest.raises(UnsupportedError, match=r"logits of shape \(4, 3\)"):
        _evade(module, images_of(x, y % 3, 3))
    broken = linear()
    broken[1].bias.data[0] = torch.nan  # type: ignore[index, union-attr]
    with pytest.raises(UnsupportedError, match="finite logits"):
        _evade(broken, images)


def test_a_model_that_is_always_wrong_has_nothing_to_lose() -> None:
    module = linear()
    x = grey_pictures(5)
    result = _evade(module, images_of(x, (own_labels(module, x) + 1) % 4, 4))
    assert result.robust_accuracy.value == 0
    assert not result.evaded.any()
