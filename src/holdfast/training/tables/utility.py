"""Utility: how well a model predicts rows that it was not trained on."""

from __future__ import annotations

from typing import Final

import numpy as np
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import DataError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import CONFIDENCE, proportion
from holdfast.models import StoredModel

_SMALLEST_PROBABILITY: Final = 1e-15
_LARGEST_SHOWN_CLASSES: Final = 20


def measure_utility(model: StoredModel, test: Dataset) -> Evidence:
    """Measure a model on rows held out from training.

    Figures: accuracy, recall of each class and balanced accuracy with exact 95 % intervals (Clopper and Pearson 1934;
    for balanced accuracy by a union bound over classes, so wider than needed), area under the ROC curve (one against
    the rest, mean over classes), Matthews correlation, log loss and Brier score (sum of squares over classes, 0 to 2)
    as estimates. The figures are exact on the test rows: they have no differential privacy.

    Raises:
        DataError: no row to test on.
    """
    if len(test) == 0:
        raise DataError("expected rows to test on, got none")
    probabilities = model.predict_proba(test.X)
    predicted = np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    correct = predicted == test.y
    own = probabilities[np.arange(len(test)), test.y]
    brier = float(np.mean(((probabilities - np.eye(len(test.schema.classes))[test.y]) ** 2).sum(axis=1)))
    recalls = _recalls(correct, test)
    figures = {
        "accuracy": proportion(int(correct.sum()), len(test)),
        "balanced_accuracy": _balanced(correct, test),
        **_auc(probabilities, test.y),
        "matthews_correlation": Figure(value=float(matthews_corrcoef(test.y, predicted))),
        "log_loss": Figure(value=float(-np.log(np.maximum(own, _SMALLEST_PROBABILITY)).mean())),
        "brier_score": Figure(value=brier),
        **(recalls if len(recalls) <= _LARGEST_SHOWN_CLASSES else {}),
    }
    return Evidence(
        kind="utility",
        subject=model.digest,
        subject_kind="model",
        title=f"The model is right on {figures['accuracy'].value:.1%} of {len(test)} rows that it was not trained on.",
        figures=figures,
        samples={"own_class_probability": own.tolist(), "class": test.y.tolist(), "predicted": predicted.tolist()},
        context={"rows": len(test), "classes": list(test.schema.classes)},
        caveats=(
            "The test rows stand for future rows only as far as these come from the same population.",
            "The figures are exact on the test rows and have no differential privacy.",
        ),
    )


def _recalls(correct: Labels, test: Dataset) -> dict[str, Figure]:
    """The recall of each class that has rows, as `recall[class]`."""
    return {
        f"recall[{name}]": proportion(int(correct[test.y == label].sum()), int((test.y == label).sum()))
        for label, name in enumerate(test.schema.classes)
        if (test.y == label).any()
    }


def _balanced(correct: Labels, test: Dataset) -> Figure:
    """The mean recall over classes that have rows."""
    present = np.unique(test.y)
    each = 1 - (1 - CONFIDENCE) / len(present)
    recalls = [proportion(int(correct[test.y == k].sum()), int((test.y == k).sum()), confidence=each) for k in present]
    value, low, high = (float(np.mean([getattr(r, end) for r in recalls])) for end in ("value", "low", "high"))
    return Figure(value=value, low=low, high=high, confidence=CONFIDENCE)


def _auc(probabilities: Matrix, y: Labels) -> dict[str, Figure]:
    """The area under the ROC curve; nothing where a class has no rows, which leaves it undefined."""
    if len(np.unique(y)) < probabilities.shape[1]:
        return {}
    if probabilities.shape[1] == 2:
        return {"auc": Figure(value=float(roc_auc_score(y, probabilities[:, 1])))}
    return {"auc": Figure(value=float(roc_auc_score(y, probabilities, multi_class="ovr")))}
