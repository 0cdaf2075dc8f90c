"""The command line: one file for each group of commands, and nothing heavy imported before a command needs it."""

from __future__ import annotations

import sys

from holdfast.cli import terminal
from holdfast.cli.interrupts import keep_interrupts
from holdfast.errors import HoldfastError, SystemFault

__all__ = ["main"]


def main() -> None:
    """Run a command; an error of ours becomes one sentence and a stable exit code, any other one a confession."""
    keep_interrupts()
    try:
        from holdfast.cli.app import app

        app()
    except HoldfastError as error:
        terminal.complain(error)
        sys.exit(terminal.exit_code(error))
    except SystemExit as done:
        if done.code == terminal.INTERRUPTED:  # the command framework's answer to Ctrl-C
            sys.stderr.write("stopped; what was finished is kept\n")
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(terminal.SAFE)
    except MemoryError:
        fault = SystemFault("there is not enough memory", hint="give the machine more, or take a smaller table")
        terminal.complain(fault)
        sys.exit(terminal.exit_code(fault))
    except Exception as error:  # noqa: BLE001 - the front door: Python would end with 1, which means "policy not met"
        terminal.confess(error)
        sys.exit(terminal.DEFECT)
