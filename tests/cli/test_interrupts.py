"""An interrupt that comes at a bad moment ends a command all the same."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

LOSE = """
import signal, sys, time, weakref
signal.signal(signal.SIGINT, signal.default_int_handler)

class Thing: pass

class Finalized:
    def __del__(self): raise ERROR

def callback(_): raise ERROR

thing = FACTORY
del thing
time.sleep(SECONDS)
print("nobody stopped me")
"""


def run(factory: str, error: str, *, kept: bool, seconds: float) -> subprocess.CompletedProcess[str]:
    script = LOSE.replace("ERROR", error).replace("FACTORY", factory).replace("SECONDS", str(seconds))
    keep = "from holdfast.cli.interrupts import keep_interrupts; keep_interrupts()\n" if kept else ""
    return subprocess.run(
        [sys.executable, "-c", keep + script], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("factory", ["Thing(); reference = weakref.ref(thing, callback)", "Finalized()"])
def test_an_interrupt_that_python_drops_comes_again(factory: str) -> None:
    done = run(factory, "KeyboardInterrupt", kept=True, seconds=50)
    assert "nobody" not in done.stdout
    assert done.returncode == -signal.SIGINT
    assert "ignored" not in done.stderr


def test_python_would_drop_it() -> None:
    """The reason why there is something to keep; where this fails, the guard can go."""
    done = run("Finalized()", "KeyboardInterrupt", kept=False, seconds=0)
    assert (done.returncode, done.stdout) == (0, "nobody stopped me\n")


def test_what_else_goes_wrong_there_is_shown_as_ever() -> None:
    done = run("Finalized()", "ValueError('in the end')", kept=True, seconds=0)
    assert (done.returncode, done.stdout) == (0, "nobody stopped me\n")
    assert "ValueError: in the end" in done.stderr
