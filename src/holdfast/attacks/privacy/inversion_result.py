"""Pictures that a model gave away: how much they show, as a number and as a file to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks import references
from holdfast.data import Labels, Matrix
from holdfast.drawing.examples import png
from holdfast.errors import DataError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion

Pictures = npt.NDArray[np.float64]
"""(pictures, height, width, channels), from 0 to 1."""

_MARGIN_PX: Final = 2


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class InversionResult:
    """Pictures that a model gave away.

    Args:
        pictures: one for each class that was attacked.
        classes: (pictures,) positions of these classes.
        confidence: (pictures,) the model's probability of the class for the picture.
        queries: pictures that the model was asked about; gradients of a network count as one each.
        attack: how.
    """

    pictures: Pictures
    classes: Labels
    confidence: Matrix
    queries: int
    attack: str

    def __repr__(self) -> str:
        """What was drawn, in one line; how much it shows is for `recognised` to say, which needs photographs."""
        drawn = f"{len(self.pictures)} pictures, one for each class attacked, drawn with {self.queries} queries"
        return f"<InversionResult: {drawn} ({self.attack}), mean confidence {self.confidence.mean():.2f}>"

    def recognised(self, photographs: Pictures, labels: Labels) -> Figure:
        """The share of pictures that look most like photographs of their own class, by correlation of pixels.

        By chance it would be one in the number of classes among the photographs.

        Args:
            photographs: real pictures of every class, of the same size.
            labels: (photographs,) their classes.

        Raises:
            DataError: photographs of another size, or none of a class that was attacked.
        """
        return proportion(int((self.nearest(photographs, labels) == self.classes).sum()), len(self.classes))

    def nearest(self, photographs: Pictures, labels: Labels) -> Labels:
        """(pictures,) the class whose photographs each picture looks most like."""
        if photographs.shape[1:] != self.pictures.shape[1:] or len(photographs) != len(labels):
            raise DataError(
                f"expected labelled photographs of shape {self.pictures.shape[1:]}, got {photographs.shape[1:]} and "
                f"{len(labels)} labels for {len(photographs)}"
            )
        known = np.unique(labels)
        if len(absent := np.setdiff1d(self.classes, known)):
            raise DataError(f"expected photographs of every class that was attacked, got none of class {absent[0]}")
        likeness = _normal(self.pictures) @ _normal(photographs).T
        by_class = np.column_stack([likeness[:, labels == label].mean(axis=1) for label in known])
        return np.asarray(known[by_class.argmax(axis=1)], dtype=np.int64)

    def png(self, beside: Pictures | None = None) -> bytes:
        """The pictures side by side as a PNG file, contrast stretched; under each its counterpart, if given.

        Raises:
            DataError: counterparts of another number or size, or beyond 0 to 1.
        """
        if beside is not None and beside.shape != self.pictures.shape:
            raise DataError(f"expected counterparts of shape {self.pictures.shape}, got {beside.shape}")
        if beside is not None and not (beside.min() >= 0 and beside.max() <= 1):
            raise DataError(
                f"expected counterparts from 0 to 1, got {beside.min()} to {beside.max()}",
                hint="divide bytes by 255",
            )
        rows = [_stretched(self.pictures)] if beside is None else [_stretched(self.pictures), beside]
        return png(np.concatenate([_strip(row) for row in rows], axis=0))

    def to_evidence(self, model_digest: str, *, recognised: Figure, classes: int) -> Evidence:
        """The result as evidence about the model with this digest.

        Args:
            model_digest: of the model.
            recognised: as measured by `recognised`, or by people who were shown the pictures.
            classes: how many classes that was out of.
        """
        chance = 1 / classes
        found = recognised.low is not None and recognised.low > chance
        verdict = "shows what its classes look like" if found else "was not seen to show what its classes look like"
        return Evidence(
            kind="model-inversion",
            subject=model_digest,
            subject_kind="model",
            title=f"The model {verdict}: {recognised.value:.0%} of pictures recognised, {chance:.1%} by chance",
            figures={
                "recognised": Figure(
                    value=recognised.value,
                    low=recognised.low,
                    high=recognised.high,
                    confidence=recognised.confidence,
                    bound="lower",
                ),
                "chance": Figure(value=chance),
                "mean_confidence": Figure(value=float(self.confidence.mean())),
            },
            samples={"confidence": self.confidence.tolist(), "class": self.classes.astype(float).tolist()},
            context={"attack": self.attack, "queries": self.queries, "classes": classes},
            references=references.INVERSION,
            caveats=(
                "An attack shows what can be seen at least; a better attack may show more.",
                "Pictures are compared by correlation of pixels; people may recognise more, or less.",
                "A picture shows what is typical of a class, which need not be in the training data.",
            ),
        )


def _normal(pictures: Pictures) -> Matrix:
    """(pictures, pixels) with mean 0 and length 1, so that products are correlations; a plain one stays 0."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))


def _stretched(pictures: Pictures) -> Pictures:
    """Each picture from its darkest to its lightest pixel."""
    low, high = pictures.min(axis=(1, 2, 3), keepdims=True), pictures.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((pictures - low) / np.maximum(high - low, 1e-12))


def _strip(pictures: Pictures) -> Pictures:
    """Pictures side by side, with a white margin."""
    margin = ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0))
    return np.concatenate([np.pad(picture, margin, constant_values=1.0) for picture in pictures], axis=1)
