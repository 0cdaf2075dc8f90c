"""A small project: 400 rows with a number, a count, a category, a missing value and an identifier."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import MadeOnce

from holdfast.pipeline import Project, SilentReporter, keyring
from holdfast.pipeline.runner import run
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


class Heard(SilentReporter):
    """Remembers which steps were done and which were skipped."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.skipped: list[str] = []

    def skip(self, step: str, *, lines: tuple[str, ...]) -> None:
        self.skipped.append(step)

    def finish(self, step: str, *, lines: tuple[str, ...], seconds: float) -> None:
        assert lines, f"{step} has nothing to say"
        self.done.append(step)


def go(project: Project, until: str = "report") -> Heard:
    """Run a project as a new process would, which remembers nothing."""
    heard = Heard()
    run(Project.read(project.path), reporter=heard, until=until)
    return heard


def write_project(
    folder: Path,
    *,
    method: str = PLAIN,
    limit: float = 8.0,
    harden: str = "adversarial",
    policy: str = "min_accuracy = 0.5",
) -> Project:
    """Write the project to a folder, with the settings given, and read it."""
    path = folder / "holdfast.toml"
    path.write_text(CONFIG.format(method=method, limit=limit, harden=harden, policy=policy))
    if not (folder / "loans.csv").exists():
        loans().to_csv(folder / "loans.csv", index=False)
        keyring.make_keys(folder / "keys")
    return Project.read(path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Project]:
    """Write the project to the test's folder; see `write_project`."""
    return partial(write_project, tmp_path)


@dataclass(frozen=True)
class CarriedOut:
    """A project, and the steps that carrying it out did."""

    project: Project
    done: list[str]


@pytest.fixture
def carried_out(made_once: MadeOnce, tmp_path: Path) -> Callable[..., CarriedOut]:
    """A copy, in the test's folder, of the project with its usual settings after a run up to a step."""

    def copy(*, method: str = PLAIN, until: str = "report") -> CarriedOut:
        def make(folder: Path) -> None:
            folder.mkdir()
            heard = go(write_project(folder, method=method), until)
            (folder / "done.json").write_text(json.dumps(heard.done))

        made = made_once(f"loans-{method}-{until}", make)
        shutil.copytree(made, tmp_path, dirs_exist_ok=True)
        return CarriedOut(Project.read(tmp_path / "holdfast.toml"), json.loads((tmp_path / "done.json").read_text()))

    return copy
