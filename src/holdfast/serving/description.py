"""What a client may know of a model before it asks."""

from __future__ import annotations

from typing import Any

from holdfast.custody import Bundle
from holdfast.limits import MAX_REQUEST_ROWS
from holdfast.models import LinearModel, OnnxModel
from holdfast.private_inference import PrivatePlan
from holdfast.serving.private_plan import plan_columns


def describe(bundle: Bundle, model: LinearModel | OnnxModel | None, plan: PrivatePlan | None) -> dict[str, Any]:
    """Name, version, digest, limits, what privacy is on offer, and what a row is.

    Of a model with a schema, that is the schema. Of a private plan alone, the columns that its card names, how many
    numbers a row has, an image's shape, the classes and the link.
    """
    told = {
        "name": bundle.name,
        "version": bundle.version,
        "digest": bundle.model_digest,
        "max_rows": MAX_REQUEST_ROWS,
        "private": plan is not None,
    }
    if model is not None:
        return told | {"schema": model.schema.to_json()}
    if plan is None:
        return told | {"schema": None}
    return told | {
        "schema": None,
        "features": [feature.to_json() for feature in plan_columns(bundle)],
        "n_features": plan.public.n_features,
        "shape": plan.public.encoding.to_json().get("shape"),
        "classes": list(plan.public.classes),
        "link": plan.public.link,
    }
