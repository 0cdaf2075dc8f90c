"""What makes a step stale, and a state file that somebody else has written."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.custody import Recipient, RecipientKey, VerifyKey, open_sealed
from holdfast.errors import SystemFault, WireError
from holdfast.pipeline import Project, keyring
from holdfast.pipeline.project import read_evidence
from holdfast.pipeline.state import FORMAT, State, digest_folder

from .conftest import go


def test_a_model_is_sealed_again_when_a_key_is_another(write: Callable[..., Project], tmp_path: Path) -> None:
    project = write(harden="none")
    assert go(project, "seal").done[-1] == "seal"
    assert go(project, "seal").done == []
    keyring.make_keys(tmp_path / "other")
    for name in (keyring.RECIPIENT_PUBLIC, keyring.SIGNER_KEY):
        (tmp_path / "other" / name).replace(project.root / "keys" / name)
        assert go(project, "seal").done == ["seal"], name
    bundle = open_sealed(
        project.out / "seal" / "loans-1.holdfast",
        key=RecipientKey.load(tmp_path / "other" / keyring.RECIPIENT_KEY),
        signer=VerifyKey.load(tmp_path / "other" / keyring.SIGNER_PUBLIC),
    )
    assert bundle.name == "loans"
    assert Recipient.load(project.root / "keys" / keyring.RECIPIENT_PUBLIC).id


def test_the_folder_of_the_results_is_made_for_its_owner_alone(write: Callable[..., Project]) -> None:
    project = write()
    go(project, "check")
    assert stat.S_IMODE(project.out.stat().st_mode) == 0o700


def test_a_folder_that_was_there_keeps_its_mode(write: Callable[..., Project]) -> None:
    project = write()
    project.out.mkdir(mode=0o750)
    go(project, "check")
    assert stat.S_IMODE(project.out.stat().st_mode) == 0o750


def test_a_result_that_cannot_be_read_is_a_fault_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SystemFault, match="permission is denied"):
        digest_folder(tmp_path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=8,
)
GOOD: dict[str, Any] = {"inputs": "sha256:00", "outputs": "sha256:00", "seconds": 1.5, "lines": ["one", "two"]}
RECORDS = st.fixed_dictionaries(dict.fromkeys(GOOD, ANYTHING)) | ANYTHING
DOCUMENTS = ANYTHING | st.fixed_dictionaries(
    {"format": st.just(FORMAT), "steps": st.dictionaries(st.sampled_from(["check", "train"]), RECORDS) | ANYTHING}
)


def read(folder: Path, text: str) -> State:
    (folder / "state.json").write_text(text, encoding="utf-8")
    return State(folder)


def with_check(**changes: Any) -> str:
    return json.dumps({"format": FORMAT, "steps": {"check": {**GOOD, **changes}}})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(document=DOCUMENTS)
@example(document=None)
def test_no_state_file_can_stop_a_run(tmp_path: Path, document: Any) -> None:
    (tmp_path / "check").mkdir(exist_ok=True)
    state = read(tmp_path, json.dumps(document))
    for step in ("check", "train"):
        assert state.finished(step, inputs="sha256:01") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 10_000,
        with_check(seconds="1.5"),
        with_check(seconds=True),
        with_check(seconds=10**400),
        with_check(lines="one"),
        with_check(lines=[1]),
        with_check(lines={"one": 1}),
        with_check(outputs=5),
        with_check().replace("1.5", "1e999"),
        with_check().replace("1.5", "NaN"),
    ],
    ids=lambda text: text[:20] if len(text) > 1_000 else text,
)
def test_a_state_file_that_says_something_impossible_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "check").mkdir()
    outputs = digest_folder(tmp_path / "check")
    state = read(tmp_path, text.replace('"outputs": "sha256:00"', f'"outputs": "{outputs}"'))
    assert state.finished("check", inputs="sha256:00") is None


def test_the_state_file_that_a_run_wrote_is_believed(tmp_path: Path) -> None:
    (tmp_path / "check").mkdir()
    record = read(tmp_path, with_check(outputs=digest_folder(tmp_path / "check"))).finished("check", inputs="sha256:00")
    assert record is not None
    assert (record.seconds, record.lines) == (1.5, ("one", "two"))


def test_evidence_that_is_nested_without_end_is_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.write_text("[" * 200_000)
    with pytest.raises(WireError, match="is not JSON"):
        read_evidence(path)
