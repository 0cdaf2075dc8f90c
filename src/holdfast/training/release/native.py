"""The compiled noise, or one sentence on how to get it."""

from __future__ import annotations

from holdfast.errors import SystemFault

try:
    from holdfast.training.release import _noise as native
except ImportError as error:
    raise SystemFault(
        "expected the native noise of Holdfast, but holdfast.training.release._noise cannot be imported",
        hint="install Holdfast again where a C++ compiler is, g++ 12 or clang 15 or newer: pip install .",
    ) from error

__all__ = ["native"]
