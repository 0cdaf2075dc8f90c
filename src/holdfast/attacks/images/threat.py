"""The threat of evasion on pictures: how far all pixels together may move."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from holdfast.errors import UsageError

NormName = Literal["Linf", "L2", "L1"]

_WITHIN: Final[dict[NormName, str]] = {
    "Linf": "when every pixel may move by up to {}",
    "L2": "when the pixels may move by up to {} together (Euclidean)",
    "L1": "when the pixels may move by up to {} together (sum of the moves)",
}


@dataclass(frozen=True, kw_only=True)
class PixelChange:
    """Every picture whose distance from the original is at most `radius`; pixels go from 0 to 1 and stay there.

    Args:
        norm: "Linf" the largest move of a value, "L2" the Euclidean length of the change, "L1" the sum of all moves.
        radius: above 0, such as 8 / 255; for Linf at most 1.
    """

    norm: NormName = "Linf"
    radius: float

    def __post_init__(self) -> None:
        """Refuse a norm or a radius that means nothing."""
        if self.norm not in get_args(NormName):
            raise UsageError(f"the norm of a pixel change is {', '.join(get_args(NormName))}, got {self.norm!r}")
        radius, limit = self.radius, 1.0 if self.norm == "Linf" else sys.float_info.max
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius <= limit:
            most = " and at most 1" if self.norm == "Linf" else ""
            raise UsageError(
                f"the radius of a pixel change is a number above 0{most}, got {radius!r}",
                hint="pixels go from 0 to 1: write 8 / 255 for 8 steps of a byte",
            )

    @property
    def budget(self) -> float:
        """The radius; distances are compared with it."""
        return self.radius

    @property
    def unit(self) -> str:
        """The norm, as the unit of budget and distances."""
        return self.norm

    @property
    def within(self) -> str:
        """The threat in words, as `EvasionResult.within` takes them."""
        return _WITHIN[self.norm].format(_in_bytes(self.radius) if self.norm == "Linf" else f"{self.radius:g}")

    def with_radius(self, radius: float) -> PixelChange:
        """The same norm with another radius."""
        return replace(self, radius=radius)

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        return {"norm": self.norm, "radius": self.radius}


def _in_bytes(radius: float) -> str:
    """A radius as people write it: in steps of a byte where it is a whole number of them."""
    steps = radius * 255
    return f"{round(steps)}/255" if math.isclose(steps, round(steps), abs_tol=1e-6) and steps < 128 else f"{radius:g}"
