"""Attacks: a model, a threat and a budget give a frozen result, which becomes evidence.

Each attack does what someone outside could do, and reports numbers per record, the worst case and an interval. An
attack that fails proves nothing, except where a result says that it is exact.
"""

from holdfast.attacks.evasion_result import EvasionResult
from holdfast.attacks.oracle import check_subject
from holdfast.attacks.privacy import MembershipResult, membership_inference, prepare_membership, risk_list
from holdfast.attacks.security_curve import SecurityCurve
from holdfast.attacks.stats import paired_difference
from holdfast.attacks.stealing import ExtractionResult, extraction
from holdfast.attacks.synthetic import levelled_rows, synthetic_rows
from holdfast.attacks.tables.evasion import evasion
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.attacks.tables.threat import FeasibleChange

__all__ = [
    "EvasionResult",
    "ExtractionResult",
    "FeasibleChange",
    "MembershipResult",
    "SecurityCurve",
    "check_subject",
    "evasion",
    "extraction",
    "levelled_rows",
    "membership_inference",
    "paired_difference",
    "prepare_membership",
    "ranges",
    "repair",
    "risk_list",
    "synthetic_rows",
]
