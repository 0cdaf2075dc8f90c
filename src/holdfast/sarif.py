"""Evidence as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format", 2020), which CI services read.

Each kind of evidence is a rule; each piece is one result on the model or data set that it is about. A result fails with
an error where a demand is not met, and with a warning where it is met but the interval lies on both sides, or where the
evidence says that nothing was measured in earnest; else it passes, or informs where nothing was demanded (section
3.27.9: all but failures have the level "none"). The field's catalogues go with the rules as taxonomies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from holdfast.evidence import Evidence
from holdfast.policy import THRESHOLDS, Finding, Verdict

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_CATALOGUES: Final = {
    "MITRE ATLAS": ("MITRE ATLAS", "MITRE", "5.6"),
    "NIST AI 100-2e2025": ("NIST AI 100-2", "NIST", "e2025"),
    "OWASP": ("OWASP Machine Learning Security Top Ten", "OWASP", "2023"),
}
"""How a reference begins: the catalogue's name, organisation and edition."""


def sarif_log(evidence: Sequence[Evidence], *, verdict: Verdict | None = None) -> dict[str, Any]:
    """The evidence as one SARIF log with one run.

    Args:
        evidence: the results, in order.
        verdict: the judgement that decides which ones fail; without one, all inform.
    """
    kinds = list(dict.fromkeys(item.kind for item in evidence))
    findings = {} if verdict is None else _by_kind(verdict.findings)
    taxonomies = _taxonomies(reference for item in evidence for reference in item.references)
    run: dict[str, Any] = {
        "tool": {"driver": _driver(kinds, evidence, taxonomies)},
        "results": [_result(item, kinds.index(item.kind), findings.get(item.kind, [])) for item in evidence],
        "artifacts": [_artifact(digest) for digest in dict.fromkeys(item.subject for item in evidence)],
        "columnKind": "unicodeCodePoints",
    }
    if taxonomies:
        run["taxonomies"] = list(taxonomies.values())
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver(kinds: list[str], evidence: Sequence[Evidence], taxonomies: Mapping[str, Any]) -> dict[str, Any]:
    driver: dict[str, Any] = {"name": "Holdfast", "semanticVersion": version("holdfast"), "rules": []}
    for kind in kinds:
        references = dict.fromkeys(ref for item in evidence if item.kind == kind for ref in item.references)
        rule: dict[str, Any] = {"id": kind, "name": kind.title().replace("-", "")}
        relations = [
            {"target": {"id": taxon, "toolComponent": {"name": taxonomies[name]["name"]}}, "kinds": ["relevant"]}
            for name, taxon, _ in filter(None, map(_taxon, references))
        ]
        if relations:
            rule["relationships"] = relations
        driver["rules"].append(rule)
    return driver


def _result(item: Evidence, rule: int, findings: list[Finding]) -> dict[str, Any]:
    missed = [finding for finding in findings if finding.outcome != "met"]
    unsure = any(finding.uncertain for finding in findings) or bool(item.context.get("void"))
    judged = " ".join(f"{finding.demand}: {finding.outcome}, {finding.reason}." for finding in findings)
    return {
        "ruleId": item.kind,
        "ruleIndex": rule,
        "level": "error" if missed else "warning" if unsure else "none",
        "kind": "fail" if missed or unsure else "pass" if findings else "informational",
        "message": {"text": f"{item.title}. {judged}".strip()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(item.subject)}}}],
        "partialFingerprints": {"evidenceDigest/v1": item.digest},
        "properties": {
            "figures": {name: figure.to_json() for name, figure in item.figures.items()},
            "caveats": list(item.caveats),
        },
    }


def _by_kind(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings under the kind of evidence that each one judges."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        words = finding.demand.split()
        kind = words[1] if words[0] == "require" else THRESHOLDS[words[0]].kind
        found.setdefault(kind, []).append(finding)
    return found


def _artifact(digest: str) -> dict[str, Any]:
    return {"location": {"uri": _uri(digest)}, "hashes": {"sha-256": digest.removeprefix("sha256:")}}


def _uri(digest: str) -> str:
    """RFC 6920 names things by their hash; a model has no path of its own."""
    return f"urn:sha256:{digest.removeprefix('sha256:')}"


def _taxonomies(references: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The catalogues that are referred to, each with the entries that are."""
    found: dict[str, dict[str, Any]] = {}
    for prefix, taxon, title in filter(None, map(_taxon, dict.fromkeys(references))):
        name, organisation, edition = _CATALOGUES[prefix]
        empty = {"name": name, "organization": organisation, "version": edition, "taxa": []}
        taxa = found.setdefault(prefix, empty)["taxa"]
        if taxon not in (known["id"] for known in taxa):
            taxa.append({"id": taxon, "name": title})
    return found


def _taxon(reference: str) -> tuple[str, str, str] | None:
    """Catalogue, identifier and name of a reference such as "MITRE ATLAS AML.T0015 Evade AI Model"."""
    for prefix in _CATALOGUES:
        rest = reference.removeprefix(prefix).split()
        if reference.startswith(prefix) and rest and any(map(str.isdigit, rest[0])):
            return prefix, rest[0], " ".join(rest[1:])
    return None
