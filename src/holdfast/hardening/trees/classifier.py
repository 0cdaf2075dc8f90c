"""What robust tree classifiers share: checking what comes in, the box around it, scores and certificates."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from holdfast.data import Matrix, Schema
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.hardening.trees.box import Box, Mask, box_around, two_sided
from holdfast.hardening.trees.places import Places, places_of
from holdfast.hardening.trees.tree import RobustTree, worst_scores
from holdfast.models import Encoding, OnnxModel

MOST_BINS: Final = 256
"""Places are kept as single bytes."""
MOST_DEPTH: Final = 16
MOST_TREES: Final = 100_000
_LARGEST: Final = 1e30
"""Of a value; float32 holds it with room for the radius."""


class InvalidInput(DataError, ValueError):
    """What scikit-learn's own checks refuse; its contract asks for a ValueError."""


class TooManyClasses(UnsupportedError, ValueError):
    """Labels of more than two classes; scikit-learn's contract asks for a ValueError here too."""


class RobustTreeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A sum of trees for two classes, trained at the worst point of a box around each row.

    Attributes:
        trees_: the trees; what they reach is added up.
        base_: where the sum starts.
        sides_: (columns, 2) or (rows, columns, 2) how far each column may move down and up.
        classes_: the labels; a score above 0 means the second.
    """

    radius: Any
    source_class: Any
    n_estimators: int
    max_depth: int
    max_bins: int

    trees_: tuple[RobustTree, ...]
    base_: float
    sides_: Matrix
    classes_: npt.NDArray[Any]
    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        """Two classes only."""
        tags: Any = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Train.

        Args:
            X: (rows, columns) numbers.
            y: (rows,) labels of two classes.

        Raises:
            DataError: rows or labels that cannot be trained on; for what scikit-learn refuses a ValueError too.
            UnsupportedError: more than two classes.
            UsageError: a parameter that has no meaning.
        """
        self._check_parameters()
        X, y = _checked(self, X, y, ensure_min_samples=2)
        self.classes_, codes = _two_classes(y)
        positive = codes == 1
        self.sides_ = two_sided(self.radius, X.shape)
        box = box_around(X, self.sides_, moves=self._moving(positive))
        self.base_, self.trees_ = self._trees(box, places_of(box, bins=self.max_bins), positive)
        return self

    def decision_function(self, X: Any) -> Matrix:
        """(rows,) scores; above 0 means the second class."""
        check_is_fitted(self)
        X = _checked(self, X)
        here = box_around(X, np.zeros((X.shape[1], 2)))
        return worst_scores(self.trees_, here, np.ones(len(X), dtype=bool), base=self.base_)

    def predict_proba(self, X: Any) -> Matrix:
        """(rows, 2) probabilities."""
        second = self._probability(self.decision_function(X))
        return np.column_stack([1 - second, second])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """(rows,) labels."""
        second = self.decision_function(X) > 0
        return np.asarray(self.classes_[second.astype(np.int64)])

    def certified(self, X: Any, y: Any, *, radius: Any = None) -> Mask:
        """(rows,) whether a row is answered rightly and no change within the radius can alter that.

        It is a proof for those rows, so their share is a lower bound on robust accuracy: rows that are not certified
        may hold out as well.

        Args:
            X: (rows, columns).
            y: (rows,) their labels; rows of a class that does not move have to be right only.
            radius: instead of the one trained for; needed where that was one of each row.

        Raises:
            DataError: rows that do not fit, or a label that was not trained on.
            UsageError: a radius that has no meaning.
        """
        check_is_fitted(self)
        X = _checked(self, X)
        y = np.asarray(y)
        if y.shape != (len(X),) or not np.isin(y, self.classes_).all():
            raise DataError(f"expected {len(X)} labels of {self.classes_.tolist()}, got others")
        sides = two_sided(self.sides_ if radius is None else radius, X.shape)
        positive = y == self.classes_[1]
        box = box_around(X, sides, moves=self._moving(positive))
        return np.asarray((worst_scores(self.trees_, box, positive, base=self.base_) > 0) == positive)

    def as_model(self, schema: Schema) -> OnnxModel:
        """The fitted trees as a model of a schema, whose encoded columns and classes they were trained on.

        Raises:
            DataError: the schema has other columns or another number of classes.
        """
        check_is_fitted(self)
        if (Encoding(schema).width, len(schema.classes)) != (self.n_features_in_, 2):
            raise DataError(
                f"expected a schema of {self.n_features_in_} encoded columns and two classes, "
                f"got {Encoding(schema).width} columns and {len(schema.classes)} classes"
            )
        return self._model(schema)

    def _model(self, schema: Schema) -> OnnxModel:
        raise NotImplementedError

    def _trees(self, box: Box, places: Places, positive: Mask) -> tuple[float, tuple[RobustTree, ...]]:
        """Where the scores start, and the trees."""
        raise NotImplementedError

    def _probability(self, scores: Matrix) -> Matrix:
        """(rows,) of the second class."""
        raise NotImplementedError

    def _moving(self, positive: Mask) -> Mask | None:
        """(rows,) whose rows an attacker would change."""
        if self.source_class is None:
            return None
        if self.source_class not in self.classes_:
            raise UsageError(f"expected source_class of {self.classes_.tolist()}, got {self.source_class!r}")
        return positive if self.source_class == self.classes_[1] else ~positive

    def _check_parameters(self) -> None:
        for name, least, most in (
            ("n_estimators", 1, MOST_TREES),
            ("max_depth", 1, MOST_DEPTH),
            ("max_bins", 2, MOST_BINS),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
                raise UsageError(f"expected {name} as a whole number from {least} to {most}, got {value!r}")


def check_number(
    name: str, value: Any, *, above: float = -np.inf, least: float = -np.inf, most: float = np.inf
) -> None:
    """Refuse a parameter that is no finite number within bounds.

    Raises:
        UsageError: it is none.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not (np.isfinite(value) and value > above and least <= value <= most):
        bounds = f"above {above:g}" if above > -np.inf else f"of {least:g} or more"
        raise UsageError(f"expected {name} {bounds}{f' and at most {most:g}' if most < np.inf else ''}, got {value!r}")


def _checked(estimator: Any, X: Any, y: Any = None, **checks: Any) -> Any:
    """What scikit-learn makes of rows (and labels), and refusals of ours."""
    try:
        if y is None and not checks:
            rows = validate_data(estimator, X, reset=False, dtype=np.float64)
            labels = None
        else:
            rows, labels = validate_data(estimator, X, y, dtype=np.float64, **checks)
            check_classification_targets(labels)
    except ValueError as error:
        raise InvalidInput(" ".join(str(error).split())) from None
    if np.abs(rows).max() > _LARGEST:
        raise InvalidInput(f"expected values of at most {_LARGEST:g}, got larger ones", hint="scale the columns")
    return rows if labels is None else (rows, labels)


def _two_classes(y: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise InvalidInput(f"expected labels of two classes, got one class: {classes.tolist()}")
    if len(classes) > 2:
        raise TooManyClasses(
            f"Only binary classification is supported. The type of the target is {type_of_target(y)}.",
            hint="train one classifier for each class against the rest: sklearn.multiclass.OneVsRestClassifier",
        )
    return classes, codes
