"""A classifier of pictures with differential privacy, in the shape of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Self, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional

from holdfast.data import Matrix
from holdfast.data.frames import name_of
from holdfast.data.images import Images
from holdfast.errors import UsageError
from holdfast.models import OnnxModel
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.events import Event
from holdfast.training.account.ledger import Entry, Ledger
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.images.channels import learn_channels
from holdfast.training.images.features import features_of
from holdfast.training.images.graph import picture_model
from holdfast.training.images.inputs import labelled_pictures, pictures_alone
from holdfast.training.images.network import PictureNetwork, Responses
from holdfast.training.images.plan import AVERAGE, MOMENTUM, Plan, plan_for
from holdfast.training.polynomials.activations import Progress
from holdfast.training.sgd.settings import Pace
from holdfast.training.sgd.trainer import PrivateTrainer

_METHOD: Final = "image-classifier"
_MOST_COPIES: Final = 64
_USUAL_CAP: Final = 2 * 2**30
"""Bytes of features that are kept: those of 270,000 pictures of 28 by 28 pixels."""


class DPImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear model on a fixed scattering transform, that keeps (epsilon, delta)-privacy for each picture.

    The recipe is that of Tramèr and Boneh (2021): nothing of the features is learned, so the noise has to hide few
    weights. Channels are standardised from one noisy sum, then `holdfast.training.sgd` trains, and the average of the
    weights is the result. The constants in `plan` were chosen on the training pictures of MNIST, which is not accounted
    for there, and is free for all other data; how they scale depends on the number of pictures, which is public, on
    their size and on the budget. It suits pictures of small size whose classes differ by strokes and textures.

    Args:
        epsilon: the guarantee of one `fit`, from 0.01 (strong) to 10 (weak).
        delta: the probability with which it may fail; below one in the number of pictures.
        classes: every label there can be; None takes the set of labels for public, or the classes of `Images`.
        copies: of each picture in a step: itself, and others that are turned, scaled and shifted a little. They cost no
            epsilon, but time and memory; they help where pictures are few, or where those to come differ in such ways.
        memory_cap_bytes: features that take more are computed anew in each step, which is far slower.
        ledger: where each `fit` is entered before it begins; one that would pass its limit does not start.

    Attributes:
        network_: an ordinary PyTorch module, from (pictures, height, width, channels) numbers from 0 to 255 to scores.
        model_: the same as ONNX, from rows of pixels to probabilities, to be sealed, attacked or served.
        classes_: the labels, in the order of the scores.
        image_shape_: (height, width, channels) of a picture.
        events_, epsilon_, statement_: what was done, the upper bound on what it cost, and the statement in words.
    """

    def __init__(
        self,
        epsilon: float = 3.0,
        *,
        delta: float = 1e-5,
        classes: Sequence[Any] | None = None,
        copies: int = 1,
        memory_cap_bytes: int = _USUAL_CAP,
        ledger: LedgerFile | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.classes = classes
        self.copies = copies
        self.memory_cap_bytes = memory_cap_bytes
        self.ledger = ledger

    def fit(self, X: Any, y: Any = None, *, progress: Progress | None = None) -> Self:
        """Train. It spends epsilon, every time that it is called.

        Args:
            X: `Images`; or (pictures, height, width) or (pictures, height, width, channels) uint8, with sides of 8
                pixels or more.
            y: (pictures,) the class of each; none where X is `Images`.
            progress: called with the work done and all of it, in batches.

        Raises:
            DataError: pictures or labels that cannot be trained on.
            UsageError: a parameter that has no meaning, or a delta that is not below one in the number of pictures.
            BudgetError: the ledger's limit would be passed; nothing was spent.
        """
        if not (isinstance(self.copies, int) and 1 <= self.copies <= _MOST_COPIES):
            raise UsageError(f"expected 1 to {_MOST_COPIES} copies of each picture, got {self.copies!r}")
        images, labels = labelled_pictures(X, y, classes=self.classes)
        responses = Responses(*images.pixels.shape[1:])
        plan = plan_for(
            records=len(images),
            width=math.prod(responses.shape),
            channels=responses.shape[0],
            classes=len(labels),
            epsilon=self.epsilon,
            delta=self.delta,
        )
        self._spend((plan.channels, plan.gradients), images.digest)
        self.network_ = _trained(
            images,
            responses,
            plan,
            copies=self.copies,
            memory_cap_bytes=self.memory_cap_bytes,
            progress=progress or _silent,
        )
        self.classes_, self.image_shape_ = labels, images.pixels.shape[1:]
        return self

    def predict_proba(self, X: Any) -> Matrix:
        """(pictures, classes) probabilities, in the order of `classes_`, of pictures as in `fit`.

        Raises:
            DataError: no pictures of bytes, or of another size than those trained on.
        """
        check_is_fitted(self)
        pixels = pictures_alone(X, self.image_shape_)
        at_once, probability = self.network_.responses.at_once, np.empty((len(pixels), len(self.classes_)))
        with torch.no_grad():
            for start in range(0, len(pixels), at_once):
                rows = slice(start, start + at_once)
                probability[rows] = self.network_(torch.tensor(pixels[rows])).double().softmax(1).numpy()
        return probability

    def predict(self, X: Any) -> Any:
        """(pictures,) the most probable class of each."""
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]

    @property
    def model_(self) -> OnnxModel:
        """The network as ONNX, made whenever it is asked for.

        Raises:
            UnsupportedError: the pictures have more numbers than a table may have columns.
        """
        check_is_fitted(self)
        return picture_model(self.network_, self.image_shape_, [str(name_of(value)) for value in self.classes_])

    def _spend(self, events: tuple[Event, ...], digest: str) -> None:
        """Enter the events in the ledger, before any noise is drawn, and keep the statement on them."""
        step = type(self).__name__
        entry = Entry(step=step, data_digest=digest, released=True, events=events, method=_METHOD)
        if self.ledger is None:
            ledger = Ledger(epsilon_limit=self.epsilon, delta=self.delta).add(entry)
        else:
            ledger = self.ledger.spend(entry)
        self.events_ = events
        self.epsilon_ = epsilon_of(events, delta=self.delta)
        self.statement_ = ledger.statement_for(step)


