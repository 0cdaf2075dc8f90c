"""Pictures on which the model changes its mind when detail that does not matter is taken away (Xu et al. 2018).

Honest pictures are answered alike with fewer levels, or with the specks smoothed out; many adversarial ones are not,
because what fools the model is in the detail. An attacker who knows the squeezers can make pictures that survive
them (He et al. 2017), at a larger distance. There is no such thing for tables: the last digit of an amount is no
speck, and rounding it was seen to tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import median_filter

from holdfast.data import Matrix
from holdfast.detection.statistic import Answer, answers
from holdfast.detection.views import PictureView, Queries
from holdfast.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Squeezing:
    """The largest L1 distance between the answers to a picture and to the picture squeezed.

    Args:
        view: of the pictures.
        predict: (n, height, width, channels) uint8 to (n, classes) probabilities; it is asked three times.
        levels: of brightness that values are rounded to.
        blur: side of the median filter, in pixels; 1 for none.
    """

    kind: ClassVar[str] = "squeezing"
    finding: ClassVar[str] = "are answered otherwise without their finest detail: they look altered to fool the model"
    window: ClassVar[int] = 1
    width: ClassVar[int] = 1
    view: PictureView
    predict: Answer = field(repr=False)
    levels: int = 16
    blur: int = 2

    def __post_init__(self) -> None:
        """Refuse squeezers that leave nothing, or everything."""
        if not isinstance(self.view, PictureView):
            raise UsageError(f"squeezing is for pictures, got a {type(self.view).__name__}")
        for name, value, low, high in (("levels", self.levels, 2, 128), ("blur", self.blur, 1, 9)):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise UsageError(f"expected {name} of {low} to {high}, got {value!r}")

    def squeezed(self, queries: Queries) -> list[Queries]:
        """The pictures through each squeezer."""
        top = self.levels - 1
        coarse = np.rint(np.rint(queries / 255 * top) / top * 255).astype(np.uint8)
        smooth = median_filter(queries, size=(1, self.blur, self.blur, 1)) if self.blur > 1 else None
        return [coarse] if smooth is None else [coarse, smooth]

    def kept(self, queries: Queries) -> Matrix:
        """(n, 1) the largest distance of each picture's answers."""
        self.view.check(queries)
        said = answers(self.predict, queries)
        moved = [np.abs(said - answers(self.predict, other)).sum(axis=1) for other in self.squeezed(queries)]
        return np.asarray(np.max(moved, axis=0)[:, None])

    def scores(self, windows: Matrix) -> Matrix:
        """(n, 1, 1) to (n,)."""
        return windows[:, 0, 0]

    def to_json(self) -> dict[str, Any]:
        """All that it is, but for the model."""
        return {"kind": self.kind, "view": self.view.to_json(), "levels": self.levels, "blur": self.blur}

    @classmethod
    def from_fields(cls, view: PictureView, fields: Mapping[str, Any], predict: Answer) -> Squeezing:
        """From what `to_json` wrote, the view read already."""
        return cls(view=view, predict=predict, levels=fields["levels"], blur=fields["blur"])
