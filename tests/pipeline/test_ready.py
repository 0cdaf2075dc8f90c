"""What a run will need is looked for before its first step, and told in one sentence with what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import ConfigError, CredentialError, HoldfastError, InputError, UnsupportedError
from holdfast.extras import INSTALL_BOOST
from holdfast.pipeline import Project, keyring

from .conftest import PLAIN, CarriedOut, go


def without(name: str) -> Callable[[Project], None]:
    return lambda project: (project.root / name).unlink()


def no_keys(project: Project) -> None:
    for name in keyring.FILES:
        (project.root / "keys" / name).unlink()


def swapped(project: Project) -> None:
    keys = project.root / "keys"
    (keys / "recipient.pub").write_bytes((keys / "signer.pub").read_bytes())


def says(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.path.write_text(project.path.read_text().replace(old, new))


NEEDS = {
    "no table": (without("loans.csv"), InputError, r"table of \[data\] file at .*loans.csv", "relative to it"),
    "no keys": (no_keys, InputError, r"key of \[seal\] signing_key", "make keys with: holdfast keys"),
    "one key": (without("keys/recipient.pub"), InputError, r"\[seal\] recipient at", "move the other keys away"),
    "another key": (swapped, InputError, "expected a public recipient", ""),
    "no such class": (says(PLAIN, "sklearn.linear_model.Logistic"), ConfigError, "is no classifier", ""),
    "no such parameter": (
        says("[privacy]", "[train.params]\nmax_itr = 3\n[privacy]"),
        ConfigError,
        "has no parameter max_itr",
        "did you mean max_iter",
    ),
}


@pytest.mark.parametrize(("change", "error", "sentence", "hint"), NEEDS.values(), ids=NEEDS)
def test_a_run_that_lacks_something_does_nothing(
    write: Callable[..., Project],
    change: Callable[[Project], None],
    error: type[HoldfastError],
    sentence: str,
    hint: str,
) -> None:
    project = write()
    change(project)
    with pytest.raises(error, match=sentence) as refused:
        go(project)
    assert hint in refused.value.hint
    assert [path.name for path in project.out.iterdir()] == [".lock"]
    assert not project.ledger_path.exists()


def test_a_passphrase_that_is_missing_is_told_before_the_first_step(
    tmp_path: Path, write: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write()
    no_keys(project)
    monkeypatch.setenv(keyring.PASSPHRASE_VARIABLE, "correct horse")
    keyring.make_keys(project.root / "keys")
    monkeypatch.delenv(keyring.PASSPHRASE_VARIABLE)
    with pytest.raises(CredentialError, match=r"signer\.key") as refused:
        go(project)
    assert keyring.PASSPHRASE_VARIABLE in refused.value.hint
    assert [path.name for path in project.out.iterdir()] == [".lock"]


def test_a_library_that_is_not_installed_names_the_command(
    write: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    project = write(method="xgboost.XGBClassifier")
    with pytest.raises(UnsupportedError, match="needs xgboost, which is not installed") as refused:
        go(project)
    assert refused.value.hint == INSTALL_BOOST
    assert not project.ledger_path.exists()


@pytest.mark.parametrize("method", ["xgboost", "XGBClassifier", "torch.nn.Linear", "lightgbm.LGBMClasifier"])
def test_a_method_that_there_is_not_is_told_with_those_that_there_are(
    write: Callable[..., Project], method: str
) -> None:
    with pytest.raises(ConfigError, match=r"method to be private, xgboost\.XGBClassifier, .* or sklearn\.") as refused:
        write(method=method)
    assert refused.value.hint == {"torch.nn.Linear": ""}.get(
        method, f"did you mean {'lightgbm.LGBMClassifier' if 'LGBM' in method else 'xgboost.XGBClassifier'}?"
    )


def test_what_is_done_already_needs_nothing_more(carried_out: Callable[..., CarriedOut]) -> None:
    """A passphrase, for instance, that only sealing takes."""
    project = carried_out(until="attack").project
    no_keys(project)
    assert go(project, "attack").done == []
