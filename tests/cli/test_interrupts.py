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


HANDLERS = """
import os, signal, sys, time
from holdfast.cli.interrupts import keep_interrupts
keep_interrupts()

asked = []

def once(number, frame):
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt

def counting(number, frame):
    asked.append(number)
    if len(asked) > 1:
        os._exit(9)
    raise KeyboardInterrupt

class Finalized:
    def __del__(self): os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, HANDLER)
thing = Finalized()
try:
    del thing
    time.sleep(50)
except KeyboardInterrupt:
    print("told", signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, counting))
"""


@pytest.mark.parametrize("handler", ["once", "counting"])
def test_a_handler_that_was_asked_is_not_asked_again(handler: str) -> None:
    """Else a handler that serves once, and then leaves it to the default, would end the process in the middle."""
    done = subprocess.run(
        [sys.executable, "-c", HANDLERS.replace("HANDLER", handler)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "told True\n", "")


def test_python_would_drop_it() -> None:
    """The reason why there is something to keep; where this fails, the guard can go."""
    done = run("Finalized()", "KeyboardInterrupt", kept=False, seconds=0)
    assert (done.returncode, done.stdout) == (0, "nobody stopped me\n")


def test_what_else_goes_wrong_there_is_shown_as_ever() -> None:
    done = run("Finalized()", "ValueError('in the end')", kept=True, seconds=0)
    assert (done.returncode, done.stdout) == (0, "nobody stopped me\n")
    assert "ValueError: in the end" in done.stderr
