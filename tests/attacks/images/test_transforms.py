"""Transforms as threats: what the light, the tilt and a worn patch do, and that a result says no more than was seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.attacks.images.picture_cases import convolutional, grey_pictures, images_of, own_labels
from torch import Tensor, nn
from torch.nn import functional

from holdfast.attacks.evasion_result import EvasionResult
from holdfast.attacks.images.transform_evasion import transform_evasion
from holdfast.attacks.images.transforms import Brightness, Occlusion, Rotation, Transform, lighter, turned
from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence

SUBJECT = "sha256:" + "0" * 64
BYTE = 1 / 255


class Level(nn.Module):
    """Says whether the mean of a picture is above a half."""

    def forward(self, x: Tensor) -> Tensor:
        over = 10 * (x.flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-over, over], dim=1)


class Corner(nn.Module):
    """Says whether the left upper corner is lighter than the rest."""

    def forward(self, x: Tensor) -> Tensor:
        over = x[:, 0, :2, :2].mean(dim=(1, 2)) - x[:, 0, 2:, 2:].mean(dim=(1, 2))
        return torch.stack([-over, over], dim=1)


def attack(model: nn.Module, images: Images, threat: Transform) -> EvasionResult:
    result = transform_evasion(model, images, threat=threat, rng=np.random.default_rng(0))
    changed = torch.as_tensor(result.adversarial).permute(0, 3, 1, 2)
    with torch.no_grad():
        after = model(changed).argmax(dim=1).numpy()
    np.testing.assert_array_equal(result.evaded, result.correct & (after != images.y))
    assert (result.distance[result.evaded] <= threat.budget).all()
    assert np.isinf(result.distance[result.robust]).all()
    assert 0 <= result.adversarial.min() <= result.adversarial.max() <= 1
    assert result.robust_accuracy.bound == "upper"
    return result


def test_the_smallest_shift_of_brightness_is_found() -> None:
    x = grey_pictures(40)
    y = own_labels(Level(), x)
    result = attack(Level(), images_of(x, y, 2), Brightness(shift=0.02))
    needed = (x.flatten(1).mean(dim=1) - 0.5).abs().numpy()
    sure = abs(needed - 0.02) > 1e-6
    np.testing.assert_array_equal(result.evaded[sure], needed[sure] < 0.02)
    assert 0 < result.evaded.sum() < len(y)
    found, grid = result.distance[result.evaded], 0.02 / 20
    assert (found >= needed[result.evaded] - 1e-6).all()
    assert (found <= needed[result.evaded] + grid / 128 + 1e-6).all()


def test_a_turn_goes_the_right_way_on_pictures_that_are_not_square() -> None:
    x = torch.zeros(1, 1, 9, 15)
    x[0, 0, 4, 10] = 1.0  # three columns to the right of the centre
    quarter, none, half = (turned(x, torch.tensor([angle]))[0, 0] for angle in (90.0, 0.0, 180.0))
    assert quarter[1, 7] == pytest.approx(1, abs=1e-5)
    assert half[4, 4] == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(none, x[0, 0], atol=1e-5, rtol=0)


def test_a_corner_is_turned_away_and_small_angles_are_not_enough() -> None:
    x = torch.full((1, 1, 8, 8), 0.2)
    x[:, :, :2, :2] = 0.9
    images = images_of(x, torch.tensor([1]), 2)
    far = attack(Corner(), images, Rotation(degrees=90))
    assert far.evaded.all()
    near = attack(Corner(), images, Rotation(degrees=float(far.distance[0]) / 2))
    assert not near.evaded.any()
    again = turned(x, torch.tensor([float(far.distance[0])]))
    back = turned(x, -torch.tensor([float(far.distance[0])]))
    assert any(Corner()(picture).argmax() == 0 for picture in (again, back))


def test_a_patch_goes_where_it_matters_and_nothing_else_changes() -> None:
    x = torch.full((6, 1, 8, 8), 0.4)
    x[:, :, :2, :2] = 0.6
    images = images_of(x, torch.ones(6, dtype=torch.int64), 2)
    threat = Occlusion.patch((8, 8), size=(2, 2), stride=2)
    assert len(threat.places) == 16
    result = attack(Corner(), images, threat)
    assert result.evaded.all()
    assert result.distance == pytest.approx(4 / 64)
    moved = np.abs(result.adversarial - images.pixels / 255) > BYTE / 2
    assert (moved.reshape(6, -1).sum(axis=1) <= 4).all()
    assert moved[:, :2, :2].any(axis=(1, 2, 3)).all()


def test_what_is_covered_where_nothing_looks_changes_nothing() -> None:
    x = torch.full((3, 1, 8, 8), 0.4)
    x[:, :, :2, :2] = 0.6
    mask = np.zeros((1, 8, 8), dtype=bool)
    mask[0, 0, 4:] = True  # Corner does not look there
    result = attack(Corner(), images_of(x, torch.ones(3, dtype=torch.int64), 2), Occlusion(places=mask, name="a bar"))
    assert not result.evaded.any()
    np.testing.assert_allclose(result.adversarial[..., 0], 0.4 + 0.2 * (x[:, 0].numpy() > 0.5), atol=BYTE)


def test_glasses_are_a_frame_about_the_eyes() -> None:
    threat = Occlusion.glasses((112, 92), eyes=[(50, 28), (50, 62)])
    frame = threat.places[0]
    assert 0.02 < threat.budget < 0.15
    assert not frame[50, 28]
    assert not frame[50, 62]
    assert frame[50, 45]
    assert frame[20:80].sum() == frame.sum()
    np.testing.assert_array_equal(frame, Occlusion.glasses((112, 92), eyes=[(50, 62), (50, 28)]).places[0])


def test_painted_glasses_fool_a_small_face_recogniser_more_than_random_ones(
    real_data: Callable[[str], Path],
) -> None:
    with np.load(real_data("orl_faces.npz")) as archive:
        pixels, labels = (archive[name] for name in archive.files)
    rows = np.flatnonzero(labels < labels.min() + 10)
    small = functional.avg_pool2d(torch.as_tensor(pixels[rows][:, None] / 255).float(), 2)
    y = torch.as_tensor(labels[rows] - labels.min()).long()
    test = torch.arange(len(y)) % 10 >= 7
    model = recogniser(small[~test], y[~test])
    images = images_of(small[test], y[test], 10)
    threat = Occlusion.glasses((56, 46), eyes=[(25, 14), (25, 31)])
    result = attack(model, images, threat)
    assert result.accuracy.value > 0.8
    frame = torch.as_tensor(threat.places)
    noise = torch.rand(small[test].shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        covered = model(torch.where(frame, noise, small[test])).argmax(dim=1)
    assert result.robust_accuracy.value < (covered == y[test]).float().mean() - 0.2


def recogniser(x: Tensor, y: Tensor) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.AvgPool2d(2), nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.LazyLinear(10)),
    )
    module(x[:1])
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        functional.cross_entropy(module(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return module.eval()


def test_more_light_is_no_weaker_a_threat() -> None:
    x = grey_pictures(30)
    images = images_of(x, own_labels(Level(), x), 2)
    shares = [attack(Level(), images, Brightness(shift=shift)).robust_accuracy.value for shift in (0.01, 0.02, 0.1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[1] > shares[2] == 0


def test_a_model_of_scores_alone_is_swept_and_cannot_be_painted_for() -> None:
    def scores(pictures: np.ndarray) -> np.ndarray:
        share = pictures.mean(axis=(1, 2, 3))
        return np.stack([1 - share, share], axis=1)

    x = grey_pictures(20)
    images = images_of(x, own_labels(Level(), x), 2)
    rng = np.random.default_rng(0)
    result = transform_evasion(scores, images, threat=Brightness(shift=0.5), rng=rng)
    assert result.evaded.all()
    with pytest.raises(UnsupportedError, match="without a gradient"):
        transform_evasion(scores, images, threat=Occlusion.patch((6, 6), size=(2, 2)), rng=rng)


@pytest.mark.parametrize(
    "threat", [Brightness(shift=0.1), Rotation(degrees=15), Occlusion.patch((6, 6), size=(2, 3))], ids=lambda t: t.unit
)
def test_the_evidence_names_the_transform_and_survives_json(threat: Transform) -> None:
    model, x = convolutional(), grey_pictures(8)
    seen: list[tuple[int, int]] = []
    result = transform_evasion(
        model,
        images_of(x, own_labels(model, x), 4),
        threat=threat,
        rng=np.random.default_rng(0),
        batch_size=5,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(5, 8), (8, 8)]
    evidence = result.to_evidence(SUBJECT)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert evidence.context["threat"] == threat.to_json()
    assert evidence.figures["budget"].unit == threat.unit
    assert threat.within in evidence.title
    assert any("Black-box" in name for name in evidence.references) is not isinstance(threat, Occlusion)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Brightness(shift=0.0),
        lambda: Brightness(shift=1.1),
        lambda: Rotation(degrees=-3),
        lambda: Rotation(degrees=float("nan")),
        lambda: Occlusion(places=np.zeros((1, 4, 4), dtype=bool), name="nothing"),
        lambda: Occlusion(places=np.ones((1, 4, 4), dtype=bool), name="all"),
        lambda: Occlusion(places=np.ones((4, 4)), name="numbers"),
        lambda: Occlusion.patch((4, 4), size=(5, 1)),
        lambda: Occlusion.glasses((9, 9), eyes=[(3, 3)]),
        lambda: Occlusion.patch((4, 4), size=(2, 2), stride=0),
    ],
)
def test_a_threat_that_means_nothing_is_refused(make: Callable[[], Transform]) -> None:
    with pytest.raises(UsageError):
        make()


def test_pictures_that_do_not_fit_are_refused() -> None:
    model, x = convolutional(), grey_pictures(2)
    images, rng = images_of(x, own_labels(model, x), 4), np.random.default_rng(0)
    with pytest.raises(DataError, match="is for pictures of"):
        transform_evasion(model, images, threat=Occlusion.patch((8, 8), size=(2, 2)), rng=rng)
    with pytest.raises(DataError, match="at least one picture"):
        transform_evasion(model, images.take([]), threat=Brightness(shift=0.1), rng=rng)
    with pytest.raises(UsageError, match="batches"):
        transform_evasion(model, images, threat=Brightness(shift=0.1), rng=rng, batch_size=0)


def test_lighter_stays_a_picture() -> None:
    x = torch.tensor([[[[0.1, 0.9]]], [[[0.1, 0.9]]]])
    torch.testing.assert_close(lighter(x, torch.tensor([0.2, -0.2])).flatten(), torch.tensor([0.3, 1.0, 0.0, 0.7]))


def test_pictures_as_an_array_are_refused() -> None:
    pixels, threat = np.zeros((1, 4, 4, 1)), Brightness(shift=0.1)
    with pytest.raises(UsageError, match="expected pictures as Images, got ndarray"):
        transform_evasion(nn.Flatten(), pixels, threat=threat, rng=np.random.default_rng(0))  # type: ignore[arg-type]
