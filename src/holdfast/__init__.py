"""Holdfast keeps machine-learning models and their data in safe custody, from first data check to last prediction.

The story, in the order in which data flows:

    load, run_checks, build_manifest        what the records are, and what is wrong with them
    train_private, train_plain              a model, with a privacy guarantee or without
    DPLogisticRegression, PrivateTrainer    the same in the shape of scikit-learn, and for any PyTorch module
    LedgerFile                              every use of the records in one place, held against one limit
    train_partitioned, certify              a vote that a few poisoned records cannot turn
    membership_inference, evasion, extraction   what an attacker gets out of it
    prepare_membership, risk_list           whose data stands out
    picture_evasion, transform_evasion      the same for pictures: pixels, light, tilt, something worn
    harden, harden_with_examples            the same model, harder to fool; what that bought and cost
    harden_pictures, RobustBoostingClassifier   networks and trees that withstand by training
    certify_robustness                      a proof, picture by picture
    HardenedOutput                          answers that say less to thieves
    write_bundle, seal, open_sealed         the model with its evidence, signed and encrypted
    Policy, judge                           whether the evidence is enough
    Service, create_app, serve              asked with tokens, budgets, a watch and an audit log
    swap_activations, compile_private       a model that computes on inputs it does not see
    Client                                  asks, in the clear or encrypted
    render_report                           what a person reads
    Project, run                            all of it, from one holdfast.toml

Every name below has this one import path: `from holdfast import NAME`. Each is loaded when it is first used, so that
importing the package costs nothing. The rooms (`holdfast.data`, `holdfast.attacks`, …) are for those who extend them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.attacks import FeasibleChange, membership_inference, prepare_membership, risk_list
    from holdfast.attacks.images.evasion import picture_evasion
    from holdfast.attacks.images.threat import PixelChange
    from holdfast.attacks.images.transform_evasion import transform_evasion
    from holdfast.attacks.stealing.extraction import extraction
    from holdfast.attacks.tables.evasion import evasion
    from holdfast.custody import (
        ModelCard,
        Recipient,
        RecipientKey,
        SigningKey,
        VerifyKey,
        open_sealed,
        open_to,
        seal,
        verify_bundle,
        write_bundle,
    )
    from holdfast.data import (
        Dataset,
        Feature,
        Manifest,
        Relation,
        Schema,
        build_manifest,
        compare,
        inspect_table,
        read_table,
        run_checks,
        tumour_frame,
        tumour_schema,
    )
    from holdfast.data.image_checks import check_images
    from holdfast.data.images import Images, load_images
    from holdfast.data.load import load
    from holdfast.errors import HoldfastError
    from holdfast.evidence import Evidence, Figure
    from holdfast.hardening import HardenedOutput, OutputDefence, harden_with_examples
    from holdfast.hardening.harden import harden
    from holdfast.hardening.images.certify import certify_robustness
    from holdfast.hardening.images.harden import harden_pictures
    from holdfast.hardening.robust_logistic import robust_logistic
    from holdfast.hardening.trees import RobustBoostingClassifier, RobustForestClassifier
    from holdfast.http import Client, create_app, running, serve
    from holdfast.models import LinearModel, Model, OnnxModel, load_model
    from holdfast.pipeline import Project
    from holdfast.pipeline.runner import run
    from holdfast.policy import Policy, judge
    from holdfast.private_inference import Evaluator, PrivatePlan, PrivateSession, compile_private, report_plan
    from holdfast.report import ReportInput, render_report, report_json
    from holdfast.serving import Access, AuditLog, Service, Store, calibrate
    from holdfast.training import (
        Ledger,
        LedgerFile,
        estimator_from_name,
        measure_utility,
        swap_activations,
        train_plain,
        train_private,
    )
    from holdfast.training.estimators import DPGradientBoostingClassifier, DPLinearRegression, DPLogisticRegression
    from holdfast.training.estimators.mlp import DPMLPClassifier
    from holdfast.training.images.classifier import DPImageClassifier
    from holdfast.training.partitions.certificate import certify
    from holdfast.training.partitions.train import train_partitioned
    from holdfast.training.sgd.settings import PrivateSettings
    from holdfast.training.sgd.trainer import PrivateTrainer

__version__ = "0.1.0"

__all__ = [
    "Access",
    "AuditLog",
    "Client",
    "DPGradientBoostingClassifier",
    "DPImageClassifier",
    "DPLinearRegression",
    "DPLogisticRegression",
    "DPMLPClassifier",
    "Dataset",
    "Evaluator",
    "Evidence",
    "FeasibleChange",
    "Feature",
    "Figure",
    "HardenedOutput",
    "HoldfastError",
    "Images",
    "Ledger",
    "LedgerFile",
    "LinearModel",
    "Manifest",
    "Model",
    "ModelCard",
    "OnnxModel",
    "OutputDefence",
    "PixelChange",
    "Policy",
    "PrivatePlan",
    "PrivateSession",
    "PrivateSettings",
    "PrivateTrainer",
    "Project",
    "Recipient",
    "RecipientKey",
    "Relation",
    "ReportInput",
    "RobustBoostingClassifier",
    "RobustForestClassifier",
    "Schema",
    "Service",
    "SigningKey",
    "Store",
    "VerifyKey",
    "__version__",
    "build_manifest",
    "calibrate",
    "certify",
    "certify_robustness",
    "check_images",
    "compare",
    "compile_private",
    "create_app",
    "estimator_from_name",
    "evasion",
    "extraction",
    "harden",
    "harden_pictures",
    "harden_with_examples",
    "inspect_table",
    "judge",
    "load",
    "load_images",
    "load_model",
    "measure_utility",
    "membership_inference",
    "open_sealed",
    "open_to",
    "picture_evasion",
    "prepare_membership",
    "read_table",
    "render_report",
    "report_json",
    "report_plan",
    "risk_list",
    "robust_logistic",
    "run",
    "run_checks",
    "running",
    "seal",
    "serve",
    "swap_activations",
    "train_partitioned",
    "train_plain",
    "train_private",
    "transform_evasion",
    "tumour_frame",
    "tumour_schema",
    "verify_bundle",
    "write_bundle",
]

_ROOM_OF = {
    "Access": "serving",
    "AuditLog": "serving",
    "Client": "http",
    "DPGradientBoostingClassifier": "training.estimators",
    "DPImageClassifier": "training.images.classifier",
    "DPLinearRegression": "training.estimators",
    "DPLogisticRegression": "training.estimators",
    "DPMLPClassifier": "training.estimators.mlp",
    "Dataset": "data",
    "Evaluator": "private_inference",
    "Evidence": "evidence",
    "FeasibleChange": "attacks",
    "Feature": "data",
    "Figure": "evidence",
    "HardenedOutput": "hardening",
    "HoldfastError": "errors",
    "Images": "data.images",
    "Ledger": "training",
    "LedgerFile": "training",
    "LinearModel": "models",
    "Manifest": "data",
    "Model": "models",
    "ModelCard": "custody",
    "OnnxModel": "models",
    "OutputDefence": "hardening",
    "PixelChange": "attacks.images.threat",
    "Policy": "policy",
    "PrivatePlan": "private_inference",
    "PrivateSession": "private_inference",
    "PrivateSettings": "training.sgd.settings",
    "PrivateTrainer": "training.sgd.trainer",
    "Project": "pipeline",
    "Recipient": "custody",
    "RecipientKey": "custody",
    "Relation": "data",
    "ReportInput": "report",
    "RobustBoostingClassifier": "hardening.trees",
    "RobustForestClassifier": "hardening.trees",
    "Schema": "data",
    "Service": "serving",
    "SigningKey": "custody",
    "Store": "serving",
    "VerifyKey": "custody",
    "build_manifest": "data",
    "calibrate": "serving",
    "certify": "training.partitions.certificate",
    "certify_robustness": "hardening.images.certify",
    "check_images": "data.image_checks",
    "compare": "data",
    "compile_private": "private_inference",
    "create_app": "http",
    "estimator_from_name": "training",
    "evasion": "attacks",
    "extraction": "attacks",
    "harden": "hardening",
    "harden_pictures": "hardening.images.harden",
    "harden_with_examples": "hardening",
    "inspect_table": "data",
    "judge": "policy",
    "load": "data",
    "load_images": "data.images",
    "load_model": "models",
    "measure_utility": "training",
    "membership_inference": "attacks",
    "open_sealed": "custody",
    "open_to": "custody",
    "picture_evasion": "attacks.images.evasion",
    "prepare_membership": "attacks",
    "read_table": "data",
    "render_report": "report",
    "report_json": "report",
    "report_plan": "private_inference",
    "risk_list": "attacks",
    "robust_logistic": "hardening",
    "run": "pipeline.runner",
    "run_checks": "data",
    "running": "http",
    "seal": "custody",
    "serve": "http",
    "swap_activations": "training",
    "train_partitioned": "training.partitions.train",
    "train_plain": "training",
    "train_private": "training",
    "transform_evasion": "attacks.images.transform_evasion",
    "tumour_frame": "data",
    "tumour_schema": "data",
    "verify_bundle": "custody",
    "write_bundle": "custody",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    value = getattr(import_module(f"holdfast.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
