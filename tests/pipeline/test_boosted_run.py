"""A fraud model: boosted trees, the rows of one class attacked, robust trees in their place, and what comes after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from holdfast.custody import VerifyKey, verify_bundle
from holdfast.errors import ConfigError
from holdfast.evidence import find
from holdfast.models import accuracy
from holdfast.models.trees import is_trees
from holdfast.pipeline import Project, SilentReporter, write_project
from holdfast.pipeline.runner import run
from holdfast.pipeline.steps import attack as attacking

from .conftest import PLAIN, go
from .conftest import write_project as write_loans

FEWER = {
    "shadow_models = 64": "shadow_models = 8",
    "extraction_queries = 500": "extraction_queries = 60",
    "evasion_budget = 0.05": "evasion_budget = 0.1",
    'method = "private" ': 'method = "xgboost.XGBClassifier"\nparams = { n_estimators = 10, max_depth = 3 } ',
    "max_epsilon = 8.0": "",
    "min_robust_accuracy = 0.5": "min_robust_accuracy = 0.01",
    "# source_class": "source_class",
}
"""What someone changes in the file that `init` writes, and settings that make it quick."""


def payments(rows: int = 300) -> pd.DataFrame:
    """One in five is a fraud: mostly a high amount at night, which ordinary trees tell at the last digit."""
    rng = np.random.default_rng(3)
    fraud = np.arange(rows) % 5 == 0
    amount = np.where(fraud, rng.normal(70, 12, rows), rng.normal(40, 15, rows)).clip(0, 100).round(2)
    hour = np.where(fraud, rng.normal(4, 2, rows), rng.normal(13, 4, rows)).clip(0, 23).round(2)
    return pd.DataFrame({"amount": amount, "hour": hour, "fraud": np.where(fraud, "yes", "no")})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """From `init` to the sealed model."""
    pytest.importorskip("xgboost")
    folder = tmp_path_factory.mktemp("payments")
    payments().to_csv(folder / "payments.csv", index=False)
    config = folder / "holdfast.toml"
    write_project(folder / "payments.csv", target="fraud", config=config)
    text = config.read_text()
    for old, new in FEWER.items():
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    run(Project.read(config), reporter=SilentReporter(), until="seal")
    return Project.read(config)


def test_robust_trees_take_the_place_of_boosted_ones(done: Project) -> None:
    assert all(is_trees(done.model(step)) for step in ("train", "harden"))
    result = find(done.evidence("harden"), "hardening")
    assert result is not None
    assert result.context["method"] == "robust boosted trees"
    assert result.context["average_precision_after"] >= 0.97 * result.context["average_precision_before"]
    assert done.model("harden").digest != done.model("train").digest
    assert result.figures["gain"].value > 0


def test_only_the_rows_that_want_to_pass_are_attacked(done: Project) -> None:
    frauds = int((done.test_data.y == 1).sum())
    for step in ("attack", "harden"):
        evaded = find(done.evidence(step), "evasion")
        assert evaded is not None
        assert evaded.context["source_class"] == "yes"
        assert len(evaded.samples["distance"]) == frauds


def test_what_hardening_cost_is_counted_on_all_held_out_rows(done: Project) -> None:
    result = find(done.evidence("harden"), "hardening")
    assert result is not None
    figure = result.figures["accuracy_after"]
    assert figure.value == pytest.approx(accuracy(done.model("harden"), done.test_data))
    assert result.figures["rows"].value == (done.test_data.y == 1).sum() < len(done.test_data)
    assert result.context["source_class"] == "yes"
    assert "of rows of class 'yes'" in result.title


def test_more_rows_than_can_be_attacked_are_drawn_with_others_in_their_share(
    done: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacking, "_MAX_ATTACKED", 5)
    rows = attacking.attacked_rows(done)
    assert (rows.y == 1).sum() == 5
    assert 0 < (rows.y == 0).sum() < (done.test_data.y == 0).sum()


def test_the_card_says_what_was_sealed(done: Project) -> None:
    bundle = verify_bundle(done.out / "seal/bundle", signer=VerifyKey.load(done.root / "keys/signer.pub"))
    assert bundle.card.model_kind == "robust boosted trees"
    assert bundle.card.training["train"]["method"] == "xgboost.XGBClassifier"
    assert "epsilon" not in bundle.card.training["train"]


def test_lightgbm_trains_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightgbm")
    project = write_loans(tmp_path, method="lightgbm.LGBMClassifier")
    assert go(project, "train").done == ["check", "train"]
    assert "LightGBM" not in "".join(capfd.readouterr())
    assert is_trees(project.model("train"))


def test_a_class_that_there_is_not_is_named(tmp_path: Path) -> None:
    project = write_loans(tmp_path, method=PLAIN)
    project.path.write_text(project.path.read_text().replace("[attack]", '[attack]\nsource_class = "fraud"'))
    with pytest.raises(ConfigError, match=r"expected \[attack\] source_class of no, yes, got 'fraud'"):
        Project.read(project.path)
