"""A long step shows in a log that it is at work, and a short one is not talked about."""

from __future__ import annotations

import pytest

from holdfast.cli import asking, terminal


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 2), (1e9, 0)])
def test_a_log_hears_of_progress_once_in_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, seconds: float, lines: int
) -> None:
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", seconds)
    reporter = terminal.PlainReporter()
    reporter.begin("attack", doing="attacking")
    reporter.advance("attack", done=1, total=3)
    reporter.advance("attack", done=2, total=3)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "attack: attacking"
    assert said[1:] == ["attack: 1 of 3", "attack: 2 of 3"][:lines]


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 2), (1e9, 0)])
def test_a_log_hears_how_many_rows_are_answered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, seconds: float, lines: int
) -> None:
    monkeypatch.setattr(asking, "SECONDS_BETWEEN_LINES", seconds)
    with asking._progress() as progress:
        progress(1_000, 2_500)
        progress(2_000, 2_500)
    said = capsys.readouterr()
    assert said.err.splitlines() == ["1000 of 2500 rows answered", "2000 of 2500 rows answered"][:lines]
    assert said.out == ""  # which is for the answers
