"""The first checks of labelled pictures, before anything is learned from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from holdfast.data.checks import DataChecks, gravest_first
from holdfast.data.findings import DataFinding, balance_findings, label_findings, outlier_finding
from holdfast.data.frames import Matrix
from holdfast.data.images import Images
from holdfast.data.label_noise import FOLDS, LabelNoise, cross_validated, judge_labels
from holdfast.data.near_pictures import find_near_pictures, repeated_pictures
from holdfast.data.one_thread import one_thread
from holdfast.data.poison import (
    PairFlips,
    Trigger,
    find_clusters,
    find_flips,
    find_picture_marks,
    grouped_folds,
    judge_marks,
)
from holdfast.data.poison.flips import OVERLAP_ACCURACY
from holdfast.data.poison.picture_marks import shrunk
from holdfast.data.poison_findings import cluster_findings, flip_findings, trigger_findings
from holdfast.data.rows import Rows, find_outliers
from holdfast.errors import DataError
from holdfast.evidence import Figure

COMPONENTS: Final = 50
"""Principal components by which pictures are compared and judged."""

_WHAT: Final = "pictures"
_STEPS: Final = 4
_CAVEATS: Final = (
    "A trigger at a place that changes from picture to picture, one on pictures of its own class only, and one on "
    "fewer than five pictures or most of a class are not found by these checks.",
    "Records that were poisoned with care, labels included, look ordinary and are not found by these checks.",
    "The models that judge the labels are simple ones; a picture that they call another class may be a hard one.",
    "Near repetitions are told by the pixels: a crop, a turn or a mirror image is not recognised.",
)


@one_thread()
def check_images(
    images: Images, *, rng: np.random.Generator, progress: Callable[[int, int], None] | None = None
) -> DataChecks:
    """Look for what should be mended before training: repetitions, doubtful labels, triggers, flips, foreign groups.

    Args:
        images: what will be learned from.
        rng: decides folds, samples and random cuts. The same state gives the same result.
        progress: called with the steps done and the steps in all.

    Raises:
        DataError: there is no picture.
    """
    if not len(images):
        raise DataError("expected pictures to check, got none")

    def advance(done: int) -> None:
        if progress is not None:
            progress(done, _STEPS + FOLDS)

    repeated, contradicting = repeated_pictures(images)
    near = find_near_pictures(images, rng=rng)
    advance(1)
    components = _components(images, rng)
    scores = _outlier_scores(components, rng)
    advance(2)
    clusters = find_clusters(components, images.y, scores)
    advance(3)
    noise, triggers, flips = _judge(images, components, rng, lambda done, _: advance(_STEPS - 1 + done))
    overlap = noise is not None and noise.accuracy < OVERLAP_ACCURACY
    found = [
        *balance_findings(images.y, images.classes, what=_WHAT),
        *_repetition_findings(images, repeated, contradicting, near[:, 0]),
        *label_findings(noise, rows=len(images), what=_WHAT),
        *trigger_findings(triggers, images.classes, what=_WHAT),
        *flip_findings(flips, images.classes, what=_WHAT, overlap=overlap),
        *cluster_findings(clusters, images.classes, what=_WHAT),
        outlier_finding(find_outliers(scores), rows=len(images), what=_WHAT),
    ]
    figures = {
        "rows": Figure(value=len(images), unit=_WHAT),
        "repeated_rows": Figure(value=len(repeated), unit=_WHAT),
        "contradicting_rows": Figure(value=len(contradicting), unit=_WHAT),
        "near_repeated_rows": Figure(value=len(near), unit=_WHAT),
        "triggers": Figure(value=len(triggers)),
    }
    samples = {"outlier_score": scores}
    if noise is not None:
        figures |= {"label_noise": noise.rate, "cross_validated_accuracy": Figure(value=noise.accuracy)}
        figures["suspect_labels"] = Figure(value=len(noise.suspects), unit=_WHAT)
        samples["self_confidence"] = noise.self_confidence
    advance(_STEPS + FOLDS)
    return DataChecks(
        dataset=images.digest, findings=gravest_first(found), figures=figures, samples=samples, caveats=_CAVEATS
    )


def _judge(
    images: Images, components: Matrix, rng: np.random.Generator, progress: Callable[[int, int], None]
) -> tuple[LabelNoise | None, list[Trigger], list[PairFlips]]:
    """What cross-validated models say; nothing where a class has too few pictures."""
    if np.bincount(images.y, minlength=len(images.classes)).min() < FOLDS:
        return None, [], []
    marks = find_picture_marks(images)
    fold = grouped_folds(images.y, marks, folds=FOLDS, rng=rng)
    P = cross_validated(
        components, images.y, len(images.classes), fold=fold, rng=rng, estimators=_estimators, progress=progress
    )
    return judge_labels(P, images.y, rng=rng), judge_marks(marks, P, images.y), find_flips(P, images.y)


def _estimators(rng: np.random.Generator) -> tuple[Any, Any]:
    """The nearest neighbours, and a logistic regression."""
    del rng  # there is nothing random in them
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return KNeighborsClassifier(5), make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))


def _components(images: Images, rng: np.random.Generator) -> Matrix:
    """(images, components) the pictures along their principal components, in units of a pixel's full range."""
    from sklearn.utils.extmath import randomized_svd

    rows = shrunk(images) / 255
    rows -= rows.mean(axis=0)
    left, strengths, _ = randomized_svd(
        rows, min(COMPONENTS, *rows.shape), random_state=int(rng.integers(2**31)), flip_sign=False
    )
    return np.asarray(left * strengths, dtype=np.float64)


def _outlier_scores(components: Matrix, rng: np.random.Generator) -> Matrix:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=int(rng.integers(2**31))).fit(components)
    return np.asarray(-forest.score_samples(components), dtype=np.float64)


def _repetition_findings(images: Images, repeated: Rows, contradicting: Rows, near: Rows) -> list[DataFinding]:
    total = len(images)
    found = [
        DataFinding(
            check="contradicting",
            severity="serious",
            sentence=f"{len(contradicting)} of {total} pictures have a twin, equal in every pixel, with another label",
            advice="find out which label is right, or leave them out",
            rows=tuple(contradicting.tolist()),
        ),
        DataFinding(
            check="repeated",
            severity="warning",
            sentence=f"{len(repeated)} of {total} pictures repeat an earlier one in every pixel",
            advice="keep one of each; repeated pictures leak from training into the test set",
            rows=tuple(repeated.tolist()),
        ),
        DataFinding(
            check="near-repeated",
            severity="info",
            sentence=f"{len(near)} of {total} pictures nearly equal an earlier one: shifted, brighter or encoded again",
            advice="look whether one picture was entered twice, and keep both on one side of a split",
            rows=tuple(near.tolist()),
        ),
    ]
    return [finding for finding in found if finding.rows]
