"""A run does what changed, and only that; what fails is told, and done next time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.custody import RecipientKey, VerifyKey, open_sealed
from holdfast.errors import BudgetError, ConfigError, DataError, IntegrityError, UsageError
from holdfast.models import OnnxModel
from holdfast.pipeline import Project, SilentReporter
from holdfast.pipeline.runner import NAMES, run
from holdfast.pipeline.state import State, digest_folder
from holdfast.pipeline.steps.trainers import open_ledger

from .conftest import CarriedOut, entered, go, loans


def test_a_run_does_every_step_and_the_next_run_none(carried_out: Callable[..., CarriedOut]) -> None:
    first = carried_out()
    assert first.done == list(NAMES)
    again = go(first.project)
    assert (again.done, again.skipped) == ([], list(NAMES))


def test_a_file_that_was_only_touched_is_not_a_change(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out(until="attack").project
    os.utime(project.table_path, (1, 1))
    os.utime(project.path, (1, 1))
    assert go(project, "attack").done == []


def test_a_changed_policy_does_not_train_again(
    write: Callable[..., Project], carried_out: Callable[..., CarriedOut]
) -> None:
    project = carried_out().project
    write(policy="min_accuracy = 0.6")
    assert go(project).done == ["rehearse", "report"]


def test_a_changed_row_does_everything_again(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out(until="attack").project
    text = project.table_path.read_text()
    project.table_path.write_text(text.replace("rent", "own", 1))
    assert go(project, "attack").done == ["check", "train", "attack"]


def test_a_changed_output_is_made_again(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out(until="attack").project
    model = project.out / "train" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    heard = go(project, "attack")
    assert heard.done[0] == "train"
    assert "check" in heard.skipped


def test_a_state_file_that_cannot_be_read_only_costs_time(write: Callable[..., Project]) -> None:
    project = write()
    go(project, "train")
    (project.out / "state.json").write_text('{"format": "holdfast-state-1", "steps": {"check": 1}}')
    assert go(project, "train").done == ["check", "train"]


def test_a_failed_step_says_its_name_and_the_next_run_goes_on_from_it(write: Callable[..., Project]) -> None:
    project = write()
    good = project.path.read_text()
    project.path.write_text(good.replace("[privacy]", "[train.params]\nC = -1.0\n\n[privacy]"))
    with pytest.raises(ConfigError, match=r"^step train: LogisticRegression cannot be trained: .*C"):
        go(project)
    project.path.write_text(good)
    heard = go(project, "attack")
    assert heard.skipped == ["check"]
    assert heard.done == ["train", "attack"]


def test_a_step_that_fails_leaves_the_files_of_the_earlier_run(write: Callable[..., Project]) -> None:
    project = write()
    go(project, "check")
    before = digest_folder(project.out / "check")
    table = project.table_path.read_text()
    project.table_path.write_text(table.replace("rent", "tent", 1))
    with pytest.raises(DataError, match="'tent'"):
        go(project, "check")
    assert digest_folder(project.out / "check") == before
    assert sorted(path.name for path in project.out.iterdir()) == [".lock", "check", "state.json"]


def test_a_policy_that_is_not_met_is_told_and_nothing_is_served(write: Callable[..., Project]) -> None:
    project = write(policy="min_accuracy = 1.0\nmin_robust_accuracy = 1.0")
    outcome = run(project, reporter=SilentReporter())
    assert outcome.verdict is not None
    assert not outcome.verdict.met
    assert project.evidence("rehearse") == ()
    assert (project.out / "report" / "report.html").exists()


def test_the_sealed_bundle_is_the_model_with_evidence_about_it(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out().project
    keys = project.root / "keys"
    key, signer = RecipientKey.load(keys / "recipient.key"), VerifyKey.load(keys / "signer.pub")
    bundle = open_sealed(project.out / "seal" / "loans-1.holdfast", key=key, signer=signer)
    assert bundle.model_bytes == project.model("harden").onnx
    about = {item.subject for item in bundle.evidence() if item.subject_kind == "model"}
    assert about == {bundle.model_digest}


def test_what_leaves_the_house_names_no_single_record(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out().project
    sealed = [json.loads(path.read_text()) for path in (project.out / "seal/bundle/evidence").iterdir()]
    assert {item["kind"] for item in sealed} >= {"data-checks", "membership-inference", "evasion"}
    for item in sealed:
        assert item["samples"] == {}
        assert "rows" not in json.dumps(item["context"].get("findings", []))
        assert "riskiest_members" not in item["context"]


@pytest.mark.parametrize("method", ["sklearn.ensemble.RandomForestClassifier", "sklearn.neural_network.MLPClassifier"])
def test_any_classifier_goes_the_whole_way(
    write: Callable[..., Project], method: str, recwarn: pytest.WarningsRecorder
) -> None:
    project = write(method=method)
    params = (
        'solver = "lbfgs"\nhidden_layer_sizes = [8]\nmax_iter = 2000'
        if "MLP" in method
        else "n_estimators = 3\nmax_depth = 4"
    )
    text = project.path.read_text().replace("[privacy]", f"[train.params]\n{params}\n\n[privacy]")
    project.path.write_text(text)
    assert go(project).done == list(NAMES)
    assert isinstance(project.model("harden"), OnnxModel)
    kinds = {item.kind for item in project.evidence("rehearse")}
    assert kinds == {"service-watch"} | (set() if "MLP" in method else {"private-inference"})  # ReLU cannot be compiled


def test_without_hardening_the_first_model_is_sealed(write: Callable[..., Project]) -> None:
    project = write(harden="none")
    go(project, "seal")
    assert project.model("harden").digest == project.model("train").digest
    assert {item.kind for item in project.evidence("harden")} >= {"utility", "evasion", "membership-inference"}


def test_deleting_the_results_does_not_give_the_privacy_budget_back(write: Callable[..., Project]) -> None:
    project = write(method="private")
    go(project, "train")
    spent = open_ledger(project).epsilon
    (project.out / "state.json").unlink()
    go(project, "train")
    again = open_ledger(project).epsilon
    assert again > spent
    shutil.rmtree(project.out)
    go(project, "train")
    assert open_ledger(project).epsilon > again


def test_a_training_that_would_pass_the_limit_does_not_start(write: Callable[..., Project]) -> None:
    project = write(method="private", limit=2.5)
    with pytest.raises(BudgetError, match=r"as step harden would pass the limit: .*limit is 2.5") as refused:
        go(project)
    assert "limit_epsilon in [privacy]" in refused.value.hint
    assert not project.ledger_path.exists()
    assert go(project, "check").done == ["check"]
    assert go(project, "train").done == ["train"]
    entries = entered(project)
    with pytest.raises(BudgetError, match=r"as step harden would"):
        go(project)
    assert entered(project) == entries
    assert not (project.out / "attack").exists()


def test_a_ledger_that_was_edited_stops_the_run(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out(method="private").project
    text = project.ledger_path.read_text()
    project.ledger_path.write_text(text.replace('"count":60', '"count":1'))
    (project.out / "state.json").unlink()
    with pytest.raises(IntegrityError, match="ledger"):
        go(project, "train")


def test_ranges_read_from_the_records_stop_a_private_training(write: Callable[..., Project]) -> None:
    project = write(method="private")
    text = project.path.read_text().replace("range = [0, 100] }", 'range = [0, 100], range_source = "data" }')
    project.path.write_text(text)
    with pytest.raises(ConfigError, match=r"income") as refused:
        go(project)
    assert "public" in refused.value.hint
    assert not (project.out / "check").exists()
    assert go(project, "check").done == ["check"]


def test_the_statement_of_the_last_model_counts_the_first_one_too(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out(method="private").project
    first = json.loads((project.out / "train/statement.json").read_text())
    last = json.loads((project.out / "harden/statement.json").read_text())
    assert first["epsilon"] == pytest.approx(2.0, rel=0.02)
    assert last["epsilon"] > last["own_epsilon"]
    assert "attack" in " ".join(last["not_covered"])


def test_too_few_rows_for_a_watch_are_told_and_stop_nothing(write: Callable[..., Project]) -> None:
    project = write()
    project.table_path.write_text(loans(200).to_csv(index=False))
    assert go(project).done == list(NAMES)
    assert not (project.out / "seal/bundle/watch.json").exists()
    assert "no watch" in (project.out / "state.json").read_text()


def test_the_folder_may_be_moved(carried_out: Callable[..., CarriedOut], tmp_path: Path) -> None:
    carried_out(until="attack")
    elsewhere = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(elsewhere)
    assert go(Project.read(elsewhere / "holdfast.toml"), "attack").done == []
    elsewhere.rename(tmp_path)


def test_two_runs_do_not_work_in_one_folder(write: Callable[..., Project]) -> None:
    project = write()
    with State(project.out).alone(), pytest.raises(UsageError, match="another run is at work"):
        go(project)
    assert not (project.out / "check").exists()


def test_what_a_killed_run_left_half_done_is_cleared_away(write: Callable[..., Project]) -> None:
    project = write()
    left = project.out / ".check.partial"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("half")
    go(project, "check")
    assert not left.exists()
    assert (project.out / "check/manifest.json").read_text() != "half"
