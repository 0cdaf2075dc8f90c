"""A multilayer perceptron by DP-SGD, in the shape of scikit-learn. It needs PyTorch."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar, Final

import numpy as np

from holdfast.data import Dataset, Feature, Matrix, Schema
from holdfast.errors import UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH
from holdfast.models import Encoding, OnnxModel
from holdfast.models.perceptron import perceptron
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.budget import Part, planned_events
from holdfast.training.account.events import Event
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.estimators.base import RANGE_SHARE, PrivateClassifier
from holdfast.training.estimators.inputs import Ranges
from holdfast.training.tables.ranges import range_part
from holdfast.training.tables.standardise import Standardiser, learn_standardiser, standardiser_parts

try:
    from torch import from_numpy, nn, random
    from torch.optim import Adam

    from holdfast.training.sgd.settings import PrivateSettings
    from holdfast.training.sgd.trainer import PrivateTrainer
except ImportError as error:
    raise UnsupportedError("DPMLPClassifier needs PyTorch, which is not installed", hint=INSTALL_TORCH) from error

_STANDARDISER_SHARE: Final = 0.1
"""Of the budget, for learning where the records lie; the rest is for the gradients."""
_LESS: Final = 0.99
_RATE: Final = 0.01
_CLIP_NORM: Final = 1.0
_BATCH_SHARE: Final = 0.1
"""Of the rows, in a step, where no batch size is said."""


class DPMLPClassifier(PrivateClassifier):
    """A multilayer perceptron that keeps (epsilon, delta)-differential privacy for each row.

    Columns are standardised with noise, then `holdfast.training.sgd` trains. The number of rows is public here: it
    decides the sampling rate.

    Args:
        epsilon, delta, feature_ranges, features, classes, ledger: as in `DPLogisticRegression`.
        hidden_layer_sizes: units of each hidden layer.
        batch_size: rows in a step on average; None has a tenth of them.
        epochs: how often a row takes part on average.

    Attributes:
        model_: the perceptron as ONNX, to be sealed or attacked; `schema_` is its schema.
        events_, epsilon_, statement_, classes_: as in `DPLogisticRegression`.
    """

    method: ClassVar = "perceptron"

    def __init__(
        self,
        epsilon: float = 1.0,
        *,
        delta: float = 1e-5,
        feature_ranges: Ranges | None = None,
        features: Sequence[Feature] | None = None,
        classes: Sequence[Any] | None = None,
        hidden_layer_sizes: Sequence[int] = (16,),
        batch_size: int | None = None,
        epochs: float = 10,
        ledger: LedgerFile | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.feature_ranges = feature_ranges
        self.features = features
        self.classes = classes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.batch_size = batch_size
        self.epochs = epochs
        self.ledger = ledger

    def plan(self, schema: Schema, *, rows: int) -> tuple[Event, ...]:
        """Give the gradients the most epsilon, by steps of a hundredth, with which all events cost epsilon at most."""
        parts = self._preparation(schema)
        first = planned_events(parts, epsilon=self.epsilon, delta=self.delta)
        left = self.epsilon * (1 - sum(part.share for part in parts)) ** 0.5
        while True:
            self._settings = self._settings_for(left, rows=rows)
            events: tuple[Event, ...] = (*first, self._settings.plan(records=rows, width=self._width(schema)))
            if epsilon_of(events, delta=self.delta) <= self.epsilon:
                return events
            left *= _LESS

    def train_on(self, data: Dataset, events: tuple[Any, ...]) -> OnnxModel:
        """The model, trained by these events and no others.

        Raises:
            UsageError: the events are not those that this object planned last, or the records are more or fewer.
        """
        if self._settings.plan(records=len(data), width=self._width(data.schema)) != events[-1]:
            raise UsageError(f"expected the events that were planned for {len(data)} rows, got others: {events[-1]}")
        encoding = Encoding(data.schema)
        encoded = encoding.encode(data.X)
        standard = learn_standardiser(
            encoded,
            features=len(data.schema.features),
            noise_multipliers=[event.noise_multiplier for event in events[:-1]],
        )
        module = _module(self._sizes(data.schema))
        rows = ((encoded - standard.centre) * standard.stretch).astype(np.float32)
        trainer = PrivateTrainer(
            module,
            Adam(module.parameters(), lr=_RATE),
            [from_numpy(rows), from_numpy(data.y.copy())],
            loss=nn.CrossEntropyLoss(reduction="none"),
            settings=self._settings,
        )
        trainer.run()
        return perceptron(data.schema, _layers(module, standard))

    def _preparation(self, schema: Schema) -> list[Part]:
        """Learning ranges, where none are said, and the standardiser: a share of the budget each."""
        standardiser = standardiser_parts(Encoding(schema).width)
        share = _STANDARDISER_SHARE / sum(part.share for part in standardiser)
        ranges = [range_part(len(schema.features), share=RANGE_SHARE)] if self._learns_ranges else []
        return [*ranges, *(replace(part, share=part.share * share) for part in standardiser)]

    def _sizes(self, schema: Schema) -> tuple[int, ...]:
        return (Encoding(schema).width, *self.hidden_layer_sizes, len(schema.classes))

    def _width(self, schema: Schema) -> int:
        return sum((before + 1) * after for before, after in pairwise(self._sizes(schema)))

    def _settings_for(self, epsilon: float, *, rows: int) -> PrivateSettings:
        batch = max(1, round(_BATCH_SHARE * rows)) if self.batch_size is None else self.batch_size
        return PrivateSettings(
            epsilon=epsilon, delta=self.delta, batch_size=batch, epochs=self.epochs, clip_norm=_CLIP_NORM
        )


def _module(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU between them; PyTorch's global generator is left as it was."""
    with random.fork_rng(devices=[]):
        random.manual_seed(secrets.randbits(63))
        layers = [layer for before, after in pairwise(sizes) for layer in (nn.Linear(before, after), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def _layers(module: nn.Sequential, standard: Standardiser) -> list[tuple[Matrix, Matrix]]:
    """Weights and biases of each layer, with the standardiser in front taken into the first."""
    layers = [
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in module
        if isinstance(layer, nn.Linear)
    ]
    weight, bias = layers[0]
    first = weight * standard.stretch
    return [(first, bias - first @ standard.centre), *layers[1:]]
