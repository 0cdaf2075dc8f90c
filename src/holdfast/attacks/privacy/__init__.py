"""Attacks on privacy: who was in the training data, whose record stands out, and whether a claim of epsilon holds.

One set of shadow models serves every attack on membership:

    prepare_membership ──> MembershipTest ── run(LIRA | RMIA | …) ──> MembershipResult ── risk_list ──> RiskList

`label_only` asks the same of a service that answers with labels alone. `audit_training` plants canaries and tries to
contradict a claim of epsilon. `attribute_inference` guesses a value that is missing, `invert_network` and
`invert_service` draw what a class looks like.
"""

from holdfast.attacks.privacy.attack import Attack
from holdfast.attacks.privacy.attribute import AttributeResult, attribute_inference
from holdfast.attacks.privacy.audit import (
    ANY_MECHANISM,
    INTERFERING_CANARIES,
    SEPARATE_CANARIES,
    AuditMethod,
    AuditResult,
    audit,
)
from holdfast.attacks.privacy.audit_curves import Claim, approximate, gaussian, profile
from holdfast.attacks.privacy.canaries import TableCanaries, audit_training, mislabelled, own_category, toss
from holdfast.attacks.privacy.inversion import invert_network, invert_service
from holdfast.attacks.privacy.inversion_result import InversionResult
from holdfast.attacks.privacy.label_only import LabelOnlyResult, label_only
from holdfast.attacks.privacy.labels import labels_of, named_labels
from holdfast.attacks.privacy.lira import LIRA, LIRA_OFFLINE
from holdfast.attacks.privacy.loss_attack import LOSS
from holdfast.attacks.privacy.membership import (
    ATTACKS,
    MembershipTest,
    membership_inference,
    membership_table,
    prepare_membership,
)
from holdfast.attacks.privacy.membership_result import MembershipResult
from holdfast.attacks.privacy.risk import RiskList, risk_list
from holdfast.attacks.privacy.rmia import RMIA, RMIA_OFFLINE
from holdfast.attacks.privacy.scores import own_class_logit
from holdfast.attacks.privacy.shadow_networks import NetworkModel, NetworkTrainer
from holdfast.attacks.privacy.shadow_training import TrainsTogether, train_shadows
from holdfast.attacks.privacy.shadows import Shadows, shadow_split

__all__ = [
    "ANY_MECHANISM",
    "ATTACKS",
    "INTERFERING_CANARIES",
    "LIRA",
    "LIRA_OFFLINE",
    "LOSS",
    "RMIA",
    "RMIA_OFFLINE",
    "SEPARATE_CANARIES",
    "Attack",
    "AttributeResult",
    "AuditMethod",
    "AuditResult",
    "Claim",
    "InversionResult",
    "LabelOnlyResult",
    "MembershipResult",
    "MembershipTest",
    "NetworkModel",
    "NetworkTrainer",
    "RiskList",
    "Shadows",
    "TableCanaries",
    "TrainsTogether",
    "approximate",
    "attribute_inference",
    "audit",
    "audit_training",
    "gaussian",
    "invert_network",
    "invert_service",
    "label_only",
    "labels_of",
    "membership_inference",
    "membership_table",
    "mislabelled",
    "named_labels",
    "own_category",
    "own_class_logit",
    "prepare_membership",
    "profile",
    "risk_list",
    "shadow_split",
    "toss",
    "train_shadows",
]
