"""Training: with differential privacy and a ledger of what it costs, or without; and how well the result predicts."""

from holdfast.training.account.accounting import (
    advantage_of,
    epsilon_of,
    epsilon_of_group,
    epsilon_per_training,
    noise_for,
    noise_for_sampled,
)
from holdfast.training.account.events import NoisySums, SampledSums
from holdfast.training.account.ledger import Entry, Ledger
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.account.statement import PrivacyStatement
from holdfast.training.account.words import at_most
from holdfast.training.partitions.certificate import PoisonCertificate, certify, certify_pictures
from holdfast.training.partitions.train import (
    PartitionedModel,
    PartitionedPictureModel,
    train_partitioned,
    train_partitioned_pictures,
)
from holdfast.training.polynomials.activations import SwappedNetwork, swap_activations
from holdfast.training.tables.plain import estimator_from_name, train_plain
from holdfast.training.tables.private import DEFAULT_STEPS, PrivateTraining, private_events, train_private
from holdfast.training.tables.refusals import check_records
from holdfast.training.tables.utility import measure_utility

__all__ = [
    "DEFAULT_STEPS",
    "Entry",
    "Ledger",
    "LedgerFile",
    "NoisySums",
    "PartitionedModel",
    "PartitionedPictureModel",
    "PoisonCertificate",
    "PrivacyStatement",
    "PrivateTraining",
    "SampledSums",
    "SwappedNetwork",
    "advantage_of",
    "at_most",
    "certify",
    "certify_pictures",
    "check_records",
    "epsilon_of",
    "epsilon_of_group",
    "epsilon_per_training",
    "estimator_from_name",
    "measure_utility",
    "noise_for",
    "noise_for_sampled",
    "private_events",
    "swap_activations",
    "train_partitioned",
    "train_partitioned_pictures",
    "train_plain",
    "train_private",
]
