"""What an attack found, for others: JSON, a page, SARIF for CI, and a gate."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from tests.attacks.attack_cases import numbers_schema, own_labels, random_linear

from holdfast.attacks import EvasionResult, FeasibleChange, evasion, extraction, synthetic_rows
from holdfast.errors import PolicyError, UsageError
from holdfast.evidence import Evidence
from holdfast.policy import Policy, judge
from holdfast.sarif import sarif_log

DIGEST = "sha256:" + "ab" * 32
SCHEMA = Path(__file__).parents[1] / "vectors" / "sarif-2.1.0.schema.json"


@cache
def result() -> EvasionResult:
    rng = np.random.default_rng(0)
    model = random_linear(numbers_schema(), rng)
    data = own_labels(model, synthetic_rows(model.schema, 60, rng))
    return evasion(model, data, threat=FeasibleChange(budget=0.1), rng=rng)


def valid(log: dict[str, Any]) -> dict[str, Any]:
    """The one run of a log, if the log is SARIF 2.1.0."""
    plain = json.loads(json.dumps(log))
    jsonschema.validate(plain, json.loads(SCHEMA.read_text()))
    return dict(plain["runs"][0])


def judged(minimum: float) -> dict[str, Any]:
    evidence = [result().to_evidence(DIGEST)]
    verdict = judge(Policy({"min_robust_accuracy": minimum}), evidence, model_digest=DIGEST)
    return dict(valid(sarif_log(evidence, verdict=verdict))["results"][0])


def test_the_json_is_evidence_that_can_be_read_back() -> None:
    document = json.loads(json.dumps(result().to_json(DIGEST)))
    assert Evidence.from_json(document) == result().to_evidence(DIGEST)
    assert len(document["samples"]["distance"]) == 60


def test_the_sarif_of_a_result_is_valid_and_names_the_fields_catalogues() -> None:
    run = valid(result().to_sarif(DIGEST))
    assert {taxonomy["name"]: taxonomy["version"] for taxonomy in run["taxonomies"]} == {
        "MITRE ATLAS": "5.6",
        "NIST AI 100-2": "e2025",
        "OWASP Machine Learning Security Top Ten": "2023",
    }
    taxa = {taxon["id"] for taxonomy in run["taxonomies"] for taxon in taxonomy["taxa"]}
    assert {"AML.T0015", "NISTAML.022", "ML01:2023"} <= taxa
    related = {relation["target"]["id"] for relation in run["tool"]["driver"]["rules"][0]["relationships"]}
    assert related == taxa
    assert run["results"][0]["level"] == "none"


def test_the_schema_can_refuse() -> None:
    broken = result().to_sarif(DIGEST)
    broken["runs"][0]["results"][0]["level"] = "grave"
    with pytest.raises(jsonschema.ValidationError):
        valid(broken)


def test_a_demand_that_is_not_met_is_an_error_in_sarif_and_an_unsure_one_a_warning() -> None:
    found = result().robust_accuracy
    assert found.low is not None
    assert (judged(found.value + 0.01)["level"], judged(found.value + 0.01)["kind"]) == ("error", "fail")
    assert judged(found.value)["level"] == "warning"
    passed = judged(found.low / 2)
    assert (passed["level"], passed["kind"]) == ("none", "pass")
    assert "min_robust_accuracy: met" in passed["message"]["text"]


def test_several_kinds_of_results_share_one_log() -> None:
    rng = np.random.default_rng(1)
    model = random_linear(numbers_schema(), rng)
    data = own_labels(model, synthetic_rows(model.schema, 80, rng))
    copied = extraction(model, reference=data, queries=100, rng=rng).to_evidence(DIGEST)
    run = valid(sarif_log([result().to_evidence(DIGEST), copied, copied]))
    assert [entry["ruleIndex"] for entry in run["results"]] == [0, 1, 1]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["evasion", "extraction"]
    assert len(run["artifacts"]) == 1


def test_the_page_says_what_was_measured_and_escapes_what_came_from_data() -> None:
    hostile = replace(result(), source_class="<script>alert(1)</script>", unreliable=("<b>noise</b> was seen",))
    page = hostile.to_html(DIGEST)
    assert "<script>alert" not in page
    assert "<b>noise" not in page
    assert "This result may be unreliable: &lt;b&gt;noise" in page
    assert "Security curve" in page
    assert "The first 50 of 60" in page
    assert DIGEST.removeprefix("sha256:")[:12] in page


def test_the_gate_lets_pass_what_is_robust_enough_and_nothing_else() -> None:
    share = result().robust_accuracy.value
    result().gate(min_robust_accuracy=share)
    with pytest.raises(PolicyError, match="expected a robust accuracy of at least"):
        result().gate(min_robust_accuracy=share + 0.001)
    for nonsense in (-0.1, 1.1, float("nan"), True, "0.5", None):
        with pytest.raises(UsageError, match="share from 0 to 1"):
            result().gate(min_robust_accuracy=nonsense)  # type: ignore[arg-type]
