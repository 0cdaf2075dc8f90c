"""Hardening: retrain against an attack, and report what it bought beside what it cost."""

from holdfast.hardening.harden import RobustTrainer, harden, harden_with_examples
from holdfast.hardening.result import HardeningResult
from holdfast.hardening.robust_logistic import evasion_radius, robust_logistic

__all__ = [
    "HardeningResult",
    "RobustTrainer",
    "evasion_radius",
    "harden",
    "harden_with_examples",
    "robust_logistic",
]
