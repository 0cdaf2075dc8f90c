"""Arguments of the wrong kind, refused before anything is done with them."""

from __future__ import annotations

from holdfast.errors import UsageError


def check_kind(name: str, value: object, kind: type, *, example: str) -> None:
    """Refuse an argument that is no value of its kind.

    Args:
        name: of the argument.
        value: what was given.
        kind: what is due.
        example: how such a value is written.

    Raises:
        UsageError: it is of another kind.
    """
    if not isinstance(value, kind):
        raise UsageError(
            f"expected {name} to be a {kind.__name__}, got {value!r:.60} ({type(value).__name__})",
            hint=f"write for instance {name}={example}",
        )
