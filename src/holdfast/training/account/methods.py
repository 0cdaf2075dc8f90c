"""What each private method does, in the words of its privacy statement. Facts that a reader relies on, no code.

A ledger entry names its method, and the statement takes its text from here: so a mechanism is described by whoever
wrote it, in one place, and several methods in one ledger are all described.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Final

from holdfast.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a method meets the parts of a privacy statement, each in one sentence without a full stop.

    Args:
        name: what ledger entries call it.
        title: what people call it.
        record: what one record is.
        neighbours: which data sets count as neighbours, and what that makes public.
        mechanism: what is computed of the records and where noise comes in.
        sampling: which records are in a step, and which amplification is claimed for it.
        tuning: where settings come from, and at whose cost.
        arithmetic: how rounding is kept from telling what noise hides.
        not_covered: sentences on what this method leaves open, beside what all do.
    """

    name: str
    title: str
    record: str
    neighbours: str
    mechanism: str
    sampling: str
    tuning: str
    arithmetic: str
    not_covered: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a method that leaves a part open."""
        empty = [part.name for part in fields(self) if part.name != "not_covered" and not getattr(self, part.name)]
        if empty or not all(self.not_covered):
            raise UsageError(f"a method says something on every part, this one has nothing on {', '.join(empty)}")


_ROW: Final = "one row of the training table"
_ADD_OR_REMOVE: Final = (
    "add or remove one record; the number of records is therefore protected too, and only used with noise"
)
_ALL_RECORDS: Final = "none: every record is in every step, so no amplification by sampling is claimed"
_FIXED: Final = (
    "clipping norm, step size and shares of the budget are fixed constants of Holdfast, chosen on the public data sets "
    "that docs/privacy.md names and not accounted for on those; nor is what a person chose after looking at the records"
)
_WHOLE_NUMBERS: Final = (
    "sums are exact in whole numbers and the noise is a rounded normal deviate drawn by rejection, from a cipher under "
    "a fresh key of the operating system, so low-order bits tell nothing; the remaining gap to exact noise is in "
    "epsilon and delta"
)
_LABELS: Final = (
    "The set of classes is taken as public, also where it was read from the labels because nobody said it.",
    "What was learned from the records before this method (scaling, imputation, a choice of features) is not covered.",
)

_LOGISTIC: Final = Method(
    name="logistic-regression",
    title="logistic regression by noisy gradient descent",
    record=_ROW,
    neighbours=_ADD_OR_REMOVE,
    mechanism=(
        "logistic regression by full-batch gradient descent; the mean, a histogram of distances, the mean squares and "
        "each gradient are sums over records, each record's vector clipped in L2 norm, with Gaussian noise "
        "(Dwork and Roth 2014; Abadi et al. 2016); where training is adversarial, a record's gradient is taken at the "
        "worst case of that record alone; where ranges are not said, they come from a histogram with such noise"
    ),
    sampling=_ALL_RECORDS,
    tuning=_FIXED,
    arithmetic=_WHOLE_NUMBERS,
    not_covered=_LABELS,
)
_LINEAR: Final = Method(
    name="linear-regression",
    title="linear regression from noisy moments",
    record=_ROW,
    neighbours=_ADD_OR_REMOVE,
    mechanism=(
        "ridge regression on second moments (AdaSSP, Wang 2018); the mean, a histogram of distances, the mean squares "
        "and the matrix of second moments are sums over records, each record's vector or matrix clipped in L2 norm, "
        "with Gaussian noise; where ranges are not said, they come from a histogram with such noise"
    ),
    sampling=_ALL_RECORDS,
    tuning=_FIXED,
    arithmetic=_WHOLE_NUMBERS,
)
_BOOSTING: Final = Method(
    name="boosting",
    title="cyclic boosting of one feature at a time",
    record=_ROW,
    neighbours=_ADD_OR_REMOVE,
    mechanism=(
        "an additive model by boosting one feature at a time (DP-EBM, Nori et al. 2021); the counts of classes and of "
        "pieces of each feature, and in each round the slope and curvature of the loss in leaves at random places, are "
        "histograms, each record's part in one bounded in L2 norm, with Gaussian noise; where ranges are not said, "
        "they come from a histogram with such noise; where leaves begin is random and no secret"
    ),
    sampling=_ALL_RECORDS,
    tuning=_FIXED,
    arithmetic=_WHOLE_NUMBERS,
    not_covered=_LABELS,
)
_SGD: Final = Method(
    name="dp-sgd",
    title="stochastic gradient descent with clipped gradients and noise (DP-SGD)",
    record="one example of the training data set",
    neighbours=(
        "the record is there, or it contributes nothing (zero-out); the number of records is public and not protected"
    ),
    mechanism=(
        "in each step the gradient of each sampled record, over all its augmented copies together, is clipped in L2 "
        "norm, and the sum gets Gaussian noise (Abadi et al. 2016); a gradient that is not finite counts as nothing"
    ),
    sampling=(
        "Poisson, and really done: in each step every record takes part with the sampling rate, independently of all "
        "others and of earlier steps, by coins from a cipher under a fresh key of the operating system; an empty "
        "sample is a step as well; amplification is claimed for exactly this"
    ),
    tuning=(
        "what the user sets (clipping norm, learning rate, steps, architecture) is not accounted for; every private "
        "training that was entered to try a setting is"
    ),
    arithmetic=(
        "in micro-batches the clipped sum is of 32-bit floats, clipped with a margin for their rounding, and moved to "
        "whole numbers, in which micro-batches add up exactly; the noise is a rounded normal deviate in whole numbers, "
        "so low-order bits of the sum tell nothing; the remaining gap to exact noise is in epsilon and delta"
    ),
    not_covered=(
        "Losses, gradient norms, sample sizes and counts of gradients that were not finite are exact values of the "
        "records; none is part of what is released, and whoever shows one shows it without protection.",
        "Rounding within a record's own sum over positions (convolution, recurrence, attention) is not bounded by the "
        "margin.",
        "Initial weights are public: weights that were trained on the same records before are not covered.",
    ),
)
_PERCEPTRON: Final = replace(
    _SGD,
    name="perceptron",
    title="a perceptron by DP-SGD on standardised columns",
    record=_ROW,
    mechanism=(
        "the mean, a histogram of distances and the mean squares are sums over all records, each record's vector "
        "clipped in L2 norm, with Gaussian noise, and so is a histogram for ranges that are not said; then "
        + _SGD.mechanism
    ),
    sampling="none for the sums over all records; in the gradients, " + _SGD.sampling,
    tuning=(
        "learning rate, clipping norm and shares of the budget are fixed constants of Holdfast; layers, batch size and "
        "epochs are the user's and not accounted for, but every private training that was entered to try them is"
    ),
    not_covered=(*_LABELS, *_SGD.not_covered),
)
_PICTURES: Final = replace(
    _SGD,
    name="image-classifier",
    title="a linear model by DP-SGD on a fixed scattering transform",
    record="one picture of the training set",
    mechanism=(
        "pictures go through a scattering transform that is fixed; the mean and mean square of each of its channels "
        "are sums over all records, each record's vector clipped in L2 norm, with Gaussian noise; then "
        + _SGD.mechanism
    ),
    sampling="none for the sum over all records; in the gradients, " + _SGD.sampling,
    tuning=(
        "batch size, steps, learning rate, clipping norm and shares of the budget follow from the number and size of "
        "pictures and from the budget by fixed rules of Holdfast, chosen on the training pictures of MNIST and not "
        "accounted for on those"
    ),
    not_covered=(*_LABELS, *_SGD.not_covered),
)

METHODS: Final = MappingProxyType({m.name: m for m in (_LOGISTIC, _LINEAR, _BOOSTING, _SGD, _PERCEPTRON, _PICTURES)})
"""Every method that a ledger entry may name."""
