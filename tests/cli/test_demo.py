"""The demo keeps what it promises: a real model, from first check to encrypted prediction."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from .conftest import Demo, holdfast

STEPS = ("check", "train", "attack", "harden", "seal", "rehearse", "report")


def evidence(demo: Demo, step: str, kind: str) -> dict[str, object]:
    items = json.loads((demo.folder / "out" / step / "evidence.json").read_text())
    (found,) = [item for item in items if item["kind"] == kind]
    return dict(found)


def figure(demo: Demo, step: str, kind: str, name: str) -> float:
    return float(evidence(demo, step, kind)["figures"][name]["value"])  # type: ignore[index]


def test_the_demo_ends_with_a_model_that_meets_its_policy(demo: Demo) -> None:
    assert demo.said.code == 0, demo.said.out + demo.said.err
    assert "policy: met, all" in demo.said.out
    assert demo.said.err == ""


@pytest.mark.parametrize("step", STEPS)
def test_every_step_says_in_plain_lines_what_it_found(demo: Demo, step: str) -> None:
    lines = [line for line in demo.said.out.splitlines() if line.startswith(f"{step}: ")]
    assert len(lines) >= 3
    assert re.fullmatch(rf"{step}: done in \d+\.\d s", lines[-1])
    assert "\x1b" not in demo.said.out


def test_every_private_answer_is_the_clear_one(demo: Demo) -> None:
    assert figure(demo, "rehearse", "private-inference", "agreement") == 1.0
    assert figure(demo, "rehearse", "private-inference", "worst_error") <= 2**-20
    assert "encrypted queries gave the clear answer" in demo.said.out


def test_the_service_saw_bytes_that_tell_nothing(demo: Demo) -> None:
    context = evidence(demo, "rehearse", "private-inference")["context"]
    assert isinstance(context, dict)
    seen = bytes.fromhex(context["first_bytes"])
    assert len(seen) == 128
    assert len(set(seen[64:])) > 32


def test_the_extraction_attack_on_the_live_service_is_flagged(demo: Demo) -> None:
    assert figure(demo, "rehearse", "service-watch", "live_flagged") == 1.0
    assert figure(demo, "rehearse", "service-watch", "live_answered_queries") < 100


def test_the_ledger_adds_up_both_trainings(demo: Demo) -> None:
    spent = figure(demo, "harden", "privacy-guarantee", "epsilon")
    assert 3.0 < spent < 6.0
    assert figure(demo, "train", "privacy-guarantee", "epsilon") <= 3.0


def test_hardening_is_told_with_its_price(demo: Demo) -> None:
    figures = evidence(demo, "harden", "hardening")["figures"]
    assert isinstance(figures, dict)
    assert {"robust_accuracy_before", "robust_accuracy_after", "accuracy_before", "accuracy_after"} <= set(figures)


def test_nothing_in_the_folder_is_a_pickle(demo: Demo) -> None:
    for path in demo.folder.rglob("*"):
        if path.is_file():
            assert not path.read_bytes().startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")), path


def test_private_files_are_for_their_owner_only(demo: Demo) -> None:
    for name in ("keys/signer.key", "keys/recipient.key", "out/check/manifest.json"):
        assert (demo.folder / name).stat().st_mode & 0o077 == 0, name


def test_the_demo_again_does_nothing_again(copied: Callable[[], Demo]) -> None:
    again = holdfast("demo", copied().folder)
    assert again.code == 0
    assert [line for line in again.out.splitlines() if "done in" in line] == []
    assert sum("unchanged since the last run" in line for line in again.out.splitlines()) == len(STEPS)
