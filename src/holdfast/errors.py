"""The one error tree. Every room raises from it; every front catches `HoldfastError` once.

The tree is split by who has to act:

    HoldfastError
    ├── UsageError          the caller: an option or a call that cannot mean anything
    │   └── ConfigError       holdfast.toml does not say what it must
    ├── InputError          the sender: malformed, out of bounds, or not what the schema says
    │   ├── DataError         a table, a column, a row
    │   └── WireError         bytes that came over the network or out of a file
    ├── IntegrityError      nobody should go on: tampered with, or not from whom it should be
    ├── AccessError         refused: who asks may not
    │   ├── CredentialError   no valid token or key
    │   └── BudgetError       the query budget or the privacy budget is spent
    ├── UnsupportedError    a model, layer or option that Holdfast cannot handle, and what to do instead
    ├── PolicyError         the evidence does not meet the policy
    └── SystemFault         the machine: disk, port, network, permission

A message is one sentence: what was expected, what came. `hint` is the next thing to do.
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Base of every error that Holdfast raises on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # so that a traceback shows it too


class UsageError(HoldfastError):
    """The caller asked for something that cannot mean anything."""


class ConfigError(UsageError):
    """holdfast.toml is missing, malformed, or contradicts itself."""


class InputError(HoldfastError):
    """What came in is malformed or out of bounds."""


class DataError(InputError):
    """A table, a column or a row is not what the schema or the task needs."""


class WireError(InputError):
    """Bytes from the network or a file do not follow their format."""


class IntegrityError(HoldfastError):
    """What came in was tampered with, or is not from whom it should be."""


class AccessError(HoldfastError):
    """The one who asks may not."""


class CredentialError(AccessError):
    """No valid token or key was given."""


class BudgetError(AccessError):
    """A query budget or a privacy budget is spent."""


class UnsupportedError(HoldfastError):
    """Something that Holdfast cannot handle; the hint names a way round."""


class PolicyError(HoldfastError):
    """The evidence does not meet the policy."""


class SystemFault(HoldfastError):
    """The machine refused: disk, port, network or permission."""
