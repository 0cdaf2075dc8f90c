"""A small project: 400 rows with a number, a count, a category, a missing value and an identifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from holdfast.pipeline import Project, keyring
from holdfast.pipeline.steps.trainers import open_ledger
from holdfast.training import Entry

CONFIG = """
format = 1
name = "loans"

[data]
file = "loans.csv"
target = "repaid"
classes = ["no", "yes"]
test_fraction = 0.25

[data.features]
"income" = {{ kind = "real", range = [0, 100] }}
"age" = {{ kind = "integer", range = [18, 100], mutability = "fixed" }}
"home" = {{ kind = "category", categories = ["own", "rent"], nullable = true }}

[train]
method = "{method}"
epsilon = 2.0
delta = 1e-4

[privacy]
limit_epsilon = {limit}

[attack]
extraction_queries = 60
shadow_models = 8

[harden]
method = "{harden}"
epsilon = 2.0

[policy]
{policy}
"""
PLAIN = "sklearn.linear_model.LogisticRegression"


def loans(rows: int = 400) -> pd.DataFrame:
    """Who repays: mostly those with an income."""
    rng = np.random.default_rng(7)
    income = rng.uniform(0, 100, rows).round(2)
    home = rng.choice(["own", "rent", None], rows, p=[0.5, 0.4, 0.1])
    repaid = np.where(income + rng.normal(0, 15, rows) > 45, "yes", "no")
    return pd.DataFrame(
        {
            "customer_id": np.arange(rows) + 10_000,
            "income": income,
            "age": rng.integers(18, 90, rows),
            "home": home,
            "repaid": repaid,
        }
    )


def entered(project: Project) -> tuple[Entry, ...]:
    """The entries of the project's ledger, as they are on the disk now."""
    assert project.ledger_path.exists()
    return open_ledger(project).entries


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Project]:
    """Write the project to a folder, with the settings given, and read it."""

    def write_project(
        *, method: str = PLAIN, limit: float = 8.0, harden: str = "adversarial", policy: str = "min_accuracy = 0.5"
    ) -> Project:
        path = tmp_path / "holdfast.toml"
        path.write_text(CONFIG.format(method=method, limit=limit, harden=harden, policy=policy))
        if not (tmp_path / "loans.csv").exists():
            loans().to_csv(tmp_path / "loans.csv", index=False)
            keyring.make_keys(tmp_path / "keys")
        return Project.read(path)

    return write_project
