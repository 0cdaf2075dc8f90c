"""What a service looks for in a bundle: evidence that meets the policy, a model, a watch profile."""

from __future__ import annotations

import json
from typing import Final

from holdfast.custody import Bundle
from holdfast.errors import IntegrityError, PolicyError, WireError
from holdfast.evidence import canonical_json
from holdfast.models import LinearModel, OnnxModel, load_model
from holdfast.policy import Policy, Verdict, judge
from holdfast.serving.profile import WatchProfile

WATCH_FILE: Final = "watch.json"


def demand(policy: Policy, bundle: Bundle) -> Verdict:
    """The policy's verdict on a bundle.

    Raises:
        PolicyError: the bundle's evidence does not meet it.
    """
    verdict = judge(policy, bundle.evidence(), model_digest=bundle.model_digest)
    unmet = [finding for finding in verdict.findings if finding.outcome != "met"]
    if unmet:
        reasons = "; ".join(finding.reason for finding in unmet)
        raise PolicyError(
            f"{bundle.name} {bundle.version} is not served, because {reasons}",
            hint="measure what is missing, harden the model, or change the policy",
        )
    return verdict


def watch_files(profile: WatchProfile) -> dict[str, bytes]:
    """The bundle's file of a watch profile, by name."""
    return {WATCH_FILE: canonical_json(profile.to_json())}


def read_model(bundle: Bundle) -> LinearModel | OnnxModel | None:
    """The bundle's model; None where it is a private plan alone.

    Raises:
        IntegrityError: evidence in the bundle is about another model.
        WireError: the model is not one that Holdfast wrote.
    """
    for evidence in bundle.evidence():
        if evidence.subject_kind == "model" and evidence.subject != bundle.model_digest:
            raise IntegrityError(
                f"the bundle's {evidence.kind} evidence is about the model {evidence.subject[:15]}…, "
                f"the model in it is {bundle.model_digest[:15]}…",
                hint="seal the model again with evidence of its own",
            )
    return None if bundle.private_only else load_model(bundle.model_bytes)


def read_watch_profile(bundle: Bundle) -> WatchProfile | None:
    """The bundle's watch profile, if it has one.

    Raises:
        WireError: the file is there and is not a profile, or there are no rows in the clear to watch.
    """
    if WATCH_FILE not in bundle.files:
        return None
    if bundle.private_only:
        raise WireError(f"expected no {WATCH_FILE} beside a private plan alone: encrypted rows cannot be watched")
    return WatchProfile.from_json(json.loads(bundle.files[WATCH_FILE]))
