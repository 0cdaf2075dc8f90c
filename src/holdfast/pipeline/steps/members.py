"""Tell the members of a model's training from others, and name those of whom it gives away most."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from holdfast.attacks import prepare_membership, risk_list
from holdfast.attacks.privacy import LIRA, LIRA_OFFLINE, LOSS, RMIA, RMIA_OFFLINE
from holdfast.evidence import Evidence
from holdfast.files import write_atomic
from holdfast.models import LinearModel, OnnxModel, Trainer
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.advance import Advance

RISK_FILE: Final = "membership-risk.csv"
_LISTED: Final = 25
"""Rows that are named; the evidence counts all that stand out."""
_BESIDE: Final = MappingProxyType(
    {"rmia": RMIA, "rmia_offline": RMIA_OFFLINE, "lira_offline": LIRA_OFFLINE, "loss": LOSS}
)
"""Attacks on the same shadows. Their advantages stand beside that of LiRA, which was settled on beforehand."""


def tell_members(
    project: Project,
    model: LinearModel | OnnxModel,
    folder: Path,
    *,
    trainer: Trainer,
    rng: np.random.Generator,
    advance: Advance,
) -> list[Evidence]:
    """The evidence of the attacks on membership, and on who stands out; the list itself goes to the folder."""
    test = prepare_membership(
        model,
        members=project.train_data,
        non_members=project.test_data,
        trainer=trainer,
        n_shadows=project.config.attack.shadow_models,
        rng=rng,
        progress=advance,
    )
    result = test.run(LIRA)
    evidence = result.to_evidence(model.digest)
    beside = {f"advantage_of_{name}": test.run(attack).advantage for name, attack in _BESIDE.items()}
    risk = _in_the_table(project, risk_list(result, count=_LISTED).to_evidence(model.digest))
    listed = pd.DataFrame(dict(risk.samples)).astype({"row": np.int64})
    write_atomic(folder / RISK_FILE, listed.to_csv(index=False).encode(), private=True)
    return [replace(evidence, figures={**evidence.figures, **beside}), risk]


def _in_the_table(project: Project, risk: Evidence) -> Evidence:
    """The evidence with positions in the table, from 0, where it had positions among the members."""
    rows = project.train_rows[np.array(risk.samples["row"], dtype=np.int64)]
    return replace(risk, samples={**risk.samples, "row": rows.tolist()})
