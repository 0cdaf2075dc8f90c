"""Randomised smoothing: a vote under Gaussian noise, certified in L2 for any module, large ones included.

Cohen, Rosenfeld and Kolter, "Certified adversarial robustness via randomized smoothing" (2019): if the most probable
class under noise of deviation sigma has probability p > 1/2, no change shorter than sigma * Phi^-1(p) makes another
class the most probable (theorem 1). p is bounded from below by the exact interval of Clopper and Pearson.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from scipy.special import betainc, ndtri
from torch import Generator, Tensor, nn

from holdfast.attacks import references
from holdfast.attacks.images.classifier import Classifier, attackable
from holdfast.data.dataset import Labels
from holdfast.data.frames import Matrix
from holdfast.data.images import Images
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.hardening.images.pixels import tensors
from holdfast.hardening.images.train import Progress
from holdfast.intervals import clopper_pearson, proportion
from holdfast.rounding import share
from holdfast.telling import Telling

ABSTAINED: Final = -1
"""In the place of a class, where the votes do not decide."""

_SEEDS: Final = 2**63 - 1
_BATCH: Final = 500
_CHOOSING: Final = 100
_MAX_SAMPLES: Final = 10_000_000
_CAVEATS: Final = (
    "The certificate is of the vote, and holds when every answer is given by the vote; of the module alone it says "
    "nothing.",
    "Each picture's certificate is wrong with at most the stated probability, over the noise; noise is drawn by a "
    "pseudo-random generator in float32.",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SmoothedCertificate(Telling):
    """How far each picture's vote is proven to hold.

    Args:
        sigma: deviation of the noise; pixels go from 0 to 1.
        samples: votes for each picture.
        failure_probability: at most this share of certificates is wrong, over the noise.
        y: (n,) the true classes.
        prediction: (n,) the class of the vote, or `ABSTAINED`.
        radius: (n,) L2 distance within which the vote cannot change; 0 where it abstained.
    """

    sigma: float
    samples: int
    failure_probability: float
    y: Labels
    prediction: Labels
    radius: Matrix

    @property
    def accuracy(self) -> Figure:
        """Share of pictures with a right vote; abstaining is not right."""
        return proportion(int((self.prediction == self.y).sum()), len(self.y))

    @property
    def abstained(self) -> Figure:
        """Share of pictures without a vote that decides."""
        return proportion(int((self.prediction == ABSTAINED).sum()), len(self.y))

    def certified_accuracy(self, radius: float) -> Figure:
        """Share of pictures whose vote is right and proven to stay so within this L2 distance: a lower bound.

        Raises:
            UsageError: a radius below 0, or none.
        """
        if not 0 <= radius < math.inf:
            raise UsageError(f"expected an L2 radius of 0 or more, got {radius}")
        certified = (self.prediction == self.y) & (self.radius > radius)
        return proportion(int(certified.sum()), len(self.y), bound="lower")

    def to_evidence(self, model_digest: str) -> Evidence:
        """The certificate as evidence about the model, by vote, with this digest."""
        half = self.certified_accuracy(self.sigma)
        return Evidence(
            kind="smoothing-certificate",
            subject=model_digest,
            subject_kind="model",
            title=(
                f"At least {share(half.value, bound=half.bound)} of pictures are voted on rightly, and stay so when "
                f"pixels move by up to {self.sigma:g} together (Euclidean)"
            ),
            figures={
                "certified_accuracy": half,
                "clean_accuracy": self.accuracy,
                "abstained": self.abstained,
                "budget": Figure(value=self.sigma, unit="L2"),
                "rows": Figure(value=len(self.y), unit="rows"),
            },
            samples={"correct": (self.prediction == self.y).tolist(), "radius": self.radius.tolist()},
            context={
                "sigma": self.sigma,
                "samples": self.samples,
                "failure_probability": self.failure_probability,
            },
            references=references.EVASION,
            caveats=_CAVEATS,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Smoothed:
    """A module that answers by vote under Gaussian noise. Train it on such noise, or it knows none of what it votes on.

    Args:
        module: gives logits (n, classes) for pictures (n, channels, height, width); noise takes these beyond 0 to 1.
        classes: how many, 2 or more.
        sigma: deviation of the noise, above 0: more certifies farther, and less accurately.
    """

    module: nn.Module = field(repr=False)
    classes: int
    sigma: float

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if self.classes < 2 or not 0 < self.sigma < math.inf:
            raise UsageError(
                f"expected 2 or more classes and a sigma above 0, got {self.classes} classes and sigma {self.sigma}"
            )

    def predict(
        self, images: Images, *, rng: np.random.Generator, samples: int = 1_000, failure_probability: float = 0.001
    ) -> Labels:
        """(n,) the class of each vote; `ABSTAINED` where the two most voted for may be equally probable.

        A class that is given is not the most probable one with at most `failure_probability` (Cohen et al. 2019,
        proposition 1, after Hung and Fithian 2019).

        Raises:
            UsageError: numbers that mean nothing.
            DataError: pictures that are none.
            UnsupportedError: a module that does not take them.
        """
        _check(images, samples, failure_probability)
        answers = np.full(len(images), ABSTAINED, dtype=np.int64)
        for row, (counts,) in enumerate(self._votes(images, (samples,), rng)):
            first, second = np.argsort(-counts, kind="stable")[:2]
            best, next_best = int(counts[first]), int(counts[second])
            if _chance_of_lead(best, next_best) <= failure_probability:
                answers[row] = first
        return answers

    def certify(
        self,
        images: Images,
        *,
        rng: np.random.Generator,
        samples: int = 10_000,
        failure_probability: float = 0.001,
        progress: Progress | None = None,
    ) -> SmoothedCertificate:
        """How far each vote is proven to hold; 100 votes of their own choose the class (Cohen et al. 2019, CERTIFY).

        Args:
            images: the pictures and their true classes.
            rng: for the noise.
            samples: votes that bound the probability of the class; few of them end the radius early.
            failure_probability: of each certificate, between 0 and 1.
            progress: called with (pictures done, all).

        Raises:
            UsageError, DataError, UnsupportedError: as `predict`.
        """
        _check(images, samples, failure_probability)
        prediction, radius = np.full(len(images), ABSTAINED, dtype=np.int64), np.zeros(len(images))
        for row, (choice, counts) in enumerate(self._votes(images, (_CHOOSING, samples), rng)):
            chosen = int(choice.argmax())
            # the lower end of a two-sided interval with twice the failure probability is one-sided
            low, _ = clopper_pearson(int(counts[chosen]), samples, confidence=1 - 2 * failure_probability)
            if low > 0.5:
                prediction[row], radius[row] = chosen, self.sigma * float(ndtri(low))
            if progress is not None:
                progress(row + 1, len(images))
        return SmoothedCertificate(
            sigma=self.sigma,
            samples=samples,
            failure_probability=failure_probability,
            y=images.y,
            prediction=prediction,
            radius=radius,
        )

    def _votes(self, images: Images, rounds: tuple[int, ...], rng: np.random.Generator) -> Iterator[list[Labels]]:
        """How often each class is answered under noise (classes,), for each round of so many votes; by picture."""
        with attackable(self.module, classes=self.classes) as classifier:
            generator = Generator(classifier.device).manual_seed(int(rng.integers(_SEEDS)))
            for row in range(len(images)):
                x, _ = tensors(images.take([row]), classifier.device)
                yield [self._count(classifier, x, samples, generator) for samples in rounds]

    def _count(self, classifier: Classifier, x: Tensor, samples: int, generator: Generator) -> Labels:
        counts = torch.zeros(self.classes, dtype=torch.int64)
        for start in range(0, samples, _BATCH):
            shape = (min(_BATCH, samples - start), *x.shape[1:])
            noise = torch.randn(shape, generator=generator, device=x.device)
            answers = classifier.logits(x + self.sigma * noise).argmax(dim=1)
            counts += answers.cpu().bincount(minlength=self.classes)
        return counts.numpy()


def _chance_of_lead(more: int, fewer: int) -> float:
    """How probable such a lead or a larger one is, either way, between two equally probable classes; exact."""
    return min(1.0, 2 * float(betainc(more, fewer + 1, 0.5)))


def _check(images: Images, samples: int, failure_probability: float) -> None:
    if not len(images):
        raise DataError("expected at least one picture to vote on, got none")
    if not 1 <= samples <= _MAX_SAMPLES:
        raise UsageError(f"expected 1 to {_MAX_SAMPLES:,} votes for each picture, got {samples}")
    if not 0 < failure_probability < 0.5:
        raise UsageError(f"expected a failure probability between 0 and 0.5, got {failure_probability}")
