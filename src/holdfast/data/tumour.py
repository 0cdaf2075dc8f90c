"""The tumour data that ships inside scikit-learn, with ranges that nobody had to read from the patients.

569 patients; nuclei of cells from a fine needle aspirate of a breast mass, outlined on a digital image, ten measures of
each nucleus, and of each measure the mean, the standard error and the "worst" value: the mean of the three largest
(Street, Wolberg and Mangasarian 1993, "Nuclear feature extraction for breast tumor diagnosis"; UCI data set 17,
https://doi.org/10.24432/C5DW2B).

The ranges are wide round numbers that hang together by geometry:

* radius: at most 40 pixels, so that several whole nuclei fit into one image; the perimeter is then below 2 pi 40 = 251,
  and 300 with a ragged outline; the area below pi 40^2 = 5027, and the mean of it below 5000;
* texture: the standard deviation of grey levels (0 to 255) inside one nucleus, less than half of the 127.5 possible;
* smoothness, compactness, concavity, concave points, symmetry: ratios of lengths, 0 for a perfect disc;
* fractal dimension: the dimension of the outline minus 1, between 0 and 1 and small for smooth curves;
* standard errors: a fraction of the range of their measure.

They are public in the sense that anyone can know them: the least and largest value of each measure have stood in
scikit-learn's own description of the data for years, and were at hand when the round numbers were chosen. For records
that are still secret, take ranges from how the measuring works alone.

A test proves that all 569 patients lie inside.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from holdfast.data.relation import Relation
from holdfast.data.schema import Feature, Schema

_TARGET: Final = "diagnosis"
_CLASSES: Final = ("benign", "malignant")
_MEASURES: Final = {
    # measure: (highest mean and worst value, highest standard error); the lowest of each is 0
    "radius": (40, 4),
    "texture": (60, 6),
    "perimeter": (300, 30),
    "area": (5000, 700),
    "smoothness": (0.3, 0.05),
    "compactness": (1.5, 0.3),
    "concavity": (1.5, 0.6),
    "concave points": (0.5, 0.1),
    "symmetry": (0.8, 0.1),
    "fractal dimension": (0.3, 0.05),
}


def tumour_frame() -> pd.DataFrame:
    """569 rows: 30 measures under scikit-learn's names, and `diagnosis`, "benign" or "malignant"."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    frame = pd.DataFrame(bunch.data, columns=list(bunch.feature_names))
    frame[_TARGET] = np.asarray(bunch.target_names, dtype=object)[bunch.target]
    return frame


def tumour_schema() -> Schema:
    """The schema of `tumour_frame`: 30 real features in public ranges, and `mean X <= worst X` for each measure."""
    features = [Feature(name=f"mean {name}", kind="real", high=high) for name, (high, _) in _MEASURES.items()]
    features += [Feature(name=f"{name} error", kind="real", high=high) for name, (_, high) in _MEASURES.items()]
    features += [Feature(name=f"worst {name}", kind="real", high=high) for name, (high, _) in _MEASURES.items()]
    relations = tuple(Relation(f"mean {name}", "<=", f"worst {name}") for name in _MEASURES)
    return Schema(features=tuple(features), target=_TARGET, classes=_CLASSES, relations=relations)
