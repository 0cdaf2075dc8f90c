"""A long step shows in a log that it is at work, and a short one is not talked about."""

from __future__ import annotations

import pytest

from holdfast.cli import terminal


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
