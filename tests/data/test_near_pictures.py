"""Pictures that were shifted, brightened or encoded again are found, others are not, and not all pairs are compared."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holdfast.data.images import Images
from holdfast.data.near_pictures import find_near_pictures, repeated_pictures

from .poisoning import rng, shapes


def jpeg(picture: np.ndarray) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(picture[:, :, 0]).save(buffer, "JPEG", quality=80)
    return np.asarray(Image.open(buffer))[:, :, None]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "down": lambda picture: np.roll(picture, 1, axis=0),
    "aside-and-up": lambda picture: np.roll(picture, (-2, 1), axis=(0, 1)),
    "brighter": lambda picture: np.clip(picture * 0.7 + 40, 0, 255).astype(np.uint8),
    "encoded-again": jpeg,
}


@pytest.fixture(scope="module")
def scans(real_data: Callable[[str], Path]) -> Images:
    with np.load(real_data("pneumoniamnist.npz"), allow_pickle=False) as arrays:
        return Images.of(arrays["val_images"], arrays["val_labels"])


@pytest.mark.parametrize("change", CHANGES)
def test_altered_copies_of_real_scans_are_found_with_their_origin_and_nothing_else(scans: Images, change: str) -> None:
    chosen = rng(0).choice(len(scans), 40, replace=False)
    copies = np.stack([CHANGES[change](picture) for picture in scans.pixels[chosen]])
    both = Images(np.concatenate([scans.pixels, copies]), np.concatenate([scans.y, scans.y[chosen]]), scans.classes)
    pairs = find_near_pictures(both, rng=rng(1))
    right = {(len(scans) + place, int(origin)) for place, origin in enumerate(chosen)}
    found = set(map(tuple, pairs.tolist()))
    assert len(found & right) >= 39
    assert found <= right


def test_equal_pictures_are_repeated_and_not_nearly_so() -> None:
    images = shapes(60)
    twice = images.take([*range(60), 3, 3, 7])
    repeated, contradicting = repeated_pictures(twice)
    assert repeated.tolist() == [60, 61, 62]
    assert contradicting.tolist() == []
    assert not set(find_near_pictures(twice, rng=rng())[:, 0].tolist()) & {60, 61, 62}
    y = twice.y.copy()
    y[62] = (y[62] + 1) % 3
    assert repeated_pictures(Images(twice.pixels, y, images.classes))[1].tolist() == [7, 62]


def test_pairs_are_compared_by_the_thousand_and_not_by_the_million(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4,000 unrelated pictures there are 8 million pairs."""
    from holdfast.data import near_pictures

    compared = []
    whole = near_pictures._correlations
    monkeypatch.setattr(near_pictures, "_correlations", lambda g, p: compared.append(len(p)) or whole(g, p))
    noise = Images.of(rng(0).integers(0, 256, (4000, 12, 12), dtype=np.uint8), np.arange(4000) % 2)
    assert len(find_near_pictures(noise, rng=rng())) == 0
    assert sum(compared) < 40_000


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (3, 7, 2), (70, 90, 1)])
def test_any_size_is_taken(shape: tuple[int, int, int]) -> None:
    pixels = rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    find_near_pictures(Images.of(pixels, np.arange(6) % 2), rng=rng())
    assert find_near_pictures(Images.of(pixels[:1], np.zeros(1, dtype=int)), rng=rng()).shape == (0, 2)
