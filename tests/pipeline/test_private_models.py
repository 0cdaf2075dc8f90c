"""`[train] model`: private models of other kinds go the whole way on real records, and none loses its guarantee.

Logistic regression, the usual one, is in test_private_run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from holdfast.data import Schema, tumour_frame, tumour_schema
from holdfast.errors import ConfigError, UnsupportedError
from holdfast.evidence import Evidence
from holdfast.extras import INSTALL_TORCH
from holdfast.pipeline import Project, SilentReporter
from holdfast.pipeline.init import Template, write_template
from holdfast.pipeline.project import read_evidence
from holdfast.pipeline.runner import run
from holdfast.pipeline.steps.members import RISK_FILE
from holdfast.pipeline.steps.trainers import open_ledger

from .conftest import PLAIN

COLUMNS = ("mean radius", "mean texture", "mean smoothness", "worst concavity")
DEMANDS = {
    "max_epsilon": 6.0,
    "min_accuracy": 0.8,
    "require": ["data-checks", "membership-risk", "privacy-audit", "extraction"],
}
METHODS = {"boosting": "boosting", "network": "perceptron"}
FEWER = {"extraction_queries = 500": "extraction_queries = 60", "shadow_models = 64 ": "shadow_models = 8 "}


def tumours(folder: Path, *, model: str, demands: dict[str, object] = DEMANDS) -> Project:
    """Four measurements of the 569 tumours, to be learned with epsilon 3."""
    whole = tumour_schema()
    features = tuple(feature for feature in whole.features if feature.name in COLUMNS)
    schema = Schema(features=features, target=whole.target, classes=whole.classes)
    tumour_frame()[[*COLUMNS, schema.target]].to_csv(folder / "tumours.csv", index=False)
    path = folder / "holdfast.toml"
    write_template(Template(file="tumours.csv", schema=schema, facts="", policy=demands), path)
    text = path.read_text().replace('# model = "logistic" ', f'model = "{model}" ')
    for many, few in FEWER.items():
        text = text.replace(many, few)
    path.write_text(text)
    return Project.read(path)


@pytest.fixture(scope="module", params=METHODS)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A run with each model, up to where it is sealed."""
    if request.param == "network":
        pytest.importorskip("torch")
    project = tumours(tmp_path_factory.mktemp(request.param), model=request.param)
    outcome = run(project, reporter=SilentReporter(), until="seal")
    assert outcome.verdict is not None
    assert outcome.verdict.met, outcome.verdict.findings
    return project


def model_of(project: Project) -> str:
    return project.config.train.model


def found(project: Project, step: str) -> dict[str, Evidence]:
    return {item.kind: item for item in project.evidence(step)}


def test_every_use_with_a_guarantee_names_the_method_that_it_was(done: Project) -> None:
    private = {entry.step: entry.method for entry in open_ledger(done).entries if entry.private}
    assert private == {"tumours: train": METHODS[model_of(done)]}


def test_the_statement_is_about_the_model_that_is_sealed(done: Project) -> None:
    bundle = done.out / "seal" / "bundle"
    guarantee = found(done, "harden")["privacy-guarantee"]
    assert guarantee.subject == done.model("harden").digest
    assert 0 < guarantee.figures["own_epsilon"].value <= 3.0
    card = json.loads((bundle / "card.json").read_text())
    assert card["privacy"]["ledger_digest"] == guarantee.context["ledger_digest"]
    assert card["model_kind"] == f"private {model_of(done)}"
    assert card["training"]["train"]["model"] == model_of(done)


def test_a_model_that_cannot_be_hardened_in_private_is_kept_as_it_is(done: Project) -> None:
    assert done.model("harden").digest == done.model("train").digest
    assert "hardening" not in found(done, "harden")
    lines = json.loads((done.out / "state.json").read_text())["steps"]["harden"]["lines"]
    assert "only private logistic regression" in lines[0]
    assert all("harden" not in entry.step for entry in open_ledger(done).entries)


