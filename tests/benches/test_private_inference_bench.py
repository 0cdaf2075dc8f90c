"""The bench of private inference runs, prints what it promises, and says why it leaves something out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, clear_trees
from peers import environments
from peers.environments import Peer, PeerMissing

import private_inference as bench

FIELDS = ["bench", "case", "ours", "peer", "peer_name", "ratio", "unit"]


def run(*arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, bench.__file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_without_peers_prints_every_figure_of_a_case() -> None:
    lines = run("--cases", "logistic", "--peers", "--rows", "5")
    assert [list(line) for line in lines] == [FIELDS] * len(lines)
    figures = {line["case"]: line for line in lines}
    expected = set(bench.UNITS) - {"server", "same score"}
    assert set(figures) == {"logistic"} | {f"logistic, {figure}" for figure in expected}
    assert figures["logistic"]["unit"] == "ms"
    assert figures["logistic, agreement"]["ours"] == 1
    assert figures["logistic, worst error"]["ours"] < 1e-3
    assert figures["logistic, agreement"]["unit"] == "share of 5 rows"
    assert all(line["ours"] > 0 and line["peer"] is line["peer_name"] is line["ratio"] is None for line in lines)


def test_an_unknown_case_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [bench.__file__, "--cases", "oracle"])
    with pytest.raises(SystemExit) as refused:
        bench.main()
    assert refused.value.code == 2
    assert "invalid choice: 'oracle'" in capsys.readouterr().err


def test_a_ratio_above_one_means_that_ours_is_less(capsys: pytest.CaptureFixture[str]) -> None:
    mine = {"server": 2.0, "query": 10, "agreement": 1.0, "rows": 7}
    peer = {"server": 8.0, "agreement": 0.5, "rows": 3, "memory": None}
    bench.tell("case", mine, {"A": peer, "B": {"server": 1.0, "rows": 3}})
    told = [tuple(json.loads(line)[key] for key in FIELDS[1:]) for line in capsys.readouterr().out.splitlines()]
    assert told == [
        ("case", 2.0, 8.0, "A", 4.0, "ms"),
        ("case", 2.0, 1.0, "B", 0.5, "ms"),
        ("case, query", 10, None, None, None, "bytes"),
        ("case, agreement", 1.0, 0.5, "A", None, "share of 7 (peer: 3) rows"),
    ]


def peer(script: str, *packages: str) -> Peer:
    return Peer(name="Peer", script=script, cases=("logistic",), installs=(packages,) if packages else ())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of benches, for peers of the test's own."""
    monkeypatch.setattr(environments, "BENCHES", tmp_path)
    (tmp_path / "peers").mkdir()
    return tmp_path


def test_a_peer_that_cannot_be_installed_says_why_and_does_not_count_as_installed(folder: Path) -> None:
    missing = peer("absent", f"{folder}/no-such-wheel-1.0-py3-none-any.whl")
    with pytest.raises(PeerMissing, match="no-such-wheel"):
        missing.run("logistic", folder / "case.npz")
    assert not (missing.folder / "installed.json").exists()


def test_a_peer_that_runs_is_believed_and_one_that_fails_says_why(folder: Path) -> None:
    script = "import sys\nif sys.argv[1] == 'ebm': raise ValueError('no such instruction')\n"
    (folder / "peers" / "echo.py").write_text(script + "print('warming up')\nprint('{\"server\": 1.5}')\n")
    assert peer("echo").run("logistic", folder / "case.npz") == {"server": 1.5}
    with pytest.raises(PeerMissing, match="ValueError: no such instruction"):
        peer("echo").run("ebm", folder / "case.npz")


@pytest.mark.parametrize("name", ["xgboost-50x4", "xgboost-100x6"])
def test_the_trees_given_to_peers_are_the_models(name: str) -> None:
    pytest.importorskip("xgboost")
    case = CASES[name]()
    arrays = case.peer_arrays(None)  # type: ignore[arg-type]  # trees are given as they are, not as the plan has them
    sums = [clear_trees(arrays["features"], arrays["thresholds"], arrays["leaves"], row) for row in arrays["X"]]
    assert np.abs(np.array(sums) + arrays["base"][0] - arrays["expected"][:, 0]).max() < 1e-5  # single precision
