"""`holdfast attack` in CI: files for others, and an exit code that a policy decides."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest
from tests.attacks.test_result_formats import SCHEMA

from holdfast.cli.attacking import page_names
from holdfast.evidence import Evidence
from holdfast.policy import ABOUT_ATTACKS

from .conftest import Demo, holdfast


def test_results_of_one_kind_get_pages_of_their_own() -> None:
    found = [
        Evidence(kind=kind, subject="sha256:" + "0" * 64, subject_kind="model", title=kind, figures={})
        for kind in ("evasion", "extraction", "evasion", "evasion")
    ]
    assert list(page_names(found)) == ["evasion", "extraction", "evasion-2", "evasion-3"]


def test_the_results_are_written_for_others_and_the_gate_lets_the_demo_pass(copied: Callable[[], Demo]) -> None:
    folder = copied().folder
    files = ("--sarif", "ci/found.sarif", "--json", "ci/found.json", "--html", "ci/pages")
    said = holdfast("attack", "holdfast.toml", "--gate", *files, cwd=folder)
    assert said.code == 0, said.err
    assert "policy: met, all" in said.out
    log = json.loads((folder / "ci/found.sarif").read_text())
    jsonschema.validate(log, json.loads(SCHEMA.read_text()))
    kinds = {item["kind"] for item in json.loads((folder / "ci/found.json").read_text())}
    assert {"evasion", "extraction", "membership-inference", "membership-risk"} <= kinds <= ABOUT_ATTACKS
    assert {page.stem for page in (folder / "ci/pages").iterdir()} == kinds
    assert {page.stat().st_mode & 0o777 for page in (folder / "ci/pages").iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [("min_robust_accuracy = 0.99", 1, "the policy is not met"), ("", 2, "expected a demand on attacks")],
)
def test_the_gate_tells_a_failed_demand_from_none(
    copied: Callable[[], Demo], limit: str, code: int, words: str
) -> None:
    folder = copied().folder
    config = folder / "holdfast.toml"
    before, _, _ = config.read_text().partition("[policy]")
    config.write_text(f"{before}[policy]\n{limit}\n")
    said = holdfast("attack", "holdfast.toml", "--gate", "--sarif", "found.sarif", cwd=folder)
    assert said.code == code
    assert words in said.one_error()
    assert (folder / "found.sarif").exists() == (code == 1)
    if code == 1:
        levels = {
            entry["ruleId"]: entry["level"]
            for entry in json.loads((folder / "found.sarif").read_text())["runs"][0]["results"]
        }
        assert levels["evasion"] == "error"
