"""What a private run gives away and what it writes down: only what the statement says, before it happens, for good."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from holdfast.data import Dataset
from holdfast.errors import BudgetError, ConfigError, DataError, IntegrityError, UsageError
from holdfast.pipeline import Project
from holdfast.pipeline.project import read_evidence
from holdfast.pipeline.steps.trainers import enter_exact_use, open_ledger

from .conftest import PLAIN, CarriedOut, entered, go, loans

NO_SALT = "0" * 64


def rare(rows: int) -> pd.DataFrame:
    """The loans with a third answer that only so many rows have."""
    frame = loans()
    frame.loc[frame.index[:rows], "repaid"] = "partly"
    return frame


def released_digests(project: Project) -> set[str]:
    """Every digest in what leaves the house: the bundle and the report."""
    bundle = [path for path in (project.out / "seal" / "bundle").rglob("*") if path.is_file()]
    files = [*bundle, *(project.out / "report").iterdir()]
    assert {"card.json", "manifest.json", "watch.json", "report.html", "report.json"} <= {path.name for path in files}
    return {digest for path in files for digest in re.findall(rb"[0-9a-f]{64}", path.read_bytes())}


def unsalted_digests(project: Project) -> dict[str, str]:
    """Digests that someone who guesses the rows could work out, by what they are of."""
    parts = {"table": project.data, "train": project.train_data, "test": project.test_data}
    parts |= dict(zip(("normal", "trial"), project.watch_parts, strict=True))
    found = {name: part.digest for name, part in parts.items()}
    found["file"] = hashlib.sha256(project.table_path.read_bytes()).hexdigest()
    found |= {f"row {n}": hashlib.sha256(row).hexdigest() for n, row in enumerate(row_bytes(project.data))}
    ledger = open_ledger(project)
    found |= {f"link {n}": link for n, link in enumerate(replace(ledger, salt=NO_SALT).links)}
    chain = ""
    for number, entry in enumerate(ledger.entries):
        text = json.dumps({"previous": chain, "entry": entry.to_json()}, sort_keys=True, separators=(",", ":"))
        chain = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        found[f"chain without a beginning {number}"] = chain
    for path in project.out.glob("*/evidence.json"):
        found |= {f"{path.parent.name} {item.kind}": item.digest for item in read_evidence(path) if item.samples}
    return {name: digest.removeprefix("sha256:") for name, digest in found.items()}


def row_bytes(data: Dataset) -> list[bytes]:
    return [x.tobytes() + y.tobytes() for x, y in zip(data.X, data.y, strict=True)]


def test_no_digest_that_leaves_the_house_can_be_worked_out_from_guessed_rows(
    carried_out: Callable[..., CarriedOut],
) -> None:
    project = carried_out(method="private").project
    released = {digest.decode() for digest in released_digests(project)}
    card = json.loads((project.out / "seal" / "bundle" / "card.json").read_text())
    assert card["data_digest"] == project.table_id
    assert project.table_id.removeprefix("sha256:") in released
    guessed = unsalted_digests(project)
    assert {name: digest for name, digest in guessed.items() if digest in released} == {}


def test_the_checks_are_about_a_table_by_its_salted_name(write: Callable[..., Project]) -> None:
    project = write()
    go(project, "check")
    (evidence,) = project.evidence("check")
    assert evidence.subject == project.table_id
    assert "sha256:" not in json.dumps(dict(evidence.context))
    assert (project.out / "check" / "manifest.json").stat().st_mode & 0o777 == 0o600
    (project.out / "state.json").unlink()
    go(project, "check")
    assert project.table_id != evidence.subject


def test_a_private_run_enters_every_use_and_no_skipped_run_does(carried_out: Callable[..., CarriedOut]) -> None:
    project = carried_out(method="private").project
    entries = entered(project)
    assert [(entry.step, entry.private) for entry in entries] == [
        ("loans: check", False),
        ("loans: train", True),
        ("loans: tests", False),
        ("loans: attack", False),
        ("loans: audit", False),
        ("loans: harden", True),
    ]
    assert 2.0 < open_ledger(project).epsilon < 4.0
    go(project)
    assert entered(project) == entries
    stated = json.loads((project.out / "harden" / "statement.json").read_text())["not_covered"]
    for step in ("check", "tests", "attack", "audit"):
        assert any(f"'loans: {step}' used records without noise" in sentence for sentence in stated)


def test_training_without_noise_is_entered_and_named_by_later_statements(write: Callable[..., Project]) -> None:
    go(write(method=PLAIN), "harden")
    project = write(method="private")
    go(project, "train")
    plain = [entry.step for entry in entered(project) if not entry.private]
    assert {"loans: train", "loans: harden"} <= set(plain)
    assert len(plain) == len(set(plain))
    statement = (project.out / "train" / "statement.txt").read_text()
    assert f"'loans: train' used records without noise (training by {PLAIN})" in statement


def test_rows_that_another_split_had_released_are_named(write: Callable[..., Project]) -> None:
    project = write(method="private")
    go(project, "train")
    project.path.write_text(project.path.read_text().replace("test_fraction = 0.25", "test_fraction = 0.25\nseed = 1"))
    go(project, "train")
    statement = (project.out / "train" / "statement.txt").read_text()
    for seed in (0, 1):
        assert f"exact figures on the rows held out with seed {seed}" in statement


@pytest.mark.parametrize("method", ["private", PLAIN])
def test_a_use_is_on_the_disk_before_it_begins(
    write: Callable[..., Project], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write(method=method)
    seen: list[str] = []

    def watch(module: str, name: str, step: str) -> None:
        place = import_module(f"holdfast.{module}")
        work = getattr(place, name)

        def spy(*args: Any, **options: Any) -> Any:
            assert f"loans: {step}" in {entry.step for entry in entered(project) if entry.private or method == PLAIN}
            seen.append(step)
            return work(*args, **options)

        monkeypatch.setattr(place, name, spy)

    watch("training.estimators.logistic", "fit_logistic", "train")
    watch("pipeline.steps.harden", "train_private", "harden")
    watch("pipeline.steps.harden", "robust_logistic", "harden")
    watch("pipeline.steps.plain_models", "train_plain", "train")
    go(project, "harden")
    assert {"train", "harden"} <= set(seen)


@pytest.mark.parametrize(
    ("module", "function", "step"), [("check", "run_checks", "check"), ("train", "measure_utility", "tests")]
)
def test_exact_figures_are_on_the_disk_before_they_are_measured(
    write: Callable[..., Project], module: str, function: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = import_module(f"holdfast.pipeline.steps.{module}")
    project, work, seen = write(method="private"), getattr(place, function), []

    def spy(*args: Any, **options: Any) -> Any:
        seen.append(f"loans: {step}" in {entry.step for entry in entered(project)})
        return work(*args, **options)

    monkeypatch.setattr(place, function, spy)
    go(project, "train")
    assert seen == [True]


def test_a_ledger_that_was_removed_or_replaced_by_an_older_one_is_refused(write: Callable[..., Project]) -> None:
    project = write(method="private")
    go(project, "check")
    older = project.ledger_path.read_bytes()
    go(project, "train")
    newer = project.ledger_path.read_bytes()
    for forgetful in (None, older):
        project.ledger_path.unlink()
        if forgetful is not None:
            project.ledger_path.write_bytes(forgetful)
        with pytest.raises(IntegrityError, match=r"train/statement.json counts uses") as refused:
            open_ledger(project)
        assert "put the ledger back" in refused.value.hint
        with pytest.raises(IntegrityError, match=r"statement.json counts uses"):
            go(project, "attack")
        assert not forgetful or project.ledger_path.read_bytes() == forgetful
        project.ledger_path.write_bytes(newer)
    (project.out / "train" / "statement.json").write_text("[]")
    with pytest.raises(IntegrityError, match="counts uses"):
        open_ledger(project)


def test_two_projects_on_one_table_have_one_ledger(write: Callable[..., Project]) -> None:
    first = write(method="private")
    go(first, "train")
    text = first.path.read_text().replace('file = "loans.csv"', 'file = "../loans.csv"')
    (first.root / "other").mkdir()
    path = first.root / "other" / "holdfast.toml"
    path.write_text(text.replace('name = "loans"', 'name = "other"'))
    second = Project.read(path)
    assert second.ledger_path == first.ledger_path == first.root / "loans.csv.privacy-ledger.json"
    go(second, "train")
    assert [entry.step for entry in entered(first) if entry.private] == ["loans: train", "other: train"]
    assert open_ledger(first).epsilon == open_ledger(second).epsilon > 2.0
    tight = write(method="private", limit=2.5)
    with pytest.raises(BudgetError, match=r"the limit is 2\.5"):
        open_ledger(tight)
    linked = first.root / "linked.csv"
    linked.symlink_to(first.table_path)
    path.write_text(path.read_text().replace("../loans.csv", "../linked.csv"))
    assert Project.read(path).ledger_path == first.ledger_path


def _enter_many(path: Path, writer: int) -> None:
    project = Project.read(path)
    for number in range(20):
        enter_exact_use(project, f"{writer}-{number}", note="")


def test_no_entry_is_lost_when_two_write_at_once(write: Callable[..., Project]) -> None:
    project = write()
    with ThreadPoolExecutor() as pool:
        list(pool.map(_enter_many, [project.path] * 3, range(3)))
    assert len({entry.step for entry in entered(project)}) == 60


def test_settings_that_a_private_training_does_not_have_are_refused_unspent(write: Callable[..., Project]) -> None:
    project = write(method="private")
    project.path.write_text(project.path.read_text().replace("[privacy]", "[train.params]\nC = 5.0\n\n[privacy]"))
    with pytest.raises(ConfigError, match=r"params \(C\) are for other classifiers"):
        go(project, "train")
    assert open_ledger(project).epsilon == 0


def test_a_training_that_would_refuse_its_records_spends_nothing(write: Callable[..., Project]) -> None:
    project = write(method="private")
    project.path.write_text(project.path.read_text().replace("delta = 1e-4", "delta = 0.01"))
    with pytest.raises(UsageError, match="not below one in the number of records"):
        go(project, "train")
    assert open_ledger(project).epsilon == 0


def test_a_rare_class_does_not_stop_a_run_that_has_spent(write: Callable[..., Project]) -> None:
    project = write(method="private", harden="none")
    rare(3).to_csv(project.table_path, index=False)
    text, ends = project.path.read_text().replace('["no", "yes"]', '["no", "yes", "partly"]'), []
    for seed in range(4):
        project.path.write_text(text.replace("test_fraction = 0.25", f"test_fraction = 0.25\nseed = {seed}"))
        shutil.rmtree(project.out, ignore_errors=True)
        project.ledger_path.unlink(missing_ok=True)
        try:
            go(project, "attack")
            ends.append("done")
        except DataError as error:
            ends.append(str(error))
        assert (open_ledger(project).epsilon > 0) == (ends[-1] == "done")
    assert {"done", "class 'partly' has no row to test on after the split"} == set(ends)
