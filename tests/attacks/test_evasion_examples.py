"""A page shows inputs before and after only to whom hands them over: the right ones, a few, as they are."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from holdfast.attacks import EvasionResult, FeasibleChange
from holdfast.attacks.changed_features import changed_features
from holdfast.attacks.evasion_examples import examples_of
from holdfast.attacks.evasion_result import evasion_result
from holdfast.attacks.images.threat import PixelChange
from holdfast.attacks.images.transform_evasion import transform_evasion
from holdfast.attacks.images.transforms import Brightness
from holdfast.data import Dataset, Feature, Schema
from holdfast.data.images import Images
from holdfast.drawing.examples import magnified, png_address, spread
from holdfast.errors import DataError, UsageError

N, FLIPPED = 20, 9
SCHEMA = Schema(
    features=(
        Feature(name="amount <b>", kind="real", low=0, high=100),
        Feature(name="count", kind="integer", low=0, high=10),
        Feature(name="country", kind="category", categories=("A", "B", "C")),
    ),
    target="fraud",
    classes=("no", "yes <script>"),
)


def images(channels: int = 1, side: int = 6) -> Images:
    rng = np.random.default_rng(0)
    return Images(rng.integers(0, 200, (N, side, side, channels), dtype=np.uint8), np.arange(N) % 2, ("cat", "dog"))


def found(y: Any, adversarial: Any, distance: Any, threat: Any, **more: Any) -> EvasionResult:
    """An evasion that flipped the first nine."""
    flipped = np.arange(N) < FLIPPED
    return evasion_result(
        threat=threat,
        within="when so much may change",
        method="made up",
        exact=False,
        black_box=False,
        y=y,
        before=np.eye(2)[y],
        after=np.where(flipped, 1 - y, y),
        distance=np.where(flipped, distance, np.inf),
        queries=np.zeros(N, dtype=np.int64),
        adversarial=adversarial,
        **more,
    )


def pictures_found(data: Images) -> EvasionResult:
    """The k-th of the flipped is lighter by k bytes."""
    step = np.minimum(np.arange(1, N + 1), FLIPPED) / 255
    moved = np.where(np.arange(N) < FLIPPED, step, 0)[:, None, None, None]
    adversarial = (data.pixels / 255 + moved).astype(np.float32)
    return found(data.y, adversarial, step, PixelChange(radius=10 / 255))


def rows() -> Dataset:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.uniform(0, 50, N), rng.integers(0, 5, N), rng.integers(0, 2, N)])
    return Dataset(SCHEMA, X, np.arange(N) % 2)


def rows_found(data: Dataset) -> EvasionResult:
    """All features of the flipped rows are changed: by a tenth, a fifth, and to another category."""
    threat = FeasibleChange(budget=0.25, max_category_changes=1, costs={"count": 2.0, "country": 3.0}, max_cost=9.0)
    X = data.X.copy()
    X[:FLIPPED] += [10, 2, 1]
    cost, changed = threat.cost(data.X, X, SCHEMA), changed_features(data.X[:FLIPPED], X[:FLIPPED], SCHEMA)
    return found(data.y, X, np.full(N, 0.2), threat, cost=cost, changed=changed)


def pixels(address: str) -> Any:
    head, _, body = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(body))))


def test_without_the_originals_a_page_shows_none_of_them() -> None:
    for result in (pictures_found(images()), rows_found(rows())):
        page = result.to_html()
        assert "data:image" not in page
        assert "Before and after" not in page


def test_pictures_are_shown_as_they_were_and_as_they_became() -> None:
    data = images()
    (examples,) = [examples_of(pictures_found(data), data, heading="h")]
    assert examples.note == "6 of 9 flipped pictures, from the smallest change to the largest."
    assert [one.row for one in examples.pictures] == [0, 2, 3, 5, 6, 8]
    for one in examples.pictures:
        before = data.pixels[one.row, ..., 0].astype(int)
        np.testing.assert_array_equal(pixels(one.before), before)
        np.testing.assert_array_equal(pixels(one.after), before + one.row + 1)
        np.testing.assert_allclose(pixels(one.change), 127.5 + int(one.factor) * (one.row + 1), atol=1)
        assert {one.said_before, one.said_after} == {"cat", "dog"}
        assert one.said_before == data.classes[data.y[one.row]]
    page = pictures_found(data).to_html(originals=data)
    assert page.count("data:image/png;base64,") == 18
    assert "picture 8: said cat, then dog; changed by 0.035 Linf" in page


def test_the_changes_of_rows_are_told_with_what_they_cost() -> None:
    data = rows()
    examples = examples_of(rows_found(data), data, heading="h")
    assert len(examples.rows) == 5
    for one in examples.rows:
        names, before, after, moves, costs = zip(*one.changes, strict=True)
        assert names == ("country", "count", "amount <b>")
        was = int(data.X[one.row, 2])
        assert (before[0], after[0]) == SCHEMA.features[2].categories[was : was + 2]
        assert float(after[1]) == float(before[1]) + 2 == data.X[one.row, 1] + 2
        assert moves == ("swapped", "0.200", "0.100")
        assert sum(map(float, costs)) == pytest.approx(3.4) == float(one.cost)
        assert one.more == 0
    page = rows_found(data).to_html(originals=data)
    assert "amount &lt;b&gt;" in page
    assert "<script>" not in page
    assert "amount <b>" not in page


def test_what_is_changed_most_is_told_without_the_rows() -> None:
    changed = rows_found(rows()).changed
    assert [(feature.name, feature.rows, feature.move) for feature in changed] == [
        ("count", 1.0, 0.2),
        ("amount <b>", 1.0, pytest.approx(0.1)),
        ("country", 1.0, None),
    ]
    assert "Features changed most often" in rows_found(rows()).to_html()
    wide = Schema(
        features=tuple(Feature(name=f"f{k}", kind="real", low=0, high=1) for k in range(30)),
        target="t",
        classes=("a", "b"),
    )
    assert len(changed_features(np.zeros((3, 30)), np.ones((3, 30)), wide)) == 20
    assert changed_features(np.zeros((0, 30)), np.zeros((0, 30)), wide) == ()


def test_other_data_than_was_attacked_is_refused() -> None:
    data, table = images(), rows()
    backwards = np.arange(N)[::-1]
    for wrong in (data.take(backwards), data.take(range(5)), images(channels=3), table):
        with pytest.raises(DataError, match=r"expected the (pictures|data) that"):
            pictures_found(data).to_html(originals=wrong)
    relabelled = Images(data.pixels, 1 - data.y, data.classes)
    for wrong in (table.take(backwards), Dataset(SCHEMA, table.X, 1 - table.y), data):
        with pytest.raises(DataError, match="expected the rows that were attacked, got others"):
            rows_found(table).to_html(originals=wrong)
    with pytest.raises(DataError, match="got others"):
        pictures_found(data).to_html(originals=relabelled)
    with pytest.raises(UsageError, match="as the Images or the Dataset that was attacked, got ndarray"):
        pictures_found(data).to_html(originals=data.pixels)  # type: ignore[arg-type]


def test_where_nothing_was_flipped_that_is_said() -> None:
    data = images()
    nothing = np.zeros(N, dtype=bool)
    result = replace(
        pictures_found(data), evaded=nothing, said=data.y, adversarial=(data.pixels / 255).astype(np.float32)
    )
    examples = examples_of(result, data, heading="h")
    assert examples.note == "None of the pictures was flipped."
    assert examples.pictures == ()
    assert "data:image" not in result.to_html(originals=data)


def test_large_pictures_are_shrunk_so_that_a_page_stays_small() -> None:
    data = images(channels=3, side=180)
    page = pictures_found(data).to_html(originals=data)
    sizes = {pixels(address).shape for address in re.findall(r'src="(data:[^"]+)"', page)}
    assert sizes == {(160, 160, 3)}
    assert len(page) < 2_000_000


def test_a_real_attack_leaves_what_it_did_not_flip_as_it_was() -> None:
    data = images()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    result = transform_evasion(network, data, threat=Brightness(shift=0.2), rng=np.random.default_rng(0))
    assert f"of {result.evaded.sum()} flipped" in result.to_html(originals=data) or not result.evaded.any()


def test_a_change_is_stretched_about_grey_and_never_beyond_the_picture() -> None:
    drawn, factor = magnified(np.array([[[-0.01], [0.02]]]))
    assert factor == 25
    np.testing.assert_allclose(drawn.ravel(), [0.25, 1.0])
    assert magnified(np.zeros((1, 1, 1)))[1] == 1
    assert magnified(np.full((1, 1, 1), -0.9))[1] == 1
    assert pixels(png_address(np.full((1, 1, 4), 0.5))).shape == (1, 1)


@pytest.mark.parametrize("length", range(12))
def test_a_few_are_spread_from_the_first_to_the_last(length: int) -> None:
    chosen = spread(np.arange(length), 5).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(length, 5)
    assert not chosen or (chosen[0], chosen[-1]) == (0, length - 1)
