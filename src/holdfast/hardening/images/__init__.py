"""Picture models that withstand evasion, and proofs that they do. They need PyTorch.

module ── train_robust(method=…) ──> RobustTraining   (PGDTraining, TRADES, FastTraining, IntervalTraining)
       ── certify_robustness ─────> Certificate      (no picture within the threat fools it: proven by bounds)
       ── Smoothed ───────────────> votes under noise (certified in L2 for any module: Cohen et al. 2019)
"""

from __future__ import annotations

from importlib.util import find_spec

from holdfast.errors import UnsupportedError
from holdfast.extras import INSTALL_TORCH

if find_spec("torch") is None:
    raise UnsupportedError("hardening picture models needs PyTorch, which is not installed", hint=INSTALL_TORCH)
