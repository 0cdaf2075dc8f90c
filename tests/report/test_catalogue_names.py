"""Identifiers and names of the field's catalogues are those of the editions named, wherever a result refers to them.

Copied by hand from MITRE ATLAS 5.6.0 (github.com/mitre-atlas/atlas-data, dist/ATLAS.yaml), the OWASP Machine Learning
Security Top Ten 2023 (github.com/OWASP/www-project-machine-learning-security-top-10, docs) and NIST AI 100-2e2025.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import holdfast
from holdfast.report.kinds import KINDS
from holdfast.sarif import sarif_log

from .report_example import data_checks

NAMES = {
    "AML.M0002": "Passive AI Output Obfuscation",
    "AML.M0003": "Model Hardening",
    "AML.M0004": "Restrict Number of AI Model Queries",
    "AML.M0007": "Sanitize Training Data",
    "AML.M0012": "Encrypt Sensitive Information",
    "AML.M0015": "Adversarial Input Detection",
    "AML.M0024": "AI Telemetry Logging",
    "AML.T0015": "Evade AI Model",
    "AML.T0020": "Poison Training Data",
    "AML.T0024.000": "Infer Training Data Membership",
    "AML.T0024.001": "Invert AI Model",
    "AML.T0024.002": "Extract AI Model",
    "AML.T0043": "Craft Adversarial Data",
    "ML01": "Input Manipulation Attack",
    "ML02": "Data Poisoning Attack",
    "ML03": "Model Inversion Attack",
    "ML04": "Membership Inference Attack",
    "ML05": "Model Theft",
    "NISTAML.013": "Data Poisoning",
    "NISTAML.022": "Evasion",
    "NISTAML.023": "Backdoor Poisoning",
    "NISTAML.024": "Targeted Poisoning",
    "NISTAML.025": "Black-box Evasion",
    "NISTAML.031": "Model Extraction",
    "NISTAML.032": "Reconstruction",
    "NISTAML.033": "Membership Inference",
}
ENTRY = re.compile(
    r"\b(AML\.[TM]\d{4}(?:\.\d{3})?|NISTAML\.\d{3}|ML\d\d)(?::2023)? ([A-Z][\w-]*(?: (?:of )?[A-Z]\w*)*)"
)
SOURCES = sorted(Path(holdfast.__file__).parent.rglob("*.py"))


def test_every_entry_that_the_code_names_is_called_what_its_catalogue_calls_it() -> None:
    found = {}
    for file in SOURCES:
        for line in re.findall(r'"([^"\n]*(?:AML\.|ML0\d)[^"\n]*)"', file.read_text()):
            named = dict(ENTRY.findall(line))
            assert named, f"{file}: {line!r} gives an entry without its name"
            found |= named
    assert found == {identifier: NAMES[identifier] for identifier in found}
    assert found.keys() == NAMES.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_names_entries_that_there_are(kind: str) -> None:
    for told in (KINDS[kind].atlas, KINDS[kind].owasp):
        for entry in filter(None, told.split("; ")):
            identifier, name = entry.split(" ", 1)
            assert NAMES[identifier] == name


def test_a_reference_without_an_identifier_is_no_entry_of_a_taxonomy() -> None:
    assert "taxonomies" not in sarif_log([data_checks()])["runs"][0]
