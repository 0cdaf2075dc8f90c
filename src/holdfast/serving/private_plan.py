"""The private plan in a bundle: beside the model that it was made of, or as the model itself."""

from __future__ import annotations

import json
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.custody import PUBLIC_PLAN, SECRET_PLAN, Bundle
from holdfast.data import Feature, Matrix, Schema
from holdfast.errors import ConfigError, IntegrityError, UnsupportedError, WireError
from holdfast.evidence import Evidence, Figure, canonical_json
from holdfast.intervals import proportion
from holdfast.models import LinearModel, OnnxModel
from holdfast.models.links import prediction
from holdfast.private_inference import PrivatePlan, PublicPlan, SecretPlan
from holdfast.private_inference.program import NetworkProgram

_SAMPLE_ROWS: Final = 256
_MAX_SCORE_GAP: Final = 2.0**-20
"""How far a score of a plan may be from that of a linear model."""
_MAX_PROBABILITY_GAP: Final = 1e-3
"""How far a probability of a plan may be from that of any other; ONNX computes in float32."""
_NUMBER_BITS: Final = 20
"""Bits of a weight that matter: scores are exact to 2^-20, or less."""


def plan_files(plan: PrivatePlan) -> dict[str, bytes]:
    """The bundle's files of a private plan, by name; without model.onnx beside them, the plan is the model.

    The secret half tells the model, as model.onnx does.
    """
    return {PUBLIC_PLAN: canonical_json(plan.public.to_json()), SECRET_PLAN: plan.secret.to_bytes()}


def plan_evidence(plan: PrivatePlan) -> Evidence:
    """How a plan compared with the clear model when it was compiled, as evidence about the plan by itself.

    Raises:
        UnsupportedError: it was compiled without rows to compare on.
    """
    measured = plan.public.measured
    if measured is None:
        raise UnsupportedError("the plan was compiled without rows, so nothing was measured", hint="compile it with X")
    worst = measured.worst_error + measured.encrypted_error
    title, figures = f"The plan's scores were within {worst:.2g} of the clear model's", {}
    if plan.public.classes:
        title = f"The plan gave the clear model's class for {measured.same_class} of {measured.rows} rows"
        figures = {"agreement": proportion(measured.same_class, measured.rows)}
    return Evidence(
        kind="private-inference",
        subject=plan.public.digest,
        subject_kind="model",
        title=title,
        figures=figures | {"worst_error": Figure(value=worst)},
        context={
            "encrypted_rows": measured.encrypted_rows,
            "leakage": plan.public.leakage,
            "security": plan.public.security,
        },
        references=("NIST AI 100-2e2025 privacy attacks", "MITRE ATLAS AML.M0012 Encrypt Sensitive Information"),
        caveats=(
            "Agreement is with the model that the plan was made of, on rows that its owner chose.",
            "A client that asks for enough exact scores can rebuild the model; only its query budget bounds that.",
        ),
    )


def read_plan(bundle: Bundle, model: LinearModel | OnnxModel | None) -> PrivatePlan | None:
    """The bundle's private plan, if it has one; beside a model, compared with it on rows drawn from the schema.

    Raises:
        IntegrityError: the plan is of another model, its halves are of two, or the card says other things of it.
        WireError: a file is there and is not half a plan, or only one of them is there.
    """
    there = {PUBLIC_PLAN, SECRET_PLAN} & bundle.files.keys()
    if not there:
        return None
    if len(there) == 1:
        raise WireError(f"expected both halves of a private plan in the bundle, got {there.pop()} alone")
    plan = PrivatePlan(
        public=PublicPlan.from_json(json.loads(bundle.files[PUBLIC_PLAN])),
        secret=SecretPlan.from_bytes(bundle.files[SECRET_PLAN]),
    )
    if model is None:
        _check_alone(plan, bundle)
    else:
        _check_beside(plan, model)
    return plan


def plan_columns(bundle: Bundle) -> tuple[Feature, ...]:
    """The columns of the rows, as the card's schema names them; none where it names none.

    Raises:
        WireError: the card's schema is none.
    """
    try:
        return tuple(map(Feature.from_json, bundle.card.schema.get("features", [])))
    except (ConfigError, TypeError) as error:
        raise WireError(f"the schema in the card is malformed: {error}") from None


def telling_rows(plan: PrivatePlan) -> int:
    """Encrypted rows whose answers can carry as many bits as the model has.

    A revealed score tells at most the bits that it is sent in, also to a client that packs several weights into one.
    The model is counted as its different numbers, with the bits that matter of each.
    """
    program, layout = plan.secret.program, plan.public.layout("row")
    if isinstance(program, NetworkProgram):
        weights = [layer.weights for layer in program.layers]
    else:
        weights = [getattr(program, name) for name in ("weights", "values") if hasattr(program, name)]
    numbers = sum(map(_different, weights))
    revealed = sum(len(layout.positions(answer, n_rows=1)) for answer in range(layout.n_answers(1)))
    return math.ceil(numbers * _NUMBER_BITS / (revealed * layout.answer_bits))


def _check_alone(plan: PrivatePlan, bundle: Bundle) -> None:
    if plan.public.digest != bundle.model_digest:
        raise WireError(f"expected {PUBLIC_PLAN} as Holdfast writes it, got the same plan in other words")
    columns, schema = plan_columns(bundle), bundle.card.schema
    if columns and len(columns) != plan.public.n_features:
        raise IntegrityError(
            f"the card names {len(columns)} columns, the private plan takes rows of {plan.public.n_features} numbers"
        )
    if "classes" in schema and schema["classes"] != list(plan.public.classes):
        raise IntegrityError("the card names other classes than the private plan")


def _check_beside(plan: PrivatePlan, model: LinearModel | OnnxModel) -> None:
    if plan.public.classes != model.schema.classes or plan.public.n_features != len(model.schema.features):
        raise IntegrityError("the private plan in the bundle is not of the model beside it: it is for other rows")
    if not _agree(plan, model, _sample(model.schema)):
        raise IntegrityError(
            "the private plan in the bundle is not of the model beside it: they answer differently",
            hint="seal the model again with a plan of its own",
        )


def _agree(plan: PrivatePlan, model: LinearModel | OnnxModel, X: Matrix) -> bool:
    scores = plan.clear_scores(X)
    if isinstance(model, LinearModel):
        return bool(np.abs(scores - model.scores(X)).max() <= _MAX_SCORE_GAP)
    P = prediction(scores, plan.public.link, classes=len(plan.public.classes))
    return bool(np.abs(P - model.predict_proba(X)).max() <= _MAX_PROBABILITY_GAP)


def _different(array: NDArray[np.generic]) -> int:
    return int(np.count_nonzero(np.unique(array)))


def _sample(schema: Schema) -> Matrix:
    """Rows all over the schema's ranges, always the same ones."""
    rng = np.random.default_rng(0)
    columns = []
    for feature in schema.features:
        if feature.kind == "category":
            columns.append(rng.integers(len(feature.categories), size=_SAMPLE_ROWS).astype(np.float64))
        else:
            drawn = rng.uniform(feature.low, feature.high, _SAMPLE_ROWS)
            columns.append(np.rint(drawn) if feature.kind == "integer" else drawn)
    return np.column_stack(columns)
