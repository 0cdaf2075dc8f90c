"""Rows to bits, public: the bins of features, coded as a thermometer or one-hot, and padded to a width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import is_finite_number
from holdfast.limits import MAX_COLUMNS
from holdfast.private_inference.trees.bins import Bins, CategoryBins, NumberBins

Coding = Literal["thermometer", "one-hot"]

MAX_WIDTH: Final = 2**15
"""Bits of one row; with one-hot pairs, four ciphertexts of 2^13 coefficients."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Bits that tell in which cell some features are: one feature, or several one-hot over all combinations.

    Args:
        features: positions of the features.
        bins: of each of them.
        coding: of the bits.
    """

    features: tuple[int, ...]
    bins: tuple[Bins, ...]
    coding: Coding

    def __post_init__(self) -> None:
        """Refuse bins that do not go with the features."""
        if not 1 <= len(self.features) == len(self.bins) or len(set(self.features)) != len(self.features):
            raise UsageError(f"expected bins for each of different features, got {len(self.bins)}")
        if self.coding not in get_args(Coding) or (self.coding == "thermometer" and len(self.bins) > 1):
            raise UsageError(
                f"expected one-hot bits, or those of a thermometer for one feature, got {self.coding!r:.80}"
            )

    @property
    def n_cells(self) -> int:
        """Cells, combinations of several features counted."""
        return int(np.prod([bins.n_cells for bins in self.bins], dtype=object))

    @property
    def width(self) -> int:
        """Bits."""
        return self.n_cells if self.coding == "one-hot" else self.bins[0].n_bits

    def cells(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        """(rows,) the cell of each row.

        Raises:
            DataError: see `Bins.cells`.
        """
        cells = np.zeros(len(X), dtype=np.int64)
        for feature, bins in zip(self.features, self.bins, strict=True):
            cells = cells * bins.n_cells + bins.cells(X[:, feature], name=f"feature {feature}")
        return cells

    def write(self, X: NDArray[np.float64], bits: NDArray[np.float64]) -> None:
        """Write the bits of rows into zeros (rows, width)."""
        cells = self.cells(X)
        if self.coding == "one-hot":
            bits[np.arange(len(X)), cells] = 1
        else:
            bits[:] = self.bins[0].thermometer(cells)


@dataclass(frozen=True, kw_only=True)
class BinEncoding:
    """What a client makes of a row for trees and additive models: bits, with thresholds and decoys alike.

    Args:
        n_features: values of a row: numbers, and codes of categories; NaN where one is missing.
        blocks: bits, in order; zeros follow up to the width.
        width: bits of a row.

    Raises:
        UsageError: the blocks do not fit.
    """

    n_features: int
    blocks: tuple[Block, ...] = field(repr=False)
    width: int

    def __post_init__(self) -> None:
        """Refuse blocks that do not fit."""
        if not _is_count(self.n_features, MAX_COLUMNS) or not _is_count(self.width, MAX_WIDTH):
            raise UsageError(
                f"expected up to {MAX_COLUMNS} features and {MAX_WIDTH} bits, got {self.n_features} and more"
            )
        if sum(block.width for block in self.blocks) > self.width:
            raise UsageError(f"expected blocks that fit into {self.width} bits, got larger ones")
        if any(not 0 <= feature < self.n_features for block in self.blocks for feature in block.features):
            raise UsageError(f"expected bins of {self.n_features} features, got one of another")

    @property
    def starts(self) -> tuple[int, ...]:
        """The first bit of each block."""
        ends = np.cumsum([0, *(block.width for block in self.blocks)])
        return tuple(int(start) for start in ends[:-1])

    def encode(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows (rows, n_features) to bits (rows, width) as zeros and ones.

        Raises:
            DataError: another shape, a value that is infinite, outside the range, missing or of an unknown category
                where the model does not take it.
        """
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise DataError(f"expected rows of {self.n_features} features, got an array of shape {X.shape}")
        if np.isinf(X).any():
            raise DataError("expected finite values, got an infinite one")
        bits = np.zeros((len(X), self.width))
        for start, block in zip(self.starts, self.blocks, strict=True):
            block.write(X, bits[:, start : start + block.width])
        return bits

    def to_json(self) -> dict[str, Any]:
        """The encoding as JSON; `from_json` is its inverse."""
        blocks = [
            {"features": list(block.features), "bins": [_bins_json(b) for b in block.bins], "coding": block.coding}
            for block in self.blocks
        ]
        return {"kind": "bins", "n_features": self.n_features, "width": self.width, "blocks": blocks}

    @classmethod
    def from_json(cls, document: object) -> BinEncoding:
        """Read an encoding back.

        Raises:
            WireError: it is not one.
        """
        values = _fields(document, {"kind", "n_features", "width", "blocks"})
        if values["kind"] != "bins" or not isinstance(values["blocks"], list) or len(values["blocks"]) > MAX_WIDTH:
            raise WireError("expected an encoding of the kind bins with a list of blocks, got another")
        try:
            blocks = tuple(_block(item) for item in values["blocks"])
            encoding = cls(n_features=values["n_features"], blocks=blocks, width=values["width"])
        except UsageError as error:
            raise WireError(f"the bins of the public plan are malformed: {error}") from None
        return encoding


def _bins_json(bins: Bins) -> dict[str, Any]:
    if isinstance(bins, CategoryBins):
        return {"codes": list(bins.codes), "open": bins.open, "missing": bins.missing}
    return {"grid": list(bins.grid), "missing": bins.missing, "low": bins.low, "high": bins.high}


def _block(document: object) -> Block:
    values = _fields(document, {"features", "bins", "coding"})
    features, bins = values["features"], values["bins"]
    if not isinstance(features, list) or not all(_is_count(item, MAX_COLUMNS, least=0) for item in features):
        raise WireError("expected the positions of a block's features")
    if not isinstance(bins, list) or len(bins) != len(features):
        raise WireError("expected bins for each feature of a block")
    return Block(features=tuple(features), bins=tuple(_bins(item) for item in bins), coding=values["coding"])


def _bins(document: object) -> Bins:
    if isinstance(document, Mapping) and "codes" in document:
        values = _fields(document, {"codes", "open", "missing"})
        codes = values["codes"]
        if not isinstance(codes, list) or not all(_is_count(code, 2**53, least=-(2**53)) for code in codes):
            raise WireError("expected the codes of a category as whole numbers")
        _check_flags(values["open"], values["missing"])
        return CategoryBins(codes=tuple(codes), open=values["open"], missing=values["missing"])
    values = _fields(document, {"grid", "missing", "low", "high"})
    grid = values["grid"]
    if not isinstance(grid, list) or len(grid) > MAX_WIDTH:
        raise WireError(f"expected a grid of at most {MAX_WIDTH} cuts")
    if not all(is_finite_number(item) for item in (*grid, values["low"], values["high"])):
        raise WireError("expected the cuts and the range of a grid as finite numbers")
    _check_flags(values["missing"])
    return NumberBins(
        grid=tuple(float(cut) for cut in grid),
        missing=values["missing"],
        low=float(values["low"]),
        high=float(values["high"]),
    )


def _fields(document: object, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(document, Mapping) or set(document) != names:
        raise WireError(f"expected the fields {', '.join(sorted(names))} in the bins of the public plan, got others")
    return document


def _check_flags(*values: object) -> None:
    if not all(isinstance(value, bool) for value in values):
        raise WireError("expected true or false for what bins take")


def _is_count(value: object, largest: int, *, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= largest
