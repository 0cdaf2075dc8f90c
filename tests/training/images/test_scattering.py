"""The scattering transform: what it computes, by another way of computing it; and what it promises for any picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from holdfast.training.images.scattering import CHANNELS, ScatteringTransform, edges

TRANSFORM = ScatteringTransform()
SIDES = [(8, 8), (9, 13)]


def features(pictures: np.ndarray) -> np.ndarray:
    return np.asarray(TRANSFORM(torch.tensor(pictures, dtype=torch.float32)), dtype=np.float64)


def strokes(number: int = 5, side: int = 28) -> np.ndarray:
    """(number, 1, side, side) random thick lines, none within 8 pixels of the edges."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:side, :side]
    pictures = []
    for angle, at in zip(rng.uniform(0, math.pi, number), rng.uniform(11, 17, (number, 2)), strict=True):
        across = np.cos(angle) * (x - at[0]) + np.sin(angle) * (y - at[1])
        along = np.cos(angle) * (y - at[1]) - np.sin(angle) * (x - at[0])
        pictures.append(np.exp(-(across**2)) * (np.abs(along) < 4))
    inside = np.zeros((side, side))
    inside[8:-8, 8:-8] = 1
    return (np.array(pictures) * inside)[:, None]


class Reference:
    """The transform once more, from its definition: products of Fourier transforms, in NumPy."""

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        wavelets = [[self.wavelet(deviation, turn) for turn in range(8)] for deviation in (0.8, 1.6)]
        fine = [np.abs(self.answer(picture, wavelet)) for wavelet in wavelets[0]]
        coarse = [np.abs(self.answer(picture, wavelet)[::2, ::2]) for wavelet in wavelets[1]]
        second = [np.abs(self.answer(u, wavelet)[::2, ::2]) for u in fine for wavelet in wavelets[1]]
        average, half = self.gaussian(1.6, 6), self.gaussian(0.8, 3)
        wide = [self.answer(u, average).real[::4, ::4] for u in (picture, *fine)]
        return np.array([*wide, *(self.answer(u, half).real[::2, ::2] for u in (*coarse, *second))])

    @staticmethod
    def answer(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Correlation with a kernel, with the picture reflected past its edges."""
        half = len(kernel) // 2
        wide = np.pad(picture, half, mode="reflect")
        spectrum = np.fft.fft2(wide) * np.fft.fft2(kernel[::-1, ::-1], wide.shape)
        return np.asarray(np.fft.ifft2(spectrum)[2 * half :, 2 * half :])

    @staticmethod
    def wavelet(deviation: float, turn: int) -> np.ndarray:
        half = 3 if deviation < 1 else 7
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        rotation = np.exp(-1j * math.pi * turn / 8) * (x + 1j * y)
        envelope = np.exp(-(rotation.real**2 + rotation.imag**2 / 4) / (2 * deviation**2))
        wave = np.exp(0.6j * math.pi / deviation * rotation.real)
        mean = np.average(wave, weights=envelope)
        return np.asarray(envelope * (wave - mean) / (4 * math.pi * deviation**2))

    @staticmethod
    def gaussian(deviation: float, half: int) -> np.ndarray:
        along = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * deviation**2))
        return np.outer(along, along) / along.sum() ** 2


@pytest.mark.parametrize("sides", SIDES)
def test_it_equals_its_definition(sides: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random(sides)
    # float32 has 2**-24; a response adds up to 225 products of numbers below 1, twice, and 1e-6 is the root of TINY.
    np.testing.assert_allclose(features(picture[None, None])[0], Reference()(picture), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sides", SIDES)
def test_shapes_and_channels_apart(sides: tuple[int, int]) -> None:
    channels = 3
    pictures = np.random.default_rng(1).random((2, channels, *sides))
    found = features(pictures)
    assert found.shape == (2, CHANNELS * channels, math.ceil(sides[0] / 4), math.ceil(sides[1] / 4))
    for channel in range(channels):
        others = pictures.copy()
        others[:, channel] = 0
        changed = (features(others) != found).any((0, 2, 3))
        assert changed.sum() == CHANNELS, "a channel of the picture has 81 of its own"


@pytest.mark.parametrize("sides", SIDES)
def test_no_step_expands(sides: tuple[int, int]) -> None:
    """Bounded by the largest singular value of each linear step; moduli expand nothing."""

    def gain(kernels: torch.Tensor, stride: int, sides: tuple[int, int]) -> float:
        """The square of the largest singular value."""
        basis = torch.eye(math.prod(sides)).reshape(-1, 1, *sides)
        wide = torch.nn.functional.pad(basis, (kernels.shape[-1] // 2,) * 4, mode="reflect")
        answers = torch.nn.functional.conv2d(wide, kernels, stride=stride)
        return float(torch.linalg.eigvalsh(answers.flatten(1) @ answers.flatten(1).T)[-1])

    halved = (math.ceil(sides[0] / 2), math.ceil(sides[1] / 2))
    average, fine = gain(TRANSFORM.average, 4, sides), gain(TRANSFORM.fine, 1, sides)
    coarse = gain(TRANSFORM.coarse, 2, sides) * gain(TRANSFORM.half_average, 2, halved)
    assert average + coarse + fine * (average + coarse) < 1


@settings(max_examples=15)
@given(arrays(np.float64, (2, 1, 9, 10), elements=st.floats(0, 1, width=32)))
def test_features_differ_by_no_more_than_pictures(pictures: np.ndarray) -> None:
    one, other = features(pictures)
    assert (
        np.linalg.norm(one - other) <= np.linalg.norm(pictures[0] - pictures[1]) + 1e-5
    )  # the root of TINY, and float32


def test_a_move_by_four_pixels_is_a_move_by_one_place() -> None:
    moved = features(np.roll(strokes(), (4, -4), axis=(2, 3)))
    expected = np.roll(features(strokes()), (1, -1), axis=(2, 3))
    # Only places whose filters stay off the edges; the second order reaches 7 + 7 + 6 pixels, the picture is 0 there.
    np.testing.assert_allclose(moved[:, :, 2:5, 2:5], expected[:, :, 2:5, 2:5], rtol=0, atol=1e-5)


def test_a_move_by_one_pixel_changes_features_less_than_pixels() -> None:
    def change(pictures: np.ndarray, others: np.ndarray) -> float:
        return float(np.linalg.norm(pictures - others) / np.linalg.norm(pictures))

    pictures, moved = strokes(), np.roll(strokes(), 1, axis=3)
    assert change(features(pictures), features(moved)) < change(pictures, moved) / 2


def test_flat_pictures_have_nothing_but_their_average() -> None:
    found = features(np.full((1, 1, 12, 12), 0.7))[0]
    np.testing.assert_allclose(found[0], 0.7, atol=1e-6)
    assert np.abs(found[1:]).max() < 3e-6  # the root of TINY, and float32's 2**-24 over sums of 225


@given(st.floats(0.1, 10))
@settings(max_examples=5)
def test_brightness_scales_features(factor: float) -> None:
    np.testing.assert_allclose(features(strokes(2) * factor), features(strokes(2)) * factor, rtol=0, atol=2e-5 * factor)


def test_edges_answer_in_every_channel() -> None:
    pictures = edges(12, 9)
    assert pictures.shape == (8, 1, 12, 9)
    assert (features(pictures.numpy()).max((0, 2, 3)) > 1e-3).all()
    assert len({tuple(picture.flatten().tolist()) for picture in pictures}) == 8


def test_nothing_is_learned() -> None:
    assert not list(TRANSFORM.parameters())
    picture = torch.rand(1, 1, 8, 8, requires_grad=True)
    TRANSFORM(picture).sum().backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all(), "attacks may follow it"
