"""The compiled sums, or one sentence on how to get them."""

from __future__ import annotations

from holdfast.errors import SystemFault

try:
    from holdfast.training.sgd.layers import _products as native
except ImportError as error:
    raise SystemFault(
        "expected the native sums of Holdfast, but holdfast.training.sgd.layers._products cannot be imported",
        hint="install Holdfast again where a C++ compiler is, g++ 12 or clang 15 or newer: pip install .",
    ) from error

__all__ = ["native"]
