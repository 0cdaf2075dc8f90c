"""The Square attack: within the threat, by scores alone, each query counted, and finds what there is to find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.attacks.images.picture_cases import (
    RADII,
    THREATS,
    asked,
    convolutional,
    fooled,
    generator,
    grey_pictures,
    linear,
    own_labels,
    smallest_changes,
)
from torch import Tensor, nn

from holdfast.attacks.images.classifier import attackable
from holdfast.attacks.images.norms import NORMS
from holdfast.attacks.images.quick import quickened
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.square_moves import moves_of
from holdfast.attacks.images.square_spots import apart, window
from holdfast.attacks.images.threat import NormName, PixelChange
from holdfast.errors import UsageError

FLOAT32 = 1e-5
"""Lengths of 36 numbers in float32, relative."""


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 9), (2, 16, 11)], ids=str)
def test_every_candidate_is_within_the_threat(threat: PixelChange, shape: tuple[int, int, int]) -> None:
    x = torch.rand((5, *shape), generator=generator(1))
    moves, coins = moves_of(threat), generator(2)
    best = moves.start(x, coins)
    for side in (8, 5, 4, 3, 1, 1, 1):
        length = NORMS[threat.norm].length(best - x)
        assert (length <= threat.radius * (1 + FLOAT32)).all()
        assert best.min() >= 0
        assert best.max() <= 1
        changes = moves.step(x, best, min(side, *shape[1:]), coins)
        assert len(changes) <= moves.windows
        assert apart([spot for spot, _ in changes])
        for spot, patch in changes:
            best[window(spot)] = patch
    assert (best != x).any()


@pytest.mark.parametrize(("norm", "pixels"), [("L2", 35 * 35), ("L1", 2 * 25)])
def test_the_first_change_spends_the_radius_on_tiles_or_for_l1_on_the_peaks_of_them(
    norm: NormName, pixels: int
) -> None:
    """Projected onto the L1 ball, a tile keeps the highest of each of its two pyramids."""
    grey, threat = torch.full((3, 1, 35, 35), 0.5), PixelChange(norm=norm, radius=2.0)
    change = moves_of(threat).start(grey, generator()) - grey
    torch.testing.assert_close(NORMS[norm].length(change), torch.full((3,), 2.0), rtol=FLOAT32, atol=0)
    assert (change.flatten(1).count_nonzero(dim=1) == pixels).all()


@pytest.mark.parametrize(("norm", "most"), [("Linf", 0.95), ("L2", 0.75), ("L1", 0.75)])
@pytest.mark.parametrize("classes", [2, 4])
def test_it_flips_what_can_be_flipped_on_a_linear_model_and_nothing_else(
    norm: NormName, most: float, classes: int
) -> None:
    model, x = linear(classes), grey_pictures(60)
    y = own_labels(model, x)
    known = smallest_changes(model, x, PixelChange(norm=norm, radius=RADII[norm]))
    threat = PixelChange(norm=norm, radius=2 * float(known.median()))
    before = x.clone()
    with asked(model, classes) as classifier:
        found = Square(queries=200, schedule=200)(classifier, x, y, threat=threat, generator=generator())
    flipped, possible = fooled(model, found.x, y), known < threat.radius
    assert not flipped[~possible].any()
    assert not possible.all()
    assert flipped[possible].float().mean() > most
    assert torch.equal(found.x[~flipped], x[~flipped])
    assert torch.equal(x, before)


def test_each_row_asked_is_counted_and_the_bound_is_kept() -> None:
    rows_asked = 0
    weight = np.random.default_rng(0).normal(size=(36, 3))

    def scores(pictures: np.ndarray) -> np.ndarray:
        nonlocal rows_asked
        rows_asked += len(pictures)
        return pictures.reshape(len(pictures), -1) @ weight

    x = grey_pictures(12)
    y = torch.as_tensor(scores(x.numpy()).argmax(axis=1))
    for queries in (1, 30):
        rows_asked = 0
        with attackable(scores, classes=3) as classifier:
            found = Square(queries=queries)(
                classifier, x, y, threat=PixelChange(norm="Linf", radius=0.05), generator=generator()
            )
        assert int(found.queries.sum()) == rows_asked == classifier.forward_rows
        assert (found.queries <= queries + 1).all()
        assert (found.queries >= 1).all()


def test_the_same_seed_gives_the_same_pictures() -> None:
    model, x = convolutional(), grey_pictures(10)
    y, threat = own_labels(model, x), PixelChange(norm="Linf", radius=0.1)
    with asked(model) as classifier:
        first, again, other = (
            Square(queries=20)(classifier, x, y, threat=threat, generator=generator(seed)) for seed in (3, 3, 4)
        )
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.queries, again.queries)
    assert not torch.equal(first.queries, other.queries) or not torch.equal(first.x, other.x)


def test_a_change_that_changes_nothing_costs_no_query() -> None:
    model, x = linear(2), torch.zeros(6, 1, 6, 6)
    with asked(model, 2) as classifier:
        y = classifier.logits(x).argmax(dim=1)
        found = Square(queries=300, schedule=300)(
            classifier, x, y, threat=PixelChange(norm="Linf", radius=1e-4), generator=generator()
        )
    assert not fooled(model, found.x, y).any()
    assert (found.queries < 250).all()


class Forks(nn.Module):
    """A module whose path depends on its input, so that a graph of one call is wrong for others."""

    def forward(self, x: Tensor) -> Tensor:
        level = x.flatten(1).mean(dim=1)
        other = 1 - level if float(level.mean().detach()) > 0.45 else level * 3
        return torch.stack([level, other], dim=1)


def test_the_quick_copy_agrees_with_the_model_or_is_not_used() -> None:
    x = grey_pictures(200)
    with asked(convolutional()) as classifier, quickened(classifier, x) as quick:
        assert quick is not classifier
        torch.testing.assert_close(quick.logits(x), classifier.logits(x))
        assert quick.forward_rows == 200
    assert classifier.forward_rows == 400
    with asked(Forks(), 2) as classifier, quickened(classifier, torch.full((4, 1, 6, 6), 0.3)) as quick:
        assert quick is classifier


def test_no_pictures_no_queries() -> None:
    with asked(linear()) as classifier:
        found = Square(queries=5)(
            classifier, grey_pictures(0), torch.zeros(0, dtype=torch.int64), threat=THREATS[0], generator=generator()
        )
    assert found.x.shape == (0, 1, 6, 6)
    assert classifier.forward_rows == 0


@pytest.mark.parametrize("options", [{"queries": 0}, {"first_share": 0.0}, {"first_share": 1.5}], ids=str)
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Square(**options)  # type: ignore[arg-type]
