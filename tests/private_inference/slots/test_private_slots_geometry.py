"""Matrices over slots: every slot of an output sees what it should, once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.private_inference.slots.geometry import Geometry, power_of_two
from holdfast.private_inference.slots.matrices import matrix_entries


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    columns = draw(st.integers(0, 6))
    rows = draw(st.integers(1, 2))
    period, outputs = draw(st.integers(0, columns)), draw(st.integers(0, columns))
    slots = rows.bit_length() - 1 + columns
    fewest = max(0, period + outputs - slots)
    diagonals = draw(st.integers(fewest, min(period, outputs)))
    return Geometry(rows=rows, columns=1 << columns, period=1 << period, outputs=1 << outputs, diagonals=1 << diagonals)


@given(geometries(), st.integers(0, 2**32))
def test_diagonals_and_foldings_multiply_by_the_matrix(geometry: Geometry, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-9, 9, (geometry.outputs, geometry.period))
    x = rng.integers(-9, 9, geometry.period)
    slots = x[geometry.gather()]
    y = np.zeros_like(slots)
    for d, diagonal in geometry.matrix_diagonals(matrix_entries(matrix)).items():
        y = y + diagonal * np.roll(slots, -d, axis=1)
    for fold in geometry.foldings:
        y = y + (y[::-1] if fold == geometry.columns else np.roll(y, -fold, axis=1))
    assert np.array_equal(y.reshape(-1), np.resize(matrix @ x, geometry.slots))


@given(geometries())
def test_every_output_sees_every_number_once(geometry: Geometry) -> None:
    gathered = geometry.gather()
    seen = np.zeros((geometry.outputs, geometry.period), dtype=int)
    outputs = (np.arange(geometry.slots) % geometry.outputs).reshape(gathered.shape)
    for d in range(geometry.diagonals):
        np.add.at(seen, (outputs, np.roll(gathered, -d, axis=1)), 1)
    assert (seen == geometry.slots // geometry.span).all()


def test_a_convolution_over_gathered_windows_has_few_diagonals() -> None:
    geometry = Geometry(rows=1, columns=512, period=512, outputs=64, diagonals=64)
    entries = matrix_entries(np.ones((4, 25)), block=16)
    assert sorted(geometry.matrix_diagonals(entries)) == [0, 16, 32, 48]


@pytest.mark.parametrize(
    "figures", [(1, 8, 3, 4, 1), (1, 8, 4, 4, 8), (1, 8, 16, 4, 4), (1, 8, 8, 8, 4), (0, 8, 1, 1, 1)]
)
def test_a_geometry_that_does_not_fit_is_refused(figures: tuple[int, ...]) -> None:
    names = ("rows", "columns", "period", "outputs", "diagonals")
    with pytest.raises(UsageError):
        Geometry(**dict(zip(names, figures, strict=True)))


@given(st.integers(1, 10**6))
def test_a_power_of_two_is_the_smallest_that_does(number: int) -> None:
    power = power_of_two(number)
    assert power.bit_count() == 1
    assert power / 2 < number <= power
