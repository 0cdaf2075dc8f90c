"""How the command line tells the judgement of a policy."""

from __future__ import annotations

from holdfast.cli.terminal import say
from holdfast.errors import PolicyError
from holdfast.policy import Verdict


def conclude(verdict: Verdict) -> None:
    """Say what the policy says.

    Raises:
        PolicyError: it is not met.
    """
    marks = {"met": "met    ", "not met": "NOT MET", "no evidence": "MISSING"}
    for finding in verdict.findings:
        caution = " (the confidence interval lies on both sides)" if finding.uncertain else ""
        say(f"policy: {marks[finding.outcome]} {finding.demand}: {finding.reason}{caution}")
    if not verdict.met:
        missed = sum(finding.outcome != "met" for finding in verdict.findings)
        raise PolicyError(
            f"the policy is not met: {missed} of {len(verdict.findings)} demands",
            hint="train or harden differently, or change [policy] if the demand is not what you need",
        )
    say(
        f"policy: met, all {len(verdict.findings)} demands"
        if verdict.findings
        else "policy: empty, nothing was demanded"
    )
