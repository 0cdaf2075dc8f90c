"""Hardening: retrain against an attack, and report what it bought beside what it cost."""

from holdfast.hardening.choice import Choice, strongest_affordable
from holdfast.hardening.harden import RobustTrainer, harden, harden_with_examples
from holdfast.hardening.outputs import HardenedOutput, OutputDefence, calibrated_noise
from holdfast.hardening.outputs_price import OutputPrice, price
from holdfast.hardening.result import HardeningResult
from holdfast.hardening.robust_logistic import evasion_radius, robust_logistic

__all__ = [
    "Choice",
    "HardenedOutput",
    "HardeningResult",
    "OutputDefence",
    "OutputPrice",
    "RobustTrainer",
    "calibrated_noise",
    "evasion_radius",
    "harden",
    "harden_with_examples",
    "price",
    "robust_logistic",
    "strongest_affordable",
]
