"""Training: with differential privacy and a ledger of what it costs, or without; and how well the result predicts."""

from holdfast.training.accounting import NoisySums, advantage_of, at_most, epsilon_of, epsilon_per_training, noise_for
from holdfast.training.ledger import Entry, Ledger
from holdfast.training.plain import estimator_from_name, train_plain
from holdfast.training.polynomial import SwappedNetwork, swap_activations
from holdfast.training.private import DEFAULT_STEPS, PrivateTraining, check_records, private_events, train_private
from holdfast.training.statement import PrivacyStatement
from holdfast.training.utility import measure_utility

__all__ = [
    "DEFAULT_STEPS",
    "Entry",
    "Ledger",
    "NoisySums",
    "PrivacyStatement",
    "PrivateTraining",
    "SwappedNetwork",
    "advantage_of",
    "at_most",
    "check_records",
    "epsilon_of",
    "epsilon_per_training",
    "estimator_from_name",
    "measure_utility",
    "noise_for",
    "private_events",
    "swap_activations",
    "train_plain",
    "train_private",
]
