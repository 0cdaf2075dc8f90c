"""What a service looks for in a bundle besides the model: a watch profile, and the two halves of a private plan."""

from __future__ import annotations

import json
import math
from typing import Final

import numpy as np

from holdfast.custody import Bundle
from holdfast.errors import IntegrityError, WireError
from holdfast.evidence import canonical_json
from holdfast.he import EXACT_8192
from holdfast.models import LinearModel, OnnxModel, load_model
from holdfast.private_inference import LinearPlan, PublicPlan, SecretWeights, compile_linear
from holdfast.serving.profile import WatchProfile

WATCH_FILE: Final = "watch.json"
PUBLIC_PLAN_FILE: Final = "private/plan.json"
SECRET_PLAN_FILE: Final = "private/secret.json"


def watch_files(profile: WatchProfile) -> dict[str, bytes]:
    """The bundle's file of a watch profile, by name."""
    return {WATCH_FILE: canonical_json(profile.to_json())}


def plan_files(plan: LinearPlan) -> dict[str, bytes]:
    """The bundle's files of a private plan, by name. The secret half tells the weights, as does the model beside it."""
    return {
        PUBLIC_PLAN_FILE: canonical_json(plan.public.to_json()),
        SECRET_PLAN_FILE: canonical_json(plan.secret.to_json()),
    }


def read_model(bundle: Bundle) -> LinearModel | OnnxModel:
    """The bundle's model.

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
    return load_model(bundle.model_bytes)


def read_watch_profile(bundle: Bundle) -> WatchProfile | None:
    """The bundle's watch profile, if it has one.

    Raises:
        WireError: the file is there and is not a profile.
    """
    if WATCH_FILE not in bundle.files:
        return None
    return WatchProfile.from_json(json.loads(bundle.files[WATCH_FILE]))


def read_plan(bundle: Bundle, model: LinearModel | OnnxModel) -> LinearPlan | None:
    """The bundle's private plan, if it has one: the one that compiling its model gives, but for the salt.

    Raises:
        IntegrityError: the plan is of another model.
        WireError: a file is there and is not half a plan, or only one of them is there.
    """
    there = {PUBLIC_PLAN_FILE, SECRET_PLAN_FILE} & bundle.files.keys()
    if not there:
        return None
    if len(there) == 1:
        raise WireError(f"expected both halves of a private plan in the bundle, got {there.pop()} alone")
    plan = LinearPlan(
        public=PublicPlan.from_json(json.loads(bundle.files[PUBLIC_PLAN_FILE])),
        secret=SecretWeights.from_json(json.loads(bundle.files[SECRET_PLAN_FILE])),
    )
    if not isinstance(model, LinearModel) or not _same(plan, model):
        raise IntegrityError("the private plan in the bundle is not of the model beside it")
    return plan


def telling_rows(plan: LinearPlan) -> int:
    """Encrypted rows whose scores can carry as many bits as the plan's weights and intercept have.

    A score tells up to `log2 Q - flood bits` bits (82) to a client that packs several weights into one, so this is a
    lower bound on the rows for an exact copy, and below the one row for each unknown that an honest client would need.
    """
    numbers = np.column_stack([plan.secret.weights, plan.secret.intercept])
    unknown_bits = max(sum(abs(int(number)).bit_length() + 1 for number in score) for score in numbers)
    return math.ceil(unknown_bits / (math.ceil(EXACT_8192.log2_modulus) - EXACT_8192.flood_bits))


def _same(plan: LinearPlan, model: LinearModel) -> bool:
    own = compile_linear(model.coef, model.intercept, classes=model.schema.classes)
    settings = ("n_features", "classes", "feature_bits", "weight_bits", "error_bits")
    return all(getattr(plan.public, name) == getattr(own.public, name) for name in settings) and (
        np.array_equal(plan.secret.weights, own.secret.weights)
        and np.array_equal(plan.secret.intercept, own.secret.intercept)
    )