def test_a_model_that_compiles_answers_without_seeing_the_rows(done: Project) -> None:
    plan = list((done.out / "seal" / "bundle").rglob("*plan*"))
    assert bool(plan) == (model_of(done) == "boosting")
    if not plan:
        return
    run(done, reporter=SilentReporter())
    asked = {item.kind: item for item in read_evidence(done.out / "rehearse" / "evidence.json")}
    assert {"private-inference", "service-watch"} <= set(asked)
    report = json.loads((done.out / "report" / "report.json").read_text())
    shown = {item["kind"]: item for item in report["evidence"]}
    assert {"privacy-audit", "membership-risk"} <= set(shown)
    assert "samples" not in shown["membership-risk"]


def test_the_audit_stands_beside_the_claim_of_the_training(done: Project) -> None:
    audited = found(done, "attack")["privacy-audit"]
    assert audited.figures["epsilon_claimed"].value == 3.0
    assert 0 <= audited.figures["epsilon_lower"].value < 3.0
    assert audited.figures["contradicts"].value == 0
    assert audited.context["canaries"] == 250
    assert "tumours: audit" in {entry.step for entry in open_ledger(done).entries if not entry.private}


def test_the_list_of_those_who_stand_out_names_training_rows_of_the_table(done: Project) -> None:
    path = done.out / "attack" / RISK_FILE
    listed = pd.read_csv(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(listed["row"]) <= set(done.train_rows)
    np.testing.assert_array_equal(done.data.take(done.train_rows).X, done.train_data.X)
    evidence = found(done, "attack")["membership-risk"]
    assert list(evidence.samples["row"]) == listed["row"].tolist()


def test_the_list_stays_in_the_house(done: Project) -> None:
    listed = found(done, "harden")["membership-risk"]
    (released,) = (done.out / "seal" / "bundle" / "evidence").glob("*-membership-risk.json")
    signed = Evidence.from_json(json.loads(released.read_text()))
    assert signed.figures == listed.figures
    assert signed.samples == {}
    assert not any(str(row) in json.dumps(dict(signed.context)) for row in map(int, listed.samples["row"]) if row > 50)


def test_other_attacks_on_the_same_shadows_stand_beside_lira(done: Project) -> None:
    figures = found(done, "attack")["membership-inference"].figures
    beside = {"rmia", "rmia_offline", "lira_offline", "loss"}
    assert beside == {name.removeprefix("advantage_of_") for name in figures if name.startswith("advantage_of_")}
    assert all(-1 <= figures[f"advantage_of_{name}"].value <= 1 for name in beside)


def test_a_model_for_private_training_is_no_option_of_another(tmp_path: Path) -> None:
    project = tumours(tmp_path, model="boosting")
    text = project.path.read_text().replace('method = "private"', f'method = "{PLAIN}"')
    project.path.write_text(text)
    with pytest.raises(ConfigError, match="model 'boosting' is for private training") as refused:
        Project.read(project.path)
    assert "take it out" in refused.value.hint


def test_hardening_is_not_demanded_of_a_model_that_cannot_have_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="requires hardening, which private training of model 'network'"):
        tumours(tmp_path, model="network", demands={"require": ["hardening"]})


def test_an_audit_is_not_demanded_of_a_training_that_claims_nothing(tmp_path: Path) -> None:
    project = tumours(tmp_path, model="logistic", demands={"require": ["privacy-audit"]})
    text = project.path.read_text().replace('method = "private"', f'method = "{PLAIN}"')
    project.path.write_text(text.replace('model = "logistic"', "#"))
    with pytest.raises(ConfigError, match="gives none") as refused:
        Project.read(project.path)
    assert "take privacy-audit out" in refused.value.hint


def test_a_network_without_pytorch_is_refused_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tumours(tmp_path, model="network")
    monkeypatch.delitem(sys.modules, "holdfast.training.estimators.mlp", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnsupportedError, match="needs PyTorch") as refused:
        run(project, reporter=SilentReporter(), until="train")
    assert INSTALL_TORCH in refused.value.hint
    assert not any(entry.private for entry in open_ledger(project).entries)


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r'expected \[train\] model to be "logistic", "boosting" or "network", got "forest"'
    ):
        tumours(tmp_path, model="forest")