def _trained(
    images: Images, responses: Responses, plan: Plan, *, copies: int, memory_cap_bytes: int, progress: Progress
) -> PictureNetwork:
    """Carry a plan out; its events are entered."""
    batches, steps = -(-len(images) // responses.at_once), plan.gradients.count
    data, summary = features_of(
        images,
        responses,
        copies=copies,
        memory_cap_bytes=memory_cap_bytes,
        progress=lambda done, _: progress(-(-done // responses.at_once), batches + steps),
    )
    standardise = learn_channels(summary, plan.channels)
    module = nn.Sequential(standardise, _flat(math.prod(responses.shape), len(images.classes)))
    trainer = PrivateTrainer(
        module,
        torch.optim.SGD(module.parameters(), lr=plan.learning_rate, momentum=MOMENTUM),
        data,
        loss=_mean_over_copies,
        settings=plan.settings,
        pace=Pace(micro_batch=max(1, responses.at_once // copies)),
        average=AVERAGE,
    )
    trainer.run(progress=lambda done, _: progress(batches + done, batches + steps))
    averaged = cast(nn.Sequential, trainer.averaged)
    return PictureNetwork(responses, standardise, cast(nn.Linear, averaged[1]))


def _mean_over_copies(scores: Tensor, y: Tensor) -> Tensor:
    """(pictures,) the loss of each picture, from (pictures, copies, classes) scores."""
    each = functional.cross_entropy(scores.flatten(0, 1), y.repeat_interleave(scores.shape[1]), reduction="none")
    return each.view(scores.shape[:2]).mean(1)


def _flat(width: int, classes: int) -> nn.Linear:
    """A linear map under which all classes are alike, to begin with."""
    linear = nn.Linear(width, classes)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _silent(_done: int, _total: int) -> None:
    """Where nobody asked for progress."""
