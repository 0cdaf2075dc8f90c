"""Evasion on pictures: what small changes of the pixels, or of light and tilt, do to a model's decisions.

A network ── picture_evasion(suite=…) ──> EvasionResult    (every picture by the worst of several attacks)
          ── transform_evasion ────────> EvasionResult     (brightness, rotation, something worn)

They need PyTorch.
"""

from __future__ import annotations

from importlib.util import find_spec

from holdfast.errors import UnsupportedError
from holdfast.extras import INSTALL_TORCH

if find_spec("torch") is None:
    raise UnsupportedError("attacking pictures needs PyTorch, which is not installed", hint=INSTALL_TORCH)
